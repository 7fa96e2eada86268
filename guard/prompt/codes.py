"""Codes that hide a text whole: base64 and its kin, numbers for letters, Morse, Braille, spelling.

Only what decodes to something readable comes back; whether that is anything, the lists decide.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import string
from collections.abc import Callable, Iterator
from typing import Final

from guard.prompt.normalise import View
from guard.prompt.wordsets import word_list

_BASE64: Final = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{6,4096}={0,2}")
_BASE32: Final = re.compile(r"(?<![A-Za-z0-9])[A-Z2-7]{8,4096}={0,6}(?![A-Za-z0-9])")
_ORDINARY: Final = re.compile(r"[A-Z]?[a-z_/-]+|[A-Z]+|[0-9]+")
"""Chunks that are words or numbers; base64 of a text mixes cases or has digits."""

_HEX: Final = re.compile(r"(?:(?:0x|\\x|#)?[0-9a-fA-F]{2}[\s:,;-]{0,2}){3,2048}")
_BINARY: Final = re.compile(r"(?<!\d)(?:0?[01]{7}[\s,;-]{0,2}){3,512}(?!\d)")
_DECIMAL: Final = re.compile(r"(?<!\d)(?:\d{2,3}[\s,;:.-]{1,2}){3,512}\d{2,3}(?!\d)")
_PLACES: Final = re.compile(r"(?<!\d)(?:\d{1,2}[\s,;:.-]{1,2}){3,512}\d{1,2}(?!\d)")
_MORSE: Final = re.compile(r"(?<!\S)[.-]{1,4}(?:[ /|][.-]{1,4}){2,80}(?![^\s,;!?])")
_BRAILLE: Final = re.compile("[\u2801-\u283f]{3,}")
_TAGS: Final = re.compile("[\U000e0020-\U000e007e]{3,}")
_ROT13: Final = re.compile(r"(?i)\brot-?13\b")
_MORSE_LETTERS: Final = dict(
    zip(
        word_list(
            ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- "
            "...- .-- -..- -.-- --.."
        ),
        string.ascii_lowercase,
        strict=True,
    )
)
_BRAILLE_LETTERS: Final = dict(
    zip("⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵", string.ascii_lowercase, strict=True)
)
RADIO: Final = word_list(
    "alpha alfa bravo charlie delta echo foxtrot golf hotel india juliet juliett kilo lima mike "
    "november oscar papa quebec romeo sierra tango uniform victor whiskey xray yankee zulu"
)
_WORD: Final = f"(?:{'|'.join(RADIO)})"
_SPELT: Final = re.compile(rf"(?i)\b{_WORD}(?:[\s,-]{{1,2}}{_WORD}){{2,}}\b")
MAX_LAYERS: Final = 3
"""Base64 of base64 of base64: beyond that nobody reads it back."""


def hidden(text: str) -> Iterator[View]:
    """What is hidden whole in ``text``."""
    for pattern, read in _READERS:
        for found in pattern.finditer(text):
            code = found[0].rstrip(" \t\n,;:")
            plain = read(code)
            if plain:
                start, end = found.start(), found.start() + len(code)
                yield View(plain, [start] * len(plain), [end] * len(plain))
    if _ROT13.search(text):
        yield View(codecs.encode(text, "rot13"), range(len(text)), range(1, len(text) + 1))


def _from_base64(chunk: str) -> str:
    """What a chunk of base64 says, however often it was wrapped; "" for what says nothing."""
    if _ORDINARY.fullmatch(chunk):
        return ""
    for _ in range(MAX_LAYERS):
        bare = chunk.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            raw = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
        except (binascii.Error, ValueError):
            return ""
        inner = raw.decode("ascii", errors="replace")
        if not _BASE64.fullmatch(inner) or _ORDINARY.fullmatch(inner):
            return _readable(raw)
        chunk = inner
    return ""


def _from_base32(chunk: str) -> str:
    bare = chunk.rstrip("=")
    try:
        return _readable(base64.b32decode(bare + "=" * (-len(bare) % 8)))
    except (binascii.Error, ValueError):
        return ""


def _from_hex(chunk: str) -> str:
    digits = re.sub(r"0x|\\x|[^0-9a-fA-F]", "", chunk)
    return _readable(bytes.fromhex(digits)) if len(digits) % 2 == 0 else ""


def _from_binary(chunk: str) -> str:
    return _readable(bytes(int(byte, 2) for byte in re.findall(r"0?[01]{7}", chunk)))


def _from_decimal(chunk: str) -> str:
    codes = [int(number) for number in re.findall(r"\d+", chunk)]
    return _readable(bytes(codes)) if max(codes) < 256 else ""


def _from_places(chunk: str) -> str:
    """Numbers that are places in the alphabet."""
    places = [int(number) for number in re.findall(r"\d+", chunk)]
    if not all(1 <= place <= 26 for place in places):
        return ""
    return "".join(string.ascii_lowercase[place - 1] for place in places)


def _from_morse(chunk: str) -> str:
    return "".join(_MORSE_LETTERS.get(one, "") for one in re.split(r"[ /|]", chunk))


def _from_braille(chunk: str) -> str:
    return "".join(_BRAILLE_LETTERS.get(one, "") for one in chunk)


def _from_tags(chunk: str) -> str:
    return "".join(chr(ord(char) - 0xE0000) for char in chunk)


def _from_spelling(chunk: str) -> str:
    return "".join(word[0] for word in re.findall(r"[a-z]+", chunk.lower()))


def _readable(raw: bytes) -> str:
    """The bytes as text when they look like words, else "": random bytes never do for long."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    letters = sum(char.isalpha() or char == " " for char in text)
    return text if letters >= 3 and letters >= 0.8 * len(text) else ""


_READERS: Final[tuple[tuple[re.Pattern[str], Callable[[str], str]], ...]] = (
    (_TAGS, _from_tags),
    (_BASE64, _from_base64),
    (_BASE32, _from_base32),
    (_HEX, _from_hex),
    (_BINARY, _from_binary),
    (_DECIMAL, _from_decimal),
    (_PLACES, _from_places),
    (_MORSE, _from_morse),
    (_BRAILLE, _from_braille),
    (_SPELT, _from_spelling),
)
