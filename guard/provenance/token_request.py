"""A certificate request for a key that lies on a token, and stays there.

What is to be signed is made for a stand-in key of the same kind, whose public key then gives its
place to that of the token. The token signs the result as it signs claims.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from guard.errors import SigningKeyUnavailable
from guard.provenance import der, pki
from guard.provenance.request import (
    REQUEST_NAME,
    Applicant,
    RequestFiles,
    ready_folder,
    request_for,
    write_new,
)
from guard.provenance.signatures import algorithm_of
from guard.provenance.token_key import TokenAddress, find_key, sign_with

_EC_KEY = "1.2.840.10045.2.1"
_ED25519 = "1.3.101.112"


def create_token_request(
    out: Path, applicant: Applicant, uri: str, pin: str | None = None
) -> RequestFiles:
    """The request alone in ``out``, mode 0600, for the key at the address ``uri``.

    Raises InvalidInput for what cannot stand in a certificate, SettingsInvalid for a bad address,
    KeyInvalid when the key is not there or there is a request already, SigningKeyUnavailable when
    the token cannot be used, OutputUnwritable.
    """
    applicant.check()
    private = find_key(uri, pin)
    public = load_der_public_key(_public_key(private, TokenAddress.parse(uri)))
    algorithm = algorithm_of(public)
    signed = _signed(applicant, public, algorithm, private)
    request = x509.load_der_x509_csr(signed)
    if not request.is_signature_valid:
        raise _unusable("its signature does not verify with its public key")
    path = ready_folder(out, REQUEST_NAME) / REQUEST_NAME
    write_new(path, request.public_bytes(Encoding.PEM))
    return RequestFiles(path, None, algorithm, encrypted=False)


def _signed(applicant: Applicant, public: Any, algorithm: str, private: Any) -> bytes:
    stand_in = request_for(applicant, pki.new_key(algorithm), pss=True)  # which tokens sign
    whole, inner = der.read(stand_in.public_bytes(Encoding.DER)), stand_in.tbs_certrequest_bytes
    _, identifier, _ = der.children(whole.content)
    version, subject, _, attributes = der.children(der.read(inner).content)
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    info = der.sequence(version.raw, subject.raw, spki, attributes.raw)
    signature = sign_with(private, algorithm, info)
    if isinstance(public, ec.EllipticCurvePublicKey):
        half = len(signature) // 2
        r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
        signature = encode_dss_signature(r, s)
    return der.sequence(info, identifier.raw, der.element(der.BIT_STRING, b"\0", signature))


def _public_key(private: Any, address: TokenAddress) -> bytes:
    """DER SubjectPublicKeyInfo of the public key that the token keeps beside the private one."""
    import pkcs11

    try:
        public = private.session.get_key(
            object_class=pkcs11.ObjectClass.PUBLIC_KEY, label=address.label, id=address.id
        )
        return _spki(pkcs11, public)
    except (pkcs11.PKCS11Error, ValueError, KeyError, UnsupportedAlgorithm) as error:
        raise _unusable(f"its public key cannot be read ({type(error).__name__})") from error


def _spki(pkcs11: Any, public: Any) -> bytes:
    kind = pkcs11.Attribute
    if public.key_type == pkcs11.KeyType.RSA:
        modulus = int.from_bytes(public[kind.MODULUS], "big")
        numbers = rsa.RSAPublicNumbers(int.from_bytes(public[kind.PUBLIC_EXPONENT], "big"), modulus)
        encoded = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return bytes(encoded)
    point = bytes(public[kind.EC_POINT])
    if point[:1] == bytes([der.OCTET_STRING]):  # as PKCS#11 wants it; some tokens leave it bare
        point = der.read(point).content
    if public.key_type == pkcs11.KeyType.EC:
        parameters = bytes(public[kind.EC_PARAMS])
        identifier = der.sequence(der.oid(_EC_KEY), parameters)
    else:
        identifier = der.sequence(der.oid(_ED25519))
    return der.sequence(identifier, der.element(der.BIT_STRING, b"\0", point))


def _unusable(why: str) -> SigningKeyUnavailable:
    return SigningKeyUnavailable(
        f"The token's key cannot make a request: {why}.",
        hint="Make the pair on the token with both halves under one label, or use its own tool.",
    )
