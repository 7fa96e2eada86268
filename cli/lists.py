"""``guard lists``: a platform's own lists in the database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from guard.errors import AuditUnavailable, InvalidRequest
from guard.policy.model import DATABASE, ListKind, OwnList

from . import lists_known_bad
from .command import Run, command
from .exits import Exit
from .verdicts import marked, visible

if TYPE_CHECKING:
    from guard.prompt.own.book import Changed, ListBook
    from guard.prompt.own.lists import LoadedList
    from guard.store.rows import ListChange

COLOURS = {ListKind.DENY: "red", ListKind.ALLOW: "green", ListKind.OPTED_IN: "cyan"}


class Kind(StrEnum):
    """What ``guard lists`` keeps: lists of terms, and banks of known pictures."""

    DENY = "deny"
    ALLOW = "allow"
    OPTED_IN = "opted-in"
    KNOWN_BAD = "known-bad"


KindArgument = Annotated[
    Kind, typer.Argument(metavar="KIND", help="deny, allow, opted-in or known-bad.")
]
OwnKindArgument = Annotated[
    ListKind, typer.Argument(metavar="KIND", help="deny, allow or opted-in.")
]
TermsArgument = Annotated[
    list[str],
    typer.Argument(metavar="TERM…", help="Words, names, phrases, emoji; pictures or PDQ hashes."),
]
ListOption = Annotated[
    str, typer.Option("--list", metavar="NAME", help="The list of that name and kind.")
]
WhoOption = Annotated[
    str, typer.Option("--who", help="Who makes the change; kept beside it.", envvar="USER")
]
NoteOption = Annotated[str, typer.Option("--note", help="Why; kept beside the change.")]
CategoryOption = Annotated[
    str,
    typer.Option("--category", help="A category or rule of the policy that these are about."),
]
MAIN = "main"


def register(app: typer.Typer) -> None:
    """Add the noun to ``app``."""
    noun = typer.Typer(
        no_args_is_help=True,
        help="Own lists: deny, allow, artists who opted in, known-bad pictures.",
    )
    command(noun, "add", example=_ADD)(add)
    command(noun, "import", example=_IMPORT)(import_)
    command(noun, "remove", example='guard lists remove deny "Acme Robot" --note "licensed"')(
        remove
    )
    command(noun, "show", example="guard lists show deny\nguard lists show deny --history")(show)
    command(noun, "list", example="guard lists list")(list_)
    command(noun, "check", example=_CHECK)(check)
    app.add_typer(noun, name="lists")


_ADD = """\
guard lists add deny "Acme Robot" zorblax --note "trade mark"
guard lists add opted-in "Jane Painter" --who dana"""
_CHECK = """\
guard lists check "an acme robot at dawn"
guard lists check picture.png"""
_IMPORT = """\
guard lists import deny banned.txt
guard lists import allow allowed.csv --list museum
guard lists import known-bad hashes.csv"""


def add(
    run: Run,
    kind: KindArgument,
    terms: TermsArgument,
    list_name: ListOption = MAIN,
    category: CategoryOption = "",
    note: NoteOption = "",
    who: WhoOption = "",
) -> Exit:
    """Add entries to a list of the database; in force within a second, without a restart.

    A policy must name the list: `own_lists: [{kind: deny, source: database:main, rule: ID}]`.
    """
    if kind is Kind.KNOWN_BAD:
        return _edit(run, list_name, who, note).add(terms)
    from guard.prompt.own.book import made_entry

    own = ListKind(kind.value)
    entries = [made_entry(term, category, note) for term in terms]
    changed = _book(run, list_name, who, create=True).add(own, list_name, entries)
    return _told(run, own, list_name, "added", changed)


def import_(
    run: Run,
    kind: KindArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Plain text, TSV, CSV or JSONL.")],
    list_name: ListOption = MAIN,
    note: NoteOption = "",
    who: WhoOption = "",
) -> Exit:
    """Add every entry of a file, or none when a line of it is broken.

    An entry a line, or columns term, category and note; lines that begin with `#` are comments.
    """
    if kind is Kind.KNOWN_BAD:
        return _edit(run, list_name, who, note).import_(file)
    from guard.prompt.own.sources import FileSource

    own = ListKind(kind.value)
    content = FileSource(file).read()
    entries = [one._replace(note=one.note or note) for one in (content.entries if content else ())]
    if not entries:
        raise InvalidRequest(f"{file} holds no entries.", hint="Write one a line.")
    changed = _book(run, list_name, who, create=True).add(own, list_name, entries)
    return _told(run, own, list_name, "added", changed)


def remove(
    run: Run,
    kind: KindArgument,
    terms: TermsArgument,
    list_name: ListOption = MAIN,
    note: NoteOption = "",
    who: WhoOption = "",
) -> Exit:
    """Take entries off a list. Who added them, and who removed them, stays on record."""
    if kind is Kind.KNOWN_BAD:
        return _edit(run, list_name, who, note).remove(terms)
    own = ListKind(kind.value)
    changed = _book(run, list_name, who).remove(own, list_name, terms, note)
    return _told(run, own, list_name, "removed", changed)


def show(
    run: Run,
    kind: OwnKindArgument,
    list_name: ListOption = MAIN,
    history: Annotated[
        bool, typer.Option("--history", help="Every change instead of what is in force.")
    ] = False,
) -> Exit:
    """The entries of a list, with who added each, when and why."""
    book = _book(run, list_name)
    changes = book.history(kind, list_name) if history else book.entries(kind, list_name)
    for one in changes:
        run.out.emit(_change_row(one), _change_line(one))
    if not changes:
        run.out.say("[dim]The list is empty.[/]")
    return Exit.DONE


def list_(run: Run) -> Exit:
    """Every list: those of the database, and those that the policy in force names."""
    named = {(one.kind, one.source): one for one in run.policy.own_lists}
    stored = {(kind, f"{DATABASE}{name}"): name for kind, name in _stored(run)}
    for kind, source in sorted({*named, *stored}):
        rule = named[kind, source].rule if (kind, source) in named else None
        count = _count(run, kind, stored.get((kind, source)))
        in_force = (kind, source) in named
        state = f"acts under [bold]{escape(rule)}[/]" if rule else "in force"
        run.out.emit(
            {"kind": kind.value, "source": source, "entries": count, "in_force": in_force,
             "rule": rule},
            f"[{COLOURS[kind]}]{kind.value:<8}[/]  {escape(source)}"
            + (f"  {count:,} entries" if count is not None else "")
            + (f"  [dim]{state}[/]" if in_force else "  [yellow]not named by the policy[/]"),
        )  # fmt: skip
    banks = lists_known_bad.rows(run)
    for row, line in banks:
        run.out.emit(row, line)
    if not (named or stored or banks):
        run.out.say("[dim]There are no lists. Begin one: guard lists add deny TERM[/]")
    return Exit.DONE


def check(
    run: Run,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT|PICTURE|HASH", help="What to look up.")],
) -> Exit:
    """Say which entries of which lists would act on a prompt, and whether they are in force.

    A picture or a PDQ hash is looked up in the known-bad banks. Exit 1 when an entry of a deny
    list or bank in force is in it.
    """
    if lists_known_bad.is_about_pictures(prompt):
        return lists_known_bad.check(run, prompt)
    found = [
        _match_row(one, match, in_force=in_force)
        for one, in_force in _loaded(run)
        for match in one.matcher.matches(prompt)
    ]
    shown = [
        {**one, "action": "block" if one["kind"] == ListKind.DENY else "allow"} for one in found
    ]
    run.out.emit(
        {"prompt": prompt, "matches": found},
        marked(prompt, shown, run.out.colours) if found else "[dim]No entry is in it.[/]",
        *map(_match_line, found),
    )
    denied = any(one["kind"] == ListKind.DENY and one["in_force"] for one in found)
    return Exit.FINDING if denied else Exit.DONE


# -- helpers ---------------------------------------------------------------------------------------


def _edit(run: Run, name: str, who: str, note: str) -> lists_known_bad.Edit:
    _check_name(name)
    return lists_known_bad.Edit(run, name, who, note)


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        raise InvalidRequest(
            f"{name!r} can be no list's name.", hint="Use small letters, digits and . _ -"
        )


def _book(run: Run, name: str, who: str = "", *, create: bool = False) -> ListBook:
    from guard.assemble import build_store
    from guard.prompt.own.book import ListBook

    _check_name(name)
    return ListBook(build_store(run.settings, create=create), who)


def _told(run: Run, kind: ListKind, name: str, what: str, changed: Changed) -> Exit:
    source = f"{DATABASE}{name}"
    in_force = any((one.kind, one.source) == (kind, source) for one in run.policy.own_lists)
    same = "not on it" if what == "removed" else "on it already"
    lines = [
        f"[{COLOURS[kind]}]{what}[/]  {escape(visible(term))}" for term in changed.changed[:20]
    ]
    if len(changed.changed) > len(lines):
        lines.append(f"[dim]… and {len(changed.changed) - len(lines):,} more[/]")
    if changed.same:
        lines.append(f"[dim]{len(changed.same):,} {same}: {escape(', '.join(changed.same[:5]))}[/]")
    run.out.emit(
        {"kind": kind.value, "list": name, what: list(changed.changed),
         "same": list(changed.same), "in_force": in_force},
        *lines,
    )  # fmt: skip
    if not in_force:
        rule = ", rule: RULE" if kind is ListKind.DENY else ""
        run.out.say(
            f"[yellow]note:[/] policy '{escape(run.policy.name)}' does not name this list; add "
            + escape(f"own_lists: [{{kind: {kind.value}, source: '{source}'{rule}}}]")
        )
    return Exit.FINDING if what == "removed" and changed.same else Exit.DONE


def _stored(run: Run) -> list[tuple[ListKind, str]]:
    """The lists of the database; none where there is no database yet."""
    try:
        return _book(run, MAIN).names()
    except AuditUnavailable:
        if any(one.source.startswith(DATABASE) for one in run.policy.own_lists):
            raise
        return []


def _count(run: Run, kind: ListKind, name: str | None) -> int | None:
    return None if name is None else len(_book(run, name).entries(kind, name))


def _loaded(run: Run) -> Iterator[tuple[LoadedList, bool]]:
    """Every list, ready to be searched, and whether the policy in force names it."""
    from guard.assemble import build_store
    from guard.prompt.own.lists import LoadedList, OwnLists
    from guard.prompt.own.match import OwnMatcher
    from guard.prompt.own.sources import Content, DatabaseSource

    lists = OwnLists(run.policy, lambda: build_store(run.settings))
    yield from ((one, True) for one in lists.current())
    named = {(one.kind, one.source) for one in run.policy.own_lists}
    for kind, name in _stored(run):
        declared = OwnList.model_construct(kind=kind, source=f"{DATABASE}{name}")
        if (kind, declared.source) not in named:
            source = DatabaseSource(lambda: build_store(run.settings), kind, name)
            content = source.read() or Content((), "")
            matcher = OwnMatcher(content.entries, disguises=kind is ListKind.DENY)
            yield LoadedList(declared, source, None, content, matcher), False


def _match_row(one: LoadedList, match: Any, *, in_force: bool) -> dict[str, Any]:
    declared = one.declared
    return {
        "kind": declared.kind.value,
        "list": declared.source,
        "entry": match.entry.term,
        "category": match.entry.category,
        "note": match.entry.note,
        "place": match.entry.place,
        "span": list(match.span),
        "how": match.how,
        "rule": declared.rule if in_force else None,
        "in_force": in_force,
        "explanation": "",
    }


def _match_line(row: dict[str, Any]) -> str:
    colour = COLOURS[ListKind(row["kind"])]
    start, end = row["span"]
    how = f", behind {row['how']}" if row["how"] else ""
    state = "" if row["in_force"] else "  [yellow]not named by the policy[/]"
    rule = f"  rule {row['rule']}" if row["rule"] else ""
    note = f"  [dim]{escape(row['note'])}[/]" if row["note"] else ""
    return (
        f"    [{colour}]{row['kind']:<8}[/]  {start}–{end} “{escape(visible(row['entry']))}”"
        f"[dim]{how}  {escape(row['list'])}:{row['place']}[/]{escape(rule)}{note}{state}"
    )


def _change_row(one: ListChange) -> dict[str, Any]:
    return {
        "kind": one.kind, "list": one.name, "change": one.change, "term": one.term,
        "category": one.category, "note": one.note, "who": one.who, "at": _at(one).isoformat(),
        "number": one.number,
    }  # fmt: skip


def _at(one: ListChange) -> datetime:
    return datetime.fromtimestamp(one.at_us / 1_000_000, UTC)


def _change_line(one: ListChange) -> str:
    colour = "red" if one.change == "remove" else "green"
    sign = "−" if one.change == "remove" else "+"
    category = f"  [cyan]{escape(one.category)}[/]" if one.category else ""
    return (
        f"[{colour}]{sign}[/] {escape(visible(one.term))}{category}  "
        f"[dim]{_at(one):%Y-%m-%d %H:%M} {escape(visible(one.who))}  {escape(visible(one.note))}[/]"
    )
