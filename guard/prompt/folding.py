"""One character at a time: what a reader sees in it, as plain lower-case text.

Sources: NFKC and case folding (Unicode 16, UAX #15), visual confusables (UTS #39, through the
``disarm`` package), Unicode character names for Latin letters with strokes, hooks and turns, and
three small tables for what those leave: enclosed emoji letters, regional indicators and the
upside-down alphabet.
"""

from __future__ import annotations

import functools
import re
import string
import unicodedata
from typing import Final

MARKS: Final = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
"""Blocks of combining marks that decorate any letter (regex class); marks that belong to a
script, such as Devanagari vowels, are not among them."""

_MARK: Final = re.compile(f"[{MARKS}]")

_FILLERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Invisible characters that Unicode does not class as format characters."""

_NAMED_LATIN: Final = re.compile(
    r"(?:MODIFIER LETTER |LATIN )(?:SMALL |CAPITAL )?(?:LETTER )?(?:SMALL CAPITAL |SMALL )?"
    r"(?:BARRED |TURNED |REVERSED |SIDEWAYS |INVERTED |SCRIPT |OPEN |DOTLESS |LONG )*([A-Z])"
    r"(?: WITH .*| BAR)?"
)

UPSIDE_DOWN: Final = dict(
    zip(
        "ɐqɔpǝɟƃɥᴉɾʞlɯuodbɹsʇnʌʍxʎz",
        "abcdefghijklmnopqrstuvwxyz",
        strict=True,
    )
)
"""What an upside-down letter stands for, ASCII letters that look like another included."""

TURNED: Final = frozenset(letter for letter in UPSIDE_DOWN if not letter.isascii())
"""Letters whose presence shows that a word is written upside down."""

_OWN: Final = {
    **{chr(0x1F150 + i): chr(97 + i) for i in range(26)},  # negative circled
    **{chr(0x1F170 + i): chr(97 + i) for i in range(26)},  # negative squared
    **{letter: plain for letter, plain in UPSIDE_DOWN.items() if not letter.isascii()},
    **dict(zip("ɪʏꞯıɑɵʊɩɡɣʋɛəʃʒŋϲϳ", "iyqiaouigyveeszncj", strict=True)),
    "œ": "oe",
    "æ": "ae",
    "ß": "ss",
    "þ": "th",
    "ð": "d",
    "\u2019": "'",
    "\u2018": "'",
    "\u02bc": "'",
    "\u0060": "'",
    "\u00b4": "'",
}

REGIONAL: Final = {chr(0x1F1E6 + i): chr(97 + i) for i in range(26)}
"""Regional indicators: a pair is a flag and is left alone, a longer run spells a word."""

_CONTEXTUAL: Final = ("CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "CHEROKEE", "LISU", "GEORGIAN")
"""Scripts that people write whole texts in and whose letters pass for Latin ones: folded
only where they stand among Latin letters (see :mod:`guard.prompt.normalise`)."""


@functools.cache
def fold(char: str) -> str:
    """What ``char`` is folded to wherever it stands; "" when it is invisible. Idempotent."""
    seen = char
    for _ in range(4):  # casefold and NFKC can each uncover work for the other; 3 suffices
        now = "".join(_fold_once(one) for one in seen)
        if now == seen:
            break
        seen = now
    return _MARK.sub("", seen)


def _fold_once(char: str) -> str:
    if char in _OWN:
        return _OWN[char]
    category = unicodedata.category(char)
    if category in {"Zs", "Zl", "Zp"} or char in "\t\n\r\v\f\x1c\x1d\x1e\x1f\x85":
        return " "
    if category in {"Cf", "Cc", "Cs", "Cn", "Co"} or char in _FILLERS or _is_selector(char):
        return ""
    if char in REGIONAL:
        return char
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", char).casefold())
    if plain == char and char > "\x7f":
        return _latin(char)
    return plain


def _is_selector(char: str) -> bool:
    return "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"


def _latin(char: str) -> str:
    """The basic letter of a Latin letter with accents, strokes or turns; others unchanged."""
    name = unicodedata.name(char, "")
    if "LATIN" not in name and not name.startswith("MODIFIER LETTER"):
        return char
    found = _NAMED_LATIN.fullmatch(name)
    return found[1].lower() if found else char


_FANCY: Final = (
    "ᗩᗷᑕᗪᗴᖴǤᕼIᒍKᒪᗰᑎOᑭᑫᖇՏTᑌᐯᗯ᙭Yᘔ",
    "卂乃匚ᗪ乇千Ꮆ卄丨ﾌҜㄥ爪几ㄖ卩Ɋ尺丂ㄒㄩᐯ山乂ㄚ乙",
    "ꍏꌃꉓꀸꍟꎇꁅꃅꀤꀭꀘ꒒ꎭꈤꂦꉣꆰꋪꌗ꓄ꀎᐯꅏꊼꌩꁴ",
    "ąცƈɖɛʄɠɧıʝƙɭɱŋơ℘զཞʂɬų۷ῳҳყʑ",
    "αвc∂єfgнιנкℓмиσρqяѕтυνωχуz",
    "ค๒ς๔єŦﻮђเןкɭ๓ภ๏קợгรtยשฬאץz",
    "ልጌርዕቿቻኗዘጎጋጕረጠክዐየዒዪነፕሁሀሠሸሃጊ",
)
"""Alphabets of the "fancy text" sites, a to z: letters of other scripts by their looks."""

_LOOSELY: Final = {
    **{
        fold(sign): letter
        for alphabet in _FANCY
        for sign, letter in zip(alphabet, string.ascii_lowercase, strict=True)
        if not fold(sign).isascii() and len(fold(sign)) == 1
    },
    **dict(zip("авгдезиклмнопрстуфхцшщъьэя", "abrdezuknmhonpctyfxuwwbber", strict=True)),
    **dict(zip("αβγδεζηικλμνοπρςστυφχω", "abydeznikluvonpsstufxw", strict=True)),
    **dict(zip("աոլօհցսյզքեիղրռւվծմտկպդբգփֆ", "anlohgujqpehnnniudmtkpdbgff", strict=True)),
    "ꓲ": "i",
}
"""What letters of other scripts are taken for by those who only want to be read."""


@functools.cache
def script(char: str) -> str:
    """The first word of a character's name, which is its script, such as LATIN or CJK."""
    return unicodedata.name(char, "?").split(" ")[0]


@functools.cache
def look_alike(char: str, *, loosely: bool = False) -> str | None:
    """The Latin letter that ``char`` of another script passes for, or None.

    ``loosely`` also counts letters that only remind of one, as among Latin letters they do.
    """
    if char.isascii() or not char.isalpha():
        return None
    if loosely and char in _LOOSELY:
        return _LOOSELY[char]
    if script(char) not in _CONTEXTUAL:
        return None
    import disarm

    seen = fold(str(disarm.normalize_confusables(char)))
    if not (seen.isascii() and seen.isalpha()):
        seen = fold(str(disarm.normalize_confusables(char.upper())))
    return seen if seen.isascii() and seen.isalpha() else None
