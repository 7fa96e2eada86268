"""Pictures and facts for the provenance tests."""

from __future__ import annotations

import struct
import zlib
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from guard.image.encode import encode
from guard.image.fingerprint import fingerprint
from guard.provenance.base import ManifestFacts
from guard.provenance.manifest import definition
from guard.provenance.services import Services
from guard.provenance.sign import C2paSigner
from guard.provenance.trust import TrustList, context_for
from guard.provenance.xmp import xmp_packet
from guard.types import Mark, Origin, Pixels

RECORD_ID = "01934a7e-0000-7000-8000-000000000001"
PAYLOAD = "0123456789abcdef"


def picture(seed: int = 0, height: int = 96, width: int = 128) -> Pixels:
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(seed).integers(0, 32, (height, width, 3))
    ramp = np.stack([x % 200, y % 200, (x + y + 40 * seed) % 200], axis=-1)
    return (ramp + noise).astype(np.uint8)


def facts(origin: Origin = Origin.GENERATED, **changed: object) -> ManifestFacts:
    values: dict[str, object] = {
        "record_id": RECORD_ID,
        "origin": origin,
        "when": datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC),
        "model": "demo@1f2e3d",
        "mark": Mark("genguard-pilot-1", PAYLOAD, 42.0),
        "fingerprint": fingerprint(picture()),
        "provider": "Example Images",
        "screened_by": ("opennsfw",),
    }
    return ManifestFacts(**(values | changed))  # type: ignore[arg-type]


def sign(signer: C2paSigner, kind: str = "image/png", seed: int = 0, **changed: object) -> bytes:
    stated = facts(**changed)
    return signer.sign(encode(picture(seed), kind, xmp=xmp_packet(stated)), kind, stated).bytes


class Roomy(Services):
    """Leaves room in the signature box for what a test puts there."""

    @property
    def room(self) -> int:
        return 8192


def library_signer(home: Path) -> Any:
    """c2pa's own signer with a home's keys."""
    return _library_signer(home / "keys" / "signing.pem", home / "keys" / "signing.key")


def _library_signer(chain: Path, key: Path) -> Any:
    from c2pa import C2paSignerInfo, Signer

    return Signer.from_info(C2paSignerInfo(b"es256", chain.read_bytes(), key.read_bytes(), None))


def signed_by_the_library(
    chain: Path, key: Path, kind: str = "image/png", **changed: object
) -> bytes:
    """A file that c2pa signed by itself (ES256): also with what we would not sign with."""
    from c2pa import Builder

    out = BytesIO()
    stated = definition(facts(**changed), kind)
    with Builder(stated, context=context_for(TrustList())) as builder:
        builder.sign(_library_signer(chain, key), kind, BytesIO(encode(picture(), kind)), out)
    return out.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + crc


def with_store(data: bytes, store: bytes) -> bytes:
    """A PNG with ``store`` where its manifest store belongs."""
    return data[:33] + chunk(b"caBX", store) + data[33:]
