"""Words of a normalised text, in the canonical form that lexicons are matched in.

Canonical: words separated by one space, sentence punctuation as the word ``,`` so that phrases
do not reach across it, a space at both ends. Every other sign (brackets and weights of prompt
syntax, quotes, hyphens, underscores, slashes, line ends) only separates words.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

from guard.prompt.normalise import View, normalise

BREAK: Final = ","

_SCRIPT_MARKS: Final = (
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09cd\u0a01-\u0a4d"
    "\u0a81-\u0acd\u0b01-\u0b4d\u0b82-\u0bcd\u0c00-\u0c4d\u0c81-\u0ccd\u0d00-\u0d4d\u0d82-\u0ddf"
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u0f71-\u0f84\u102b-\u103e"
    "\u17b6-\u17d3"
)
"""Vowel signs and points that are part of words but no letters to ``str.isalnum``."""

_SCAN: Final = re.compile(
    rf"(?P<weight>:\s*-?\d*\.?\d+(?=\s*[)\]}}>]))"
    rf"|(?P<word>[^\W_](?:[^\W_]|[{_SCRIPT_MARKS}])*"
    rf"(?:'(?!s(?![^\W_]))[^\W_](?:[^\W_]|[{_SCRIPT_MARKS}])*)*)"
    r"|(?P<break>[,;|!?。、，؛؟।…•·]|(?<![^\W_])\.|(?<=[^\W_]{2})\.(?=\s|$)|\s[–—-]\s)"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word or break: ``text`` canonical, ``start:end`` its place in the scanned view."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Words:
    """The tokens of a view with their canonical text; ``offsets[i]`` is where token i begins."""

    view: View
    tokens: tuple[Token, ...]
    text: str
    offsets: list[int] = field(repr=False)

    def at(self, start: int, end: int) -> tuple[int, int]:
        """First token and one past the last of ``start:end`` in the canonical text."""
        return bisect_left(self.offsets, start), bisect_left(self.offsets, end)

    def origin(self, first: int, last: int) -> tuple[int, int]:
        """The span of the original text of tokens ``first`` up to, not including, ``last``."""
        return self.view.origin(self.tokens[first].start, self.tokens[last - 1].end)

    def replaced(self, changes: dict[int, str]) -> Words:
        """The same words with some read differently."""
        texts = [changes.get(i, token.text) for i, token in enumerate(self.tokens)]
        tokens = tuple(
            Token(text, token.start, token.end)
            for text, token in zip(texts, self.tokens, strict=True)
        )
        return _words(self.view, tokens)


def scan(view: View) -> Words:
    """The words of ``view`` (a normalised text)."""
    tokens = []
    for found in _SCAN.finditer(view.text):
        if found.lastgroup == "word":
            tokens.append(Token(found[0].replace("'", ""), *found.span()))
        elif found.lastgroup == "break":
            tokens.append(Token(BREAK, *found.span()))
    return _words(view, tuple(tokens))


def _words(view: View, tokens: tuple[Token, ...]) -> Words:
    offsets = []
    position = 1
    for token in tokens:
        offsets.append(position)
        position += len(token.text) + 1
    text = " " + "".join(token.text + " " for token in tokens)
    return Words(view, tokens, text, offsets)


def canonical(term: str) -> str:
    """A lexicon term or name in canonical form, breaks left out, without the outer spaces."""
    words = scan(normalise(term))
    return " ".join(token.text for token in words.tokens if token.text != BREAK)
