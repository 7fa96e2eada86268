"""One key, one payload, and a watermark made once: its key schedule takes a few milliseconds."""

from __future__ import annotations

import pytest

from guard.watermark.keys import MarkKey
from guard.watermark.pilot_watermark import PilotWatermark

SECRET = b"a secret for tests, 32 bytes now"
OTHER_SECRET = b"another secret for tests, 32 too"


@pytest.fixture(scope="session")
def key() -> MarkKey:
    return MarkKey(SECRET)


@pytest.fixture(scope="session")
def watermark() -> PilotWatermark:
    return PilotWatermark(SECRET)


@pytest.fixture(scope="session")
def other_watermark() -> PilotWatermark:
    return PilotWatermark(OTHER_SECRET)


@pytest.fixture
def payload() -> bytes:
    return bytes.fromhex("0123456789abcdef")
