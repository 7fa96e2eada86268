"""Builds ``policies/lexicons/vocabulary.txt``: everyday words that no fuzzy rule may touch.

Run ``python -m datasets.lexicons.vocabulary COMMON… --rare FILE`` with SCOWL word lists (Debian
packages ``wamerican``, ``wbritish`` and ``wamerican-huge``; licence in DATA_CARD.md). Of the rare
words only those are kept that a fuzzy rule would otherwise mistake for a term.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from guard.prompt.disguises import Disguises
from guard.prompt.lexicon import NAME_LISTS, Term, available_lists, load_list
from guard.prompt.tokens import canonical

HERE = Path(__file__).parent
TARGET = HERE.parents[1] / "policies" / "lexicons" / "vocabulary.txt"
DELIBERATE = frozenset({"an ending", "a compound", "repeated letters"})
"""Ways to hide a term that rare dictionary words share with real derivations: those words are
allowed one by one, in curated/allowed_words.txt."""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("common", nargs="+", type=Path)
    parser.add_argument("--rare", type=Path, required=True)
    args = parser.parse_args()
    terms = [
        term
        for name in available_lists()
        if name not in NAME_LISTS
        for term in load_list(name)
        if isinstance(term, Term)
    ]
    hard = {term.text for term in terms if term.score >= 0.5}
    allowed = _words(HERE / "curated" / "allowed_words.txt")
    names = {p for name in NAME_LISTS for entry in load_list(name) for p in entry.text.split()}
    refused = _words(HERE / "curated" / "refused_words.txt")
    common = (set().union(*map(_words, args.common)) | allowed) - hard - refused
    disguises = Disguises(terms, frozenset(common | names))
    rare = {
        word
        for word in _words(args.rare) - hard - common - refused
        if (found := disguises.lookup(word)) and found[1] not in DELIBERATE
    }
    TARGET.write_text("\n".join(sorted(common | rare)) + "\n", encoding="utf-8")
    print(f"{len(common):,} common words, {len(rare):,} rare ones that look like terms")


def _words(path: Path) -> set[str]:
    words = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        word = canonical(line.removesuffix("'s")) if not line.startswith("#") else ""
        if word.isascii() and word.isalpha() and len(word) >= 2:
            words.add(word)
    return words


if __name__ == "__main__":
    main()
