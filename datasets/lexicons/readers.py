"""Readers of the sources of names: each yields :class:`Record` in the order of its source."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
CURATED = HERE / "curated"
WORDNET = HERE / "sources" / "wordnet_people.tsv"
NBA = HERE / "sources" / "nba_players.tsv"
EVERYDAY = HERE / "sources" / "everyday.txt"

STYLE_LISTS = {
    "sd-wildcards": ("artist.txt", "artist-csv.txt", "artist-fineart.txt"),
    "clip-interrogator": ("clip_interrogator_artists.txt",),
    "uce": ("uce_artists_sd.txt",),
}
"""Lists of artists that picture models imitate, by project."""

_CORPORATE = re.compile(
    r"[&/+\d:;!?\"]|\b(?:and|und|et|of|the|for|inc|ltd|llc|llp|co|corp|corporation|company|gmbh|ag|"
    r"studios?|group|gruppe|groupe|grupo|gruppo|associates?|assoc|partners|press|workshops?|"
    r"unknown|anonymous|unidentified|various|artists?|architects?|design|designs|designers?|"
    r"collective|school|brothers|bros|university|institute|museum|factory|films?|productions?|"
    r"photographers?|photography|photo|international|industries|manufacturing|mfg|agency|"
    r"laborator(?:y|ies)|lab|labs|society|service|services|department|bureau|office|bank|"
    r"magazine|news|times|editions?|publishers?|publishing|records|project|team|family|werke?|"
    r"products|systems|technolog(?:y|ies)|works|atelier|verlag|foundation|nasa|usa|inco|"
    r"spa|srl|sarl|ab|as|oy|kg|bv|nv|pvt|ateliers|werkstatte|werkstätte|club|union|league|"
    r"committee|center|centre|council|army|navy|force|observatory|pottery|glass|guild)\b",
    re.IGNORECASE,
)
_SUFFIX = re.compile(r",?\s+(Jr|Sr|II|III|IV)\.?$")
_FIRM = re.compile(r"\b(?:est|founded|established|active|firm)\b", re.IGNORECASE)
_LIFE = re.compile(r"\d{4}\s*[–-]\s*\d{4}|\bborn\b")
_LETTERS = re.compile(r"[^\W\d_]+(?:[ .'’-]+[^\W\d_]+)*\.?")


class Record(NamedTuple):
    """What one source says of a person; years are None, the occupation "" when it does not."""

    name: str
    born: int | None = None
    died: int | None = None
    occupation: str = ""
    flags: str = ""


def year(text: str) -> int | None:
    """A year of a table; empty cells and zeros mean that it is unknown."""
    return int(text) if text.lstrip("-").isdigit() and text not in {"0", "-0"} else None


def table(path: Path, columns: int) -> Iterator[list[str]]:
    """Rows of a commented TSV, filled up to ``columns`` cells."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield (line.split("\t") + [""] * columns)[:columns]


def own_artists() -> Iterator[Record]:
    """Our own additions with their years, and surnames known alone."""
    for name, born, died, flags in table(CURATED / "artists.tsv", 4):
        yield Record(name, year(born), year(died), "", flags)


def makers() -> Iterator[Record]:
    """Artists of the last hundred years that other sources may lack, by what they make."""
    yield from _groups("makers.tsv")


def own_people() -> Iterator[Record]:
    """Figures that other sources lack: ``people.tsv`` by line, ``figures.tsv`` in groups."""
    for name, occupation, born, flags in table(CURATED / "people.tsv", 4):
        yield Record(name, year(born), None, occupation, flags)
    yield from _groups("figures.tsv")


def _groups(file: str) -> Iterator[Record]:
    for occupation, group in table(CURATED / file, 2):
        for name in group.split(","):
            yield Record(name.strip(), None, None, occupation)


def style_list(sources: Path, label: str) -> Iterator[Record]:
    """Names of one of STYLE_LISTS."""
    for file in STYLE_LISTS[label]:
        for line in (sources / file).read_text(encoding="utf-8").splitlines():
            yield Record(re.sub(r"\(.*?\)", " ", line.partition(",")[0]).strip())


def moma(sources: Path) -> Iterator[Record]:
    """Persons in MoMA's collection: not firms, and not those of whom it knows nothing at all."""
    path = sources / "moma_Artists.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            bio = row["ArtistBio"]
            is_person = bool(row["Gender"].strip()) or bool(_LIFE.search(bio))
            name = _personal(row["DisplayName"])
            if is_person and name and not _FIRM.search(bio):
                yield Record(name, year(row["BeginDate"]), year(row["EndDate"]), "artist")


def tate(sources: Path) -> Iterator[Record]:
    """Persons in Tate's collection."""
    path = sources / "tate_artist_data.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            last, _, first = row["name"].partition(", ")
            name = _personal(f"{first} {last}".strip())
            if name and row["gender"]:
                yield Record(name, year(row["yearOfBirth"]), year(row["yearOfDeath"]), "artist")


def pantheon(sources: Path) -> Iterator[Record]:
    """Public figures, the most viewed first."""
    with (sources / "pantheon.tsv").open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file, delimiter="\t"), key=lambda one: -float(one["HPI"]))
    for row in rows:
        yield Record(row["name"], year(row["birthyear"]), None, row["occupation"].lower())


def records(path: Path) -> Iterator[Record]:
    """An extract in ``sources/``."""
    for name, born, died, occupation in table(path, 4):
        yield Record(name, year(born), year(died), occupation)


def write_records(path: Path, head: str, found: Iterable[Record]) -> None:
    """Writes an extract: sorted, one person a line."""
    rows = {f"{one.name}\t{one.born or ''}\t{one.died or ''}\t{one.occupation}" for one in found}
    path.write_text("\n".join([f"# {head}", *sorted(rows)]) + "\n", encoding="utf-8")


def everyday() -> frozenset[str]:
    """Words that are written in lower case, and single letters."""
    words = EVERYDAY.read_text(encoding="utf-8").splitlines()
    return frozenset(word for word in words if not word.startswith("#")) | frozenset(
        "abcdefghijklmnopqrstuvwxyz"
    )


def _personal(name: str) -> str:
    """``name`` as that of one person, or "" for firms, groups and the unknown."""
    bare = re.sub(r"\(.*?\)|\[.*?\]", " ", name).strip()
    suffix = _SUFFIX.search(bare)
    bare = _SUFFIX.sub("", bare)
    words = [part for part in re.split(r"[ .]+", bare) if len(part) > 1]
    if _CORPORATE.search(bare) or not _LETTERS.fullmatch(bare) or bare.isupper():
        return ""
    if len(words) < 2:  # "M. E.", "T. Brown": too little to know someone by
        return ""
    return f"{bare} {suffix[1]}" if suffix else bare
