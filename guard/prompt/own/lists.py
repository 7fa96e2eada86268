"""A platform's own lists around any screener: deny, allow, and artists who opted in.

Deny entries add findings under the rule that the policy names for their list; allow entries take
away findings of what they name (also a term inside an allowed phrase); opted-in names take away
findings of rules about styles. A deny entry is never taken away.

Lists may change at any time. At most every half second a screening looks whether one did (a
``stat``, or one row from an index) and takes over what it finds. A list that is gone or broken
stops the screening with a typed error until it is mended: going on with the last good one would
let through, for as long as nobody looks, what somebody just tried to forbid.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from guard.errors import GuardError, PolicyInvalid
from guard.policy.model import DATABASE, ListKind, OwnList, Policy, PromptRule
from guard.prompt.base import PromptScreener
from guard.prompt.own.entries import OwnEntry
from guard.prompt.own.match import Match, OwnMatcher
from guard.prompt.own.sources import Content, DatabaseSource, FileSource, Source
from guard.prompt.tokens import canonical
from guard.types import Finding

if TYPE_CHECKING:
    from guard.store.engine import Store

CHECK_SECONDS: Final = 0.5
"""Between two looks at a list: a change is in force within a second."""

SLIP_SCORE: Final = 0.9
"""Of an entry that was found behind a disguise; as written it scores 1."""

TIER: Final = "own"


@dataclass(frozen=True, slots=True)
class LoadedList:
    """One list as it is in force: from where, what it holds, and how it is searched."""

    declared: OwnList
    source: Source
    version: object
    content: Content
    matcher: OwnMatcher

    @property
    def label(self) -> str:
        """For findings: the kind and the first eight digits of the content's digest."""
        return f"own:{self.declared.kind}/{self.content.digest[:8]}"


@dataclass(frozen=True, slots=True)
class Applied:
    """What own lists made of findings. ``findings`` is the result, ordered by span."""

    findings: tuple[Finding, ...]
    added: tuple[Finding, ...]
    removed: tuple[tuple[Finding, OwnEntry, LoadedList], ...]


