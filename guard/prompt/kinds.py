"""What a word may be to its neighbours, as one character: one expression then sees a whole text."""

from __future__ import annotations

import re
from typing import Final

from guard.prompt.codes import RADIO
from guard.prompt.disguises import Disguises
from guard.prompt.tokens import BREAK

MAX_WORDS: Final = 100_000
"""Words remembered: about 10 MB."""

_PIECE, _UNKNOWN, _LETTER, _CODE, _NUMBER, _UNIT = 1, 2, 4, 8, 16, 32
_PLAIN: Final = 64
"""The code point of a word that is nothing to its neighbours; the rest are counted from here."""

_PAUSE: Final = " "
"""The kind of a BREAK."""


def _of(kind: int) -> str:
    """A class of characters: the words of that kind."""
    return f"[{re.escape(''.join(chr(_PLAIN + bits) for bits in range(64) if bits & kind))}]"


NOTHING: Final = chr(_PLAIN) + _PAUSE
"""The kinds of words that no neighbour makes anything of."""

PIECE: Final = re.compile(_of(_PIECE))
"""A word that is none, and may be a piece of a term."""

UNKNOWN: Final = re.compile(_of(_UNKNOWN))
"""A word that may be a misspelt name."""

LETTERS: Final = re.compile(rf"(?:{_of(_LETTER)}{_PAUSE}*){{3}}")
"""Letters that may spell something."""

CODES: Final = re.compile(rf"(?:{_of(_CODE)}{_PAUSE}*){{3}}")
"""Numbers and words that may each stand for a letter."""

AGE: Final = re.compile(rf"(?=.*{_of(_NUMBER)}).*{_of(_UNIT)}")
"""A number that may be an age and a word that may say so, in any order."""

_CODE_WORD: Final = re.compile(rf"(?:0x)?(?=[a-f]*\d)(?:[0-9a-f]{{2}})+|\d+|{'|'.join(RADIO)}")
_AGE_NUMBER: Final = re.compile(
    r"\d{1,2}\w*|[a-z]*teen|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
)
_AGE_UNIT: Final = re.compile(
    r"\d{0,2}(?:years?|yrs?|yo?|ans|anos|anni|jahre?|jaar|lat|ars?|tuoi|tahun|taong|"
    r"eves|ani)|vuotia\w+|jahrige\w*|jarige\w*|letn\w+|"
    r"aged?|edad|alter"
)


class Kinds(dict[str, str]):
    """The kind of each word, worked out at its first look-up."""

    def __init__(self, disguises: Disguises) -> None:
        super().__init__()
        self._disguises = disguises

    def __missing__(self, word: str) -> str:
        if len(self) >= MAX_WORDS:
            self.clear()
        kind = self[word] = _PAUSE if word == BREAK else chr(_PLAIN + self._kind(word))
        return kind

    def _kind(self, word: str) -> int:
        kind = (
            _LETTER * (len(word) == 1)
            | _CODE * bool(_CODE_WORD.fullmatch(word))
            | _NUMBER * bool(_AGE_NUMBER.fullmatch(word))
            | _UNIT * bool(_AGE_UNIT.fullmatch(word))
        )
        disguises = self._disguises
        if disguises.is_ordinary(word):
            return kind
        unknown = len(word) > 2 and not disguises.knows(word)
        return kind | _PIECE * disguises.is_piece(word) | _UNKNOWN * unknown
