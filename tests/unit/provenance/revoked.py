"""OCSP answers for test certificates, and files with such an answer stapled to their signature."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from guard.provenance import cbor, jumbf
from guard.provenance.container import extract_manifest_store, replace_manifest_store
from guard.provenance.cose import active_label

from .authority import Authority, name, usage

REVOKED_AT = datetime(2026, 11, 1, tzinfo=UTC)


def answer(
    authority: Authority,
    leaf: x509.Certificate,
    *,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.REVOKED,
    delegated: bool = False,
    forger: Authority | None = None,
) -> bytes:
    """An answer about ``leaf`` (DER), signed by the issuing CA itself or by its responder.

    ``forger``: another authority signs, so that the answer proves nothing.
    """
    now = datetime.now(UTC)
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    by = forger or authority
    signer, signing_key = responder(by) if delegated else (by.certificate, by.key)
    built = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            leaf,
            authority.certificate,
            hashes.SHA1(),  # noqa: S303  # what OCSP names certificates by (RFC 6960)
            cert_status=status,
            this_update=now - timedelta(minutes=1),
            next_update=now + timedelta(days=1),
            revocation_time=REVOKED_AT if revoked else None,
            revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, signer)
    )
    if delegated:
        built = built.certificates([signer])
    return built.sign(signing_key, hashes.SHA256()).public_bytes(Encoding.DER)


def responder(
    authority: Authority, purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.OCSP_SIGNING
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate under ``authority`` that may answer for it, if that is its purpose."""
    key = ec.generate_private_key(ec.SECP256R1())
    start = datetime.now(UTC) - timedelta(hours=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name("Test responder"))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.OCSPNoCheck(), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority.id),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )
    return certificate, key


def stapled(data: bytes, media_type: str, *answers: bytes) -> bytes:
    """The file with ``answers`` in the unprotected header of its signature, its length kept."""
    store = extract_manifest_store(data, media_type) or b""
    superbox = jumbf.find(store, active_label(store), "c2pa.signature")
    assert superbox is not None
    box = jumbf.content(store, superbox, b"cbor")
    assert box is not None
    protected, unprotected, payload, signature = cbor.decode(store[box.body : box.end])
    assert payload is None
    room = len(unprotected["pad"])
    values = cbor.text_string("rVals") + (
        cbor.head(5, 1) + cbor.text_string("ocspVals") + cbor.array(*map(cbor.byte_string, answers))
    )
    start = cbor.head(6, 18) + cbor.head(4, 4) + cbor.byte_string(protected)
    end = b"\xf6" + cbor.byte_string(signature)
    for pad in range(room, 0, -1):
        header = cbor.head(5, 2) + values + cbor.text_string("pad") + cbor.byte_string(bytes(pad))
        whole = start + header + end
        if len(whole) == box.end - box.body:
            return replace_manifest_store(
                data, media_type, store[: box.body] + whole + store[box.end :]
            )
    raise AssertionError("the answers do not fit")
