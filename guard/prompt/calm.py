"""Whether a text needs a close look at all: most do not, and proof of that is cheap.

A text is taken apart at its white space. What each chunk says, and that nothing is hidden in it,
is worked out once a process and remembered; what is left to do for a text is to look for phrases
and for what only neighbours make: split words, letters kept apart, ages, misspelt names.

The answer errs on the side of looking: :attr:`Look.NONE` is given only where no reader would find
anything.
"""

from __future__ import annotations

import enum
import functools
import operator
import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from guard.prompt import spread
from guard.prompt.ages import ages
from guard.prompt.codes import RADIO, hidden
from guard.prompt.disguises import Disguises
from guard.prompt.index import Found, Index
from guard.prompt.names import BentNames
from guard.prompt.normalise import normalise
from guard.prompt.tokens import BREAK, scan

MAX_CHARS: Final = 8_000
"""Longer texts get the full look: so many new chunks would cost more than it."""

MAX_CHUNK: Final = 60
"""Longer chunks are no words."""

MAX_CHUNKS: Final = 100_000
"""Chunks remembered: about 20 MB."""

_PLAIN: Final = re.compile(r"[(\"']?([A-Z]?[a-z]+|[A-Z]+)[.,;:!?)\"']?")
_BREAKS: Final = frozenset(",;!?")
_REACHES_ON: Final = re.compile(
    r"[\u202a-\u202e\u2066-\u2069]|<!|(?i:rot-?13)|\A(?:\.+-|-+\.)[.-]*\Z"
)
"""What does not end with its chunk: directional overrides, comments, a named cipher, Morse."""

_CODE_WORD: Final = re.compile(rf"(?:0x)?(?=[a-f]*\d)(?:[0-9a-f]{{2}})+|\d+|{'|'.join(RADIO)}")
_AGE_NUMBER: Final = re.compile(
    r"\d{1,2}\w*|[a-z]*teen|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
)
_AGE_UNIT: Final = re.compile(
    r"\d{0,2}(?:years?|yrs?|yo?|ans|anos|anni|jahre?|jaar|lat|ars?|tuoi|tahun|taong|"
    r"eves|ani)|vuotia\w+|jahrige\w*|jarige\w*|letn\w+|"
    r"aged?|edad|alter"
)


class Look(enum.Enum):
    """How close a look a text needs."""

    NONE = "nothing can be found"
    PLAIN = "entries are written out, and that is all"
    AROUND = "neighbours may make something"
    CLOSE = "something may be hidden"


class Glance(NamedTuple):
    """What a first glance tells: words and entries among them, unless a close look is due."""

    look: Look
    texts: Sequence[str] = ()
    found: Sequence[Found] = ()


_CLOSE: Final = Glance(Look.CLOSE)

#: Why a word matters to its neighbours, as bits: enum flags would cost more than the rest.
_LOOSE, _UNKNOWN, _LETTER, _CODE, _NUMBER, _UNIT = 1, 2, 4, 8, 16, 32


class _Hidden(Exception):
    """A chunk in which something may be hidden."""


