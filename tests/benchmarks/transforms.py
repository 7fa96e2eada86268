"""Ways in which people disguise a word, each a pure function of the word.

Used by ``bench_screen.py``; seeded where a position or letter is chosen, so that two runs agree.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from transform_tools import LETTERS, VOWELS, Dice, mapped

LEET_DIGITS = dict(zip("aeiostbgz", "431057892", strict=True))
LEET_SIGNS = {"a": "@", "s": "$", "i": "!", "l": "|", "e": "€", "c": "¢", "t": "+"}
CYRILLIC = dict(zip("aceopxyikmhtbn", "асеорхуікмһтьп", strict=True))
GREEK = dict(zip("aoviktupxny", "αονικτυρχηγ", strict=True))
SMALL_CAPS = dict(zip("abcdefghijklmnoprstuvwyz", "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", strict=True))
UPSIDE_DOWN = dict(zip(LETTERS, "ɐqɔpǝɟƃɥᴉɾʞlɯuodbɹsʇnʌʍxʎz", strict=True))
NEIGHBOURS = dict(zip(LETTERS, "svxfrghjokklnmpowtdyicezux", strict=True))
DIACRITICS = dict(zip("aeiouncsz", "áêïöùñçšž", strict=True))


_DICE = Dice()
_inner = _DICE.inner


def _offset(start: int, *, upper: bool = False) -> Callable[[str], str]:
    base = "A" if upper else "a"
    return lambda word: "".join(
        chr(start + ord(c) - ord(base)) if c.isalpha() else c
        for c in (word.upper() if upper else word)
    )


def _between(sign: str) -> Callable[[str], str]:
    return sign.join


def _insert(sign: str) -> Callable[[str], str]:
    return lambda word: word[: _inner(word)] + sign + word[_inner(word) :]


def _masked(word: str) -> str:
    at = _inner(word)
    return word[:at] + "*" + word[at + 1 :]


def _brackets(word: str) -> str:
    at = _inner(word)
    return f"{word[:at]}[{word[at]}]{word[at + 1 :]}"


def _doubled(word: str) -> str:
    at = _inner(word)
    return word[:at] + word[at] + word[at:]


def _swapped(word: str) -> str:
    at = _inner(word)
    return word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]


def _neighbour_key(word: str) -> str:
    at = _inner(word)
    return word[:at] + NEIGHBOURS.get(word[at], "x") + word[at + 1 :]


def _dropped_vowel(word: str) -> str:
    places = [i for i, char in enumerate(word) if char in VOWELS and i]
    at = _DICE.rng(word).choice(places) if places else _inner(word)
    return word[:at] + word[at + 1 :]


def _pig_latin(word: str) -> str:
    head = next((i for i, char in enumerate(word) if char in VOWELS), len(word))
    return word[head:] + word[:head] + "ay" if head else word + "way"


def _zalgo(word: str) -> str:
    rng = _DICE.rng(word)
    marks = [chr(code) for code in range(0x300, 0x340)]
    return "".join(char + "".join(rng.choices(marks, k=4)) for char in word)


def _alternating(word: str) -> str:
    return "".join(c.upper() if i % 2 else c for i, c in enumerate(word))


TRANSFORMS: dict[str, Callable[[str], str]] = {
    "upper case": str.upper,
    "alternating case": _alternating,
    "leetspeak digits": mapped(LEET_DIGITS),
    "leetspeak one digit": _DICE.one(LEET_DIGITS),
    "leetspeak signs": mapped(LEET_SIGNS),
    "leetspeak one sign": _DICE.one(LEET_SIGNS),
    "zero-width space": _between("\u200b"),
    "zero-width joiner": _insert("\u200d"),
    "word joiner": _insert("\u2060"),
    "soft hyphen": _insert("\u00ad"),
    "variation selectors": _between("\ufe0f"),
    "tag characters": _between("\U000e0061"),
    "Cyrillic, one letter": _DICE.one(CYRILLIC),
    "Cyrillic, all letters": mapped(CYRILLIC),
    "Greek, one letter": _DICE.one(GREEK),
    "Greek, all letters": mapped(GREEK),
    "full-width": _offset(0xFF41),
    "mathematical bold": _offset(0x1D41A),
    "mathematical script": _offset(0x1D4EA),
    "circled": _offset(0x24D0),
    "negative squared": _offset(0x1F170, upper=True),
    "small capitals": mapped(SMALL_CAPS),
    "regional indicators": _offset(0x1F1E6, upper=True),
    "upside-down": lambda word: mapped(UPSIDE_DOWN)(word)[::-1],
    "spaced": _between(" "),
    "dotted": _between("."),
    "hyphened": _between("-"),
    "underscored": _between("_"),
    "slashed": _between("/"),
    "newlines": _between("\n"),
    "split once": _insert(" "),
    "split by hyphen": _insert("-"),
    "masked": _masked,
    "masked with #": lambda word: _masked(word).replace("*", "#"),
    "brackets": _brackets,
    "prompt weight": lambda word: f"(({word}:1.3))",
    "weight inside": lambda word: f"({word[:2]}){word[2:]}",
    "repeated letters": lambda word: "".join(c * (4 if c in VOWELS else 1) for c in word),
    "glued to the next word": lambda word: f"{word}woman",
    "glued to the word before": lambda word: f"photoof{word}",
    "snake case": lambda word: f"photo_of_{word}_scene",
    "camel case": lambda word: f"photoOf{word.title()}Scene",
    "hashtag": lambda word: f"#{word}",
    "plural": lambda word: f"{word}s",
    "slang ending": lambda word: f"{word}zz",
    "reversed": lambda word: word[::-1],
    "doubled letter": _doubled,
    "swapped letters": _swapped,
    "dropped vowel": _dropped_vowel,
    "neighbouring key": _neighbour_key,
    "pig Latin": _pig_latin,
    "diacritics": mapped(DIACRITICS),
    "combining mark": _between("\u0336"),
    "zalgo": _zalgo,
    "right-to-left override": lambda word: f"\u202e{word[::-1]}\u202c",
    "base64": lambda word: base64.b64encode(word.encode()).decode(),
    "hex": lambda word: word.encode().hex(),
    "HTML entities": lambda word: "".join(f"&#{ord(c)};" for c in word),
    "URL encoding": lambda word: "".join(f"%{ord(c):02X}" for c in word),
    "Unicode escapes": lambda word: "".join(f"\\u{ord(c):04x}" for c in word),
}
