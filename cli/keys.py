"""``guard keys``: the development PKI in one command, and a look at the keys in force."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape

from .command import Run, command
from .exits import Exit

SOON_DAYS = 30
"""Certificates that expire sooner are warned about: renewing one takes days."""


def register(app: typer.Typer) -> None:
    """Add the noun to ``app``."""
    noun = typer.Typer(no_args_is_help=True, help="Signing keys and certificates.")
    command(noun, "dev", example="guard keys dev\nguard keys dev --replace")(dev)
    command(noun, "check", example="guard keys check")(check)
    app.add_typer(noun, name="keys")


def dev(
    run: Run,
    replace: Annotated[
        bool, typer.Option("--replace", help="Make new ones in their place.")
    ] = False,
) -> Exit:
    """Make a development CA and a signing certificate in the home.

    For development only: no verifier elsewhere trusts them. For production set
    GUARD_SIGNING_CERTIFICATE and GUARD_SIGNING_KEY to a real claim-signing certificate.
    """
    from guard.provenance.keys import create_development_keys

    files = create_development_keys(run.settings.home, replace=replace)
    run.out.emit(
        {
            "certificate": str(files.certificate),
            "key": str(files.key),
            "ca": str(files.ca),
            "fingerprint": files.fingerprint,
            "expires": files.expires.isoformat(),
            "development": True,
        },
        f"[bold green]made[/]  {escape(str(files.certificate))}",
        f"[dim]expires {files.expires:%Y-%m-%d}[/]",
        "[yellow]For development only:[/] no verifier but this home's trusts this certificate.",
        "[dim]→ For production set GUARD_SIGNING_CERTIFICATE and GUARD_SIGNING_KEY.[/]",
    )
    return Exit.DONE


def check(run: Run) -> Exit:
    """Say which certificate signs, until when, and whether anybody else would trust it."""
    from guard.provenance.keys import load_signing_keys

    settings = run.settings
    keys = load_signing_keys(settings.home, settings.signing_certificate, settings.signing_key)
    days = (keys.expires - datetime.now(UTC)).days
    warning = f"Expires in {days} days: renew it." if days < SOON_DAYS else ""
    run.out.emit(
        {
            "subject": keys.subject,
            "algorithm": keys.algorithm,
            "fingerprint": keys.certificate_fingerprint,
            "expires": keys.expires.isoformat(),
            "development": keys.development,
            "warning": warning,
        },
        f"{escape(keys.subject)}  [dim]{keys.algorithm}, expires {keys.expires:%Y-%m-%d}[/]",
        *([f"[yellow]{warning}[/]"] if warning else []),
        *(["[yellow]For development only.[/]"] if keys.development else []),
    )
    return Exit.DONE
