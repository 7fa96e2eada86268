"""Ages under eighteen, in figures and words: "12 year old", "aged nine", "15yo", "12 ans"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from guard.prompt.lexicon import Hit, Term
from guard.prompt.normalise import View
from guard.prompt.wordsets import word_list

ADULT: Final = 18

_WORDS: Final = word_list(
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen"
)
_NUMBER: Final = rf"(?P<%s>(?<![\d.,])\d{{1,2}}(?![\d.,]\d)|\b(?:{'|'.join(_WORDS)})\b)"
_UNITS: Final = (
    r"years?[\s-]*old|years?[\s-]*of[\s-]*age|yrs?\.?[\s-]*old|yr[\s-]olds?|y/?o\b|y\.o\.|"
    r"year[\s-]olds?|ans\b|anos\b|anni\b|jahre?[\s-]*alt|jahrige\w*|jaar[\s-]*oud|jarige\w*|lat\b|"
    r"ars?[\s-]*gam\w*|letn\w+|лет\b|года\b|летн\w+|yasinda|สิบ?ขวบ|ขวบ|歳|才の|岁|歲|세\b|살|"
    r"tuoi\b|tahun\b|taong gulang|eves\b|vuotia\w+|ani\b|ετ[ωώ]ν\b|рок[иі]в?\b|річн\w+|"
    r"ساله|سال\b|سنوات|سنة|عاما|"
    r"साल|वर्ष|বছর"
)
_AGE: Final = re.compile(
    _NUMBER % "a"
    + rf"[\s-]*(?:{_UNITS})|\b(?:aged?|age[:=]|edad|alter|בת|בן)[\s:=]+"
    + _NUMBER % "b"
)
_MAY_HOLD_AGE: Final = re.compile(r"\d|year|yo\b|aged?\b")
_ENTRY: Final = Term("age under 18", 0.9, "mul", frozenset({"exact"}), "minors", "ages/1")


def ages(view: View) -> Iterator[Hit]:
    """A hit of the list ``minors`` for each age under eighteen."""
    if not _MAY_HOLD_AGE.search(view.text):
        return
    for found in _AGE.finditer(view.text):
        number = found["a"] or found["b"]
        age = int(number) if number.isdecimal() else _WORDS.index(number) + 1
        if age < ADULT:
            yield Hit(_ENTRY, view.origin(*found.span()), 0, 0)
