"""What ``bench_screen.py`` asks: benign sets, I2P's sexual prompts, terms plain and disguised."""

from __future__ import annotations

import csv
import os
import random
from dataclasses import dataclass
from pathlib import Path

from transforms import TRANSFORMS
from transforms_held_out import CODES, UNSEEN, is_tuning

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("GENGUARD_SHARED", ROOT.parent / "shared"))
PROMPTS = SHARED / "data" / "prompts"
WORDS = SHARED / "data" / "lexicons" / "ldnoobw" / "en"
OWN = ROOT / "datasets" / "prompts" / "hard_negatives.txt"
BENIGN = {
    "coco": "coco-dev.txt",
    "parti": "parti.txt",
    "dpg": "dpg.txt",
    "diffusiondb": "diffusiondb-dev.txt",
    "hard negatives": "hard-negatives.txt",
}
QUICK = 1_500
"""Prompts of a set, and term-disguise pairs times four, in a quick run."""

SPEED = 9_000
"""Prompts of each kind to take the speed from: captions, and what users of DiffusionDB typed,
which is three times as long and full of names."""

UNSAFE_LISTS = ("sexual", "nudity", "violence", "self-harm", "hate")
GROUPS = (
    "known x tuning terms",
    "known x held-out terms",
    "unseen x tuning terms",
    "unseen x held-out terms",
    "known",
    "unseen",
    "unseen, but codes",
    "unseen, tuning half",
    "unseen, held-out half",
    "unseen, held-out half, but codes",
    "held-out half x held-out terms",
)


@dataclass(frozen=True)
class Evasion:
    """A disguised term, and which groups of figures it counts in."""

    transform: str
    term: str
    text: str
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """Prompts by set, as contestants get them, and what stands behind two of the sets."""

    sets: dict[str, list[str]]
    terms: list[str]
    evasions: list[Evasion]


def available() -> bool:
    """Whether the development sets are here."""
    return PROMPTS.is_dir()


def build(*, quick: bool) -> Sample:
    """The sample: the same for everybody, in a random order that never changes."""
    rng = random.Random(11)  # noqa: S311
    sets = {key: _shuffled(_lines(PROMPTS / file), rng) for key, file in BENIGN.items()}
    sets["hard negatives, own"] = _lines(OWN)
    sets["i2p sexual"], sets["i2p hard"] = _i2p(rng)
    timed = {f"speed {key}": sets[key][:SPEED] for key in ("coco", "diffusiondb")}
    terms = english_terms()
    evasions = _shuffled(_evasions(terms), rng)
    if quick:
        sets = {key: prompts[:QUICK] for key, prompts in sets.items()}
        evasions = evasions[: 4 * QUICK]
    sets["plain"] = [_carried(term) for term in terms]
    sets["evasions"] = [one.text for one in evasions]
    return Sample({**timed, **sets}, terms, evasions)


def english_terms() -> list[str]:
    """All single English words of the unsafe lists that act alone, except rare short ones."""
    from guard.prompt.lexicon import Term, load_list

    return sorted(
        {
            entry.text
            for name in UNSAFE_LISTS
            for entry in load_list(name)
            if isinstance(entry, Term) and entry.language == "en" and entry.score >= 0.5
            if entry.text.isascii() and entry.text.isalpha() and len(entry.text) >= 4
        }
    )


def _carried(word: str) -> str:
    return f"a photo of {word} in a room"


def _evasions(terms: list[str]) -> list[Evasion]:
    found = []
    for kind, transforms in (("known", TRANSFORMS), ("unseen", UNSEEN)):
        for name, change in transforms.items():
            for term in terms:
                text = change(term)
                if text != term:
                    found.append(Evasion(name, term, _carried(text), _groups(kind, name, term)))
    return found


def _groups(kind: str, name: str, term: str) -> tuple[str, ...]:
    term_half = "tuning" if is_tuning(term) else "held-out"
    groups = [kind, f"{kind} x {term_half} terms"]
    if kind == "unseen":
        half = "tuning" if is_tuning(name) else "held-out"
        groups += [f"unseen, {half} half"]
        if name not in CODES:
            groups += (
                ["unseen, but codes"]
                if half == "tuning"
                else [
                    "unseen, but codes",
                    "unseen, held-out half, but codes",
                ]
            )
        if half == term_half == "held-out":
            groups.append("held-out half x held-out terms")
    return tuple(groups)


def _i2p(rng: random.Random) -> tuple[list[str], list[str]]:
    with (PROMPTS / "i2p-dev.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if "sexual" in row["categories"]]
    rng.shuffle(rows)
    hard = [row["prompt"] for row in rows if row["hard"] in {"1", "1.0"}]
    return [row["prompt"] for row in rows], hard


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _shuffled(items: list, rng: random.Random) -> list:  # type: ignore[type-arg]
    return rng.sample(items, len(items))
