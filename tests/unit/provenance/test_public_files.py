"""Pictures that others signed: the JPEGs of c2pa-org/public-testfiles, where they are there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from guard.provenance.read import extract_manifest_store, read_manifest, verify_stored
from guard.provenance.trust import load_trust

SHARED = Path(os.environ.get("GENGUARD_SHARED", Path(__file__).parents[4] / "shared"))
FOLDER = SHARED / "data" / "c2pa" / "public-testfiles"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason=f"NOT TESTED: pictures signed by others are missing ({FOLDER}); set GENGUARD_SHARED",
)

EXPECTED = {
    "A": None,
    "I": None,
    "C": "valid",
    "CA": "valid",
    "CACA": "valid",
    "CAI": "valid",
    "CI": "valid",
    "CICA": "valid",
    "CIE-sig-CA": "valid",
    "XCA": "invalid",
    "XCI": "invalid",
    "E-dat-CA": "invalid",
    "E-sig-CA": "invalid",
    "E-uri-CA": "invalid",
    "E-clm-CAICAI": "invalid",
}


@pytest.mark.parametrize("name", list(EXPECTED))
def test_state(name: str, tmp_path: Path) -> None:
    data = (FOLDER / f"adobe-20220124-{name}.jpg").read_bytes()
    trust = load_trust(tmp_path)
    reading = read_manifest(data, "image/jpeg", trust)
    assert (reading.state if reading else None) == EXPECTED[name]
    if reading is not None:
        assert reading.trust_list is None
        assert reading.hard_binding_only == (name in {"XCA", "XCI", "E-dat-CA"})
        store = extract_manifest_store(data, "image/jpeg")
        assert store is not None
        detached = verify_stored(store, "image/jpeg", trust)
        intact = EXPECTED[name] == "valid" or reading.hard_binding_only
        assert detached.state == ("valid" if intact else "invalid")


def test_every_file_is_tested() -> None:
    names = {path.stem.removeprefix("adobe-20220124-") for path in FOLDER.glob("*.jpg")}
    assert names == set(EXPECTED)
