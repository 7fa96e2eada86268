"""Builds ``policies/lexicons/*.tsv`` from the named sources and the curated files beside this.

Run ``python -m datasets.lexicons.build [--shared DIR] [--out DIR]``. The same sources always
give the same bytes; ``tests/unit/prompt/test_build.py`` holds the shipped files to that. Licences
and what was taken from where: DATA_CARD.md.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from guard.prompt.tokens import canonical

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CURATED = HERE / "curated"
SHIPPED = ROOT / "policies" / "lexicons"

ARTIST_FILES = (
    "artist.txt",
    "artist-csv.txt",
    "artist-fineart.txt",
    "clip_interrogator_artists.txt",
    "uce_artists_sd.txt",
)
PANTHEON_ARTISTS = frozenset({"painter", "sculptor", "photographer", "comic artist"})
MAX_NAME_WORDS = 6
YEARS_PLAUSIBLE = range(1, 2027)


class SourceChanged(Exception):
    """A source no longer holds what the curated files select from it."""


@dataclass
class Person:
    """What is known about a name while lists are merged; the first source that knows wins."""

    kind: str
    born: int | None = None
    died: int | None = None
    occupation: str = ""
    flags: set[str] = field(default_factory=set)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, text in build(args.shared / "data" / "lexicons").items():
        (args.out / name).write_text(text, encoding="utf-8")
        print(f"{name}: {text.count(chr(10)) - 1:,} entries")


def build(sources: Path) -> dict[str, str]:
    """All term and name lists as {file name: text}. Raises SourceChanged."""
    files = {f"{name}.tsv": rows for name, rows in term_lists(sources).items()}
    files["artists.tsv"] = name_rows(artists(sources))
    files["people.tsv"] = name_rows(people(sources))
    return {name: _with_head(name.removesuffix(".tsv"), rows) for name, rows in files.items()}


def _with_head(name: str, rows: list[str]) -> str:
    body = "\n".join(rows) + "\n"
    version = hashlib.sha256(body.encode()).hexdigest()[:8]
    return f"# genguard list {name}, built by datasets/lexicons/build.py, version {version}\n{body}"


# -- terms -------------------------------------------------------------------------------


def term_lists(sources: Path) -> dict[str, list[str]]:
    """Rows ``term, score, language, flags`` of each term list, sorted by term."""
    best: dict[str, dict[tuple[str, str], tuple[float, str, str]]] = {}
    for name, score, language, flags, source, terms in _curated_rows():
        known = _source_terms(sources, source, language)
        for term in (one.strip() for one in terms.split(",")):
            if known is not None and term.lower() not in known:
                raise SourceChanged(f"{source} ({language}) has no '{term}'")
            text = term if "infix" in flags else canonical(term)
            key = (text, "negative" if "negative" in flags else "")
            entries = best.setdefault(name, {})
            if key not in entries or float(score) > entries[key][0]:
                entries[key] = (float(score), language, flags)
    return {
        name: [f"{text}\t{s:g}\t{lang}\t{f}" for (text, _), (s, lang, f) in sorted(entries.items())]
        for name, entries in sorted(best.items())
    }


def _curated_rows() -> Iterator[list[str]]:
    for line in (CURATED / "terms.tsv").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line.split("\t")


def _source_terms(sources: Path, source: str, language: str) -> set[str] | None:
    if source == "own":
        return None
    path = sources / ("ldnoobw/" + language if source == "ldnoobw" else "sneakyprompt-nsfw.txt")
    return {line.strip().lower() for line in path.read_text(encoding="utf-8").splitlines()}


# -- names -------------------------------------------------------------------------------


def artists(sources: Path) -> dict[str, Person]:
    """Artists whose style people ask for, with years where a museum or we know them."""
    found: dict[str, Person] = {}
    for name, born, died, flags in _table(CURATED / "artists.tsv"):
        found[canonical(name)] = Person("artist", _year(born), _year(died), "", set(flags.split()))
    years = dict(museum_years(sources))
    for name in _artist_names(sources):
        key = canonical(name)
        if _is_full_name(key) and key not in found:
            found[key] = Person("artist", *years.get(key, (None, None)))
    for row in _pantheon(sources):
        key = canonical(row["name"])
        if row["occupation"].lower() in PANTHEON_ARTISTS and _is_full_name(key):
            person = found.setdefault(key, Person("artist", *years.get(key, (None, None))))
            person.born = person.born or _year(row["birthyear"])
    _drop(found)
    return found


def _artist_names(sources: Path) -> Iterator[str]:
    for file in ARTIST_FILES:
        for line in (sources / file).read_text(encoding="utf-8").splitlines():
            yield re.sub(r"\(.*?\)", " ", line.partition(",")[0]).strip()


def museum_years(sources: Path) -> Iterator[tuple[str, tuple[int | None, int | None]]]:
    """(canonical name, (born, died)) of MoMA and Tate artists; Tate, which comes last, wins."""
    with (sources / "moma_Artists.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            yield (
                canonical(row["DisplayName"]),
                (_year(row["BeginDate"]), _year(row["EndDate"])),
            )
    with (sources / "tate_artist_data.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            last, _, first = row["name"].partition(", ")
            yield (
                canonical(f"{first} {last}"),
                (_year(row["yearOfBirth"]), _year(row["yearOfDeath"])),
            )


def people(sources: Path) -> dict[str, Person]:
    """Public figures: Pantheon 1.0 and our additions. Single names only where we chose them."""
    found: dict[str, Person] = {}
    for name, occupation, born, flags in _table(CURATED / "people.tsv"):
        found[canonical(name)] = Person("person", _year(born), None, occupation)
        if flags != "alone" and not _is_full_name(canonical(name)):
            raise SourceChanged(f"'{name}' is a single name without the flag 'alone'")
    years = dict(museum_years(sources))
    for row in _pantheon(sources):
        occupation, born = row["occupation"].lower(), _year(row["birthyear"])
        for key in _person_keys(row["name"]):
            died = years.get(key, (None, None))[1]
            person = found.setdefault(key, Person("person", born, died, occupation))
            person.born = person.born or born
    _drop(found)
    return found


def _person_keys(name: str) -> set[str]:
    """The name, and without a title or number behind a comma ("Diana, Princess of Wales")."""
    full = canonical(name.replace(",", " "))
    short = canonical(name.partition(",")[0])
    return {key for key in (full, short) if _is_full_name(key)}


def _pantheon(sources: Path) -> Iterator[dict[str, str]]:
    with (sources / "pantheon.tsv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, delimiter="\t")


def _is_full_name(key: str) -> bool:
    parts = key.split()
    return 2 <= len(parts) <= MAX_NAME_WORDS and max(map(len, parts)) >= 3 and not key.isdigit()


def _drop(found: dict[str, Person]) -> None:
    """Takes out names that are everyday phrases (curated/not_names.txt)."""
    lines = (CURATED / "not_names.txt").read_text(encoding="utf-8").splitlines()
    for name in {canonical(line) for line in lines if not line.startswith("#")}:
        found.pop(name, None)


def _table(path: Path) -> Iterable[list[str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(line.split("\t") + [""] * 4)[:4] for line in lines if line and line[0] != "#"]


def _year(text: str) -> int | None:
    return int(text) if text.lstrip("-").isdigit() and text not in {"0", "-0"} else None


def name_rows(found: dict[str, Person]) -> list[str]:
    """Rows ``name, kind, born, died, occupation, flags``, sorted by name."""
    return [
        "\t".join(
            (
                name,
                one.kind,
                str(one.born or ""),
                str(one.died or ""),
                one.occupation,
                " ".join(sorted(one.flags)),
            )
        )
        for name, one in sorted(found.items())
    ]


if __name__ == "__main__":
    main()
