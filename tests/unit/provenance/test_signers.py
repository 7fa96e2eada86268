"""Every way in which a signer's certificate can be right or wrong, and what the engines make of it.

None of these certificates says anything about the picture: what was not changed is never read as
changed, and what was changed is, whoever signed it.
"""

from __future__ import annotations

import pytest

from guard.provenance.read import ManifestReading, examine_manifest
from guard.provenance.trust import TrustList, anchors_of
from tests.support.certificates import CASES, Lab


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab()


@pytest.fixture(scope="module")
def known(lab: Lab) -> TrustList:
    signers = anchors_of("signers", lab.claim_anchors, date="", uri="urn:signers")
    clocks = anchors_of("clocks", lab.tsa_anchors, date="", uri="urn:clocks")
    return TrustList((signers,), (clocks,))


def look(data: bytes, trust: TrustList) -> ManifestReading:
    reading = examine_manifest(data, "image/png", trust)
    assert reading is not None
    return reading


@pytest.mark.parametrize("name", list(CASES))
def test_signer(lab: Lab, known: TrustList, name: str) -> None:
    case = CASES[name]
    data = case.file(lab)
    reading = look(data, known)
    assert reading.state in {"trusted", "valid"}, case.why
    if case.trusted is not None:
        assert (reading.state == "trusted") is case.trusted, case.why
    assert (reading.trust_list == "signers") is (reading.state == "trusted")
    assert bool(reading.problems) is (reading.state == "valid")
    assert (reading.revoked is not None) is case.revoked

    changed = look(data[:-200] + bytes([data[-200] ^ 1]) + data[-199:], known)
    assert (changed.state, changed.hard_binding_only) == ("invalid", True), case.why
    assert changed.agreement is True


def test_without_the_list_of_clocks_an_old_signature_is_not_trusted(
    lab: Lab, known: TrustList
) -> None:
    data = CASES["expired_stamped"].file(lab)
    assert look(data, known).state == "trusted"
    assert look(data, TrustList(known.lists)).state == "valid"


def test_a_clock_alone_trusts_nobody(lab: Lab, known: TrustList) -> None:
    """Also where all anchors of signers are missing, and where an expired one brings a stamp."""
    only_clocks = TrustList((), known.clocks)
    for name in ("good", "tsa_anchored", "tsa_signs", "expired_stamped", "good_stamped"):
        assert look(CASES[name].file(lab), only_clocks).state == "valid", name