class OwnLists:
    """All own lists of one policy, kept up to date. May be shared by threads.

    ``open_store`` is asked for the database only when a list is kept there. Raises PolicyInvalid
    when a list is missing or broken, AuditUnavailable when the database is.
    """

    def __init__(
        self,
        policy: Policy,
        open_store: Callable[[], Store],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._open_store = open_store
        self._clock = clock
        self._lock = threading.Lock()
        self._error: GuardError | None = None
        self._lists = tuple(self._load(one) for one in policy.own_lists)
        self._checked = clock()

    def current(self) -> tuple[LoadedList, ...]:
        """The lists in force. Raises PolicyInvalid or AuditUnavailable while one cannot be read."""
        due = self._clock() - self._checked >= CHECK_SECONDS
        if due and self._lock.acquire(blocking=False):  # others go on meanwhile
            try:
                self._check()
            finally:
                self._checked = self._clock()
                self._lock.release()
        error = self._error
        if error is not None:
            raise type(error)(error.message, hint=error.hint)
        return self._lists

    def apply(self, prompt: str, findings: Sequence[Finding]) -> Applied:
        """``findings`` (of ``prompt`` and its negative prompt) after all lists had their say."""
        lists = self.current()
        kept, removed = list(findings), []
        for one in lists:
            if one.declared.kind is not ListKind.DENY and kept:
                kept, taken = _without(one, prompt, kept, self._taking(one))
                removed += taken
        added = [
            self._finding(one, match, prompt)
            for one in lists
            if one.declared.kind is ListKind.DENY
            for match in one.matcher.matches(prompt)
        ]
        both = sorted([*kept, *added], key=lambda one: (one.span, one.rule))
        return Applied(tuple(both), tuple(added), tuple(removed))

    # -- keeping up to date ------------------------------------------------------------------

    def _check(self) -> None:
        try:
            self._lists = tuple(self._fresh(one) for one in self._lists)
            self._error = None
        except GuardError as error:
            self._error = error

    def _fresh(self, known: LoadedList) -> LoadedList:
        version = known.source.version()
        if version == known.version:
            return known
        return self._read(known.declared, known.source, version, known)

    def _load(self, declared: OwnList) -> LoadedList:
        source = self._source(declared)
        return self._read(declared, source, source.version(), None)

    def _source(self, declared: OwnList) -> Source:
        if declared.source.startswith(DATABASE):
            name = declared.source.removeprefix(DATABASE)
            return DatabaseSource(self._open_store, declared.kind, name)
        return FileSource(self._policy.folder / declared.source)

    def _read(
        self, declared: OwnList, source: Source, version: object, known: LoadedList | None
    ) -> LoadedList:
        content = source.read(known.content.digest if known else "")
        if content is None:
            assert known is not None  # noqa: S101  # only a known digest can be unchanged
            return LoadedList(declared, source, version, known.content, known.matcher)
        for one in content.entries:
            self._check_category(declared, source, one)
        deny = declared.kind is ListKind.DENY
        matcher = OwnMatcher(content.entries, disguises=deny)
        return LoadedList(declared, source, version, content, matcher)

    def _check_category(self, declared: OwnList, source: Source, one: OwnEntry) -> None:
        if not one.category or self._rule_of(one.category) is not None:
            return
        raise PolicyInvalid(
            f"{source.name}:{one.place}: policy '{self._policy.name}' has no prompt rule with the "
            f"id or category '{one.category}'.",
            hint="Correct the entry's category, or leave it out: then "
            + (f"the rule '{declared.rule}' acts." if declared.rule else "it means all of them."),
        )

    # -- what entries do -----------------------------------------------------------------------

    def _rule_of(self, category: str) -> PromptRule | None:
        rules = self._policy.prompt_rules
        by_id = (rule for rule in rules if rule.id == category)
        return next(by_id, next((rule for rule in rules if rule.category == category), None))

    def _finding(self, one: LoadedList, match: Match, prompt: str) -> Finding:
        rule = self._rule_of(match.entry.category or str(one.declared.rule))
        assert rule is not None  # noqa: S101  # checked when policy and list were read
        hidden = f", behind {match.how}" if match.how else ""
        return Finding(
            rule=rule.id,
            category=rule.category,
            span=match.span,
            matched=prompt[slice(*match.span)],
            score=SLIP_SCORE if match.how else 1.0,
            source=one.label,
            explanation=f"an entry of the own list '{one.declared.source}'{hidden}",
            term=match.entry.term,
            tier=TIER,
        )

    def _taking(self, one: LoadedList) -> Callable[[Finding, OwnEntry], bool]:
        styles = {rule.id for rule in self._policy.prompt_rules if rule.requires_style}
        opted_in = one.declared.kind is ListKind.OPTED_IN

        def takes(finding: Finding, entry: OwnEntry) -> bool:
            meant = not entry.category or entry.category in (finding.category, finding.rule)
            return meant and (not opted_in or finding.rule in styles)

        return takes


def _without(
    one: LoadedList,
    prompt: str,
    findings: Iterable[Finding],
    takes: Callable[[Finding, OwnEntry], bool],
) -> tuple[list[Finding], list[tuple[Finding, OwnEntry, LoadedList]]]:
    """``findings`` that stay, and those that an entry of the list takes away."""
    by_text = {entry.text: entry for entry in one.content.entries}
    matches = one.matcher.matches(prompt)
    kept, removed = [], []
    for finding in findings:
        named = _entries_for(finding, prompt, by_text, matches)
        entry = next((entry for entry in named if takes(finding, entry)), None)
        if entry is None:
            kept.append(finding)
        else:
            removed.append((finding, entry, one))
    return kept, removed


def _entries_for(
    finding: Finding, prompt: str, by_text: dict[str, OwnEntry], matches: Sequence[Match]
) -> Iterator[OwnEntry]:
    """Entries that are what was found, or a phrase around it."""
    for text in dict.fromkeys((finding.term, canonical(finding.matched))):
        if text in by_text:
            yield by_text[text]
    start, end = finding.span
    if prompt[start:end] == finding.matched:  # not a span of the negative prompt
        for match in matches:
            if match.span[0] <= start and end <= match.span[1]:
                yield match.entry


class ScreenerWithOwnLists:
    """Any screener, and own lists around it."""

    def __init__(self, inner: PromptScreener, lists: OwnLists) -> None:
        self.inner = inner
        self.lists = lists

    def screen(self, prompt: str, *, negative_prompt: str = "") -> tuple[Finding, ...]:
        """All findings, ordered by span.

        Raises PolicyInvalid or AuditUnavailable while an own list cannot be read.
        """
        found = self.inner.screen(prompt, negative_prompt=negative_prompt)
        return self.lists.apply(prompt, found).findings
