"""Single-word English terms, indexed for every way of looking one up.

Only words that are none are looked up: a word of the vocabulary or a part of a real name is never
taken for something else, and of a term whose list says ``exact`` only what can be nothing else is.
"""

from __future__ import annotations

import functools
import string
from collections.abc import Iterable
from itertools import groupby
from typing import Final

from guard.prompt.lexicon import Term
from guard.prompt.tokens import BREAK, Words
from guard.prompt.wordsets import word_list, word_set

MIN_FUZZY: Final = 4
"""Shorter terms have too many innocent neighbours."""

MIN_EXACT: Final = 6
"""Terms that their list calls ``exact`` have innocent neighbours unless they are this long."""

FAINT: Final = 0.45
"""An ``exact`` term below this score means little alone: nobody takes the trouble to hide it."""

MAX_VOWELS: Final = 3
"""Of a term that lacks more vowels than these, too little is left."""

MAX_PART: Final = 16
"""Longest everyday word looked for in a compound."""

SUFFIXES: Final = word_list(
    "s es z zz ez x xx xxx y ie ies ey er ers ed ing in n a o oz os ish age ism ist ly fest able "
    "ness tastic licious ful less core wave esque ette ster ation ville holic zilla gram tube hub "
    "flix hd"
)
"""Endings that a term may take."""

_SHORT: Final = word_set(
    "a i an as at be by do go he if in is it me my no of on or so to up us we and are big but for "
    "had has her him his hot how its man men new not now old one our out own red sad sea see she "
    "sky sun the too top two was who why you boy all art bad fat gay get got wet day car cat dog "
    "toy fun fan app hub net com pic pix vid"
)
"""The short words that count as parts of a compound: any others would make parts of anything."""

_SOUNDS: Final = (
    ("ph", "f"), ("ck", "k"), ("qu", "kw"), ("x", "ks"), ("sch", "sh"), ("z", "s"), ("c", "k"),
    ("oo", "u"), ("ou", "u"), ("ee", "i"), ("ea", "i"), ("y", "i"), ("gh", "g"), ("v", "f"),
)  # fmt: skip


VOWELS: Final = frozenset("aeiou")
_ABC: Final = string.ascii_lowercase
_TO_A: Final = {one: str.maketrans(_ABC, _ABC[-at:] + _ABC[:-at]) for at, one in enumerate(_ABC)}

Found = tuple[Term, str]
"""A term and how it was hidden."""


class TermIndex:
    """The terms, and the words in which nothing is hidden.

    ``words``: all terms that may be hidden; ``loose``: those whose neighbourhood means them. The
    other indexes are built when the first unknown word comes.
    """

    def __init__(self, terms: Iterable[Term], vocabulary: frozenset[str]) -> None:
        import ahocorasick_rs

        self.words: dict[str, Term] = {}
        plain = set()
        for term in terms:
            if not (term.text.isascii() and term.text.isalpha()) or "negative" in term.flags:
                continue
            faint = "exact" in term.flags and term.score < FAINT
            if term.language != "en" or faint or len(term.text) < 3:
                plain.add(term.text)
            elif term.text not in self.words or term.score > self.words[term.text].score:
                self.words[term.text] = term
        self._vocabulary, self._plain = vocabulary, frozenset(plain)
        self._letters = "\n".join(self.words)
        self.loose = dict.fromkeys(word for word in self.words if self._may_slip(word))
        self._long = [word for word in self.loose if len(word) >= MIN_FUZZY]
        self._inside = ahocorasick_rs.AhoCorasick(self._long)

    def _may_slip(self, word: str) -> bool:
        """Whether what is near a term means it."""
        return len(word) >= (MIN_EXACT if "exact" in self.words[word].flags else MIN_FUZZY)

    @functools.cached_property
    def neighbours(self) -> dict[str, list[str]]:
        """Loose terms by what is left of them without a letter."""
        found: dict[str, list[str]] = {}
        for word in self.loose:
            for position in range(len(word)):
                found.setdefault(word[:position] + word[position + 1 :], []).append(word)
        return found

    @functools.cached_property
    def skeletons(self) -> dict[str, str]:
        """Terms by their consonants, the shortest first."""
        found: dict[str, str] = {}
        for word in sorted(self.words, key=len):
            skeleton = "".join(letter for letter in word if letter not in VOWELS)
            if 0 < len(word) - len(skeleton) <= MAX_VOWELS:
                found.setdefault(skeleton, word)
        return found

    @functools.cached_property
    def sounds(self) -> dict[str, str]:
        """Loose terms by how they sound."""
        return {sound(word): word for word in self.loose if len(word) > MIN_FUZZY}

    @functools.cached_property
    def anagrams(self) -> dict[str, str]:
        """Loose terms by their letters in order."""
        return {"".join(sorted(word)): word for word in self.loose}

    @functools.cached_property
    def steps(self) -> frozenset[str]:
        """Loose terms as steps from letter to letter."""
        return frozenset(map(steps, self.loose))

    @functools.cached_property
    def _by_length(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for word in self.words:
            found.setdefault(len(word), []).append(word)
        return found

    def exact(self, word: str) -> Term | None:
        """The term that ``word`` is."""
        return self.words.get(word)

    def of_length(self, length: int) -> list[str]:
        """All terms of that length."""
        return self._by_length.get(length, [])

    def knows(self, word: str) -> bool:
        """Whether nothing is hidden in ``word``: everyday words, names, plain terms."""
        return word in self._vocabulary or word in self.words or word in self._plain

    def unknown(self, words: Words) -> list[int]:
        """Positions of the words that are worth a closer look."""
        texts = enumerate(words.texts)
        return [at for at, text in texts if len(text) > 2 and not self.knows(text)]

    def is_piece(self, text: str) -> bool:
        """Whether ``text`` is a part of any term."""
        return text in self._letters

    def is_ordinary(self, word: str) -> bool:
        """Whether ``word`` may stand by itself."""
        return word in _SHORT or word in {"s", BREAK} or (len(word) > 2 and self.knows(word))

    def inside(self, letters: str) -> Found | None:
        """A term glued to everyday words, and to nothing else."""
        for found, start, end in self._inside.find_matches_as_indexes(letters, overlapping=True):
            if self._splits(letters[:start]) and self._splits(letters[end:], ending=True):
                return self.words[self._long[found]], "a compound"
        return None

    def _splits(self, text: str, *, ending: bool = False) -> bool:
        """Whether ``text`` is a chain of everyday words (or empty, or at the end a suffix)."""
        if not text or (ending and text in SUFFIXES):
            return True
        reachable = {0}
        for end in range(1, len(text) + 1):
            near = (start for start in reachable if end - start <= MAX_PART)
            if any(self._is_part(text[start:end]) for start in near):
                reachable.add(end)
        return len(text) in reachable

    def _is_part(self, word: str) -> bool:
        return word in _SHORT or word in self.words or (len(word) > 3 and self.knows(word))


@functools.lru_cache(maxsize=20_000)
def sound(word: str) -> str:
    """A rough key of how English ``word`` sounds, the same for spellings that sound alike."""
    for spelt, spoken in _SOUNDS:
        word = word.replace(spelt, spoken)
    return "".join(one for one, _ in groupby(word))


def steps(word: str) -> str:
    """``word`` moved along the alphabet until it begins with an a: the same for all its shifts."""
    return word.translate(_TO_A[word[0]])
