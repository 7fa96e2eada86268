from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guard.errors import KeyInvalid
from guard.provenance.keys import create_development_keys
from guard.provenance.trust import (
    CLOCKS_FOLDER,
    CLOCKS_NAME,
    DEVELOPMENT_CLOCK,
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


@pytest.mark.parametrize("name", ["C2PA-TRUST-LIST.pem", "C2PA-TSA-TRUST-LIST.pem"])
def test_the_shipped_lists_are_those_that_their_readme_describes(name: str) -> None:
    import hashlib
    from importlib.resources import files

    folder = files("guard.provenance").joinpath("trust_lists")
    digest = hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest()
    readme = folder.joinpath("README.md").read_text()
    assert digest in readme
    assert OFFICIAL_DATE in readme
    assert "CC BY 4.0" in readme


def test_time_stamping_authorities_are_no_anchors_of_signers(tmp_path: Path) -> None:
    """The library does not enforce an anchor's kind: such a root would trust ordinary signers."""
    trust = load_trust(tmp_path)
    (clocks,) = trust.clocks
    assert clocks.pem.count("BEGIN CERTIFICATE") == 22
    assert len(clocks.certificates) == 22
    assert trust.name_of(clocks.uri) is None


def test_what_a_list_is_for_is_said_by_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "trust" / CLOCKS_FOLDER).mkdir(parents=True)
    (tmp_path / "trust" / CLOCKS_FOLDER / "clock.pem").write_bytes(Authority().pem)
    trust = load_trust(tmp_path)
    assert [one.name for one in trust.lists] == [OFFICIAL_NAME]
    assert [one.name for one in trust.clocks] == [CLOCKS_NAME, "clock"]


def test_the_development_clock_is_named(tmp_path: Path) -> None:
    create_development_keys(tmp_path, ocsp_url="http://127.0.0.1:9/ocsp")
    trust = load_trust(tmp_path)
    assert [one.name for one in trust.clocks] == [CLOCKS_NAME, DEVELOPMENT_CLOCK]
    assert [one.name for one in trust.lists] == [OFFICIAL_NAME, DEVELOPMENT_NAME]


def test_a_newer_official_list_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "trust").mkdir()
    pem = Authority().pem
    (tmp_path / "trust" / "c2pa.pem").write_bytes(pem)
    note = {"sha256": hashlib.sha256(pem).hexdigest(), "date": "2027-01-02", "source": "there"}
    (tmp_path / "trust" / "c2pa.json").write_text(json.dumps(note))
    (official,) = load_trust(tmp_path).lists
    assert (official.name, official.date) == (OFFICIAL_NAME, "2027-01-02")
    assert official.source == "there"
    assert official.sha256 == note["sha256"]
    assert official.pem.encode() == pem


@pytest.mark.parametrize(
    ("note", "complaint"),
    [
        ('{"sha256": "00"}', "not what was added"),
        ("{}", "no SHA-256"),
        ("[]", "no SHA-256"),
        ("nonsense", "cannot be read"),
    ],
)
def test_a_list_that_is_not_what_was_pinned_is_refused(
    tmp_path: Path, note: str, complaint: str
) -> None:
    (tmp_path / "trust").mkdir()
    (tmp_path / "trust" / "x.pem").write_bytes(Authority().pem)
    (tmp_path / "trust" / "x.json").write_text(note)
    with pytest.raises(KeyInvalid, match=complaint) as raised:
        load_trust(tmp_path)
    assert "guard trust add" in raised.value.hint


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
