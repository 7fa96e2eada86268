"""Terms whose letters are kept apart or covered: ``n u d e``, ``n-u-d-e``, ``n*de``, ``n[u]de``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from guard.prompt.disguises import MAX_WORD, MIN_FUZZY, Disguises
from guard.prompt.leet import TABLES
from guard.prompt.lexicon import Hit, Term
from guard.prompt.normalise import View

_SPREAD: Final = re.compile(
    r"(?<![^\W_])[a-z0-9@$!|](?:[^\w\n,;]{1,3}[a-z0-9@$!|]|[_\n][a-z0-9@$!|]){2,}(?![^\W_])"
)
MAX_RUN: Final = 4 * MAX_WORD
"""Letters of one run that are looked at: more are no word, nor a few."""

_SIGNS: Final = r"*#_.\-?%&^~@$!=+•·°/\\"
_COVERED: Final = re.compile(rf"(?<=[a-z])[{_SIGNS}]{{1,3}}(?=[a-z])|(?<=[a-z]{{2}})[*#]{{1,3}}")
_CHUNK_END: Final = re.compile(rf"[a-z{_SIGNS}]*")
_INNER_BRACKET: Final = re.compile(r"[a-z][\[({<|][a-z]|[a-z][\])}>|][a-z]")
_BRACKETED: Final = re.compile(r"[a-z\[\](){}<>|]{4,60}")


def hits(view: View, disguises: Disguises) -> Iterator[Hit]:
    """All such terms of a normalised text."""
    yield from _spread(view, disguises)
    yield from _covered(view, disguises)
    if _INNER_BRACKET.search(view.text):
        yield from _bracketed(view, disguises)


def _hit(term: Term, view: View, span: tuple[int, int], how: str) -> Hit:
    return Hit(term, view.origin(*span), 0, 0, how)


def _spread(view: View, disguises: Disguises) -> Iterator[Hit]:
    for found in _SPREAD.finditer(view.text):
        letters = re.sub(r"[^a-z0-9@$!|]", "", found[0])[:MAX_RUN]
        for table in TABLES[:2]:
            reading = letters.translate(table)
            term = disguises.exact(reading)
            inside = disguises.inside(reading) if term is None else (term, "")
            if inside is not None:
                yield _hit(inside[0], view, found.span(), "letters kept apart")
                break


def _covered(view: View, disguises: Disguises) -> Iterator[Hit]:
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
            yield _hit(term, view, (start, done), "covered letters")


def _uncovered(chunk: str, disguises: Disguises) -> Term | None:
    """The term that fits, each sign being one letter or none; more signs than letters never do."""
    chunk = chunk.rstrip(".-?!_")
    bare = re.sub(r"[^a-z]", "", chunk)
    if len(bare) >= MIN_FUZZY and (term := disguises.exact(bare)):
        return term
    signs = len(chunk) - len(bare)
    if len(bare) < 2 or not 0 < signs <= min(3, len(bare)):
        return None
    pattern = re.compile("".join(char if char.isalpha() else "[a-z]" for char in chunk))
    fitting = (word for word in disguises.of_length(len(chunk)) if pattern.fullmatch(word))
    return disguises.exact(next(fitting, ""))


def _bracketed(view: View, disguises: Disguises) -> Iterator[Hit]:
    for found in _BRACKETED.finditer(view.text):
        term = disguises.exact(re.sub(r"[^a-z]", "", found[0]))
        if term is not None and not found[0].isalpha():
            yield _hit(term, view, found.span(), "brackets")
