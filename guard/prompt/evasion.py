"""Finds plain terms behind everyday disguises that Unicode folding does not undo.

All of it looks at unknown words only: a word of the vocabulary or a part of a real name is never
taken for something else. What is tried, in this order: leetspeak, masked letters (``n*de``), letters
spread out (``n u d e``, ``n-u-d-e``), a word split once, repeated letters, endings, reversed, pig
Latin, one slip of the keyboard, and terms glued to other words.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from typing import Final

from guard.prompt.folding import TURNED, UPSIDE_DOWN
from guard.prompt.lexicon import Hit, Term
from guard.prompt.normalise import View
from guard.prompt.tokens import BREAK, Words

MIN_FUZZY: Final = 4
"""Shorter terms have too many innocent neighbours."""

MAX_TOKEN: Final = 40
"""Longer runs are no words: bounds the work that one token can cause."""

_LEET: Final = {
    "0": "o",
    "1": "i",
    "2": "z",
    "3": "e",
    "4": "a",
    "5": "s",
    "6": "g",
    "7": "t",
    "8": "b",
    "9": "g",
    "@": "a",
    "$": "s",
    "!": "i",
    "|": "i",
    "+": "t",
    "€": "e",
    "£": "e",
    "¢": "c",
    "¥": "y",
    "(": "c",
    "<": "c",
    "{": "c",
    "#": "h",
    "?": "",
}
_LEET_TABLES: Final = (
    str.maketrans({k: v for k, v in _LEET.items() if v and k not in "(<{#"}),
    str.maketrans(
        {k: v for k, v in _LEET.items() if v and k not in "(<{#"}
        | {"1": "l", "|": "l", "!": "l", "6": "b", "9": "q", "£": "l"}
    ),
    str.maketrans({k: v for k, v in _LEET.items() if v}),
)
_CHUNK: Final = re.compile(r"[^\s,;:\"'`]+")
_LEETISH: Final = re.compile(r"[0-9@$!|+€£¢¥(<{#]")
_MASKS: Final = "*#_.-?%&^~@$!=+x•·°"
_MASK_CHUNK: Final = re.compile(r"[a-z]+(?:[*#_.\-?%&^~@$!=+•·°]{1,3}[a-z]+)+|[a-z]+[*#]{1,3}")
_SPREAD: Final = re.compile(
    r"(?<![^\W_])[a-z0-9@$!|](?:[^\w\n,;]{1,3}[a-z0-9@$!|]|[_\n][a-z0-9@$!|]){2,}(?![^\W_])"
)
_BRACKETED: Final = re.compile(r"[a-z]*(?:[\[({<|]+[a-z]+[\])}>|]+[a-z]*)+")
_SUFFIXES: Final = tuple(
    "s es z zz ez x xx xxx y ie ies ey er ers ed ing in n a o oz os ish age ism ist ly fest".split()
)
_SHORT: Final = frozenset(
    "a i an as at be by do go he if in is it me my no of on or so to up us we and are big but "
    "for had has her him his hot how its man men new not now old one our out own red sad sea see "
    "she sky sun the too top two was who why you boy all art bad fat gay get got ass sex wet day "
    "car cat dog toy fun fan app api hub net com pic pix vid 3d 4k hd uk".split()
)
_VOWELS: Final = frozenset("aeiou")


class Disguises:
    """Single-word terms indexed for lookups of disguised words."""

    def __init__(self, terms: Iterable[Term], vocabulary: frozenset[str]) -> None:
        import ahocorasick_rs

        self._words: dict[str, Term] = {}
        for term in terms:
            plain = term.text.isascii() and term.text.isalpha() and "exact" not in term.flags
            if plain and "negative" not in term.flags and len(term.text) >= 3:
                known = self._words.get(term.text)
                if known is None or term.score > known.score:
                    self._words[term.text] = term
        self._vocabulary = vocabulary - self._words.keys()
        self._neighbours = self._deletions()
        self._by_length: dict[int, list[str]] = {}
        for word in self._words:
            self._by_length.setdefault(len(word), []).append(word)
        self._glue = [word for word in self._words if len(word) >= MIN_FUZZY]
        self._glued = ahocorasick_rs.AhoCorasick(self._glue)
        self.lookup = functools.lru_cache(maxsize=20_000)(self._lookup)

    def _deletions(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for word in self._words:
            if len(word) >= MIN_FUZZY:
                for position in range(len(word)):
                    found.setdefault(word[:position] + word[position + 1 :], []).append(word)
        return found

    # -- one word ------------------------------------------------------------------------

    def knows(self, word: str) -> bool:
        """Whether ``word`` is an everyday word or part of a name."""
        return word in self._vocabulary

    def _lookup(self, word: str) -> tuple[Term, str] | None:
        """The term behind an unknown word, and how it is hidden."""
        if len(word) < 3 or len(word) > MAX_TOKEN or word in self._vocabulary:
            return None
        if not (word.isascii() and word.isalpha()) or word in self._words:
            return None
        for attempt in (
            self._squeezed,
            self._ending,
            self._reversed,
            self._pig_latin,
            self._slip,
            self._in_compound,
        ):
            found = attempt(word)
            if found is not None:
                return found
        return None

    def exact(self, word: str) -> Term | None:
        """The term that ``word`` is."""
        return self._words.get(word)

    def _squeezed(self, word: str) -> tuple[Term, str] | None:
        if not re.search(r"(.)\1", word):
            return None
        for keep in (r"\1", r"\1\1"):
            for pattern in (r"(.)\1{2,}", r"(.)\1+"):
                term = self._words.get(re.sub(pattern, keep, word))
                if term is not None and (pattern == r"(.)\1{2,}" or len(term.text) >= MIN_FUZZY):
                    return term, "repeated letters"
        return None

    def _ending(self, word: str) -> tuple[Term, str] | None:
        for suffix in _SUFFIXES:
            stem = word.removesuffix(suffix)
            if stem == word or len(stem) < 3:
                continue
            doubled = len(stem) > 3 and stem[-1] == stem[-2]
            for base in (stem, stem + "e", stem[:-1] if doubled else stem):
                term = self._words.get(base)
                if term is not None and (len(base) >= MIN_FUZZY or len(suffix) <= 2):
                    return term, "an ending"
        return None

    def _reversed(self, word: str) -> tuple[Term, str] | None:
        term = self._words.get(word[::-1])
        return (term, "written backwards") if term and len(word) >= MIN_FUZZY else None

    def _pig_latin(self, word: str) -> tuple[Term, str] | None:
        if not word.endswith("ay"):
            return None
        body = word[:-2]
        candidates = [body[-k:] + body[:-k] for k in (1, 2, 3) if len(body) > k]
        candidates += [body[:-1]] if body.endswith(("w", "y", "h")) else []
        for candidate in candidates:
            term = self._words.get(candidate)
            if term is not None and len(candidate) >= MIN_FUZZY:
                return term, "pig Latin"
        return None

    def _slip(self, word: str) -> tuple[Term, str] | None:
        """One letter left out, added, swapped with its neighbour or replaced."""
        reachable = list(self._neighbours.get(word, ()))
        for position in range(len(word)):
            shorter = word[:position] + word[position + 1 :]
            if shorter in self._words:
                reachable.append(shorter)
            reachable += self._neighbours.get(shorter, ())
        for target in dict.fromkeys(reachable):
            if self._words[target].score >= 0.6 and one_slip(word, target):
                return self._words[target], "a misspelling"
        return self._without_vowels(word)

    def _without_vowels(self, word: str) -> tuple[Term, str] | None:
        if len(word) < 3 or any(char in _VOWELS for char in word):
            return None
        for length in range(len(word) + 1, len(word) + 4):
            for target in self._by_length.get(length, ()):
                if "".join(c for c in target if c not in _VOWELS) == word:
                    return self._words[target], "vowels left out"
        return None

    def _in_compound(self, word: str) -> tuple[Term, str] | None:
        """A term glued to everyday words, and to nothing else."""
        if len(word) < 6:
            return None
        for found, start, end in self._glued.find_matches_as_indexes(word, overlapping=True):
            if self._splits(word[:start]) and self._splits(word[end:], ending=True):
                return self._words[self._glue[found]], "glued to other words"
        return None

    def _splits(self, text: str, *, ending: bool = False) -> bool:
        """Whether ``text`` is a chain of everyday words (or empty, or at the end a suffix)."""
        if not text or (ending and text in _SUFFIXES):
            return True
        reachable = {0}
        for end in range(1, len(text) + 1):
            if any(self._is_part(text[start:end]) for start in reachable if end - start < 16):
                reachable.add(end)
        return len(text) in reachable

    def _is_part(self, word: str) -> bool:
        return (
            word in _SHORT
            or (len(word) > 3 and (word in self._vocabulary))
            or (word in self._words)
        )

    # -- whole texts -----------------------------------------------------------------------

    def hits(self, words: Words) -> Iterator[Hit]:
        """All disguised terms of a text, by its words and by its characters."""
        yield from self.unknown_words(words)
        yield from self._split_words(words)
        view = words.view
        yield from self._spread(view)
        yield from self._masked(view)
        yield from self._bracketed(view)

    def unknown_words(self, words: Words) -> Iterator[Hit]:
        """Terms behind single unknown words."""
        for position, token in enumerate(words.tokens):
            found = self.lookup(token.text)
            if found is not None:
                span = words.origin(position, position + 1)
                yield Hit(found[0], span, position, position + 1, found[1])

    def _split_words(self, words: Words) -> Iterator[Hit]:
        tokens = words.tokens
        for position in range(len(tokens) - 1):
            left, right = tokens[position].text, tokens[position + 1].text
            term = self._words.get(left + right)
            if term is None or len(term.text) < MIN_FUZZY or BREAK in (left, right):
                continue
            if all(self._is_part(part) or part == "s" for part in (left, right)):
                continue
            span = words.origin(position, position + 2)
            yield Hit(term, span, position, position + 2, "split in two")

    def _spread(self, view: View) -> Iterator[Hit]:
        for found in _SPREAD.finditer(view.text):
            letters = re.sub(r"[^a-z0-9@$!|]", "", found[0])
            for table in _LEET_TABLES[:2]:
                hit = self._in_letters(letters.translate(table))
                if hit is not None:
                    yield Hit(hit, view.origin(*found.span()), 0, 0, "letters spread out")
                    break

    def _in_letters(self, letters: str) -> Term | None:
        if len(letters) > 4 * MAX_TOKEN:
            letters = letters[: 4 * MAX_TOKEN]
        if letters in self._words:
            return self._words[letters]
        for found, start, end in self._glued.find_matches_as_indexes(letters, overlapping=True):
            if self._splits(letters[:start]) and self._splits(letters[end:], ending=True):
                return self._words[self._glue[found]]
        return None

    def _masked(self, view: View) -> Iterator[Hit]:
        for found in _MASK_CHUNK.finditer(view.text):
            chunk = found[0]
            if len(chunk) > MAX_TOKEN:
                continue
            term = self._unmasked(chunk)
            if term is not None:
                yield Hit(term, view.origin(*found.span()), 0, 0, "masked letters")

    def _unmasked(self, chunk: str) -> Term | None:
        bare = re.sub(r"[^a-z]", "", chunk)
        if bare in self._words and len(bare) >= MIN_FUZZY:
            return self._words[bare]
        masks = len(chunk) - len(bare)
        if len(bare) < 2 or masks > 3 or masks > len(bare):
            return None
        pattern = re.compile("".join(c if c.isalpha() else "[a-z]" for c in chunk))
        for word in self._by_length.get(len(chunk), ()):
            if pattern.fullmatch(word) and self._words[word].score >= 0.6:
                return self._words[word]
        return None

    def _bracketed(self, view: View) -> Iterator[Hit]:
        for found in _BRACKETED.finditer(view.text):
            bare = re.sub(r"[^a-z]", "", found[0])
            term = self._words.get(bare)
            if term is not None:
                yield Hit(term, view.origin(*found.span()), 0, 0, "brackets inside the word")


def leet_readings(words: Words) -> Iterator[Words]:
    """The text with digits and signs read as the letters they stand for, where that matters."""
    chunks = [found for found in _CHUNK.finditer(words.view.text) if _is_leet(found[0])]
    if not chunks:
        return
    seen = set()
    for table in _LEET_TABLES:
        text = list(words.view.text)
        for chunk in chunks:
            start, end = _trimmed(chunk)
            text[start:end] = words.view.text[start:end].translate(table)
        reading = "".join(text)
        if reading not in seen and reading != words.view.text:
            seen.add(reading)
            yield _rescanned(words.view, reading)


def _is_leet(chunk: str) -> bool:
    return bool(_LEETISH.search(chunk)) and any(char.isalpha() for char in chunk)


def _trimmed(chunk: re.Match[str]) -> tuple[int, int]:
    """Without the punctuation around it: the ! of ``wow!`` is no letter."""
    text = chunk[0]
    left = len(text) - len(text.lstrip("([{<\"'!|#"))
    right = len(text.rstrip(")]}>\"'!?.|:"))
    return chunk.start() + left, max(chunk.start() + right, chunk.start() + left)


def _rescanned(view: View, text: str) -> Words:
    from guard.prompt.tokens import scan

    return scan(View(text, view.starts, view.ends))


def turned_readings(word: str, original: str) -> Iterator[str]:
    """What an upside-down word may say; ``original`` is the word before folding."""
    if not any(char in TURNED for char in original):
        return
    table = {ord(k): v for k, v in UPSIDE_DOWN.items()}
    upright = original.casefold().translate(table)
    yield upright
    yield upright[::-1]
    yield word[::-1]


def one_slip(word: str, target: str) -> bool:
    """Whether the two differ by one edit or swap, and enough is alike to mean it."""
    if abs(len(word) - len(target)) > 1:
        return False
    if len(target) <= 5 and word[0] != target[0]:
        return False
    if len(word) == len(target):
        unlike = [i for i in range(len(word)) if word[i] != target[i]]
        if len(unlike) == 2:
            a, b = unlike
            return b == a + 1 and word[a] == target[b] and word[b] == target[a]
        return len(unlike) == 1
    longer, shorter = (word, target) if len(word) > len(target) else (target, word)
    return any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer)))
