"""``guard keys check`` and ``request``: the certificate doctor, and asking for a real one."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from guard.errors import InvalidInput, KeyInvalid

from .command import Run
from .exits import Exit

if TYPE_CHECKING:
    from guard.provenance.diagnosis import CertificateFinding, Diagnosis
    from guard.provenance.request import Applicant, RequestFiles
    from guard.settings import Settings

PASSPHRASE = "GUARD_SIGNING_KEY_PASSPHRASE"  # noqa: S105  # the variable's name

_SIGNS = {"error": ("red", "✗"), "warning": ("yellow", "!"), "note": ("dim", "·")}
_WIDTH = 96
"""Columns: sentences longer than that are hard to read."""


class Algorithm(StrEnum):
    """What C2PA knows."""

    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    PS256 = "PS256"
    ED25519 = "Ed25519"


def check(
    run: Run,
    certificate: Annotated[
        Path | None,
        typer.Argument(
            metavar="CERT", help="Certificate or chain, PEM or DER. Without it: the keys in force."
        ),
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Private key that goes with CERT.")
    ] = None,
    online: Annotated[
        bool,
        typer.Option(
            "--online", help="Also ask its OCSP responder, and GUARD_TSA_URL for a time-stamp."
        ),
    ] = False,
) -> Exit:
    """Say what is wrong with a certificate, why it matters and what to do.

    Holds the chain against the C2PA certificate profiles and says until when it is valid, whether
    the key belongs to it and who trusts it. Nobody is asked over the network without --online.
    Exit 4 when verifiers would refuse what it signs.
    """
    from guard.provenance.checkup import check_file, check_in_force, read_chain
    from guard.provenance.online import ask_around

    settings = run.settings
    if certificate is None and key is not None:
        raise InvalidInput(
            "--key goes with a certificate.", hint="guard keys check CERT --key FILE"
        )
    if certificate is None:
        keys = in_force(settings)
        path, found = keys.certificate, check_in_force(settings.home, keys)
    else:
        path = certificate
        found = check_file(
            settings.home, certificate, key, _secret(settings.signing_key_passphrase)
        )
    if online:
        found = found.with_more(ask_around(read_chain(path), settings.tsa_url))
    run.out.emit(_row(path, found), *_lines(path, found))
    return Exit.DONE if found.valid else Exit.CONFIGURATION


def in_force(settings: Settings) -> Any:
    """Where the settings, or else the home, say that certificate and key are."""
    from guard.provenance.checkup import InForce

    own = settings.home / "keys"
    if settings.pkcs11_uri is not None:
        return InForce(
            settings.signing_certificate or own / "signing.pem",
            pkcs11_uri=settings.pkcs11_uri,
            pkcs11_pin=_secret(settings.pkcs11_pin),
        )
    if (settings.signing_certificate is None) != (settings.signing_key is None):
        raise KeyInvalid(
            "Of signing certificate and signing key only one is set.",
            hint="Set both GUARD_SIGNING_CERTIFICATE and GUARD_SIGNING_KEY, or neither.",
        )
    return InForce(
        settings.signing_certificate or own / "signing.pem",
        settings.signing_key or own / "signing.key",
        _secret(settings.signing_key_passphrase),
    )


def _secret(value: Any) -> str | None:
    return None if value is None else str(value.get_secret_value())


def _row(path: Path, found: Diagnosis) -> dict[str, Any]:
    signer = found.chain[0]
    soon = any(one.rule == "expires_soon" and one.certificate == 0 for one in found.findings)
    return {
        "subject": signer.subject,
        "algorithm": signer.algorithm,
        "fingerprint": signer.fingerprint,
        "expires": signer.expires.isoformat(),
        "development": found.development,
        "warning": f"Expires in {signer.days_left} days: renew it." if soon else "",
        "path": str(path),
        "valid": found.valid,
        "trusted_by": list(found.trusted_by),
        "ocsp_url": found.ocsp_url,
        "chain": [one.as_dict for one in found.chain],
        "findings": [one.as_dict for one in found.findings],
    }


def _lines(path: Path, found: Diagnosis) -> list[str]:
    several = len(found.chain) > 1
    lines = [f"[bold]{escape(str(path))}[/]"]
    for place, one in enumerate(found.chain):
        number = f"{place + 1}  " if several else ""
        detail = f"{one.profile}, {one.algorithm}, expires {one.expires:%Y-%m-%d}"
        lines.append(f"  {number}{escape(one.subject)}  [dim]{detail}[/]")
    trusted = ", ".join(found.trusted_by) or "no list of this home"
    lines.append(f"  [dim]trusted by {escape(trusted)}[/]")
    for finding, places in _merged(found):
        lines += ["", *_told(finding, places if several else ())]
    return [*lines, "", _verdict(found)]


def _merged(found: Diagnosis) -> list[tuple[CertificateFinding, list[int]]]:
    """What is said of several certificates in the same words is said once, with their places."""
    places: dict[CertificateFinding, list[int]] = {}
    for one in found.findings:
        places.setdefault(replace(one, certificate=0), []).append(one.certificate + 1)
    return list(places.items())


def _told(finding: CertificateFinding, places: Sequence[int]) -> list[str]:
    colour, sign = _SIGNS[finding.level]
    named = ", ".join(map(str, places))
    where = f"certificate{'s' if len(places) > 1 else ''} {named}: " if places else ""
    lines = [
        *_wrapped(f"[{colour}]{sign} {finding.level:<7}[/] ", where + finding.what),
        *_wrapped("[dim]  why    [/] ", finding.why),
    ]
    return lines + (_wrapped("[dim]  do     [/] ", finding.mend) if finding.mend else [])


def _wrapped(head: str, text: str) -> list[str]:
    first, *others = textwrap.wrap(text, _WIDTH - 10, break_long_words=False) or [""]
    return [head + escape(first), *(f"{'':10}{escape(line)}" for line in others)]


def _verdict(found: Diagnosis) -> str:
    errors, warnings = len(found.of("error")), len(found.of("warning"))
    if errors:
        return f"[bold red]not usable:[/] {_count(errors, 'error')}, {_count(warnings, 'warning')}"
    if warnings:
        return f"[bold yellow]usable:[/] {_count(warnings, 'warning')}"
    return "[bold green]usable:[/] nothing is wrong with it"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def request(
    run: Run,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where key and request go.")],
    organization: Annotated[
        str, typer.Option("--organization", help="Who signs, by its legal name.")
    ],
    country: Annotated[
        str, typer.Option("--country", metavar="XX", help="Two letters: CH, DE, US.")
    ],
    common_name: Annotated[
        str, typer.Option("--common-name", help="The product, as verifiers are to show it.")
    ],
    algorithm: Annotated[
        Algorithm, typer.Option("--algorithm", case_sensitive=False, help="Kind of the new key.")
    ] = Algorithm.ES256,
    product_record: Annotated[
        str | None,
        typer.Option(
            "--product-record", metavar="UUID", help="Record of the C2PA conforming products list."
        ),
    ] = None,
    assurance_level: Annotated[
        int, typer.Option("--assurance-level", min=1, max=2, help="That of the product's record.")
    ] = 1,
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help=f"Lock the key by a passphrase. [env: {PASSPHRASE}]")
    ] = False,
    token: Annotated[
        bool,
        typer.Option("--token", help="For the key that GUARD_PKCS11_URI names; none is made."),
    ] = False,
) -> Exit:
    """Make a key and the request for a real certificate.

    The request asks for what the C2PA profile of a claim signer wants. The key stays here: the CA
    gets the request alone. Nothing is overwritten.
    """
    from guard.provenance.request import Applicant, create_request

    applicant = Applicant(organization, country, common_name, product_record, assurance_level)
    if token:
        files = _on_token(run, out, applicant)
    else:
        files = create_request(
            out,
            applicant,
            algorithm=algorithm.value.lower(),
            passphrase=_passphrase(run) if encrypt else None,
        )
    run.out.emit(
        {
            "request": str(files.request),
            "key": None if files.key is None else str(files.key),
            "algorithm": files.algorithm,
            "encrypted": files.encrypted,
        },
        *_next_steps(files, named=product_record is not None),
    )
    return Exit.DONE


def _on_token(run: Run, out: Path, applicant: Applicant) -> RequestFiles:
    from guard.provenance.token_request import create_token_request

    settings = run.settings
    if settings.pkcs11_uri is None:
        raise InvalidInput("Nothing says where the token's key is.", hint="Set GUARD_PKCS11_URI.")
    return create_token_request(out, applicant, settings.pkcs11_uri, _secret(settings.pkcs11_pin))


def _passphrase(run: Run) -> str:
    """From the settings, or asked for twice. Raises InvalidInput where nobody can be asked."""
    told = _secret(run.settings.signing_key_passphrase)
    if told:
        return told
    if not somebody_looks_on(run):
        raise InvalidInput("There is no passphrase to lock the key by.", hint=f"Set {PASSPHRASE}.")
    asked: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    return asked


def somebody_looks_on(run: Run) -> bool:
    """Whether there is anybody to ask."""
    return run.out.messages.is_terminal and not run.out.as_json


def _next_steps(files: RequestFiles, *, named: bool) -> list[str]:
    chain = escape(shlex.quote(str(files.request.with_name("chain.pem"))))
    key = None if files.key is None else escape(shlex.quote(str(files.key)))
    steps = [
        f"Send {escape(str(files.request))} to a CA of the C2PA trust list.",
        f"Put what it sends into {chain}: your certificate first, then the CA's.",
    ]
    if not named:
        steps.insert(
            0,
            "Apply for a record in the C2PA conforming products list: CAs ask for it, and "
            "--product-record puts it into the request.",
        )
    if key is None:
        steps += [f"export GUARD_SIGNING_CERTIFICATE={chain}", "guard keys check"]
    else:
        steps.insert(0, f"Back up {escape(str(files.key))}, where only you can read it.")
        steps += [
            f"guard keys check {chain} --key {key}",
            f"export GUARD_SIGNING_CERTIFICATE={chain} GUARD_SIGNING_KEY={key}",
        ]
    if files.encrypted:
        steps.append(f"export {PASSPHRASE}=… where pictures are signed")
    made = [one for one in (files.key, files.request) if one is not None]
    return [
        *(f"[bold green]made[/]  {escape(str(one))}" for one in made),
        *(f"[dim]{number}.[/] {step}" for number, step in enumerate(steps, 1)),
    ]
