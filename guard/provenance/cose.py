"""The signature of a claim: COSE_Sign1 (RFC 9052), its payload detached (C2PA 2.4, 13.2)."""

from __future__ import annotations

from typing import Any

from cryptography import x509

from guard.provenance import cbor, jumbf

CLAIM = "c2pa.claim.v2"
SIGNATURE = "c2pa.signature"
ASSERTIONS = "c2pa.assertions"

_X5CHAIN = 33  # RFC 9360
_X5CHAIN_BEFORE = "x5chain"  # what claims wrote before that had a number


def signer_certificate(store: bytes, manifest_label: str) -> x509.Certificate | None:
    """The certificate that signed a manifest; None where it cannot be found beyond doubt."""
    try:
        protected, unprotected, _, _ = signature_parts(store, manifest_label)
        headers = cbor.decode(protected)
        chain = headers.get(_X5CHAIN) or headers.get(_X5CHAIN_BEFORE)
        chain = chain or unprotected.get(_X5CHAIN) or unprotected.get(_X5CHAIN_BEFORE)
        leaf = chain if isinstance(chain, bytes) else chain[0]
        return x509.load_der_x509_certificate(leaf)
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def active_label(store: bytes) -> str:
    """The label of the active manifest, which is the last one. Raises ValueError."""
    top = jumbf.find(store)
    inner = list(jumbf.boxes(store, top.body, top.end)) if top is not None else []
    label = jumbf.label_of(store, inner[-1]) if inner else None
    if label is None:
        raise ValueError("the store holds no manifest")
    return label


def signature_parts(store: bytes, manifest_label: str) -> list[Any]:
    """Protected header (bytes), unprotected header (map), payload (None) and signature (bytes).

    Raises ValueError when the manifest has no such signature.
    """
    box = cbor_of(store, manifest_label, SIGNATURE)
    parts = cbor.decode(store[box.body : box.end])
    if not isinstance(parts, list) or len(parts) != 4:
        raise ValueError("not a COSE_Sign1 structure")
    return parts


def cbor_of(store: bytes, *labels: str) -> jumbf.Box:
    """The CBOR content box at a path of labels. Raises ValueError."""
    superbox = jumbf.find(store, *labels)
    box = jumbf.content(store, superbox, b"cbor") if superbox is not None else None
    if box is None:
        raise ValueError(f"no CBOR at {'/'.join(labels)}")
    return box


def to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """The Sig_structure of RFC 9052 section 4.4, with no external data."""
    return cbor.array(
        cbor.text_string("Signature1"),
        cbor.byte_string(protected),
        cbor.byte_string(b""),
        cbor.byte_string(payload),
    )
