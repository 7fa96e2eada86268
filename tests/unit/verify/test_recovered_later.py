"""Recovery after the signer's certificate has ended: the log proves that it was valid then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from guard.image.decode import decode
from guard.image.encode import encode
from guard.provenance.read import EXPIRED, examine_stored
from guard.provenance.trust import TrustList, load_trust
from guard.types import Released, VerdictName
from guard.verify import suspect
from guard.verify.suspect import Verifier
from tests.support.house import House


@pytest.fixture
def years_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both engines say of kept manifests what they say once the certificate has ended."""

    def expired(*asked: object) -> object:
        reading = examine_stored(*asked)  # type: ignore[arg-type]
        return replace(reading, state="valid", trust_list=None, problems=(EXPIRED,), engines=())

    monkeypatch.setattr(suspect, "examine_stored", expired)


@pytest.mark.usefixtures("years_later")
@pytest.mark.parametrize(
    ("trusted", "verdict"), [(True, VerdictName.RECOVERED), (False, VerdictName.MARKED)]
)
def test_a_manifest_outlives_its_certificate(
    house: House, trusted: bool, verdict: VerdictName
) -> None:
    outcome = house.generate()
    assert isinstance(outcome, Released)
    trust = load_trust(house.home) if trusted else TrustList()
    copy = encode(decode(outcome.images[0].bytes).pixels, "image/png")
    report = Verifier(trust, house.rooms.watermark, house.log).examine(copy)
    assert report.verdict is verdict
    assert report.provenance is not None
    assert report.provenance["state"] == ("trusted" if trusted else "valid")
