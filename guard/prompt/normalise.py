"""Undoes Unicode disguises and keeps an exact map back to what was typed.

What is undone wherever it stands: case, compatibility forms (full-width, mathematical, circled,
squared, small capitals …), accents and stacked marks on Latin letters, zero-width, tag and other
invisible characters, variation selectors, right-to-left overrides. Letters of other scripts that
pass for Latin ones are folded only in words that also hold Latin letters, so that text in Greek or
Cyrillic stays as it is. Linear in the length, idempotent, never raises on any text.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from guard.prompt.folding import MARKS, REGIONAL, fold, look_alike, script

_MARKED: Final = re.compile(f"[^{MARKS}][{MARKS}]+")
_OVERRIDE: Final = re.compile("[\u202e]([^\u202a-\u202e\u2066-\u2069\n]*)")
_REGIONAL_RUN: Final = re.compile("[\U0001f1e6-\U0001f1ff]{3,}")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0e-\x1b\x7f]")
_SPACES: Final = dict.fromkeys(map(ord, "\t\n\v\f\r\x1c\x1d\x1e\x1f"), " ")
_WORDISH: Final = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class View:
    """A text derived from another one: character ``i`` stems from ``starts[i]:ends[i]``."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that ``start:end`` (not empty) of this view stems from."""
        if isinstance(self.starts, range):
            return self.starts[start], self.ends[end - 1]
        return min(self.starts[start:end]), max(self.ends[start:end])


def identity(text: str) -> View:
    """A text as a view of itself."""
    return View(text, range(len(text)), range(1, len(text) + 1))


def compose(outer: View, inner: View) -> View:
    """``inner``, which was derived from ``outer.text``, as a view of what ``outer`` stems from."""
    if isinstance(outer.starts, range) and len(outer.starts) == len(outer.text):
        return inner
    spans = [outer.origin(a, b) for a, b in zip(inner.starts, inner.ends, strict=True)]
    return View(inner.text, [a for a, _ in spans], [b for _, b in spans])


def normalise(text: str) -> View:
    """``text`` as a reader sees it, lower case, with its map."""
    if text.isascii() and not _CONTROLS.search(text):
        return View(text.lower().translate(_SPACES), range(len(text)), range(1, len(text) + 1))
    return _fold_look_alikes(_fold_characters(text))


def _fold_characters(text: str) -> View:
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end, piece in _pieces(text):
        out.append(piece)
        starts += [start] * len(piece)
        ends += [end] * len(piece)
    return View("".join(out), starts, ends)


def _pieces(text: str) -> list[tuple[int, int, str]]:
    """(start, end, folded) for each character or decorated character, in reading order."""
    special: dict[int, tuple[int, str]] = {}
    for found in _MARKED.finditer(text):
        special[found.start()] = (found.end(), _undecorated(found[0]))
    pieces = []
    position = 0
    while position < len(text):
        if position in special:
            end, piece = special[position]
        else:
            end, piece = position + 1, fold(text[position])
        pieces.append((position, end, piece))
        position = end
    return _reversed_where_overridden(text, pieces)


def _undecorated(sequence: str) -> str:
    """A letter with its marks: composed where Unicode has that letter, else the bare letter."""
    composed = unicodedata.normalize("NFC", sequence)
    return fold(composed[0]) if composed[0] not in REGIONAL else composed[0]


def _reversed_where_overridden(
    text: str, pieces: list[tuple[int, int, str]]
) -> list[tuple[int, int, str]]:
    if "\u202e" not in text:
        return pieces
    begins = [start for start, _, _ in pieces]
    for found in _OVERRIDE.finditer(text):
        part = slice(bisect_left(begins, found.start(1)), bisect_left(begins, found.end(1)))
        pieces[part] = pieces[part][::-1]
    return pieces


def _fold_look_alikes(view: View) -> View:
    """Folds runs of regional indicators, and foreign letters in words that also hold Latin ones.

    The length stays the same.
    """
    if view.text.isascii():
        return view
    text = _REGIONAL_RUN.sub(lambda run: "".join(map(REGIONAL.__getitem__, run[0])), view.text)
    out = list(text)
    for found in _WORDISH.finditer(text):
        word = found[0]
        if word.isascii() or not any(char.isascii() for char in word):
            continue
        for offset, char in enumerate(word):
            alike = look_alike(char, loosely=True)
            if alike is not None and len(alike) == 1:
                out[found.start() + offset] = alike
    return View("".join(out), view.starts, view.ends)


def skeleton(view: View) -> View | None:
    """``view`` with words wholly of look-alike letters folded too; None when there are none.

    In a text that is mostly Latin otherwise, and in words of several scripts, letters that only
    remind of Latin ones count too.
    """
    if view.text.isascii():
        return None
    letters = [char for char in view.text if char.isalpha()]
    loosely = 2 * sum(char.isascii() for char in letters) > len(letters)
    out = list(view.text)
    changed = False
    for found in _WORDISH.finditer(view.text):
        mixed = loosely or len(set(map(script, found[0]))) > 1
        alike = [look_alike(char, loosely=mixed) for char in found[0]]
        if all(one is not None and len(one) == 1 for one in alike):
            out[slice(*found.span())] = [str(one) for one in alike]
            changed = True
    return View("".join(out), view.starts, view.ends) if changed else None
