"""``guard keys``: the development PKI in one command, and a look at the keys in force."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape

from guard.errors import KeyInvalid

from .command import Run, command
from .exits import Exit

SOON_DAYS = 30
"""Certificates that expire sooner are warned about: renewing one takes days."""


def register(app: typer.Typer) -> None:
    """Add the noun to ``app``."""
    noun = typer.Typer(
        no_args_is_help=True, help="Signing keys, certificates and the watermark's secret."
    )
    command(noun, "dev", example="guard keys dev\nguard keys dev --replace")(dev)
    command(noun, "check", example="guard keys check")(check)
    command(noun, "rotate-watermark", example="guard keys rotate-watermark")(rotate_watermark)
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


def rotate_watermark(run: Run) -> Exit:
    """Mark with a new secret from now on; marks made so far are still read.

    The secret so far moves to the retired ones, in keys/mark.retired of the home. Programs that
    run keep marking with it until they are started again, which is no harm. Each retired secret
    makes looking at pictures without a mark longer.
    """
    from guard.provenance.mark_secret import (
        RETIRED_SETTING,
        SETTING,
        load_retired_mark_secrets,
        rotate_mark_secret,
    )
    from guard.watermark.keys import MarkKey

    if run.settings.mark_secret is not None:
        raise KeyInvalid(
            f"The watermark secret comes from {SETTING}, so there is none here to replace.",
            hint=f"Put the value of {SETTING} in front of {RETIRED_SETTING}, and set {SETTING} to "
            "a new one: openssl rand -hex 32",
        )
    home = run.settings.home
    key_id = MarkKey(rotate_mark_secret(home)).key_id
    retired = [MarkKey(one).key_id for one in load_retired_mark_secrets(home)]
    run.out.emit(
        {"key_id": key_id, "retired": retired, "folder": str(home / "keys")},
        f"[bold green]made[/]     watermark key {key_id}",
        f"[dim]retired  watermark key {retired[0]}: its marks are still read[/]",
        f"[yellow]Back up {escape(str(home / 'keys'))}:[/] who loses a secret cannot read its "
        "marks.",
    )
    return Exit.DONE
