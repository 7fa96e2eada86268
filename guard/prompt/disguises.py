"""Plain terms behind everyday disguises of a word that folding of characters does not undo.

Only unknown words are looked at: a word of the vocabulary or a part of a real name is never
taken for something else, and of a term whose list says ``exact`` only what can be nothing else is.
Tried in this order: digits around it, repeated letters, endings, reversed, pig Latin, one slip of
the keyboard, spelt by sound, vowels left out, affixes, said twice, glued to everyday words, letters
out of order, letters shifted.
"""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from guard.prompt.lexicon import Hit, Term
from guard.prompt.slips import one_slip
from guard.prompt.tokens import BREAK, Words
from guard.prompt.wordsets import word_list, word_set

MIN_FUZZY: Final = 4
"""Shorter terms have too many innocent neighbours."""

MIN_EXACT: Final = 6
"""Terms that their list calls ``exact`` have innocent neighbours unless they are this long."""

FAINT: Final = 0.45
"""An ``exact`` term below this score means little alone: nobody takes the trouble to hide it."""

MAX_WORD: Final = 40
"""Longer runs are no words: bounds the work that one of them can cause."""

MAX_SPLIT: Final = 4
"""Pieces that a split term is looked for in."""

MAX_PART: Final = 16
"""Longest everyday word looked for in a compound."""

_TRIPLED: Final = re.compile(r"(.)\1{2,}")
_DOUBLED: Final = re.compile(r"(.)\1+")
_SUFFIXES: Final = word_list(
    "s es z zz ez x xx xxx y ie ies ey er ers ed ing in n a o oz os ish age ism ist ly fest able "
    "ness tastic licious ful less core wave esque ette ster ation ville holic zilla gram tube hub "
    "flix hd"
)
_PREFIXES: Final = word_list("x xx xxx i e my re un pre super mega ultra hyper semi non anti ex")
_PLURALS: Final = word_set("s es")
_SHORT: Final = word_set(
    "a i an as at be by do go he if in is it me my no of on or so to up us we and are big but for "
    "had has her him his hot how its man men new not now old one our out own red sad sea see she "
    "sky sun the too top two was who why you boy all art bad fat gay get got wet day car cat dog "
    "toy fun fan app hub net com pic pix vid"
)
"""The short words that count as parts of a compound: any others would make parts of anything."""

_VOWELS: Final = frozenset("aeiou")
_ABC: Final = string.ascii_lowercase
_KEYS: Final = "qwertyuiopasdfghjklzxcvbnm"
_SHIFTS: Final = (
    *(str.maketrans(_ABC, _ABC[by:] + _ABC[:by]) for by in range(1, 26)),
    str.maketrans(_ABC, _ABC[::-1]),
    str.maketrans(_KEYS[1:], _KEYS[:-1]),
    str.maketrans(_KEYS[:-1], _KEYS[1:]),
)
"""Caesar's ciphers, Atbash, and hands one key off."""


Found = tuple[Term, str]
"""A term and how it was hidden."""


