"""Has c2pa build and embed a manifest store around a signature box of the size that we need.

The library signs what it builds, so it is given a key of its own: made here, for nobody, and
never seen outside, since the whole signature box is filled anew. It makes the box 1,088 bytes
larger than the certificate that it is handed (measured: c2pa-rs 0.91), so a certificate with an
extension of the right length makes the box as large as we want.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from guard.provenance.manifest import CREATED_LABELS
from guard.provenance.pki import key_usage
from guard.provenance.trust import CLAIM_SIGNER_USAGES, TrustList

if TYPE_CHECKING:
    from c2pa import Context, Signer

ROOM_STEP = 512
"""Boxes are made in steps of so many bytes, so that few scaffolds serve every need."""

_LISTS = "urn:genguard:trust:lists"
"""What a manifest says of the lists by which an original's was judged: not what they are called."""

_SIGNED_FOR_NOBODY = "genguard scaffold (signs for nobody)"
_FILLER = x509.ObjectIdentifier("2.25.329800735698586629295641978511506172918")  # X.667: a UUID's
_YEARS = timedelta(days=36500)  # it is used for as long as the process runs
_OVERHEAD = 1088


@dataclass(frozen=True, slots=True)
class Part:
    """A picture that goes into a manifest as an ingredient, with what is said of it."""

    said: dict[str, Any]
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Draft:
    """A file with a manifest store that is not signed by anybody yet, and the store alone."""

    data: bytes
    store: bytes


def draft(
    encoded: bytes, definition: dict[str, Any], part: Part | None, *, room: int, trust: TrustList
) -> Draft:
    """Build and embed a manifest with a signature box of ``room`` bytes or somewhat more.

    ``trust`` is what a manifest in ``part`` is checked by. Raises C2paError.
    """
    from c2pa import Builder

    out = BytesIO()
    signer = _signer(-(-room // ROOM_STEP) * ROOM_STEP)
    with Builder(definition, context=_context(trust)) as builder:
        if part is not None:
            builder.add_ingredient(part.said, part.media_type, BytesIO(part.data))
        store = builder.sign(signer, definition["format"], BytesIO(encoded), out)
    return Draft(out.getvalue(), store)


@lru_cache(maxsize=64)
def _signer(room: int) -> Signer:
    from c2pa import C2paSignerInfo, Signer

    key = ed25519.Ed25519PrivateKey.generate()
    bare = _certificate(key, 0)
    missing = room - _OVERHEAD - len(bare.public_bytes(Encoding.DER))
    filled = _certificate(key, missing) if missing > 0 else bare
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Signer.from_info(
        C2paSignerInfo(b"ed25519", filled.public_bytes(Encoding.PEM), pem, None)
    )


def _certificate(key: ed25519.Ed25519PrivateKey, filler: int) -> x509.Certificate:
    """One that the library takes for a signer's; issued by a key that is thrown away here."""
    issuer = ed25519.Ed25519PrivateKey.generate()
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _SIGNED_FOR_NOBODY)])
    above = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{_SIGNED_FOR_NOBODY}: issuer")])
    public = key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(above)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _YEARS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(("digital_signature",)), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False
        )
    )
    if filler:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(_FILLER, bytes(filler)), critical=False
        )
    return builder.sign(issuer, None)


@lru_cache(maxsize=32)
def _context(trust: TrustList) -> Context:
    """For building only: what comes out is verified elsewhere, as a whole."""
    from c2pa import Context

    anchors = "".join(one.pem for one in trust.lists)
    settings: dict[str, Any] = {
        "trust": {
            "trust_config": "\n".join(CLAIM_SIGNER_USAGES),
            "anchors": [{"trust_anchors": anchors, "trust_kind": "manifest", "trust_uri": _LISTS}],
        },
        "verify": {"verify_after_sign": False, "remote_manifest_fetch": False},
        "core": {"allowed_network_hosts": []},
        "builder": {
            "thumbnail": {"enabled": False},
            "created_assertion_labels": list(CREATED_LABELS),
        },
    }
    return Context.from_dict(settings)
