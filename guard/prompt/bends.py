"""What people do to a word that folding of characters does not undo, and how it is undone.

Each function takes the terms and an unknown word of ASCII letters, and answers the term behind it
and how it was hidden, or None.
"""

from __future__ import annotations

import re
import string
from typing import Final

from guard.prompt.slips import one_slip
from guard.prompt.term_index import (
    MIN_EXACT,
    MIN_FUZZY,
    SUFFIXES,
    VOWELS,
    Found,
    TermIndex,
    sound,
    steps,
)
from guard.prompt.wordsets import word_list, word_set

_TRIPLED: Final = re.compile(r"(.)\1{2,}")
_DOUBLED: Final = re.compile(r"(.)\1+")
_PREFIXES: Final = word_list("x xx xxx i e my re un pre super mega ultra hyper semi non anti ex")
_PLURALS: Final = word_set("s es")
_ABC: Final = string.ascii_lowercase
_KEYS: Final = "qwertyuiopasdfghjklzxcvbnm"
_CAESAR: Final = tuple(str.maketrans(_ABC, _ABC[by:] + _ABC[:by]) for by in range(1, 26))
_MIRRORS: Final = (
    str.maketrans(_ABC, _ABC[::-1]),
    str.maketrans(_KEYS[1:], _KEYS[:-1]),
    str.maketrans(_KEYS[:-1], _KEYS[1:]),
)
"""Atbash, and hands one key off."""


def affixed(terms: TermIndex, word: str) -> Found | None:
    """A term behind a prefix."""
    for prefix in _PREFIXES:
        base = word.removeprefix(prefix)
        if base == word or len(base) < MIN_FUZZY:
            continue
        if base in terms.loose:
            return terms.words[base], "a beginning"
        if found := ending(terms, base):
            return found[0], "a beginning"
    return None


def scrambled(terms: TermIndex, word: str) -> Found | None:
    """The letters of a term in another order."""
    target = terms.anagrams.get("".join(sorted(word))) if len(word) > MIN_FUZZY else None
    if target is None:
        return None
    ends = (word[0] == target[0]) + (word[-1] == target[-1])
    turned = word in target + target
    return (terms.words[target], "letters out of order") if ends or turned else None


def shifted(terms: TermIndex, word: str) -> Found | None:
    """Every letter moved by as much, in the alphabet or on the keyboard."""
    if len(word) <= MIN_FUZZY:
        return None
    tables = _CAESAR + _MIRRORS if steps(word) in terms.steps else _MIRRORS
    readings = (word.translate(table) for table in tables)
    term = next((terms.words[one] for one in readings if one in terms.loose), None)
    return (term, "a shift of letters") if term else None


def repeated(terms: TermIndex, word: str) -> Found | None:
    """A term said twice."""
    half = word[: len(word) // 2]
    term = terms.words.get(half) if half * 2 == word and len(half) >= MIN_FUZZY else None
    return (term, "a repetition") if term else None


def by_sound(terms: TermIndex, word: str) -> Found | None:
    """Spelt as it sounds."""
    target = terms.sounds.get(sound(word)) if len(word) > MIN_FUZZY else None
    return (terms.words[target], "a spelling by sound") if target else None


def squeezed(terms: TermIndex, word: str) -> Found | None:
    """Letters repeated."""
    if not _DOUBLED.search(word):
        return None
    readings = [_TRIPLED.sub(keep, word) for keep in (r"\1", r"\1\1")]
    readings += [_DOUBLED.sub(keep, word) for keep in (r"\1", r"\1\1")]
    for reading in readings:
        term = terms.words.get(reading)
        if term is not None and len(reading) >= MIN_FUZZY:
            return term, "repeated letters"
        if _TRIPLED.search(word) and reading != word and (found := ending(terms, reading)):
            return found[0], "repeated letters"
    return None


def ending(terms: TermIndex, word: str) -> Found | None:
    """A term with an ending."""
    for suffix in SUFFIXES:
        stem = word.removesuffix(suffix)
        if stem == word or len(stem) < 3:
            continue
        doubled = len(stem) > 3 and stem[-1] == stem[-2]
        for base in (stem, stem + "e", stem[:-1] if doubled else stem):
            term = terms.words.get(base)
            if term is None or (len(suffix) > 2 and base not in terms.loose):
                continue
            if "exact" not in term.flags or suffix in _PLURALS or len(base) >= MIN_EXACT:
                return term, "an ending"
    return None


def backwards(terms: TermIndex, word: str) -> Found | None:
    """Written backwards."""
    term = terms.words.get(word[::-1])
    return (term, "reversal") if term and len(word) >= MIN_FUZZY else None


def pig_latin(terms: TermIndex, word: str) -> Found | None:
    """Its first letters moved to the end, and "ay"."""
    if not word.endswith("ay"):
        return None
    body = word[:-2]
    candidates = [body[-k:] + body[:-k] for k in (1, 2, 3) if len(body) > k]
    candidates += [body[:-1]] if body.endswith(("w", "y", "h")) else []
    for candidate in candidates:
        term = terms.words.get(candidate)
        if term is not None and len(candidate) >= MIN_FUZZY:
            return term, "pig Latin"
    return None


def slip(terms: TermIndex, word: str) -> Found | None:
    """One slip of the keyboard."""
    reachable = list(terms.neighbours.get(word, ()))
    for position in range(len(word)):
        shorter = word[:position] + word[position + 1 :]
        if shorter in terms.loose:
            reachable.append(shorter)
        reachable += terms.neighbours.get(shorter, ())
    for target in dict.fromkeys(reachable):
        if one_slip(word, target):
            return terms.words[target], "a misspelling"
    return None


def without_vowels(terms: TermIndex, word: str) -> Found | None:
    """Its vowels left out."""
    target = terms.skeletons.get(word) if VOWELS.isdisjoint(word) else None
    return (terms.words[target], "missing vowels") if target else None


def in_compound(terms: TermIndex, word: str) -> Found | None:
    """Glued to everyday words."""
    return terms.inside(word) if len(word) >= MIN_FUZZY + 2 else None


ATTEMPTS: Final = (
    squeezed,
    ending,
    backwards,
    pig_latin,
    slip,
    by_sound,
    without_vowels,
    affixed,
    repeated,
    in_compound,
    scrambled,
    shifted,
)
"""In the order in which they are tried: the plainest first."""
