"""Whose signatures are trusted: named lists of certificates, each with its date.

Only anchors of *claim signers* are ever loaded. Time-stamping authorities are not: the c2pa
library reports an anchor's kind but does not enforce it, so a time-stamping root in the same
context would make ordinary signers trusted. For the same reason a signer counts as trusted only
when the library names one of our lists and its certificate may sign claims: left to itself, the
library trusts a certificate that is for time-stamping alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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

CLAIM_SIGNER_USAGES = (
    "1.3.6.1.5.5.7.3.4",  # emailProtection
    "1.3.6.1.5.5.7.3.36",  # documentSigning
    "1.3.6.1.4.1.62558.2.1",  # c2pa-kp-claimSigning
)
"""Extended key usages that a claim signer may have; a signer with none of them is not trusted."""


@dataclass(frozen=True, slots=True)
class Anchors:
    """One trust list: ``pem`` holds its certificates, ``date`` (ISO 8601) says how old it is."""

    name: str
    date: str
    uri: str
    pem: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TrustList:
    """All lists that a verifier goes by."""

    lists: tuple[Anchors, ...] = ()

    def name_of(self, uri: str | None) -> str | None:
        """The name of the list that c2pa reports by ``uri``; None when it is none of ours."""
        return next((one.name for one in self.lists if one.uri == uri), None)


def load_trust(home: Path) -> TrustList:
    """The official list, the home's development CA, and any ``home/trust/*.pem``.

    Raises KeyInvalid when one of them is not PEM certificates: the c2pa library would find out
    only while reading.
    """
    lists = [_official()]
    own = home / "keys" / "ca.pem"
    if own.exists():
        lists.append(_from_file(own, DEVELOPMENT_NAME, "urn:genguard:trust:development"))
    lists += [
        _from_file(path, path.stem, f"urn:genguard:trust:home:{path.stem}")
        for path in sorted((home / "trust").glob("*.pem"))
    ]
    return TrustList(tuple(lists))


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
    """Whether a certificate is meant for claims; not one that could not be found."""
    if certificate is None:
        return False
    try:
        stated = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return any(usage.dotted_string in CLAIM_SIGNER_USAGES for usage in stated)


@lru_cache(maxsize=32)
def context_for(trust: TrustList, network_host: str | None = None) -> Context:
    """A c2pa context that trusts ``trust`` and reaches no host but ``network_host``."""
    from c2pa import Context

    settings: dict[str, Any] = {
        "trust": {
            "trust_config": "\n".join(CLAIM_SIGNER_USAGES),
            "anchors": [
                {"trust_anchors": one.pem, "trust_kind": "manifest", "trust_uri": one.uri}
                for one in trust.lists
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


def _official() -> Anchors:
    data = files("guard.provenance").joinpath("trust_lists/C2PA-TRUST-LIST.pem").read_bytes()
    return anchors_of(OFFICIAL_NAME, data, date=OFFICIAL_DATE, uri="urn:genguard:trust:c2pa")


def _from_file(path: Path, name: str, uri: str) -> Anchors:
    try:
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()
        return anchors_of(name, path.read_bytes(), date=changed, uri=uri)
    except OSError as error:
        raise KeyInvalid(
            f"The trust list {path} cannot be read: {error.strerror}.",
            hint="Give its owner read permission, or remove it.",
        ) from error
