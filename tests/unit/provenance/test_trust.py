from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guard.errors import KeyInvalid
from guard.provenance.keys import create_development_keys
from guard.provenance.trust import (
    DEVELOPMENT_NAME,
    OFFICIAL_DATE,
    OFFICIAL_NAME,
    TrustList,
    anchors_of,
    load_trust,
)

from .authority import Authority


def test_a_bare_home_trusts_the_official_list(tmp_path: Path) -> None:
    (official,) = load_trust(tmp_path).lists
    assert (official.name, official.date) == (OFFICIAL_NAME, OFFICIAL_DATE)
    assert official.pem.count("BEGIN CERTIFICATE") == 30
    assert "Subject" not in official.pem


def test_the_shipped_list_is_the_one_that_its_readme_describes() -> None:
    import hashlib
    from importlib.resources import files

    folder = files("guard.provenance").joinpath("trust_lists")
    digest = hashlib.sha256(folder.joinpath("C2PA-TRUST-LIST.pem").read_bytes()).hexdigest()
    readme = folder.joinpath("README.md").read_text()
    assert digest in readme
    assert OFFICIAL_DATE in readme
    assert "CC BY 4.0" in readme


def test_no_time_stamping_authority_is_loaded() -> None:
    """The library does not enforce an anchor's kind: such a root would trust ordinary signers."""
    from importlib.resources import files

    shipped = [one.name for one in files("guard.provenance").joinpath("trust_lists").iterdir()]
    assert sorted(shipped) == ["C2PA-TRUST-LIST.pem", "README.md"]


def test_own_and_further_lists_are_named(tmp_path: Path) -> None:
    create_development_keys(tmp_path)
    (tmp_path / "trust").mkdir()
    (tmp_path / "trust" / "partners.pem").write_bytes(b"# ours\n" + Authority().pem)
    trust = load_trust(tmp_path)
    assert [one.name for one in trust.lists] == [OFFICIAL_NAME, DEVELOPMENT_NAME, "partners"]
    assert trust.lists[1].date == datetime.now(UTC).date().isoformat()
    assert len({one.uri for one in trust.lists}) == 3
    for one in trust.lists:
        assert trust.name_of(one.uri) == one.name
    assert trust.name_of("urn:tsa") is None
    assert trust.name_of(None) is None
    assert TrustList().name_of("urn:x") is None


@pytest.mark.parametrize("where", ["keys/ca.pem", "trust/x.pem"])
@pytest.mark.parametrize("content", [b"", b"garbage"])
def test_a_list_that_is_none_is_refused_at_once(tmp_path: Path, where: str, content: bytes) -> None:
    path = tmp_path / where
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(KeyInvalid, match="no PEM certificates"):
        load_trust(tmp_path)


def test_an_unreadable_list(tmp_path: Path) -> None:
    (tmp_path / "trust" / "x.pem").mkdir(parents=True)
    with pytest.raises(KeyInvalid, match="cannot be read"):
        load_trust(tmp_path)


def test_certificates_stay_out_of_the_repr() -> None:
    assert "BEGIN" not in repr(anchors_of("x", Authority().pem, date="", uri="urn:x"))


def test_nothing_is_imported_before_it_is_needed() -> None:
    import subprocess
    import sys

    code = "import sys, guard.provenance.read, guard.provenance.sign; print('c2pa' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "False"
