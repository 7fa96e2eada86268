"""Keys, pictures and facts for the provenance tests; every key is made here, at test time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from guard.image.encode import encode
from guard.image.fingerprint import fingerprint
from guard.provenance.base import ManifestFacts
from guard.provenance.keys import create_development_keys, load_signing_keys
from guard.provenance.sign import C2paSigner
from guard.provenance.trust import TrustList, load_trust
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


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    create_development_keys(home)
    return home


@pytest.fixture(scope="session")
def signer(home: Path) -> C2paSigner:
    return C2paSigner(load_signing_keys(home))


@pytest.fixture(scope="session")
def trust(home: Path) -> TrustList:
    return load_trust(home)


@pytest.fixture(scope="session")
def signed(signer: C2paSigner) -> dict[str, bytes]:
    """Media type → a signed generated picture."""
    return {kind: sign(signer, kind) for kind in ("image/png", "image/jpeg", "image/webp")}


def sign(signer: C2paSigner, kind: str = "image/png", seed: int = 0, **changed: object) -> bytes:
    stated = facts(**changed)
    return signer.sign(encode(picture(seed), kind, xmp=xmp_packet(stated)), kind, stated).bytes
