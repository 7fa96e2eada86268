"""Turned and mirrored copies whose mark is gone: their fingerprints find them all the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from guard.image.decode import decode
from guard.image.encode import encode
from guard.provenance.trust import load_trust
from guard.types import Detection, Pixels, Released, VerdictName
from guard.verify.suspect import Verifier
from tests.support.house import House, picture

TURNS: dict[str, Callable[[Pixels], Pixels]] = {
    "as it stands": lambda pixels: pixels,
    "a quarter": np.rot90,
    "upside down": lambda pixels: np.rot90(pixels, 2),
    "mirrored": lambda pixels: pixels[:, ::-1],
}


class Blind:
    """Sees no mark."""

    method = "genguard-pilot-3"

    def detect(self, _pixels: Pixels) -> Detection:
        return Detection(detected=False, payload=None, method=self.method, p_value=1.0)


def test_turned_copies_are_recovered(house: House) -> None:
    outcome = house.generate()
    assert isinstance(outcome, Released)
    verifier = Verifier(load_trust(house.home), Blind(), house.log)  # type: ignore[arg-type]
    pixels = decode(outcome.images[0].bytes).pixels
    for name, turn in TURNS.items():
        copy = encode(np.ascontiguousarray(turn(pixels)), "image/jpeg")
        report = verifier.examine(copy)
        assert report.verdict is VerdictName.RECOVERED, name
        assert report.record is not None
        assert report.record["record_id"] == outcome.record_id
        assert report.record["found_by"] == "fingerprint"
        other = encode(np.ascontiguousarray(turn(picture(60))), "image/jpeg")
        assert verifier.examine(other).verdict is VerdictName.NOTHING_FOUND, name
