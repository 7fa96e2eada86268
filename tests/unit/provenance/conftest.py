"""Keys and signed pictures for the provenance tests; every key is made here, at test time."""

from __future__ import annotations

from pathlib import Path

import pytest

from guard.provenance.keys import create_development_keys, load_signing_keys
from guard.provenance.sign import C2paSigner
from guard.provenance.trust import TrustList, load_trust

from .kit import sign


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