class Disguises:
    """Single-word English terms, indexed for lookups of disguised words."""

    def __init__(self, terms: Iterable[Term], vocabulary: frozenset[str]) -> None:
        import ahocorasick_rs

        self._words: dict[str, Term] = {}
        plain = set()
        for term in terms:
            if not (term.text.isascii() and term.text.isalpha()) or "negative" in term.flags:
                continue
            faint = "exact" in term.flags and term.score < FAINT
            if term.language != "en" or faint or len(term.text) < 3:
                plain.add(term.text)
            elif term.text not in self._words or term.score > self._words[term.text].score:
                self._words[term.text] = term
        self._known = (vocabulary | plain) - self._words.keys()
        self._by_length: dict[int, list[str]] = {}
        for word in self._words:
            self._by_length.setdefault(len(word), []).append(word)
        self._loose = dict.fromkeys(word for word in self._words if self._may_slip(word))
        self._neighbours = self._deletions()
        self._sounds = {sound(word): word for word in self._loose if len(word) > MIN_FUZZY}
        self._anagrams = {"".join(sorted(word)): word for word in self._loose}
        self._long = [word for word in self._loose if len(word) >= MIN_FUZZY]
        self._inside = ahocorasick_rs.AhoCorasick(self._long)
        self.lookup = functools.lru_cache(maxsize=20_000)(self._lookup)

    def _may_slip(self, word: str) -> bool:
        """Whether what is near a term means it."""
        return len(word) >= (MIN_EXACT if "exact" in self._words[word].flags else MIN_FUZZY)

    def _deletions(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for word in self._loose:
            for position in range(len(word)):
                found.setdefault(word[:position] + word[position + 1 :], []).append(word)
        return found

    def exact(self, word: str) -> Term | None:
        """The term that ``word`` is."""
        return self._words.get(word)

    def of_length(self, length: int) -> list[str]:
        """All terms of that length."""
        return self._by_length.get(length, [])

    def knows(self, word: str) -> bool:
        """Whether nothing is hidden in ``word``: everyday words, names, plain terms."""
        return word in self._known or word in self._words

    def unknown(self, words: Words) -> list[int]:
        """Positions of the words that are worth a closer look."""
        known, terms = self._known, self._words
        return [
            i
            for i, text in enumerate(words.texts)
            if text not in known and text not in terms and len(text) > 2
        ]

    def hits(self, words: Words, unknown: Iterable[int]) -> Iterator[Hit]:
        """Terms behind single unknown words."""
        for position in unknown:
            found = self.lookup(words.texts[position])
            if found is not None:
                span = words.origin(position, position + 1)
                yield Hit(found[0], span, position, position + 1, found[1])

    def split_hits(self, words: Words) -> Iterator[Hit]:
        """Terms split in pieces."""
        loose = [i for i, text in enumerate(words.texts) if not self.is_ordinary(text)]
        for term, first, last in self.splits(words.texts, loose):
            yield Hit(term, words.origin(first, last), first, last, "a split")

    def splits(self, texts: Sequence[str], loose: Iterable[int]) -> Iterator[tuple[Term, int, int]]:
        """Terms that ``loose`` words and their neighbours make, and from where to where."""
        firsts = {first for at in loose for first in range(max(0, at - MAX_SPLIT + 1), at + 1)}
        for first in sorted(firsts):
            joined = texts[first]
            for last in range(first + 1, min(first + MAX_SPLIT, len(texts))):
                joined += texts[last]
                term = self._words.get(joined)
                if (
                    term is not None
                    and len(joined) >= MIN_FUZZY
                    and self._is_split(texts[first : last + 1])
                ):
                    yield term, first, last + 1

    def _is_split(self, parts: Sequence[str]) -> bool:
        """Whether words are but parts of one: some of them are no words."""
        strange = sum(not self.is_ordinary(part) for part in parts)
        return strange >= (1 if len(parts) == 2 else 2)

    def is_ordinary(self, word: str) -> bool:
        """Whether ``word`` may stand by itself."""
        return word in _SHORT or word in {"s", BREAK} or (len(word) > 2 and self.knows(word))

    # -- one word ------------------------------------------------------------------------

    def _lookup(self, word: str) -> Found | None:
        if not 3 <= len(word) <= MAX_WORD or self.knows(word) or not word.isascii():
            return None
        bare = word.strip("0123456789")
        if bare != word:
            term = self._words.get(bare)
            return (term, "digits around it") if term and len(bare) >= MIN_FUZZY else None
        if not word.isalpha():
            return None
        attempts = (
            self._squeezed,
            self._ending,
            self._reversed,
            self._pig_latin,
            self._slip,
            self._by_sound,
            self._without_vowels,
            self._affixed,
            self._repeated,
            self._in_compound,
            self._scrambled,
            self._shifted,
        )
        return next((found for attempt in attempts if (found := attempt(word))), None)

    def _affixed(self, word: str) -> Found | None:
        for prefix in _PREFIXES:
            base = word.removeprefix(prefix)
            if base == word or len(base) < MIN_FUZZY:
                continue
            if base in self._loose:
                return self._words[base], "a beginning"
            if found := self._ending(base):
                return found[0], "a beginning"
        return None

    def _scrambled(self, word: str) -> Found | None:
        target = self._anagrams.get("".join(sorted(word))) if len(word) > MIN_FUZZY else None
        if target is None:
            return None
        ends = (word[0] == target[0]) + (word[-1] == target[-1])
        turned = word in target + target
        return (self._words[target], "letters out of order") if ends or turned else None

    def _shifted(self, word: str) -> Found | None:
        if len(word) <= MIN_FUZZY:
            return None
        readings = (word.translate(table) for table in _SHIFTS)
        term = next((self._words[one] for one in readings if one in self._loose), None)
        return (term, "a shift of letters") if term else None

    def _repeated(self, word: str) -> Found | None:
        half = word[: len(word) // 2]
        term = self._words.get(half) if half * 2 == word and len(half) >= MIN_FUZZY else None
        return (term, "a repetition") if term else None

    def _by_sound(self, word: str) -> Found | None:
        target = self._sounds.get(sound(word)) if len(word) > MIN_FUZZY else None
        return (self._words[target], "a spelling by sound") if target else None

    def _squeezed(self, word: str) -> Found | None:
        if not _DOUBLED.search(word):
            return None
        readings = [_TRIPLED.sub(keep, word) for keep in (r"\1", r"\1\1")]
        readings += [_DOUBLED.sub(keep, word) for keep in (r"\1", r"\1\1")]
        for reading in readings:
            term = self._words.get(reading)
            if term is not None and len(reading) >= MIN_FUZZY:
                return term, "repeated letters"
            if _TRIPLED.search(word) and reading != word and (found := self._ending(reading)):
                return found[0], "repeated letters"
        return None

    def _ending(self, word: str) -> Found | None:
        for suffix in _SUFFIXES:
            stem = word.removesuffix(suffix)
            if stem == word or len(stem) < 3:
                continue
            doubled = len(stem) > 3 and stem[-1] == stem[-2]
            for base in (stem, stem + "e", stem[:-1] if doubled else stem):
                term = self._words.get(base)
                if term is None or (len(suffix) > 2 and base not in self._loose):
                    continue
                if "exact" not in term.flags or suffix in _PLURALS or len(base) >= MIN_EXACT:
                    return term, "an ending"
        return None

    def _reversed(self, word: str) -> Found | None:
        term = self._words.get(word[::-1])
        return (term, "reversal") if term and len(word) >= MIN_FUZZY else None

    def _pig_latin(self, word: str) -> Found | None:
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

    def _slip(self, word: str) -> Found | None:
        reachable = list(self._neighbours.get(word, ()))
        for position in range(len(word)):
            shorter = word[:position] + word[position + 1 :]
            if shorter in self._loose:
                reachable.append(shorter)
            reachable += self._neighbours.get(shorter, ())
        for target in dict.fromkeys(reachable):
            if one_slip(word, target):
                return self._words[target], "a misspelling"
        return None

    def _without_vowels(self, word: str) -> Found | None:
        if not _VOWELS.isdisjoint(word):
            return None
        for length in range(len(word) + 1, len(word) + 4):
            for target in self.of_length(length):
                if "".join(c for c in target if c not in _VOWELS) == word:
                    return self._words[target], "missing vowels"
        return None

    def _in_compound(self, word: str) -> Found | None:
        return self.inside(word) if len(word) >= MIN_FUZZY + 2 else None

    def inside(self, letters: str) -> Found | None:
        """A term glued to everyday words, and to nothing else."""
        for found, start, end in self._inside.find_matches_as_indexes(letters, overlapping=True):
            if self._splits(letters[:start]) and self._splits(letters[end:], ending=True):
                return self._words[self._long[found]], "a compound"
        return None

    def _splits(self, text: str, *, ending: bool = False) -> bool:
        """Whether ``text`` is a chain of everyday words (or empty, or at the end a suffix)."""
        if not text or (ending and text in _SUFFIXES):
            return True
        reachable = {0}
        for end in range(1, len(text) + 1):
            near = (start for start in reachable if end - start <= MAX_PART)
            if any(self._is_part(text[start:end]) for start in near):
                reachable.add(end)
        return len(text) in reachable

    def _is_part(self, word: str) -> bool:
        return word in _SHORT or (len(word) > 3 and word in self._known) or word in self._words


_SOUNDS: Final = (
    ("ph", "f"), ("ck", "k"), ("qu", "kw"), ("x", "ks"), ("sch", "sh"), ("z", "s"), ("c", "k"),
    ("oo", "u"), ("ou", "u"), ("ee", "i"), ("ea", "i"), ("y", "i"), ("gh", "g"), ("v", "f"),
)  # fmt: skip


@functools.lru_cache(maxsize=20_000)
def sound(word: str) -> str:
    """A rough key of how English ``word`` sounds, the same for spellings that sound alike."""
    for spelt, spoken in _SOUNDS:
        word = word.replace(spelt, spoken)
    return _DOUBLED.sub(r"\1", word)
