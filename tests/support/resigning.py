"""Files signed with any certificate at all, with any time-stamp and any OCSP answers.

The c2pa library refuses to sign with a bad certificate, and a verifier must be shown just those.
So it signs with a good development key, through a callback, which makes it leave plenty of room;
then the signature box is written anew here over the same claim. Nothing else of the file moves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from io import BytesIO

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from PIL import Image

from guard.provenance import cbor, der, stamping
from guard.provenance.container import extract_manifest_store, replace_manifest_store
from guard.provenance.cose import CLAIM, SIGNATURE, active_label, cbor_of, to_be_signed
from guard.provenance.development import DevelopmentPki
from guard.provenance.pki import Credential, PrivateKey

_ALGORITHMS = {"es256": -7, "es384": -35, "es512": -36, "ps256": -37, "ed25519": -8}
_HASHES = {"es256": hashes.SHA256(), "es384": hashes.SHA384(), "es512": hashes.SHA512()}


@dataclass(frozen=True)
class Stamp:
    """A time-stamp: who makes it, and the time it states."""

    authority: Credential
    when: datetime
    broken: bool = False
    """Over another signature than the one that it stands beside."""


def algorithm_of(key: PrivateKey) -> str:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return {256: "es256", 384: "es384"}.get(key.key_size, "es512")
    return "ps256"


def signed_by(
    credential: Credential,
    *,
    stamp: Stamp | None = None,
    ocsp: tuple[bytes, ...] = (),
    chain: tuple[x509.Certificate, ...] | None = None,
    media_type: str = "image/png",
) -> bytes:
    """A generated picture whose claim ``credential`` signed.

    ``chain``: the certificates that stand in the signature, default: without the root. ``ocsp``:
    DER answers that are stapled.
    """
    file = _prepared(media_type)
    store = extract_manifest_store(file, media_type) or b""
    label = active_label(store)
    claim, box = cbor_of(store, label, CLAIM), cbor_of(store, label, SIGNATURE)
    if chain is None:
        above = (one for one in credential.issuers if one.subject != one.issuer)
        chain = (credential.certificate, *above)
    signer = (credential.key, chain)
    content = signature_box(
        signer, store[claim.body : claim.end], box.end - box.body, stamp=stamp, ocsp=ocsp
    )
    changed = store[: box.body] + content + store[box.end :]
    return replace_manifest_store(file, media_type, changed)


def signature_box(
    signer: tuple[PrivateKey, tuple[x509.Certificate, ...]],
    claim: bytes,
    size: int,
    *,
    stamp: Stamp | None = None,
    ocsp: tuple[bytes, ...] = (),
) -> bytes:
    """COSE_Sign1 of exactly ``size`` bytes, by a key and with a chain."""
    key, chain = signer
    algorithm = algorithm_of(key)
    certificates = [cbor.byte_string(one.public_bytes(Encoding.DER)) for one in chain]
    shown = certificates[0] if len(certificates) == 1 else cbor.array(*certificates)
    protected = _map(
        (cbor.head(0, 1), cbor.head(1, -1 - _ALGORITHMS[algorithm])), (cbor.head(0, 33), shown)
    )
    signature = _sign(key, algorithm, to_be_signed(protected, claim))
    headers = []
    if stamp is not None:
        headers.append((cbor.text_string("sigTst2"), _tokens(stamp, protected, signature)))
    if ocsp:
        answers = cbor.array(*(cbor.byte_string(one) for one in ocsp))
        headers.append((cbor.text_string("rVals"), _map((cbor.text_string("ocspVals"), answers))))
    for spare in range(size):
        pad = (cbor.text_string("pad"), cbor.byte_string(bytes(size - spare)))
        whole = cbor.head(6, 18) + cbor.array(
            cbor.byte_string(protected),
            _map(*headers, pad),
            b"\xf6",
            cbor.byte_string(signature),
        )
        if len(whole) == size:
            return whole
    raise AssertionError("the signature does not fit into the room that was left")


def _map(*pairs: tuple[bytes, bytes]) -> bytes:
    return cbor.head(5, len(pairs)) + b"".join(key + value for key, value in pairs)


def _tokens(stamp: Stamp, protected: bytes, signature: bytes) -> bytes:
    """C2PA 2.4 section 10.3.2.5: the token covers the signature (version 2 of the time-stamp)."""
    covered = cbor.array(
        cbor.text_string("CounterSignature"),
        cbor.byte_string(protected),
        cbor.byte_string(b""),
        cbor.byte_string(cbor.byte_string(signature[::-1] if stamp.broken else signature)),
    )
    digest = hashes.Hash(hashes.SHA256())
    digest.update(covered)
    sha256 = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"), der.element(der.NULL))
    imprint = der.sequence(sha256, der.octets(digest.finalize()))
    asked = der.sequence(der.integer(1), imprint, der.element(der.BOOLEAN, b"\xff"))
    answer = stamping.reply(stamping.read_request(asked), stamp.authority, stamp.when)
    _, token = der.children(der.read(answer).content)
    entry = _map((cbor.text_string("val"), cbor.byte_string(token.raw)))
    return _map((cbor.text_string("tstTokens"), cbor.array(entry)))


def _sign(key: PrivateKey, algorithm: str, message: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(_HASHES[algorithm])))
        width = (key.key_size + 7) // 8
        return r.to_bytes(width, "big") + s.to_bytes(width, "big")
    return key.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())


@lru_cache(maxsize=8)
def _prepared(media_type: str) -> bytes:
    """A signed picture with plenty of room in its signature box."""
    from c2pa import Builder, C2paSigningAlg, Context, Signer

    signer = DevelopmentPki.create().signer
    native = Signer.from_callback(
        lambda data: _sign(signer.key, "es256", data), C2paSigningAlg.ES256, _text(signer), None
    )
    picture, out = BytesIO(), BytesIO()
    noise = np.random.default_rng(7).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(picture, media_type.split("/")[1].upper())
    settings = {"builder": {"thumbnail": {"enabled": False}}}
    with Builder(_DEFINITION, context=Context.from_dict(settings)) as builder:
        builder.sign(native, media_type, BytesIO(picture.getvalue()), out)
    return out.getvalue()


def _text(credential: Credential) -> str:
    return credential.chain_pem.decode("ascii")


_DEFINITION = json.dumps(
    {
        "claim_generator_info": [{"name": "certificate tests", "version": "1"}],
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "data": {
                    "actions": [
                        {
                            "action": "c2pa.created",
                            "digitalSourceType": "http://cv.iptc.org/newscodes/"
                            "digitalsourcetype/trainedAlgorithmicMedia",
                        }
                    ]
                },
            }
        ],
    }
)
