"""Raw signatures as COSE wants them (RFC 9053): made with a key at hand, and checked.

ECDSA is r‖s of fixed width (section 2.1); key services answer DER instead, which is translated.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from guard.errors import KeyInvalid

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

HASHES: dict[str, hashes.HashAlgorithm] = {
    "es256": hashes.SHA256(),
    "es384": hashes.SHA384(),
    "es512": hashes.SHA512(),
    "ps256": hashes.SHA256(),
}
"""Algorithm, as c2pa names it → what it hashes with. Ed25519 hashes by itself."""

COSE_NUMBERS = {"es256": -7, "es384": -35, "es512": -36, "ps256": -37, "ed25519": -8}
"""Algorithm → its number in the COSE registry (RFC 9053 sections 2.1 and 2.2, RFC 8230)."""

_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_PSS = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)
_MIN_RSA_BITS = 2048  # C2PA 2.4 section 13.2.1
_HINT = "C2PA signs with ES256, ES384, ES512, PS256 or Ed25519."


def algorithm_of(public: object) -> str:
    """What a public key signs with, as c2pa names it. Raises KeyInvalid for what C2PA lacks."""
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "ed25519"
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size < _MIN_RSA_BITS:
            raise KeyInvalid(f"An RSA key of {public.key_size} bits is too short.", hint=_HINT)
        return "ps256"
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise KeyInvalid("C2PA knows no signatures with keys of this kind.", hint=_HINT)
    if public.curve.name not in _CURVES:
        raise KeyInvalid(f"C2PA knows no signatures on {public.curve.name}.", hint=_HINT)
    return _CURVES[public.curve.name]


def sign_raw(private: PrivateKey, message: bytes) -> bytes:
    """The signature of ``message``."""
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private.sign(message)
    if isinstance(private, rsa.RSAPrivateKey):
        return private.sign(message, _PSS, hashes.SHA256())
    hashed = HASHES[algorithm_of(private.public_key())]
    return raw_of(private.sign(message, ec.ECDSA(hashed)), _width(private.curve))


def raw_of(signature: bytes, width: int) -> bytes:
    """r‖s, ``width`` bytes each, from DER. Raises ValueError for what is no DER signature."""
    r, s = decode_dss_signature(signature)
    try:
        return r.to_bytes(width, "big") + s.to_bytes(width, "big")
    except OverflowError as error:
        raise ValueError("a signature of another curve") from error


def in_cose_form(public: object, signature: bytes) -> bytes:
    """The signature as COSE wants it; DER is translated. Raises ValueError."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        width = _width(public.curve)
        return signature if len(signature) == 2 * width else raw_of(signature, width)
    return signature


def holds(public: object, message: bytes, signature: bytes) -> bool:
    """Whether a signature in COSE's form is that of ``message``."""
    try:
        _verify(public, message, signature)
    except InvalidSignature:
        return False
    return True


def _verify(public: object, message: bytes, signature: bytes) -> None:
    if isinstance(public, ed25519.Ed25519PublicKey):
        public.verify(signature, message)
    elif isinstance(public, rsa.RSAPublicKey):
        public.verify(signature, message, _PSS, hashes.SHA256())
    elif isinstance(public, ec.EllipticCurvePublicKey):
        width = _width(public.curve)
        r, s = (int.from_bytes(part, "big") for part in (signature[:width], signature[width:]))
        der = encode_dss_signature(r, s)
        public.verify(der, message, ec.ECDSA(HASHES[algorithm_of(public)]))
    else:
        raise InvalidSignature


def signature_size(public: object) -> int:
    """Bytes of a signature in COSE's form."""
    if isinstance(public, rsa.RSAPublicKey):
        return public.key_size // 8
    return 2 * _width(public.curve) if isinstance(public, ec.EllipticCurvePublicKey) else 64


def _width(curve: ec.EllipticCurve) -> int:
    """Bytes of r and of s."""
    return (curve.key_size + 7) // 8
