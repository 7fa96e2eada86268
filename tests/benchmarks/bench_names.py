"""Measures how many names of lists that others made the screener knows, and what it mistakes.

Run ``python tests/benchmarks/bench_names.py [--lists DIR] [--json]``. Reads

* ``../shared`` (or ``GENGUARD_SHARED``): the sources of the lexicons, each left out once while the
  list it feeds is built from the others, and the COCO captions, which name hardly anyone;
* ``DIR`` (or ``GENGUARD_NAME_LISTS``; default ``../shared/data/names``): ``artists-*.txt`` and
  ``people-*.txt``, one name a line, that nothing was built from. They are measured with, never
  shipped; DATA_CARD.md says which ones gave the published figures.

Names are asked for as written and in lower case, through the screener and the default policy with
its rules about years taken out: coverage is of the lists, whoever is dead. Exits 1 when a figure is
below its floor. Lists that are absent are skipped, loudly. Prints figures only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
SHARED = Path(os.environ.get("GENGUARD_SHARED", ROOT.parent / "shared"))
SOURCES = SHARED / "data" / "lexicons"
COCO = SHARED / "data" / "prompts" / "coco-dev.txt"
HELD = Path(os.environ.get("GENGUARD_NAME_LISTS", SHARED / "data" / "names"))

ARTIST_FLOOR, PEOPLE_FLOOR, COCO_CEILING = 0.90, 0.60, 0.1
FLOORS = {  # lists known to hold what ours do not, with what was reached when this was last set
    "artists-fooocus": 0.79,
    "artists-sygil": 0.65,
    "artists-dynamic-prompts": 0.20,  # old masters and their pupils, mostly
    "people-vggface2": 0.21,  # nine thousand figures, most of them known in one country
    "people-corpora": 0.57,
    "without clip-interrogator": 0.54,
    "without moma": 0.12,
    "without tate": 0.38,
    "without wordnet": 0.35,
    "without nba": 0.02,
}
LEFT_OUT = {  # source: the list it feeds
    "clip-interrogator": "artists",
    "uce": "artists",
    "sd-wildcards": "artists",
    "tate": "artists",
    "moma": "artists",
    "wordnet": "people",
    "nba": "people",
}
MAX_NAMES = 3000
"""Of longer lists every second, third … name is asked for, so that no more than these are."""

CATEGORIES = {
    "artists": (frozenset({"artist-style"}), "a castle on a hill, in the style of {}"),
    "people": (frozenset({"real-person", "politician"}), "{} drinking tea in a garden"),
}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lists", type=Path, default=HELD)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", nargs=3, metavar=("KIND", "FOLDER", "FILE"), help="internal")
    args = parser.parse_args()
    if args.measure:
        kind, folder, file = args.measure
        print(json.dumps(coverage(kind, names_of(Path(file)), Path(folder))))
        return 0
    figures = {**held_out(args.lists), **left_out(), **mistakes()}
    failures = [name for name, one in figures.items() if not one["ok"]]
    if args.json:
        print(json.dumps({"figures": figures, "failures": failures}))
    else:
        show(figures, failures)
    return 1 if failures else 0


def held_out(folder: Path) -> dict[str, Any]:
    """Coverage of the lists in ``folder``."""
    files = sorted(folder.glob("artists-*.txt")) + sorted(folder.glob("people-*.txt"))
    if not files:
        print(f"SKIPPED, LOUDLY: no lists of names under {folder}", file=sys.stderr)
    figures = {}
    for file in files:
        kind = file.name.partition("-")[0]
        figures[file.stem] = judged(file.stem, kind, coverage(kind, names_of(file)))
    return figures


def left_out() -> dict[str, Any]:
    """Coverage of each source by a list that is built without it."""
    if not SOURCES.is_dir():
        print(f"SKIPPED, LOUDLY: no sources under {SOURCES}", file=sys.stderr)
        return {}
    return {f"without {one}": judged(f"without {one}", *rebuilt(one)) for one in LEFT_OUT}


def rebuilt(source: str) -> tuple[str, dict[str, float]]:
    """(kind, coverage) of ``source`` in a process of its own that reads lists made without it."""
    from datasets.lexicons import build, names

    kind = LEFT_OUT[source]
    make = {"artists": names.artists, "people": names.people}[kind]
    shipped = {path.name: path.read_bytes() for path in build.SHIPPED.iterdir() if path.is_file()}
    with tempfile.TemporaryDirectory() as folder:
        for name, content in shipped.items():
            (Path(folder) / name).write_bytes(content)
        rows = [f"# {kind} without {source}", *build.name_rows(make(SOURCES, [source]))]
        (Path(folder) / f"{kind}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        asked = Path(folder) / "asked.txt"
        asked.write_text("\n".join(names_in(source)), encoding="utf-8")
        command = [sys.executable, __file__, "--measure", kind, folder, str(asked)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return kind, json.loads(done.stdout)


def names_in(source: str) -> list[str]:
    """The names that a source of the lexicons holds, without single words."""
    from datasets.lexicons import readers

    readings: dict[str, Callable[[], Any]] = {
        "tate": lambda: readers.tate(SOURCES),
        "moma": lambda: readers.moma(SOURCES),
        "wordnet": lambda: readers.records(readers.WORDNET),
        "nba": lambda: readers.records(readers.NBA),
    }
    read = readings.get(source, lambda: readers.style_list(SOURCES, source))
    return sorted({one.name for one in read() if " " in one.name})


def names_of(file: Path) -> list[str]:
    """Names of a list, a sample of them when it is long."""
    names = sorted({line.strip() for line in file.read_text(encoding="utf-8").splitlines()} - {""})
    return names[:: -(-len(names) // MAX_NAMES)] if names else []


def coverage(kind: str, names: Sequence[str], folder: Path | None = None) -> dict[str, float]:
    """Share of names that the screener finds, as written and in lower case."""
    if folder is not None:
        from guard.prompt import lexicon

        lexicon.folder = lambda: folder  # type: ignore[assignment]
    screener = _timeless_screener()
    wanted, prompt = CATEGORIES[kind]

    def share(texts: Sequence[str]) -> float:
        found = (
            any(one.category in wanted for one in screener.screen(prompt.format(text)))
            for text in texts
        )
        return sum(found) / max(1, len(texts))

    return {
        "names": len(names),
        "share": share(names),
        "lower": share([name.lower() for name in names]),
    }


def _timeless_screener() -> Any:
    from guard.policy.load import load_policy
    from guard.prompt.screen import PolicyScreener

    policy = load_policy("default")
    rules = tuple(
        rule.model_copy(update={"died_within_years": None}) for rule in policy.prompt_rules
    )
    return PolicyScreener(policy.model_copy(update={"prompt_rules": rules}))


def judged(name: str, kind: str, figure: dict[str, float]) -> dict[str, Any]:
    """The figure with its floor."""
    floor = FLOORS.get(name, ARTIST_FLOOR if kind == "artists" else PEOPLE_FLOOR)
    return {**figure, "floor": floor, "ok": min(figure["share"], figure["lower"]) >= floor}


def mistakes() -> dict[str, Any]:
    """Per cent of COCO captions with a name in them, under the default policy as it is."""
    if not COCO.is_file():
        print(f"SKIPPED, LOUDLY: no captions at {COCO}", file=sys.stderr)
        return {}
    from guard.policy.load import load_policy
    from guard.prompt.screen import PolicyScreener

    screener = PolicyScreener(load_policy("default"))
    wanted = frozenset().union(*(one for one, _ in CATEGORIES.values()))
    lines = COCO.read_text(encoding="utf-8").splitlines()
    hit = sum(any(one.category in wanted for one in screener.screen(line)) for line in lines)
    percent = 100 * hit / len(lines)
    return {"coco": {"captions": len(lines), "percent": percent, "ok": percent <= COCO_CEILING}}


def show(figures: dict[str, Any], failures: list[str]) -> None:
    """A table for people."""
    print(f"{'list':<28}{'names':>8}{'as written':>12}{'lower case':>12}{'floor':>8}")
    for name, one in figures.items():
        if name == "coco":
            print(f"COCO captions with a name: {one['percent']:.3f} % (at most {COCO_CEILING})")
            continue
        print(
            f"{name:<28}{one['names']:>8,}{one['share']:>12.3f}{one['lower']:>12.3f}"
            f"{one['floor']:>8.2f}"
        )
    print("FAILED: " + ", ".join(failures) if failures else "all floors held")


if __name__ == "__main__":
    sys.exit(main())
