"""Whose signatures are trusted: named lists of certificates, each with its date.

Anchors of *claim signers* and of *clocks* (time-stamping authorities) are kept apart: the c2pa
library reports an anchor's kind but does not enforce it, so a time-stamping root in the same
context would make ordinary signers trusted. Who signed is asked of a context that holds no clocks;
only whether an expired certificate was in force when it signed is asked of one that does. For the
same reason a signer counts as trusted only when the library names one of our lists and its
certificate may sign claims: left to itself, the library trusts a certificate that is for
time-stamping alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from guard.errors import KeyInvalid
from guard.provenance.manifest import CREATED_LABELS

if TYPE_CHECKING:
    from c2pa import Context

OFFICIAL_NAME = "the C2PA trust list"
OFFICIAL_DATE = "2026-08-13"
"""When the list in ``trust_lists/`` was published (see the README there)."""

DEVELOPMENT_NAME = "this home's own development CA"
CLOCKS_NAME = "the C2PA list of time-stamping authorities"
DEVELOPMENT_CLOCK = "this home's own development time-stamping authority"

CLOCKS_FOLDER = "timestamps"
"""Below ``trust`` of a home: lists of time-stamping authorities. What kind a list is, is said by
where it lies, so that no forgotten label can make a clock's root an anchor of signers."""

MOST_BYTES = 8 * 1024 * 1024
"""A list is not read further: the official one has 30 kB."""

OFFICIAL = "c2pa"
"""What the official lists are called in a home that keeps newer ones."""

CLAIM_SIGNER_USAGES = (
    "1.3.6.1.5.5.7.3.4",  # emailProtection
    "1.3.6.1.5.5.7.3.36",  # documentSigning
    "1.3.6.1.4.1.62558.2.1",  # c2pa-kp-claimSigning
)
"""Extended key usages that a claim signer may have; a signer with none of them is not trusted."""


@dataclass(frozen=True, slots=True)
class Anchors:
    """One trust list: ``pem`` holds its certificates, ``date`` (ISO 8601) says how old it is.

    ``source``: where it came from; ``sha256``: of the file as it was fetched, hex.
    """

    name: str
    date: str
    uri: str
    pem: str = field(repr=False)
    source: str = ""
    sha256: str = ""

    @property
    def certificates(self) -> list[x509.Certificate]:
        """The certificates of the list."""
        return x509.load_pem_x509_certificates(self.pem.encode("ascii"))


@dataclass(frozen=True, slots=True)
class TrustList:
    """All lists that a verifier goes by: ``lists`` of claim signers, ``clocks`` of time-stamps."""

    lists: tuple[Anchors, ...] = ()
    clocks: tuple[Anchors, ...] = ()

    def name_of(self, uri: str | None) -> str | None:
        """The name of the list that c2pa reports by ``uri``; None when it is none of ours."""
        return next((one.name for one in self.lists if one.uri == uri), None)


OFFICIAL_SIGNERS = Anchors(
    OFFICIAL_NAME, OFFICIAL_DATE, "urn:genguard:trust:c2pa", "", source="C2PA-TRUST-LIST.pem"
)
OFFICIAL_CLOCKS = Anchors(
    CLOCKS_NAME, OFFICIAL_DATE, "urn:genguard:trust:clocks", "", source="C2PA-TSA-TRUST-LIST.pem"
)
"""The lists that ship in ``trust_lists/``: ``source`` is the file there."""


def load_trust(home: Path) -> TrustList:
    """The official lists, the home's development CA, and what lies in ``home/trust``.

    A list in the home that is called like an official one takes its place. Raises KeyInvalid when
    one is not PEM certificates (the c2pa library would find out only while reading), or is not
    what was pinned when it was added.
    """
    folder, keys = home / "trust", home / "keys"
    return TrustList(
        tuple(_lists(folder, OFFICIAL_SIGNERS, keys / "ca.pem", DEVELOPMENT_NAME)),
        tuple(
            _lists(
                folder / CLOCKS_FOLDER,
                OFFICIAL_CLOCKS,
                keys / "services" / "tsa-ca.pem",
                DEVELOPMENT_CLOCK,
            )
        ),
    )


