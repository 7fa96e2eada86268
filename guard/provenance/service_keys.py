"""What the development services sign with: made with a PKI, or kept in a home."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import AuthorityInformationAccessOID

from guard.errors import KeyInvalid
from guard.provenance.development import SERVICES, DevelopmentPki
from guard.provenance.pki import Credential

_HINT = "Make new ones with them: guard keys dev --serve --replace"


@dataclass(frozen=True, slots=True)
class ServiceKeys:
    """``direct``: the issuing CA with its key, where it was kept; it can answer in person."""

    tsa: Credential
    responder: Credential
    issuer: x509.Certificate
    direct: Credential | None = None

    @classmethod
    def of(cls, pki: DevelopmentPki) -> ServiceKeys:
        """Those of a PKI that was made just now."""
        return cls(pki.tsa, pki.responder, pki.issuing.certificate, pki.issuing)


def load_service_keys(home: Path) -> tuple[ServiceKeys, str]:
    """The keys in ``home/keys/services``, and the responder's URL in the signer's certificate.

    Raises KeyInvalid when the home's keys were made without services, or its services belong to
    earlier keys.
    """
    folder = home / "keys" / "services"
    try:
        root, tsa, tsa_key, responder, responder_key = (
            (folder / name).read_bytes() for name in SERVICES
        )
        signer, issuer = x509.load_pem_x509_certificates(
            (home / "keys" / "signing.pem").read_bytes()
        )[:2]
        roots = x509.load_pem_x509_certificates(root)[:1]
        keys = ServiceKeys(
            _credential(tsa, tsa_key, tuple(roots)), _credential(responder, responder_key), issuer
        )
        url = _ocsp_url(signer)
    except FileNotFoundError as error:
        raise KeyInvalid(
            f"The keys in {home / 'keys'} were made without services.", hint=_HINT
        ) from error
    except (OSError, ValueError, TypeError, LookupError, x509.ExtensionNotFound) as error:
        raise KeyInvalid(
            f"The services' keys in {folder} cannot be used: {error}.", hint=_HINT
        ) from error
    if keys.responder.issuers[:1] != (issuer,):
        raise KeyInvalid(f"The services in {folder} belong to earlier keys.", hint=_HINT)
    return keys, url


def _credential(chain: bytes, key: bytes, roots: tuple[x509.Certificate, ...] = ()) -> Credential:
    certificate, *above = x509.load_pem_x509_certificates(chain)
    private = load_pem_private_key(key, None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TypeError("not the kind of key that was made")
    return Credential(certificate, private, (*above, *roots))


def _ocsp_url(signer: x509.Certificate) -> str:
    access = signer.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    return next(
        str(one.access_location.value)
        for one in access
        if one.access_method == AuthorityInformationAccessOID.OCSP
    )
