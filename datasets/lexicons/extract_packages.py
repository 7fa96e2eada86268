"""Makes ``sources/``: the facts that are taken from packages, so that a build needs no network.

Run ``python -m datasets.lexicons.extract_packages --wordnet DIR --nba FILE --words FILE``:

* ``DIR``: the database of WordNet 3.0 (Debian package ``wordnet-base``, ``data.noun``);
* ``FILE`` of players: ``nba_api/stats/library/data.py`` of the PyPI package ``nba_api``;
* ``FILE`` of words: ``american-english-small`` of the Debian package ``wamerican-small`` (SCOWL).

Only facts are kept: name, years, what the person is known as. Licences: DATA_CARD.md.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

from datasets.lexicons.readers import EVERYDAY, NBA, WORDNET, Record, write_records
from guard.prompt.wordsets import word_set

_PERSON = "18"
"""WordNet's number for the file ``noun.person``."""

_DIED_BEFORE = 1826
"""Nobody who died before this counts under any shipped policy: left out to keep the file small."""

_YEARS = re.compile(r"\((\d{4})(?:\?|-(\d{4})\??)\)|\(born in (\d{4})\)|\(born (\d{4})\)")
_TITLES = word_set("sir saint st dame lord lady baron count duke prince princess queen king")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wordnet", type=Path)
    parser.add_argument("--nba", type=Path)
    parser.add_argument("--words", type=Path)
    args = parser.parse_args()
    if args.wordnet:
        head = "WordNet 3.0, Princeton University (WordNet 3.0 License): people with years"
        write_records(WORDNET, head, wordnet_people(args.wordnet / "data.noun"))
    if args.nba:
        head = "nba_api 1.12.0 (MIT), static list of players"
        write_records(NBA, head, nba_players(args.nba))
    if args.words:
        lines = args.words.read_text(encoding="utf-8").split()
        words = sorted(
            {word for word in lines if word.isascii() and word.isalpha() and word.islower()}
        )
        EVERYDAY.write_text(
            "# SCOWL, size 35 (wamerican-small): words written in lower case\n"
            + "\n".join(words)
            + "\n",
            encoding="utf-8",
        )


def wordnet_people(path: Path) -> Iterator[Record]:
    """Individuals of ``noun.person`` whose years are given, under each of their full names."""
    lines = path.read_text(encoding="latin-1").splitlines()
    synsets = dict(_synset(line) for line in lines if line[:1].isdigit())
    for lexicographer, words, instance_of, gloss in synsets.values():
        found = _YEARS.search(gloss)
        if lexicographer != _PERSON or not instance_of or not found:
            continue
        born = int(found[1] or found[3] or found[4])
        died = int(found[2]) if found[2] else None
        if died is not None and died < _DIED_BEFORE:
            continue
        occupation = synsets[instance_of[0]][1][0].replace("_", " ").lower()
        for word in words:
            name = word.replace("_", " ")
            if " " in name and name[0].isupper() and name.split()[0].lower() not in _TITLES:
                yield Record(name, born, died, occupation)


def _synset(line: str) -> tuple[str, tuple[str, list[str], list[str], str]]:
    data, _, gloss = line.partition("|")
    cells = data.split()
    count = int(cells[3], 16)
    words = cells[4 : 4 + 2 * count : 2]
    pointers = cells[5 + 2 * count :]
    parents = [pointers[i + 1] for i in range(0, len(pointers) - 3, 4) if pointers[i] == "@i"]
    return cells[0], (cells[1], words, parents, gloss)


def nba_players(path: Path) -> Iterator[Record]:
    """All players of the two leagues; the package knows no years."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in {
            "players",
            "wnba_players",
        }:
            for row in ast.literal_eval(node.value):
                yield Record(row[3], None, None, "basketball player")


if __name__ == "__main__":
    main()
