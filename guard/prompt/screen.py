"""The screener: reads a prompt under the rules of one policy.

Each rule names lists; each list is searched in the text as typed and in its other readings
(skeleton of look-alike letters, leetspeak, encodings, disguised words). A finding says which rule,
what matched and where, in code points of what was typed.

The negative prompt asks for things to be left out, so a term there is no request for it, with
two exceptions: terms under a negative weight, ``(term:-1.2)``, which a sampler adds back, and
terms flagged ``negative`` (asking to leave out clothes, or adult features). Spans of such findings
count in the negative prompt, and their explanation says so.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from guard.policy.model import Policy, PromptRule
from guard.prompt import leet, spread
from guard.prompt.ages import ages
from guard.prompt.artists import styled
from guard.prompt.contexts import Contexts, shipped_contexts
from guard.prompt.decode import hidden, inline
from guard.prompt.disguises import Disguises
from guard.prompt.lexicon import Entry, Hit, Matcher, Name, Term, load_list, vocabulary
from guard.prompt.names import MisspeltNames, counts, makes_pictures
from guard.prompt.normalise import View, compose, normalise, skeleton
from guard.prompt.tokens import Words, canonical, scan
from guard.types import Finding

_NEGATIVE_WEIGHT: Final = re.compile(r"[(\[{<]([^()\[\]{}<>]{1,400}):\s*-\s*\d")

SLIP_FACTOR: Final = 0.9
"""A misspelling is a little less sure than the word itself."""


@functools.cache
def _matcher(lists: tuple[str, ...]) -> Matcher:
    return Matcher(entry for name in lists for entry in load_list(name))


@functools.cache
def _disguises(lists: tuple[str, ...]) -> Disguises:
    return Disguises((entry for entry in _entries(lists) if isinstance(entry, Term)), vocabulary())


@functools.cache
def _misspelt(lists: tuple[str, ...]) -> MisspeltNames:
    return MisspeltNames(e for e in _entries(lists) if isinstance(e, Name))


def _entries(lists: tuple[str, ...]) -> Iterator[Entry]:
    for name in lists:
        yield from load_list(name)


class PolicyScreener:
    """Screens prompts under ``policy``. ``year`` (default: this one) decides who died long ago.

    Raises PolicyInvalid when the policy names a list that does not exist.
    """

    def __init__(self, policy: Policy, *, year: int | None = None) -> None:
        self._year = year or dt.datetime.now(dt.UTC).year
        lists = tuple(dict.fromkeys(name for rule in policy.prompt_rules for name in rule.lists))
        self._rules: dict[str, list[PromptRule]] = {
            name: [rule for rule in policy.prompt_rules if name in rule.lists] for name in lists
        }
        self._matcher = _matcher(lists)
        self._disguises = _disguises(lists)
        self._misspelt = _misspelt(lists)
        self._contexts: Contexts = shipped_contexts().with_phrases(policy.allow_contexts)
        self._allowed = frozenset(canonical(term) for term in policy.allow_terms)

    def screen(self, prompt: str, *, negative_prompt: str = "") -> tuple[Finding, ...]:
        """All findings, ordered by span; never raises on any text."""
        found = list(self._findings(prompt, self._asked_for(prompt)))
        if negative_prompt.strip():
            found += [
                replace(one, explanation=f"{one.explanation}; in the negative prompt")
                for one in self._findings(negative_prompt, self._smuggled(negative_prompt))
            ]
        return tuple(sorted(found, key=lambda one: (one.span, one.rule)))

    # -- hits --------------------------------------------------------------------------------

    def _asked_for(self, prompt: str) -> Iterator[Hit]:
        for hit in self._hits(prompt):
            if not (isinstance(hit.entry, Term) and "negative" in hit.entry.flags):
                yield hit

    def _smuggled(self, negative: str) -> Iterator[Hit]:
        reading = normalise(negative)
        inside = [
            reading.origin(*found.span(1)) for found in _NEGATIVE_WEIGHT.finditer(reading.text)
        ]
        for hit in self._hits(negative):
            flagged = isinstance(hit.entry, Term) and "negative" in hit.entry.flags
            weighted = any(a <= hit.span[0] and hit.span[1] <= b for a, b in inside)
            if flagged != weighted:
                yield hit

    def _hits(self, text: str) -> Iterator[Hit]:
        words = scan(normalise(text))
        unknown = self._disguises.unknown(words)
        yield from self._plain(words, unknown)
        yield from ages(words.view)
        yield from self._disguises.hits(words, unknown)
        yield from spread.hits(words.view, self._disguises)
        yield from self._upside_down(words, text)
        yield from self._other_readings(words)
        for view in _encoded(text):
            yield from self._plain(scan(view), (), how="an encoding")

    def _other_readings(self, words: Words) -> Iterator[Hit]:
        folded = skeleton(words.view)
        if folded is not None:
            yield from self._plain(scan(folded), (), how="look-alike letters")
        for reading in leet.readings(words):
            unknown = self._disguises.unknown(reading)
            yield from self._plain(reading, unknown, how="leetspeak")
            yield from self._disguises.hits(reading, unknown)

    def _plain(self, words: Words, unknown: Sequence[int], how: str = "") -> Iterator[Hit]:
        """Entries as they are written in ``words``, without those in harmless company."""
        names: list[Hit] = []
        for hit in self._candidates(words, unknown, how):
            if hit.entry.text in self._allowed or self._contexts.harmless(words, hit):
                continue
            if isinstance(hit.entry, Name):
                names.append(hit)
            else:
                yield hit
        if names:
            yield from _with_style(words, names)

    def _candidates(self, words: Words, unknown: Sequence[int], how: str) -> Iterator[Hit]:
        yield from self._matcher.in_words(words, how)
        yield from self._matcher.in_text(words)
        yield from self._misspelt.hits(words, unknown)

    def _upside_down(self, words: Words, text: str) -> Iterator[Hit]:
        if text.isascii():
            return
        for position in range(len(words.texts)):
            span = words.origin(position, position + 1)
            for reading in leet.turned_readings(text[slice(*span)]):
                term = self._disguises.exact(reading)
                if term is not None:
                    yield Hit(term, span, position, position + 1, "upside-down letters")

    # -- findings ------------------------------------------------------------------------------

    def _findings(self, text: str, hits: Iterable[Hit]) -> list[Finding]:
        best: dict[tuple[str, tuple[int, int]], Finding] = {}
        for hit in hits:
            for rule in self._rules[hit.entry.list]:
                if not self._means(rule, hit):
                    continue
                finding = _finding(rule, hit, text)
                known = best.get((rule.id, hit.span))
                if known is None or finding.score > known.score:
                    best[rule.id, hit.span] = finding
        return _without_covered(list(best.values()))

    def _means(self, rule: PromptRule, hit: Hit) -> bool:
        if not isinstance(hit.entry, Name):
            return True
        if rule.requires_style:
            return hit.style and counts(hit.entry, rule, self._year)
        return not (hit.style and makes_pictures(hit.entry)) and counts(hit.entry, rule, self._year)


def _with_style(words: Words, hits: list[Hit]) -> Iterator[Hit]:
    """Names, marked where they stand for a style; single ones only there."""
    asked = {id(hit) for hit in styled(words, hits)}
    for hit in hits:
        if id(hit) in asked:
            yield hit._replace(style=True)
        elif isinstance(hit.entry, Name) and not hit.entry.single:
            yield hit


def _encoded(text: str) -> Iterator[View]:
    decoded = inline(text)
    if decoded is not None:
        yield compose(decoded, normalise(decoded.text))
    for view in hidden(text):
        yield compose(view, normalise(view.text))


def _finding(rule: PromptRule, hit: Hit, text: str) -> Finding:
    entry = hit.entry
    score = entry.score if isinstance(entry, Term) else 1.0
    if hit.how == "a misspelling":
        score *= SLIP_FACTOR
    what = f"a term of the list '{entry.list}'"
    if isinstance(entry, Name):
        what = f"the style of an {entry.kind}" if hit.style else f"the name of a real {entry.kind}"
    disguise = f", behind {hit.how}" if hit.how else ""
    return Finding(
        rule=rule.id,
        category=rule.category,
        span=hit.span,
        matched=text[slice(*hit.span)],
        score=round(score, 3),
        source=entry.source,
        explanation=what + disguise,
        term=entry.text,
    )


def _without_covered(findings: list[Finding]) -> list[Finding]:
    """Without findings inside a longer one of the same rule that is at least as sure."""
    kept: list[Finding] = []
    for one in sorted(findings, key=lambda f: (f.rule, f.span[0], -f.span[1], -f.score)):
        covered = any(
            other.rule == one.rule
            and other.span[0] <= one.span[0]
            and one.span[1] <= other.span[1]
            and other.score >= one.score
            for other in kept[-8:]
        )
        if not covered:
            kept.append(one)
    return kept
