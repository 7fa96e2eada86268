"""Prompt screening, ours and every peer that installs from the package index, on the same prompts.

    python tests/benchmarks/bench_screen.py [--install-peers] [--no-peers] [--quick] [--json]

Needs ``../shared`` (or ``GENGUARD_SHARED``) for the development sets; the hard negatives are the
project's own. Each contestant runs in a process of its own on one core. Peers are looked for under
``.bench/peers`` (``--install-peers`` puts them there, each in its own folder); absent ones are
named as skipped. Prints figures only, never a prompt. Exits 1 when one of ours misses its floor.

Columns are per cent of prompts on which a rule about unsafe content acted (styles and politicians
are policy, counted apart); hard negatives count anything that is not allowed. The semantic tier, in
"genguard all", has learnt from the I2P prompts, so its figure there says nothing of others
(``bench_semantic.py`` has held-out ones). "Evasions" is the share of terms, caught when written
plainly, that are still caught in disguise: known disguises are those of ``transforms.py``, unseen
ones the held-out half of ``transforms_held_out.py``, at which nobody looks while the engine is
tuned. Half of the terms are held out as well.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import screen_sets
from screen_contestants import BLOCK, DISGUISE, FLAG, POLITICIAN, STYLE, UNSAFE

ROOT = Path(__file__).parents[2]
PEERS_AT = Path(os.environ.get("GENGUARD_BENCH", ROOT / ".bench")) / "peers"
OURS = ("genguard:default:lexical", "genguard:default:all")
PEERS = ("better-profanity", "better-profanity-fast", "glin-profanity", "alt-profanity-check")
WORD_LISTS = ("word list", "BanSubstrings")
NODE_PEER = "obscenity"

BARS: dict[str, float] = {  # what the project promises; at least
    "evasions known": 0.95,
    "evasions unseen, held-out half": 0.90,
    "prompts/s": 30_000.0,
    "times better-profanity": 100.0,
}
CEILINGS: dict[str, float] = {  # at most
    "coco blocked %": 0.3,
    "diffusiondb unsafe %": 2.0,
    "hard negatives %": 3.0,
    "hard negatives, own %": 3.0,
    "coco added by disguises %": 0.05,
    "diffusiondb added by disguises %": 0.3,
    "start s": 0.3,
    "MB": 300.0,
}
FLOORS: dict[str, float] = {
    # What must hold on any machine: the bars, but speed with room for a slow or busy core.
    "evasions known": 0.95,
    "evasions unseen, held-out half": 0.88,
    "prompts/s": 2_500.0,
    "times better-profanity": 100.0,
    "start s": 1.5,
}


@dataclass(frozen=True)
class Row:
    """One contestant: what it was asked, and its figures by name."""

    name: str
    figures: dict[str, float]
    detail: dict[str, dict[str, float]]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--install-peers", action="store_true", help="fetch them first")
    parser.add_argument("--no-peers", action="store_true", help="only ours")
    parser.add_argument("--quick", action="store_true", help="small samples, only ours")
    parser.add_argument("--budget", type=float, default=20.0, help="seconds a set for a peer")
    parser.add_argument("--details", action="store_true", help="evasions by disguise")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not screen_sets.available():
        print(f"SKIPPED bench_screen: no prompt sets under {screen_sets.PROMPTS}", file=sys.stderr)
        return 0
    if args.install_peers:
        install_peers()
    rows = run(args)
    missed = judge_rows(rows)
    if args.json:
        print(
            json.dumps(
                {"rows": {r.name: {**r.figures, **r.detail} for r in rows}, "missed": missed}
            )
        )
    else:
        show(rows, missed, details=args.details)
    return 1 if any(line.startswith("FLOOR") for line in missed) else 0


def run(args: argparse.Namespace) -> list[Row]:
    """All rows that can be had here."""
    rows: list[Row] = []
    sample = screen_sets.build(quick=args.quick)
    names = [*OURS]
    if not args.no_peers and not args.quick:
        names += [*WORD_LISTS, *PEERS, NODE_PEER]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample.json"
        path.write_text(json.dumps(sample.sets), encoding="utf-8")
        for name in names:
            budget = 1e9 if name in OURS else args.budget
            answer = ask(name, path, budget)
            if answer is None:
                print(f"SKIPPED {name}: not installed (try --install-peers)", file=sys.stderr)
                continue
            rows.append(figures(name, answer, sample))
    return rows


def install_peers() -> None:
    """Each peer into a folder of its own, from the package index that pip is set to."""
    for name in PEERS:
        target = PEERS_AT / name
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(target), name]
        if not target.is_dir() and subprocess.run(command, check=False).returncode:
            shutil.rmtree(target, ignore_errors=True)
            print(f"could not install {name}", file=sys.stderr)
    target = PEERS_AT / NODE_PEER
    if shutil.which("npm") and not target.is_dir():
        command = ["npm", "install", "--silent", "--no-fund", "--prefix", str(target), NODE_PEER]
        target.mkdir(parents=True)
        if subprocess.run(command, check=False).returncode:
            shutil.rmtree(target, ignore_errors=True)


def ask(name: str, sample: Path, budget: float) -> dict[str, Any] | None:
    """What ``name`` says to the sample, from a process of its own; None when it is not here."""
    here = Path(__file__).parent
    environment = dict(os.environ, PYTHONHASHSEED="0", OMP_NUM_THREADS="1")
    command = [sys.executable, str(here / "screen_contestants.py"), name, str(sample), str(budget)]
    if name in WORD_LISTS:
        command.append(str(screen_sets.WORDS))
    elif name == NODE_PEER:
        modules = PEERS_AT / NODE_PEER / "node_modules"
        if not shutil.which("node") or not modules.is_dir():
            return None
        script = str(here / "screen_obscenity.cjs")
        command = ["node", script, str(modules), str(sample), str(budget)]
    elif name in PEERS:
        if not (PEERS_AT / name).is_dir():
            return None
        environment["PYTHONPATH"] = str(PEERS_AT / name)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def share(marks: Sequence[int], mask: int) -> float:
    """Per cent of ``marks`` that have a bit of ``mask``."""
    return 100.0 * sum(bool(mark & mask) for mark in marks) / max(1, len(marks))


def figures(name: str, answer: dict[str, Any], sample: screen_sets.Sample) -> Row:
    """The columns of one contestant."""
    marks = answer["marks"]
    ours = name in OURS
    out: dict[str, float] = {
        "I2P sexual %": share(marks["i2p sexual"], UNSAFE),
        "I2P hard %": share(marks["i2p hard"], UNSAFE),
    }
    for key in ("coco", "parti", "dpg", "diffusiondb"):
        out[f"{key} unsafe %"] = share(marks[key], UNSAFE)
        if ours:
            out[f"{key} blocked %"] = share(marks[key], BLOCK)
            out[f"{key} added by disguises %"] = share(marks[key], DISGUISE)
            out[f"{key} styles %"] = share(marks[key], STYLE)
            out[f"{key} politicians %"] = share(marks[key], POLITICIAN)
    anything = BLOCK | FLAG if ours else UNSAFE
    out["hard negatives %"] = share(marks["hard negatives"], anything)
    out["hard negatives, own %"] = share(marks["hard negatives, own"], anything)
    detail = evasions(marks, sample)
    for group, by_name in detail.items():
        out[f"evasions {group}"] = mean(by_name.values())
    out["prompts/s"] = answer["prompts_per_second"]
    for key, rate in answer["by_set"].items():
        out[f"prompts/s {key.removeprefix('speed ')}"] = rate
    out["p50 ms"], out["p99 ms"] = answer["p50_ms"], answer["p99_ms"]
    out["start s"], out["MB"] = answer["start_s"], answer["rss_mb"]
    out["COCO seen"] = len(marks["coco"])
    return Row(name.replace("genguard:default:", "genguard "), out, detail)


def evasions(
    marks: dict[str, list[int]], sample: screen_sets.Sample
) -> dict[str, dict[str, float]]:
    """Share still caught, by group and disguise, of the terms that are caught when plain."""
    plain = {
        term for term, mark in zip(sample.terms, marks["plain"], strict=False) if mark & UNSAFE
    }
    caught: dict[str, dict[str, list[bool]]] = {group: {} for group in screen_sets.GROUPS}
    for evasion, mark in zip(sample.evasions, marks["evasions"], strict=False):
        if evasion.term in plain:
            for group in evasion.groups:
                caught[group].setdefault(evasion.transform, []).append(bool(mark & UNSAFE))
    return {
        group: {name: mean(flags) for name, flags in by_name.items()}
        for group, by_name in caught.items()
    }


def mean(values: Iterable[float]) -> float:
    """Arithmetic mean; 0 of nothing."""
    known = list(values)
    return sum(known) / len(known) if known else 0.0


def judge_rows(rows: list[Row]) -> list[str]:
    """What of ours misses its bar (said) or its floor (fails)."""
    lexical, whole = rows[0], rows[1]
    slow = next((row for row in rows if row.name == "better-profanity"), None)
    if slow is not None:
        lexical.figures["times better-profanity"] = (
            lexical.figures["prompts/s"] / slow.figures["prompts/s"]
        )
    checks = [(lexical, BARS, True), (lexical, CEILINGS, False), (whole, CEILINGS, False)]
    missed = []
    for row, bars, least in checks:
        for key, bar in bars.items():
            if key not in row.figures or (row is whole and key == "start s"):
                continue
            for word, limit in (("bar", bar), ("FLOOR", FLOORS.get(key, bar))):
                value = row.figures[key]
                if value < limit if least else value > limit:
                    missed.append(f"{word} {row.name}: {key} {value:.4g}, wanted {limit:g}")
    return missed


COLUMNS = (
    ("I2P sexual %", "I2P", ".1f"),
    ("I2P hard %", "hard", ".1f"),
    ("coco unsafe %", "COCO", ".2f"),
    ("parti unsafe %", "Parti", ".2f"),
    ("dpg unsafe %", "DPG", ".2f"),
    ("diffusiondb unsafe %", "DiffDB", ".2f"),
    ("hard negatives %", "hardneg", ".1f"),
    ("hard negatives, own %", "own", ".1f"),
    ("evasions known", "known", ".3f"),
    ("evasions unseen, held-out half", "unseen", ".3f"),
    ("prompts/s coco", "COCO/s", ",.0f"),
    ("prompts/s diffusiondb", "DiffDB/s", ",.0f"),
    ("p50 ms", "p50 ms", ".3f"),
    ("start s", "start s", ".2f"),
    ("MB", "MB", ".0f"),
)


def show(rows: list[Row], missed: list[str], *, details: bool) -> None:
    """A table for people."""
    width = max(len(title) for _, title, _ in COLUMNS) + 1
    print(
        f"{'per cent flagged; share of evasions':<36}"
        + "".join(f"{t:>{width}}" for _, t, _ in COLUMNS)
    )
    for row in rows:
        cells = "".join(f"{format(row.figures[key], form):>{width}}" for key, _, form in COLUMNS)
        print(f"{row.name:<36}" + cells)
    for row in rows[: len(OURS)]:
        print(f"\n{row.name}")
        for group in screen_sets.GROUPS:
            print(f"  evasions, {group}: {row.figures[f'evasions {group}']:.3f}")
        for key in ("coco", "parti", "dpg", "diffusiondb"):
            found = (
                f"{part} {row.figures[f'{key} {part} %']:.3f} %"
                for part in ("blocked", "unsafe", "styles", "politicians", "added by disguises")
            )
            print(f"  {key}: " + ", ".join(found))
    if details:
        show_details(rows[0])
    if "times better-profanity" in rows[0].figures:
        print(f"\n{rows[0].figures['times better-profanity']:,.0f} times better-profanity's speed")
    print("\n".join(missed) if missed else "all bars and floors held")


def show_details(row: Row) -> None:
    """Evasions by disguise, worst first."""
    for group, by_name in row.detail.items():
        print(f"\n{group}")
        for name, value in sorted(by_name.items(), key=lambda pair: pair[1]):
            print(f"  {value:.2f}  {name}")


if __name__ == "__main__":
    sys.exit(main())
