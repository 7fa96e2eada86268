"""What a word may be to its neighbours, as one character: one expression then sees a whole text."""

from __future__ import annotations

import functools
import re
from typing import Final

from guard.prompt.codes import RADIO
from guard.prompt.disguises import Disguises
from guard.prompt.index import Index
from guard.prompt.tokens import BREAK

_PIECE, _UNKNOWN, _ENTRY, _SECOND, _FIRST, _UNIT, _NUMBER, _LETTER, _CODE = (
    1 << bit for bit in range(9)
)
_PLAIN: Final = 0x4E00
"""The code point of a word that is nothing to its neighbours; the rest are counted from here."""

_PAUSE: Final = " "
"""The kind of a BREAK."""


def _of(kind: int, *, but: int = 0) -> str:
    """A class of characters: the words of that kind, and not of the other."""
    wanted = {bits for bits in range(512) if bits & kind and not bits & but}
    begins = sorted(bits for bits in wanted if bits - 1 not in wanted)
    ends = sorted(bits for bits in wanted if bits + 1 not in wanted)
    ranges = (f"{chr(_PLAIN + a)}-{chr(_PLAIN + b)}" for a, b in zip(begins, ends, strict=True))
    return f"[{''.join(ranges)}]"


def _run(*kinds: str) -> str:
    """Words of these kinds, one after another."""
    return f"{_PAUSE}*".join(kinds)


BEGIN: Final = re.compile(rf"{_of(_ENTRY)}|{_of(_FIRST)}(?={_of(_SECOND)})")
"""A word that is an entry, or that together with the next one may begin one."""

PIECE: Final = re.compile(_of(_PIECE))
"""A word that is none, and may be a piece of a term."""

UNKNOWN: Final = re.compile(_of(_UNKNOWN))
"""A word that may be a misspelt name."""

LETTERS: Final = re.compile(_run(*[_of(_LETTER)] * 3))
"""Letters that may spell something."""

_SOME, _LONG = _of(_CODE), _of(_CODE, but=_LETTER)
CODES: Final = re.compile(
    "|".join(
        (
            _run(_LONG, _LONG),
            _run(_LONG, _SOME, _SOME),
            _run(_SOME, _LONG, _SOME),
            _run(_SOME, _SOME, _LONG),
            _run(*[_SOME] * 4),
        )
    )
)
"""Numbers and words that may stand for letters: three digits alone never do."""

NOTABLE: Final = re.compile(
    f"{_of(_PIECE | _UNKNOWN | _UNIT)}|{_run(_LONG, _LONG)}|{_run(*[_of(_LETTER | _CODE)] * 3)}"
)
"""Anything but an entry that is to be looked at."""

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
_TELLING: Final = re.compile("|".join(one.pattern for one in (_CODE_WORD, _AGE_NUMBER, _AGE_UNIT)))


class Kinds:
    """Knows the kinds of words."""

    def __init__(self, index: Index, disguises: Disguises) -> None:
        self._index, self._disguises = index, disguises
        self.of = functools.lru_cache(maxsize=20_000)(self._of)

    def _of(self, word: str) -> str:
        """The kind of ``word``, one character."""
        if word == BREAK:
            return _PAUSE
        index, disguises = self._index, self._disguises
        kind = (
            _LETTER * (len(word) == 1)
            | _ENTRY * (word in index.singles)
            | _FIRST * (word in index.firsts)
            | _SECOND * (word in index.seconds)
        )
        if _TELLING.fullmatch(word):
            kind |= (
                _CODE * bool(_CODE_WORD.fullmatch(word))
                | _NUMBER * bool(_AGE_NUMBER.fullmatch(word))
                | _UNIT * bool(_AGE_UNIT.fullmatch(word))
            )
        if not disguises.is_ordinary(word):
            unknown = len(word) > 2 and not disguises.knows(word)
            kind |= _PIECE * disguises.is_piece(word) | _UNKNOWN * unknown
        return chr(_PLAIN + kind)
