"""Certificates bent in every way: reader and doctor must say the same of them."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from guard.provenance.container import extract_manifest_store
from guard.provenance.cose import active_label, signer_certificate
from guard.provenance.doctor import AnchorList, examine, parse_certificates
from guard.provenance.read import read_manifest
from guard.provenance.trust import TrustList, anchors_of
from tests.support.certificates import CASES, Lab
from tests.support.crooked import BENT
from tests.support.resigning import signed_by

STRICTER = {"eku_documents", "eku_claims"}
"""This verifier trusts them; those that go by c2pa's own list of usages do not."""


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab()


@pytest.fixture(scope="module")
def trust(lab: Lab) -> TrustList:
    claims = anchors_of("known", lab.claim_anchors, date="", uri="urn:test:claims")
    clocks = anchors_of("clocks", lab.tsa_anchors, date="", uri="urn:test:clocks")
    return TrustList((claims,), (clocks,))


def test_a_weak_key_is_not_trusted(lab: Lab, trust: TrustList) -> None:
    weak = lab.pki.issue(key=rsa.generate_private_key(65537, 1024))  # noqa: S505  # it is to be
    reading = read_manifest(signed_by(weak), "image/png", trust)
    assert reading is not None
    assert reading.state != "trusted"


@pytest.mark.parametrize("bent", list(BENT))
def test_reader_and_doctor_agree_on_every_bend(bent: str, lab: Lab, trust: TrustList) -> None:
    """An error of the doctor's is a signer that nobody trusts; without errors it is trusted."""
    leaf = lab.leaf(**BENT[bent])
    reading = read_manifest(signed_by(leaf), "image/png", trust)
    found = examine((leaf.certificate, lab.pki.issuing.certificate))
    assert reading is not None
    if not any(one.rule == "usages_default" for one in found.findings):
        assert (reading.state == "trusted") == found.valid, (reading.problems, found.findings)


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/webp", "image/tiff"])
def test_other_formats(media_type: str, lab: Lab, trust: TrustList) -> None:
    good = signed_by(lab.pki.signer, stamp=lab.stamp(0), media_type=media_type)
    reading = read_manifest(good, media_type, trust)
    assert reading is not None
    assert reading.state == "trusted"


def test_the_doctor_refuses_what_verifiers_refuse(lab: Lab) -> None:
    """What is wrong with a certificate itself is an error before anything is signed with it."""
    anchors = [AnchorList("known", parse_certificates(lab.claim_anchors, "root"))]
    seen = 0
    for name, case in CASES.items():
        if not name.startswith(("good", "eku_", "ca_", "no_", "only_", "expired", "not_yet")):
            continue
        store = extract_manifest_store(case.file(lab), "image/png") or b""
        leaf = signer_certificate(store, active_label(store))
        assert leaf is not None
        found = examine((leaf, lab.pki.issuing.certificate), anchors=anchors)
        seen += 1
        if name in STRICTER or name.startswith("expired"):
            assert not found.valid, name
        else:
            assert found.valid == case.trusted, (name, found.findings)
    assert seen > 20