class Calm:
    """Judges texts. ``hides(chunk)`` tells whether any reader of disguises sees something in it."""

    def __init__(
        self,
        index: Index,
        disguises: Disguises,
        bent: BentNames,
        hides: Callable[[str], bool],
    ) -> None:
        self._index, self._disguises, self._bent = index, disguises, bent
        self._notable: dict[str, int] = {}
        self._chunks = _Chunks(lambda chunk: self._read(chunk, hides))

    def glance(self, text: str) -> Glance:
        """How close a look ``text`` needs."""
        if len(text) > MAX_CHARS:
            return _CLOSE
        try:
            texts = " ".join(map(self._chunks.__getitem__, text.split())).split()
        except _Hidden:
            return _CLOSE
        found = self._index.find(texts)
        look = Look.PLAIN if found else Look.NONE
        if not self._notable.keys().isdisjoint(texts):
            look = self._neighbours(text, texts) or look
        return Glance(look, texts, found)

    def _neighbours(self, text: str, texts: Sequence[str]) -> Look | None:
        kinds = [self._notable.get(word, 0) for word in texts]
        united = functools.reduce(operator.or_, kinds)
        if sum(1 for kind in kinds if kind & (_LETTER | _CODE)) > 1:
            spaced = [kind for kind, word in zip(kinds, texts, strict=True) if word != BREAK]
            if _run(spaced, _LETTER, 3) and any(
                spread.hits(scan(normalise(text)), self._disguises)
            ):
                return Look.CLOSE
            if _run(spaced, _CODE, 3) and any(hidden(text)):
                return Look.CLOSE
        if united & _NUMBER and united & _UNIT and any(ages(normalise(text))):
            return Look.AROUND
        loose = [position for position, kind in enumerate(kinds) if kind & _LOOSE]
        if any(self._disguises.splits(texts, loose)):
            return Look.AROUND
        unknown = [position for position in loose if kinds[position] & _UNKNOWN]
        return Look.AROUND if any(self._bent.find(texts, unknown)) else None

    def _spells(self, text: str) -> bool:
        return any(spread.kept_apart(normalise(text), self._disguises))

    def _read(self, chunk: str, hides: Callable[[str], bool]) -> str:
        """The canonical words of ``chunk``. Raises _Hidden."""
        plain = _PLAIN.fullmatch(chunk)
        if plain is not None:
            return self._read_plain(plain[1].lower(), chunk[plain.end(1) :])
        if len(chunk) > MAX_CHUNK or _REACHES_ON.search(chunk):
            raise _Hidden
        view = normalise(f" {chunk} ")
        if not self._is_latin(view.text) or hides(chunk):
            raise _Hidden
        texts = scan(view).texts
        for word in texts:
            self._note(word)
        return " ".join(texts)

    def _read_plain(self, word: str, after: str) -> str:
        """The short way for a word in plain punctuation, which most chunks are."""
        if not self._disguises.knows(word) and self._disguises.lookup(word) is not None:
            raise _Hidden
        self._note(word)
        ends = after and (not _BREAKS.isdisjoint(after) or ("." in after and len(word) > 1))
        return f"{word} {BREAK}" if ends else word

    def _is_latin(self, folded: str) -> bool:
        """Whether all its letters are ASCII, and its signs belong to no entry."""
        return folded.isascii() or not any(
            char.isalnum() or char in self._index.parts.letters
            for char in folded
            if not char.isascii()
        )

    def _note(self, word: str) -> None:
        kind = self._kind(word)
        if kind:
            self._notable[word] = kind

    def _kind(self, word: str) -> int:
        if word == BREAK:
            return 0
        disguises = self._disguises
        return (
            _LOOSE * (not disguises.is_ordinary(word))
            | _UNKNOWN * (len(word) > 2 and not disguises.knows(word))
            | _LETTER * (len(word) == 1)
            | _CODE * bool(_CODE_WORD.fullmatch(word))
            | _NUMBER * bool(_AGE_NUMBER.fullmatch(word))
            | _UNIT * bool(_AGE_UNIT.fullmatch(word))
        )


class _Chunks(dict[str, str]):
    """What chunks say, worked out at their first look-up."""

    def __init__(self, read: Callable[[str], str]) -> None:
        super().__init__()
        self._read = read
        self._hidden: set[str] = set()

    def __missing__(self, chunk: str) -> str:
        if chunk in self._hidden:
            raise _Hidden
        if len(self) + len(self._hidden) >= MAX_CHUNKS:
            self.clear()
            self._hidden.clear()
        try:
            said = self[chunk] = self._read(chunk)
        except _Hidden:
            if len(chunk) <= MAX_CHUNK:
                self._hidden.add(chunk)
            raise
        return said


def _run(kinds: Sequence[int], wanted: int, length: int) -> bool:
    """Whether so many neighbours are of one kind."""
    count = 0
    for kind in kinds:
        count = count + 1 if kind & wanted else 0
        if count >= length:
            return True
    return False