def _lists(folder: Path, official: Anchors, own: Path, own_name: str) -> Iterator[Anchors]:
    if not (folder / f"{OFFICIAL}.pem").exists():
        yield _shipped(official)
    if own.exists():
        yield _from_file(own, own_name, f"{official.uri}:development")
    for path in sorted(folder.glob("*.pem")):
        name = official.name if path.stem == OFFICIAL else path.stem
        yield _from_file(path, name, f"{official.uri}:home:{path.stem}")


def anchors_of(name: str, pem: bytes, *, date: str, uri: str) -> Anchors:
    """A list from PEM; text between certificates is dropped. Raises KeyInvalid."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise KeyInvalid(
            f"{name} holds no PEM certificates.", hint="Replace the file, or remove it."
        ) from error
    plain = b"".join(one.public_bytes(Encoding.PEM) for one in found)
    return Anchors(name, date, uri, plain.decode("ascii"))


def may_sign_claims(certificate: x509.Certificate | None) -> bool:
    """Whether a certificate is meant for claims; not one that could not be found.

    Its key must be for signatures, too (C2PA 2.4 section 14.5.1): both engines trust one whose key
    usage is another, as long as it has any.
    """
    if certificate is None:
        return False
    try:
        stated = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return usage.digital_signature and any(
        one.dotted_string in CLAIM_SIGNER_USAGES for one in stated
    )


@lru_cache(maxsize=32)
def context_for(
    trust: TrustList, network_host: str | None = None, *, clocks: bool = False
) -> Context:
    """A c2pa context that trusts ``trust`` and reaches no host but ``network_host``.

    With ``clocks`` it also holds the time-stampers: never ask such a one who signed.
    """
    from c2pa import Context

    kinds = [(one, "manifest") for one in trust.lists]
    kinds += [(one, "tsa") for one in trust.clocks] if clocks else []
    settings: dict[str, Any] = {
        "trust": {
            "trust_config": "\n".join(CLAIM_SIGNER_USAGES),
            "anchors": [
                {"trust_anchors": one.pem, "trust_kind": kind, "trust_uri": one.uri}
                for one, kind in kinds
            ],
        },
        "verify": {"remote_manifest_fetch": False},
        "core": {"allowed_network_hosts": [network_host] if network_host else []},
        "builder": {
            "thumbnail": {"enabled": False},
            "created_assertion_labels": list(CREATED_LABELS),
        },
    }
    return Context.from_dict(settings)


def shipped(official: Anchors) -> bytes:
    """An official list as it came with this version."""
    return files("guard.provenance").joinpath(f"trust_lists/{official.source}").read_bytes()


def _shipped(official: Anchors) -> Anchors:
    data = shipped(official)
    read = anchors_of(official.name, data, date=official.date, uri=official.uri)
    return replace(read, source="shipped", sha256=hashlib.sha256(data).hexdigest())


def _from_file(path: Path, name: str, uri: str) -> Anchors:
    """A list of the home, with what was noted when it was added, if anything was."""
    try:
        data = path.read_bytes()
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()
    except OSError as error:
        raise KeyInvalid(
            f"The trust list {path} cannot be read: {error.strerror}.",
            hint="Give its owner read permission, or remove it.",
        ) from error
    noted, digest = read_note(path), hashlib.sha256(data).hexdigest()
    if noted and noted.get("sha256") != digest:
        raise KeyInvalid(
            f"The trust list {path} is not what was added: its SHA-256 is {digest}.",
            hint=f"Add it again with `guard trust add`, or remove {note_of(path).name} beside it "
            "to trust it as it is.",
        )
    read = anchors_of(name, data, date=str(noted.get("date") or changed), uri=uri)
    return replace(read, source=str(noted.get("source") or path), sha256=digest)


def note_of(path: Path) -> Path:
    """Where it is noted what a list is: beside it, as JSON."""
    return path.with_suffix(".json")


def read_note(path: Path) -> dict[str, Any]:
    """``source``, ``sha256``, ``date`` and ``added`` of a list; nothing for one put by hand.

    Raises KeyInvalid for a note that cannot be read: then nobody knows what was pinned.
    """
    note = note_of(path)
    if not note.exists():
        return {}
    try:
        noted = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise KeyInvalid(
            f"What is noted about a trust list cannot be read: {note}.",
            hint="Add the list again with `guard trust add`.",
        ) from error
    if not isinstance(noted, dict) or not noted.get("sha256"):
        raise KeyInvalid(
            f"What is noted about a trust list has no SHA-256: {note}.",
            hint="Add the list again with `guard trust add`.",
        )
    return noted
