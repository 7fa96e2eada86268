"""A development PKI in one step: a root, an issuing CA and a claim-signing certificate under it.

The CAs' private keys are thrown away after that: nobody can issue more under them. On request a
PKI also has what a time-stamping authority and an OCSP responder sign with; those keys stay, for
the services to use. The certificates follow the C2PA certificate profiles: they sign like real
ones, and no verifier elsewhere will trust them. Time-stamps have a root of their own, which never
becomes an anchor of claim signers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urljoin

from guard.errors import KeyInvalid
from guard.provenance import pki
from guard.provenance.certificates import certificate_fingerprint
from guard.provenance.pki import CLAIM_SIGNING, Credential, Template
from guard.provenance.private import locked, private_directory, write_private

__all__ = ["CLAIM_SIGNING", "DevelopmentPki", "KeyFiles", "create_development_keys"]

KEYS = ("ca.pem", "signing.pem", "signing.key")
ISSUER_PATH = "/issuer.cer"
SERVICES = ("tsa-ca.pem", "tsa.pem", "tsa.key", "ocsp.pem", "ocsp.key")


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """What was written: the root, the signer's chain, the signer's private key.

    ``tsa_ca``: the time-stamping root, where the services were asked for.
    """

    ca: Path
    certificate: Path
    key: Path
    fingerprint: str
    expires: datetime
    tsa_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class DevelopmentPki:
    """Every part of a PKI with its key; ``issuing`` issued ``signer`` and ``responder``."""

    root: Credential
    issuing: Credential
    signer: Credential
    responder: Credential
    tsa_root: Credential
    tsa_issuing: Credential
    tsa: Credential

    @classmethod
    def create(
        cls,
        *,
        ocsp_url: str | None = None,
        algorithm: str = "es256",
        since: datetime | None = None,
    ) -> DevelopmentPki:
        """A new one. ``ocsp_url``: where the signer's certificate says to ask about it.

        ``since``: the time from which authorities are valid, where a test needs the past.
        """
        where = {"ocsp_url": ocsp_url, "issuer_url": issuer_url(ocsp_url)}
        root = pki.issue(pki.ROOT.but(start=since))
        issuing = pki.issue(pki.ISSUING_CA.but(start=since, **where), root)
        tsa_root = pki.issue(pki.TSA_ROOT.but(start=since))
        tsa_issuing = pki.issue(pki.TSA_CA.but(start=since), tsa_root)
        return cls(
            root=root,
            issuing=issuing,
            signer=pki.issue(pki.SIGNER.but(**where), issuing, pki.new_key(algorithm)),
            responder=pki.issue(pki.OCSP_RESPONDER, issuing),
            tsa_root=tsa_root,
            tsa_issuing=tsa_issuing,
            tsa=pki.issue(pki.TSA.but(start=since), tsa_issuing),
        )

    def issue(
        self, template: Template = pki.SIGNER, key: pki.PrivateKey | None = None
    ) -> Credential:
        """One more certificate under the issuing CA; the signer's template by default."""
        return pki.issue(template, self.issuing, key)


def issuer_url(ocsp_url: str | None) -> str | None:
    """Where the services beside an OCSP responder hand out the issuing CA's certificate."""
    return ocsp_url and urljoin(ocsp_url, ISSUER_PATH)


def create_development_keys(
    home: Path, *, replace: bool = False, ocsp_url: str | None = None
) -> KeyFiles:
    """Make a CA and a signing key (ES256) in ``home/keys``.

    With ``ocsp_url``, where the responder will listen, also the keys of the services
    (``home/keys/services``); see :mod:`guard.provenance.loopback`. With ``replace`` the earlier
    roots stay in ``ca.pem`` as trust anchors, so that what was signed before still verifies.
    Raises KeyInvalid when there are keys and ``replace`` is not set, OutputUnwritable when the
    home cannot be written.
    """
    private_directory(home)
    folder = private_directory(home / "keys")
    with locked(folder):
        present = [name for name in KEYS if (folder / name).exists()]
        if present and not replace:
            raise KeyInvalid(
                f"There are keys in {folder} already ({', '.join(present)}).",
                hint="Use them, or pass --replace to make new ones.",
            )
        made = DevelopmentPki.create(ocsp_url=ocsp_url)
        if ocsp_url is not None:
            _write_services(private_directory(folder / "services"), made)
        return _write(folder, made, with_services=ocsp_url is not None)


def _write(folder: Path, made: DevelopmentPki, *, with_services: bool) -> KeyFiles:
    anchors, certificate, private = (folder / name for name in KEYS)
    earlier = anchors.read_bytes() if anchors.exists() else b""
    write_private(anchors, made.root.pem + earlier, replace=True)
    write_private(private, made.signer.key_pem, replace=True)
    write_private(certificate, made.signer.chain_pem, replace=True)
    return KeyFiles(
        anchors,
        certificate,
        private,
        certificate_fingerprint(made.signer.pem),
        made.signer.certificate.not_valid_after_utc,
        folder / "services" / SERVICES[0] if with_services else None,
    )


def _write_services(folder: Path, made: DevelopmentPki) -> None:
    """The time-stamping root first: without it nobody believes what the others stamp."""
    root = folder / SERVICES[0]
    earlier = root.read_bytes() if root.exists() else b""
    content = (
        made.tsa_root.pem + earlier,
        made.tsa.chain_pem,
        made.tsa.key_pem,
        made.responder.chain_pem,
        made.responder.key_pem,
    )
    for name, data in zip(SERVICES, content, strict=True):
        write_private(folder / name, data, replace=True)
