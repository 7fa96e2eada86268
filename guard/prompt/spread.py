"""Terms whose letters are kept apart or covered: ``n u d e``, ``n-u-d-e``, ``n*de``, ``n[u]de``."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from operator import contains
from typing import Final

from guard.prompt.disguises import MAX_WORD, Disguises
from guard.prompt.leet import TABLES
from guard.prompt.lexicon import Hit, Term
from guard.prompt.normalise import View
from guard.prompt.term_index import MIN_FUZZY
from guard.prompt.tokens import Words

_SPREAD: Final = re.compile(
    r"(?<![^\W_])[a-z0-9@$!|](?:(?:[^\w\n]{1,5}|[_\n]{1,3})[a-z0-9@$!|]){2,}(?![^\W_])"
)
Seen = tuple[Term, tuple[int, int], str]
"""A term, its place in the view, and what hid it."""

LONG_COVERED: Final = 8
"""From this length on a word is still known with five letters covered."""

MAX_RUN: Final = 4 * MAX_WORD
"""Letters of one run that are looked at: more are no word, nor a few."""

_SIGNS: Final = r"*#_.\-?%&^~@$!=+•·°/\\"
_COVERED: Final = re.compile(
    rf"(?<=[a-z])[{_SIGNS}]{{1,3}}(?=[a-z])|(?<=[a-z]{{2}})[*#]{{1,3}}|(?<![\w*#])[*#](?=[a-z]{{3}})"
)
_CHUNK_END: Final = re.compile(rf"[a-z{_SIGNS}]*")
_SIGNED: Final = re.compile(r"(?<![^\W_])[a-z0-9@$!|+€¢£¥]{4,40}(?![^\W_])")
_LOOKS_LIKE: Final = {
    "0": "o",
    "1": "il",
    "2": "z",
    "3": "e",
    "4": "a",
    "5": "s",
    "6": "gbe",
    "7": "t",
    "8": "b",
    "9": "gq",
    "@": "a",
    "$": "s",
    "!": "il",
    "|": "il",
    "+": "t",
    "€": "e",
    "¢": "c",
    "£": "el",
    "¥": "y",
}
MIN_SIGNED: Final = 2
"""Characters other than digits that a word of letters and signs must have: a number is a number."""

_INNER_BRACKET: Final = re.compile(r"[a-z][\[({<|][a-z]|[a-z][\])}>|][a-z]")
_BRACKETED: Final = re.compile(r"[a-z\[\](){}<>|]{4,60}")


def hits(words: Words, disguises: Disguises) -> Iterator[Hit]:
    """All such terms of a text."""
    readers = [kept_apart, _covered, _signed]
    if _INNER_BRACKET.search(words.view.text):
        readers.append(_bracketed)
    for read in readers:
        for term, span, how in read(words.view, disguises):
            yield Hit(term, words.view.origin(*span), *words.around(*span), how)


def kept_apart(view: View, disguises: Disguises) -> Iterator[Seen]:
    """Terms spelt letter by letter."""
    for found in _SPREAD.finditer(view.text):
        letters = re.sub(r"[^a-z0-9@$!|]", "", found[0])[:MAX_RUN]
        for table in TABLES[:2]:
            reading = letters.translate(table)
            term = disguises.exact(reading)
            if term is None and "," not in found[0]:  # letters in a list must be the term itself
                inside = disguises.inside(reading)
                term = inside[0] if inside is not None else None
            if term is not None:
                yield term, found.span(), "letters kept apart"
                break


def _covered(view: View, disguises: Disguises) -> Iterator[Seen]:
    done = -1
    for found in _COVERED.finditer(view.text):
        if found.start() < done:
            continue
        start = found.start()
        while start > 0 and view.text[start - 1].isascii() and view.text[start - 1].isalpha():
            start -= 1
        ending = _CHUNK_END.match(view.text, found.start())
        done = ending.end() if ending else found.end()
        chunk = view.text[start:done]
        term = _uncovered(chunk, disguises) if len(chunk) <= MAX_WORD else None
        if term is not None:
            yield term, (start, done), "covered letters"


def _uncovered(chunk: str, disguises: Disguises) -> Term | None:
    """The term that fits, each sign being one letter or none; more signs than letters never do."""
    chunk = chunk.rstrip(".-?!_")
    bare = re.sub(r"[^a-z]", "", chunk)
    if len(bare) >= MIN_FUZZY and (term := disguises.exact(bare)):
        return term
    signs = len(chunk) - len(bare)
    most = 3 if len(chunk) < LONG_COVERED else 5
    if len(bare) < 2 or not 0 < signs <= min(most, len(bare)):
        return None
    if not chunk[0].isalpha() and disguises.knows(bare):  # a bullet or an asterisk before a word
        return None
    letters = [char if char.isalpha() else string.ascii_lowercase for char in chunk]
    return _fitting(letters, disguises)


def _fitting(letters: Sequence[str], disguises: Disguises) -> Term | None:
    """The first term each of whose letters is among those of its place."""
    likely = [word for word in disguises.of_length(len(letters)) if word[0] in letters[0]]
    fitting = (word for word in likely if all(map(contains, letters, word)))
    return disguises.exact(next(fitting, ""))


def _signed(view: View, disguises: Disguises) -> Iterator[Seen]:
    """Letters and look-alike signs, where no one table of leetspeak reads them all."""
    for found in _SIGNED.finditer(view.text):
        chunk = found[0].rstrip("!|+")
        digits = sum(char.isdigit() for char in chunk)
        if chunk.isalpha() or len(chunk) < MIN_FUZZY or len(chunk) - digits < MIN_SIGNED:
            continue
        term = _fitting([_LOOKS_LIKE.get(char, char) for char in chunk], disguises)
        if term is not None:
            yield term, (found.start(), found.start() + len(chunk)), "leetspeak"


def _bracketed(view: View, disguises: Disguises) -> Iterator[Seen]:
    for found in _BRACKETED.finditer(view.text):
        term = disguises.exact(re.sub(r"[^a-z]", "", found[0]))
        if term is not None and not found[0].isalpha():
            yield term, found.span(), "brackets"
