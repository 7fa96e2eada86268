"""Key derivation: separation between secrets and purposes, and a stream that never changes."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pytest

from guard.errors import KeyInvalid
from guard.watermark.keys import MarkKey

FIRST, SECOND = b"1" * 32, b"1" * 31 + b"2"


def _hkdf_sha256(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 for one block, written from the RFC."""
    extracted = hmac.new(salt, secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def test_streams_are_hkdf_then_shake() -> None:
    seed = _hkdf_sha256(FIRST, b"genguard watermark", b"genguard-pilot-3/stream/chips")
    expected = np.frombuffer(hashlib.shake_256(seed).digest(80), dtype="<u8")
    assert np.array_equal(MarkKey(FIRST).stream("chips", 10), expected)


def test_one_bit_of_secret_changes_everything() -> None:
    first, second = MarkKey(FIRST), MarkKey(SECOND)
    assert first.key_id != second.key_id
    differing = first.stream("chips", 4096) ^ second.stream("chips", 4096)
    share = np.bitwise_count(differing).sum() / (64 * 4096)
    assert abs(share - 0.5) < 0.01


def test_purposes_are_independent() -> None:
    key = MarkKey(FIRST)
    assert not np.intersect1d(key.stream("chips", 4096), key.stream("places", 4096)).size


def test_key_id_names_but_does_not_reveal() -> None:
    key = MarkKey(FIRST)
    assert len(bytes.fromhex(key.key_id)) == 8
    assert key.key_id not in {FIRST.hex()[:16], hashlib.sha256(FIRST).hexdigest()[:16]}
    assert FIRST.decode() not in repr(key)


def test_uniform_fills_the_unit_interval() -> None:
    values = MarkKey(FIRST).uniform("phases", 10_000)
    assert values.min() >= 0.0
    assert values.max() < 1.0
    assert abs(values.mean() - 0.5) < 0.02


@pytest.mark.parametrize("secret", [b"", b"fifteen bytes..", "text" * 8, None, bytearray(32)])
def test_refuses_what_is_no_secret(secret: object) -> None:
    with pytest.raises(KeyInvalid) as caught:
        MarkKey(secret)  # type: ignore[arg-type]
    assert "GUARD_MARK_SECRET" in caught.value.hint
