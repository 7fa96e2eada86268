"""``guard trust``: whose signatures count here, by dated lists that only this command changes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from guard.errors import SettingsInvalid

from .command import Run, command
from .exits import Exit
from .verdicts import visible

if TYPE_CHECKING:
    from guard.provenance.trust import Anchors
    from guard.provenance.trust_update import Offer

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="What the list is called; `c2pa` is the official one.")
]
ShaOption = Annotated[
    str,
    typer.Option("--sha256", metavar="HEX", help="The file's SHA-256: accepts exactly this one."),
]
ClocksOption = Annotated[
    bool, typer.Option("--timestamps", help="A list of time-stamping authorities, not of signers.")
]
DateOption = Annotated[
    str, typer.Option("--date", metavar="YYYY-MM-DD", help="When it was published (today).")
]

_ADD = """\
guard trust add partners partners.pem
guard trust add partners https://example.org/partners.pem --sha256 3f0c…"""
_UPDATE = """\
guard trust update c2pa
guard trust update c2pa --from C2PA-TRUST-LIST.pem --sha256 75ca…"""
MOST_NAMES = 20


def register(app: typer.Typer) -> None:
    """Add the noun to ``app``."""
    noun = typer.Typer(
        no_args_is_help=True, help="Whose signatures count: dated trust lists, pinned by SHA-256."
    )
    command(noun, "list", example="guard trust list")(list_)
    command(noun, "add", example=_ADD)(add)
    command(noun, "update", example=_UPDATE)(update)
    command(noun, "remove", example="guard trust remove partners")(remove)
    app.add_typer(noun, name="trust")


def list_(run: Run) -> Exit:
    """The lists in force, each with its date: signers first, then time-stamping authorities."""
    from guard.provenance.trust import load_trust

    trust = load_trust(run.settings.home)
    for kind, lists in (("signers", trust.lists), ("timestamps", trust.clocks)):
        for one in lists:
            row = _row(one, kind)
            expired = f", {row['expired']} expired" if row["expired"] else ""
            run.out.emit(
                row,
                f"[bold]{escape(visible(one.name))}[/]  [dim]{kind}[/]",
                f"    of {one.date}: {row['certificates']} certificates{expired}",
                f"    [dim]{escape(visible(one.source))}  sha256 {one.sha256}[/]",
            )
    return Exit.DONE


def add(
    run: Run,
    name: NameArgument,
    source: Annotated[str, typer.Argument(metavar="URL|FILE", help="PEM certificates.")],
    sha256: ShaOption = "",
    timestamps: ClocksOption = False,
    published: DateOption = "",
) -> Exit:
    """Trust one more list. Without --sha256 nothing is changed: it says what would be.

    The list is copied into trust/ of the home with its date, its source and its SHA-256, and read
    from there alone. Without a network, name a file.
    """
    return _take(run, name, source, sha256, timestamps=timestamps, published=published)


def update(
    run: Run,
    name: NameArgument,
    source: Annotated[
        str, typer.Option("--from", metavar="URL|FILE", help="Another place than before.")
    ] = "",
    sha256: ShaOption = "",
    timestamps: ClocksOption = False,
    published: DateOption = "",
) -> Exit:
    """Fetch a list anew from where it came. Without --sha256 it only says what would change.

    Nothing but this command ever fetches a list. The version so far stays in trust/earlier.
    """
    return _take(run, name, source or None, sha256, timestamps=timestamps, published=published)


def remove(run: Run, name: NameArgument, timestamps: ClocksOption = False) -> Exit:
    """Trust a list no longer. It stays in trust/earlier, which nobody reads."""
    from guard.provenance import trust_update

    path = trust_update.remove(run.settings.home, name, clocks=timestamps)
    run.out.emit({"name": name, "removed": str(path)}, f"[bold]removed[/]  {escape(str(path))}")
    return Exit.DONE


def _take(
    run: Run, name: str, source: str | None, sha256: str, *, timestamps: bool, published: str
) -> Exit:
    from guard.provenance import trust_update

    home, of = run.settings.home, _date(published)
    offered = trust_update.offer(home, name, source, clocks=timestamps)
    row = _offer_row(offered)
    if offered.known and not sha256:
        run.out.emit(
            {**row, "status": "current"},
            f"[bold green]up to date[/]  {escape(name)}  [dim]sha256 {offered.sha256}[/]",
        )
        return Exit.DONE
    if not sha256:
        run.out.emit({**row, "status": "offered"}, *_offer_lines(offered))
        return Exit.REVIEW
    path = trust_update.keep(home, offered, sha256, of=of)
    run.out.emit(
        {**row, "status": "kept", "path": str(path), "date": (of or _today()).isoformat()},
        f"[bold green]in force[/]  {escape(name)}: {offered.certificates} certificates  "
        f"[dim]{escape(str(path))}[/]",
    )
    return Exit.DONE


def _row(one: Anchors, kind: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    certificates = one.certificates
    return {
        "name": one.name,
        "kind": kind,
        "date": one.date,
        "certificates": len(certificates),
        "expired": sum(certificate.not_valid_after_utc < now for certificate in certificates),
        "source": one.source,
        "sha256": one.sha256,
    }


def _offer_row(offered: Offer) -> dict[str, Any]:
    return {
        "name": offered.name,
        "kind": "timestamps" if offered.clocks else "signers",
        "source": offered.source,
        "sha256": offered.sha256,
        "certificates": offered.certificates,
        "gained": list(offered.gained),
        "lost": list(offered.lost),
        "expired": list(offered.expired),
    }


def _offer_lines(offered: Offer) -> list[str]:
    changes = [("green", "+", offered.gained), ("red", "−", offered.lost)]
    held = f"{offered.certificates} certificates from {escape(offered.source)}"
    lines = [f"[bold yellow]not in force yet[/]  {escape(offered.name)}: {held}"]
    for colour, sign, names in changes:
        lines += [f"    [{colour}]{sign}[/] {escape(visible(one))}" for one in names[:MOST_NAMES]]
        if len(names) > MOST_NAMES:
            lines.append(f"    [{colour}]{sign}[/] and {len(names) - MOST_NAMES} more")
    lines += [f"    [yellow]expired[/] {escape(visible(one))}" for one in offered.expired]
    accept = f"to accept it, add --sha256 {offered.sha256}"
    return [*lines, f"[dim]  →[/] Compare with what its publisher says; {accept}"]


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise SettingsInvalid(
            f"--date: {text!r} is no date.", hint="Write it as 2026-11-24."
        ) from error


def _today() -> date:
    return datetime.now(UTC).date()
