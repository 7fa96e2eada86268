"""``guard lists … known-bad``: banks of known pictures' fingerprints in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from guard.errors import AuditUnavailable, InvalidRequest
from guard.policy.model import KNOWN_BAD

from .command import Run
from .exits import Exit
from .verdicts import visible

if TYPE_CHECKING:
    from guard.classify.bank_files import BankEntry
    from guard.classify.known_bad import Bank, Changed, Match


@dataclass(frozen=True, slots=True)
class Edit:
    """Which bank, who changes it, and why."""

    run: Run
    bank: str
    who: str
    note: str = ""

    def add(self, given: Sequence[str]) -> Exit:
        """Hashes of 64 hex digits, or pictures, whose fingerprints are taken."""
        entries = [_entry(one) for one in given]
        bank = _bank(self.run, self.bank, create=True)
        return self._told("added", bank.add(entries, self.who, self.note))

    def remove(self, given: Sequence[str]) -> Exit:
        """As :meth:`add`, off the bank."""
        entries = [_entry(one) for one in given]
        changed = _bank(self.run, self.bank).remove(entries, self.who, self.note)
        self._told("removed", changed)
        return Exit.FINDING if changed.same else Exit.DONE

    def import_(self, path: Path) -> Exit:
        """Every PDQ entry of a file, or none when a line is broken."""
        from guard.classify.bank_files import BankFile

        file = BankFile(path)
        if next(file.entries(), None) is None:
            raise InvalidRequest(
                f"{path} holds no PDQ hashes.", hint="docs/how-to/keep-known-bad-lists.md"
            )
        bank = _bank(self.run, self.bank, create=True)
        with self.run.out.working(f"Reading {path.name}"):
            changed = bank.add(file.entries(), self.who, self.note)
        return self._told("added", changed, file.others)

    def _told(self, what: str, changed: Changed, others: int = 0) -> Exit:
        rules = [rule.id for rule in self.run.policy.known_bad if rule.bank == self.bank]
        row: dict[str, Any] = {
            "kind": KNOWN_BAD, "list": self.bank, what: changed.changed, "same": changed.same,
            "others": others, "in_force": bool(rules),
        }  # fmt: skip
        left = f", {others:,} of other types left out" if others else ""
        self.run.out.emit(
            row, f"[red]{what}[/]  {changed.changed:,} [dim]({changed.same:,} as asked{left})[/]"
        )
        if not rules:
            self.run.out.say(
                f"[yellow]note:[/] policy '{escape(self.run.policy.name)}' does not name this "
                + escape(f"bank; add known_bad: [{{id: known, category: known, bank: {self.bank}")
                + escape(', message: "…"}]')
            )
        return Exit.DONE


def is_about_pictures(given: str) -> bool:
    """Whether what is to be looked up is a picture's path or a hash, not a prompt."""
    from guard.classify.bank_files import HASH
    from guard.image.decode import SUFFIXES

    return bool(HASH.fullmatch(given)) or (
        Path(given).suffix.lower() in SUFFIXES and Path(given).is_file()
    )


def check(run: Run, given: str) -> Exit:
    """The nearest entry of every bank. Exit 1 when a bank in force holds one near enough."""
    questions, codes = _questions(given), [Exit.DONE]
    limits = {rule.bank: (rule.max_distance, rule.id) for rule in run.policy.known_bad}
    for name in dict.fromkeys([*limits, *_banks(run)]):
        match = _bank(run, name).nearest(questions) if questions else None
        limit, rule = limits.get(name, (31, None))
        near = match is not None and match.distance <= limit
        run.out.emit(
            {"given": given, "kind": KNOWN_BAD, "list": name, "matches": near, "rule": rule,
             "in_force": name in limits, **_row(match)},
            _line(name, match, limit, near=near),
        )  # fmt: skip
        if near and name in limits:
            codes.append(Exit.FINDING)
    if not questions:
        run.out.say("[yellow]note:[/] the picture is too flat for a fingerprint")
    return max(codes)


def rows(run: Run) -> list[tuple[dict[str, Any], str]]:
    """Every bank of database and policy, with what to print."""
    named = {rule.bank: rule.id for rule in run.policy.known_bad}
    found = []
    for name in dict.fromkeys([*named, *_banks(run)]):
        count = _count(run, name)
        row = {"kind": KNOWN_BAD, "source": f"database:{name}", "entries": count,
               "in_force": name in named, "rule": named.get(name)}  # fmt: skip
        state = f"acts under [bold]{escape(named[name])}[/]" if name in named else ""
        held = f"{count:,} entries" if count is not None else "[red]not there[/]"
        found.append((row, f"[red]{KNOWN_BAD}[/]  {escape(name)}  {held}  [dim]{state}[/]"))
    return found


def _row(match: Match | None) -> dict[str, Any]:
    if match is None:
        return {"entry": None, "distance": None}
    entry = match.entry
    return {
        "entry": entry.bits.hex(), "distance": match.distance, "label": entry.label,
        "note": entry.note, "who": entry.who,
    }  # fmt: skip


def _line(name: str, match: Match | None, limit: int, *, near: bool) -> str:
    if match is None:
        return f"[green]unknown[/]  {escape(name)}  [dim]nothing to compare with[/]"
    state = "[red]known[/]" if near else "[green]unknown[/]"
    about = " ".join(visible(one) for one in (match.entry.label, match.entry.note) if one)
    return (
        f"{state}  {escape(name)}  {match.distance} of 256 bits differ "
        f"[dim](at most {limit})  {escape(about) if near else ''}[/]"
    )


def _entry(given: str) -> BankEntry:
    from guard.classify.bank_files import BankEntry

    questions = _questions(given)
    if not questions:
        raise InvalidRequest(
            f"{given} is too flat for a fingerprint.", hint="It would match any flat picture."
        )
    return BankEntry(questions[0], "" if len(questions) == 1 else Path(given).name)


def _questions(given: str) -> list[bytes]:
    """A hash's bits, or a picture's in eight positions; none of a picture that is too flat."""
    from guard.classify.bank_files import HASH

    if HASH.fullmatch(given):
        return [bytes.fromhex(given)]
    from guard.classify.known_bad import prints
    from guard.image.decode import load

    return prints(load(Path(given)).pixels)


def _bank(run: Run, name: str, *, create: bool = False) -> Bank:
    from guard.assemble import build_store
    from guard.classify.known_bad import Bank

    store = build_store(run.settings, create=create)
    return Bank(name, lambda: store, run.settings.home / "index")


def _banks(run: Run) -> list[str]:
    """The banks of the database; none where there is no database yet."""
    from guard.assemble import build_store

    try:
        with build_store(run.settings).read() as reader:
            return reader.banks.banks()
    except AuditUnavailable:
        if run.policy.known_bad:
            raise
        return []


def _count(run: Run, name: str) -> int | None:
    from guard.assemble import build_store

    with build_store(run.settings).read() as reader:
        return len(reader.banks.in_force(name)) if reader.banks.version(name) else None
