"""Disguises beyond those of ``transforms.py``: none of them was known when the engine was written.

Half of them, chosen by a hash of the name, stay out of anybody's tuning, and so does half of the
terms: see :func:`is_tuning`. ``bench_screen.py`` reports each half by itself.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import json
import re
from collections.abc import Callable

from transform_tools import LETTERS, VOWELS, Dice, mapped

CHEROKEE = dict(zip("abdehijklmprstvwz", "ᎪᏴᎠᎬᎻᎥᎫᏦᏞᎷᏢᏒᏚᎢᏙᎳᏃ", strict=True))
ARMENIAN = dict(zip("ghlnoqsu", "ցհլոօզѕս", strict=True))
LISU = dict(zip(LETTERS, "ꓮꓐꓚꓓꓰꓝꓖꓧꓲꓙꓗꓡꓟꓠꓳꓑꓳꓣꓢꓔꓴꓦꓪꓫꓬꓜ", strict=True))
IPA = dict(zip("abdeghiklmnoprstuvyz", "ɑɓɖɛɡɦɩƙɭɱɳɵƥɾʂʈʊʋʏʐ", strict=True))
DOTTED_BELOW = dict(zip("abdehiklmnorstuvwyz", "ạḅḍẹḥịḳḷṃṇọṛṣṭụṿẉỵẓ", strict=True))
STROKED = dict(zip("bdhilotuz", "ƀđħɨłøŧʉƶ", strict=True))
SUPERSCRIPT = dict(zip("abcdefghijklmnoprstuvwxyz", "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ", strict=True))
GREEK_LIKE = dict(zip("aceiknoprtuvwxy", "αϲεικηορгτυνωχγ", strict=True))
CYRILLIC_LIKE = dict(zip("abcehikmnoprtuxy", "авсеһікмпоргтцху", strict=True))
COPTIC = dict(zip("abcehikmnoptx", "ⲁⲃⲥⲉⲏⲓⲕⲙⲛⲟⲣⲧⲭ", strict=True))
LOOK_NUMBERS = dict(zip("aegilost", "46911057", strict=True))
MORSE_SIGNS = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- "
    "-. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.."
)
MORSE = dict(zip(LETTERS, MORSE_SIGNS.split(), strict=True))
SHIFTED = dict(zip("qwertyuiopasdfghjklzxcvbnm", "wertyuiop[sdfghjkl;xcvbnm,", strict=True))


def is_tuning(name: str) -> bool:
    """Whether a transform or term may be looked at while the engine is tuned (half of them)."""
    return hashlib.sha256(f"genguard screening {name}".encode()).digest()[0] % 2 == 0


_DICE = Dice("held out ")
_inner = _DICE.inner


def _offset(start: int, holes: dict[str, str] | None = None) -> Callable[[str], str]:
    table = {char: chr(start + place) for place, char in enumerate(LETTERS)}
    return mapped(table | (holes or {}))


def _each(before: str, after: str = "") -> Callable[[str], str]:
    return lambda word: "".join(before + char + after for char in word)


def _inside(left: str, right: str = "") -> Callable[[str], str]:
    """Around one inner letter, or with ``left`` alone just before it."""

    def change(word: str) -> str:
        at = _inner(word)
        return word[:at] + left + word[at] + right + word[at + 1 :]

    return change


def _some(signs: str) -> Callable[[str], str]:
    """One of ``signs`` after each letter but the last, chosen by the word."""

    def change(word: str) -> str:
        rng = _DICE.rng(word)
        return "".join(char + rng.choice(signs) for char in word[:-1]) + word[-1]

    return change


def _replaced(*pairs: tuple[str, str]) -> Callable[[str], str]:
    def change(word: str) -> str:
        for old, new in pairs:
            word = word.replace(old, new)
        return word

    return change


def _syllables_swapped(word: str) -> str:
    parts = re.findall(r"[^aeiou]*[aeiou]+(?:[^aeiou]+$)?", word)
    return "".join(parts[1:] + parts[:1]) if len(parts) > 1 else word


def _leet_mix(word: str) -> str:
    table = {"a": "@4", "e": "3€", "i": "1!", "o": "0", "s": "5$", "t": "7+", "g": "9", "b": "8"}
    rng = _DICE.rng(word)
    return "".join(rng.choice(table[c]) if c in table and rng.random() < 0.7 else c for c in word)


def _case_noise(word: str) -> str:
    rng = _DICE.rng(word)
    return "".join(rng.choice((char.upper(), char)) for char in word)


def _zalgo_strong(word: str) -> str:
    rng = _DICE.rng(word)
    marks = [
        chr(code) for code in (*range(0x300, 0x315), *range(0x316, 0x334), *range(0x346, 0x363))
    ]
    return "".join(char + "".join(rng.choices(marks, k=12)) for char in word)


def _scripts_by_turns(word: str) -> str:
    tables: tuple[dict[str, str], ...] = (CYRILLIC_LIKE, GREEK_LIKE, {})
    return "".join(tables[i % 3].get(char, char) for i, char in enumerate(word))


def _fonts_by_turns(word: str) -> str:
    starts = (0x1D5BA, 0x1D41A, 0x1D68A, 0xFF41)
    return "".join(chr(starts[i % 4] + ord(char) - ord("a")) for i, char in enumerate(word))


def _url(text: str) -> str:
    return "".join(f"%{ord(char):02x}" for char in text)


def _text_in_html(word: str) -> str:
    at = _inner(word)
    return f"{word[:at]}<b></b>{word[at:]}"


SCRIPT_HOLES = {"e": "ℯ", "g": "ℊ", "o": "ℴ"}
ITALIC_HOLES = {"h": "ℎ"}

UNSEEN: dict[str, Callable[[str], str]] = {
    # letters of other alphabets and styles
    "Cherokee letters": mapped(CHEROKEE),
    "Armenian, one letter": _DICE.one(ARMENIAN),
    "Armenian letters": mapped(ARMENIAN),
    "Lisu letters": mapped(LISU),
    "Coptic letters": mapped(COPTIC),
    "IPA letters": mapped(IPA),
    "IPA, one letter": _DICE.one(IPA),
    "dots below": mapped(DOTTED_BELOW),
    "strokes through letters": mapped(STROKED),
    "superscripts": mapped(SUPERSCRIPT),
    "Fraktur": _offset(0x1D51E),
    "mathematical script, thin": _offset(0x1D4B6, SCRIPT_HOLES),
    "mathematical italic": _offset(0x1D44E, ITALIC_HOLES),
    "monospace": _offset(0x1D670 + 26),
    "double-struck": _offset(0x1D552),
    "sans-serif bold italic": _offset(0x1D656),
    "parenthesised": _offset(0x249C),
    "squared": _offset(0x1F130),
    "negative circled": _offset(0x1F150),
    "fonts by turns": _fonts_by_turns,
    "Greek look-alikes": mapped(GREEK_LIKE),
    "Cyrillic look-alikes": mapped(CYRILLIC_LIKE),
    "scripts by turns": _scripts_by_turns,
    "one capital dotless or long s": _replaced(("i", "ı"), ("s", "ſ")),
    "ligatures": _replaced(
        ("ff", "ﬀ"), ("fi", "ﬁ"), ("fl", "ﬂ"), ("ae", "æ"), ("st", "ﬆ"), ("dz", "ǳ"), ("nj", "ǌ")
    ),
    # invisible and blank characters
    "Braille blanks": "\u2800".join,
    "hair spaces": "\u200a".join,
    "no-break spaces": "\u00a0".join,
    "two spaces": "  ".join,
    "soft hyphens everywhere": "\u00ad".join,
    "zero-width of all kinds": _some("\u200b\u200c\u200d\u2060\ufeff"),
    "Hangul fillers": "\u3164".join,
    "half-width Hangul filler once": _inside("\uffa0"),
    "combining grapheme joiners": "\u034f".join,
    "left-to-right marks": "\u200e".join,
    "bidirectional isolates": lambda word: f"\u2066{word[:2]}\u2069\u2067\u2069{word[2:]}",
    "Mongolian vowel separators": "\u180e".join,
    "invisible times": "\u2062".join,
    "variation selectors, supplement": "\U000e0101".join,
    "zalgo, strong": _zalgo_strong,
    "enclosing circles": _each("", "\u20dd"),
    # signs between, around and instead of letters
    "emoji between": "🔥".join,
    "hearts between": "♥".join,
    "stars between": "*".join,
    "commas between": ",".join,
    "percent signs between": "%".join,
    "tildes between": "~".join,
    "mixed signs between": _some(".-_*~ "),
    "pluses between": "+".join,
    "quote inside": _inside("'"),
    "double quotes round a letter": _inside('"', '"'),
    "comma inside": _inside(","),
    "dash of another kind inside": _inside("\u2011"),
    "backslash inside": _inside("\\"),
    "backslash before each": _each("\\"),
    "parentheses round each": _each("(", ")"),
    "square brackets round each": _each("[", "]"),
    "broken over a line": _inside("-\n"),
    "markdown bold inside": _inside("**", "**"),
    "BBCode inside": _inside("[b]", "[/b]"),
    "HTML tag inside": _text_in_html,
    "HTML comment inside": _inside("<!-- -->"),
    "LaTeX group": lambda word: rf"\textbf{{{word[:2]}}}{word[2:]}",
    "weights on letters": lambda word: f"({word[:-2]}:1.1){word[-2:]}",
    "alternation syntax": lambda word: f"[{word}|lamp]",
    "vowels masked": lambda word: re.sub(f"(?<!^)[{VOWELS}]", "*", word),
    "first letter masked": lambda word: "*" + word[1:],
    "last letter masked": lambda word: word[:-1] + "*",
    "signs of a grawlix": lambda word: word[0] + re.sub("[aeiou]", "@", word[1:]),
    # spelling
    "digit after": lambda word: f"{word}1",
    "69 after": lambda word: f"{word}69",
    "digits before": lambda word: f"4k{word}",
    "underscores around": lambda word: f"__{word}__",
    "xx around": lambda word: f"xx{word}xx",
    "random case": _case_noise,
    "leetspeak mixed": _leet_mix,
    "letters as digits": mapped(LOOK_NUMBERS),
    "last letter dropped": lambda word: word[:-1],
    "first two swapped": lambda word: word[1] + word[0] + word[2:],
    "last two swapped": lambda word: word[:-2] + word[-1] + word[-2],
    "first letter twice": lambda word: word[0] + word,
    "last letter stretched": lambda word: word + word[-1] * 4,
    "every letter twice": lambda word: "".join(char * 2 for char in word),
    "sounds: f as ph": _replaced(("f", "ph")),
    "sounds: x as ks": _replaced(("x", "ks")),
    "sounds: s as z": _replaced(("s", "z")),
    "sounds: u as oo": _replaced(("u", "oo")),
    "sounds: c as k": _replaced(("ck", "k"), ("c", "k")),
    "vowel of a neighbour": lambda word: re.sub(
        f"(?<!^)[{VOWELS}]", lambda m: VOWELS[(VOWELS.index(m[0]) + 1) % 5], word, count=1
    ),
    "syllables turned": _syllables_swapped,
    "ending -ish": lambda word: f"{word}ish",
    "ending -able": lambda word: f"{word}able",
    "prefix ultra": lambda word: f"ultra{word}",
    "glued between two": lambda word: f"beautiful{word}picture",
    "camel case between": lambda word: f"VeryHot{word.capitalize()}Art",
    "kebab case": lambda word: f"very-{word}-style",
    "with a plus": lambda word: f"best+{word}+art",
    "in a path": lambda word: f"photos/{word}.jpg",
    "at-sign handle": lambda word: f"@{word}",
    # encodings
    "double URL encoding": lambda word: _url(_url(word)),
    "base64 without padding, twice": lambda word: (
        base64.b64encode(base64.b64encode(word.encode())).decode().rstrip("=")
    ),
    "base64 of a phrase, URL-safe": lambda word: base64.urlsafe_b64encode(
        f"a picture of {word}?".encode()
    ).decode(),
    "base32": lambda word: base64.b32encode(word.encode()).decode(),
    "hex with spaces": lambda word: word.encode().hex(" "),
    "HTML hex entities": lambda word: "".join(f"&#x{ord(char):x};" for char in word),
    "JSON braces escapes": lambda word: "".join(rf"\u{{{ord(char):x}}}" for char in word),
    "octal escapes": lambda word: "".join(f"\\{ord(char):03o}" for char in word),
    "hex escapes": lambda word: "".join(f"\\x{ord(char):02x}" for char in word),
    "CSS escapes": lambda word: "".join(f"\\{ord(char):06x}" for char in word),
    "JSON of full-width": lambda word: json.dumps("".join(chr(ord(c) + 0xFEE0) for c in word)),
    "UTF-7": lambda word: (
        "+" + base64.b64encode(word.encode("utf-16-be")).decode().rstrip("=") + "-"
    ),
    "decimal codes": lambda word: " ".join(str(ord(char)) for char in word),
    "binary": lambda word: " ".join(f"{ord(char):08b}" for char in word),
    "rot13, labelled": lambda word: f"rot13: {codecs.encode(word, 'rot13')}",
    "Morse": lambda word: " ".join(MORSE[char] for char in word),
    "tag characters alone": lambda word: "".join(chr(0xE0000 + ord(char)) for char in word),
    "keyboard shifted by one": mapped(SHIFTED),
}
"""By name. Each takes a lower-case English word of four letters or more."""

CODES = frozenset(
    {
        "base32",
        "base64 without padding, twice",
        "base64 of a phrase, URL-safe",
        "binary",
        "decimal codes",
        "hex with spaces",
        "keyboard shifted by one",
        "Morse",
        "rot13, labelled",
        "UTF-7",
    }
)
"""Those that neither a person nor a text encoder reads at a glance: also reported without them."""
