"""``guard keys``: the development PKI in one command, real certificates, the mark's secret."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from guard.errors import KeyInvalid, OutputUnwritable

from .certificates import check, request
from .command import Run, command
from .exits import Exit
from .vault_keys import rotate_vault

if TYPE_CHECKING:
    from guard.provenance.keys import KeyFiles
    from guard.provenance.loopback import DevelopmentServices

PORT = 8318
"""Where the development services listen unless told otherwise: a port of no known service."""


def register(app: typer.Typer) -> None:
    """Add the noun to ``app``."""
    noun = typer.Typer(
        no_args_is_help=True, help="Signing keys, certificates and the watermark's secret."
    )
    command(noun, "dev", example="guard keys dev\nguard keys dev --serve")(dev)
    command(
        noun, "check", example="guard keys check\nguard keys check chain.pem --key signing.key"
    )(check)
    command(
        noun,
        "request",
        example="guard keys request --out keys --organization 'Example Ltd' --country CH "
        "--common-name 'Example Images'",
    )(request)
    command(noun, "rotate-watermark", example="guard keys rotate-watermark")(rotate_watermark)
    command(noun, "rotate-vault", example="guard keys rotate-vault")(rotate_vault)
    app.add_typer(noun, name="keys")


def dev(
    run: Run,
    replace: Annotated[
        bool, typer.Option("--replace", help="Make new ones in their place.")
    ] = False,
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Also run a time-stamping authority and an OCSP responder."),
    ] = False,
    port: Annotated[
        int, typer.Option("--port", min=1, max=65535, help="Of the services, on 127.0.0.1.")
    ] = PORT,
    answer: Annotated[
        str, typer.Option("--answer", metavar="STATUS", help="OCSP: good, revoked or unknown.")
    ] = "good",
) -> Exit:
    """Make a development CA and a signing certificate in the home.

    For development only: no verifier elsewhere trusts them. For production request a real
    certificate: guard keys request. With --serve the certificate names an OCSP responder, which
    runs together with a time-stamping authority until it is stopped; later calls start the same
    services again.
    """
    from guard.provenance.keys import create_development_keys

    home = run.settings.home
    if serve:
        if answer not in {"good", "revoked", "unknown"}:
            raise typer.BadParameter("good, revoked or unknown", param_hint="--answer")
        if replace or not (home / "keys" / "signing.pem").exists():
            url = f"http://127.0.0.1:{port}/ocsp"
            create_development_keys(home, replace=replace, ocsp_url=url)
        return _serve(run, answer)
    _say_made(run, create_development_keys(home, replace=replace))
    return Exit.DONE


def _say_made(run: Run, files: KeyFiles) -> None:
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
        "[dim]→ For production request a real one: guard keys request.[/]",
    )


def _serve(run: Run, answer: str) -> Exit:
    from urllib.parse import urlsplit

    from guard.provenance.loopback import DevelopmentServices
    from guard.provenance.service_keys import load_service_keys

    keys, url = load_service_keys(run.settings.home)
    port = urlsplit(url).port or PORT  # the certificate says where, whatever --port says now
    try:
        services = DevelopmentServices(keys, port=port)
    except OSError as error:
        raise OutputUnwritable(
            f"The services cannot listen on 127.0.0.1:{port}: {error.strerror}.",
            hint="Stop what listens there, or make new keys: guard keys dev --serve --replace "
            "--port N",
        ) from error
    services.answers.ocsp = answer
    with services:
        _say_served(run, services)
        _wait()
    run.out.say("[yellow]Stopped.[/]")
    return Exit.DONE


def _say_served(run: Run, services: DevelopmentServices) -> None:
    home = run.settings.home
    run.out.emit(
        {
            "tsa_url": services.tsa_url,
            "ocsp_url": services.ocsp_url,
            "ocsp_answer": services.answers.ocsp,
            "certificate": str(home / "keys" / "signing.pem"),
            "tsa_ca": str(home / "keys" / "services" / "tsa-ca.pem"),
            "development": True,
        },
        f"[bold green]time-stamps[/]  {services.tsa_url}",
        f"[bold green]OCSP[/]         {services.ocsp_url}  [dim]answers {services.answers.ocsp}[/]",
        f"[dim]→ In another terminal: export GUARD_TSA_URL={services.tsa_url}[/]",
        "[yellow]For development only.[/] Stop with Ctrl-C.",
    )


def _wait() -> None:
    """Until SIGINT or SIGTERM."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        stop.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
