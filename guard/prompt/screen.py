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
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from guard.policy.model import Policy, PromptRule
from guard.prompt.contexts import shipped_contexts
from guard.prompt.lexicon import Entry, Hit, Name, Term
from guard.prompt.names import counts, makes_pictures
from guard.prompt.normalise import normalise
from guard.prompt.reader import Reader, engine
from guard.prompt.tokens import canonical
from guard.types import Finding, check_length

_NEGATIVE_WEIGHT: Final = re.compile(r"[(\[{<]([^()\[\]{}<>]{1,400}):\s*-\s*\d")

SLIP_FACTOR: Final = 0.9
"""A misspelling is a little less sure than the word itself."""


class PolicyScreener:
    """Screens prompts under ``policy``. ``year`` (default: this one) decides who died long ago.

    Raises PolicyInvalid when the policy names a list that does not exist. The semantic tier opens
    at the first prompt, and raises ModelUnavailable then when its weights are missing or damaged.
    """

    def __init__(self, policy: Policy, *, year: int | None = None) -> None:
        self._policy = policy
        self._year = year or dt.datetime.now(dt.UTC).year
        lists = tuple(dict.fromkeys(name for rule in policy.prompt_rules for name in rule.lists))
        self._rules: dict[str, list[PromptRule]] = {
            name: [rule for rule in policy.prompt_rules if name in rule.lists] for name in lists
        }
        self._meaning = functools.lru_cache(maxsize=20_000)(self._rules_that_mean)
        self._reader = Reader(
            engine(lists),
            shipped_contexts().with_phrases(policy.allow_contexts),
            frozenset(canonical(term) for term in policy.allow_terms),
        )

    def screen(self, prompt: str, *, negative_prompt: str = "") -> tuple[Finding, ...]:
        """All findings, ordered by span: see :class:`guard.prompt.base.PromptScreener`."""
        check_length("prompt", prompt)
        check_length("negative prompt", negative_prompt)
        found = list(self._findings(prompt, self._asked_for(prompt)))
        found += self._meant(prompt)
        if negative_prompt.strip():
            found += [
                replace(one, explanation=f"{one.explanation}; in the negative prompt")
                for one in self._findings(negative_prompt, self._smuggled(negative_prompt))
            ]
        return tuple(sorted(found, key=lambda one: (one.span, one.rule)))

    def _meant(self, prompt: str) -> tuple[Finding, ...]:
        """What the semantic tier says. Raises ModelUnavailable where the policy wants it."""
        if self._policy.semantic == "off" or not self._policy.semantic_rules:
            return ()
        from guard.prompt.semantic.reader import open_semantic

        return open_semantic(self._policy.semantic).findings(prompt, self._policy)

    # -- hits --------------------------------------------------------------------------------

    def _asked_for(self, prompt: str) -> Iterator[Hit]:
        for hit in self._reader.hits(prompt):
            if not (isinstance(hit.entry, Term) and "negative" in hit.entry.flags):
                yield hit

    def _smuggled(self, negative: str) -> Iterator[Hit]:
        reading = normalise(negative)
        inside = [
            reading.origin(*found.span(1)) for found in _NEGATIVE_WEIGHT.finditer(reading.text)
        ]
        for hit in self._reader.hits(negative):
            flagged = isinstance(hit.entry, Term) and "negative" in hit.entry.flags
            weighted = any(a <= hit.span[0] and hit.span[1] <= b for a, b in inside)
            if flagged != weighted:
                yield hit

    # -- findings ------------------------------------------------------------------------------

    def _findings(self, text: str, hits: Iterable[Hit]) -> list[Finding]:
        best: dict[tuple[str, tuple[int, int]], Finding] = {}
        for hit in hits:
            for rule in self._meaning(hit.entry, hit.style):
                finding = _finding(rule, hit, text)
                known = best.get((rule.id, hit.span))
                if known is None or finding.score > known.score:
                    best[rule.id, hit.span] = finding
        return _without_covered(list(best.values()))

    def _rules_that_mean(self, entry: Entry, style: bool) -> tuple[PromptRule, ...]:
        """The rules that an entry breaks; ``style``: where it stands for a style."""
        rules = self._rules[entry.list]
        if not isinstance(entry, Name):
            return tuple(rules)
        likeness = not (style and makes_pictures(entry))
        return tuple(
            rule
            for rule in rules
            if (style if rule.requires_style else likeness) and counts(entry, rule, self._year)
        )


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
    if len(findings) < 2:
        return findings
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
