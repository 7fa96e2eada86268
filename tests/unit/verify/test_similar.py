"""Look-alikes: found by either fingerprint, in any position, and never against the other one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from guard.audit.base import Similar, StoredRecord
from guard.image.blocks import describe
from guard.image.fingerprint import ALGORITHM, ISCC, distinctiveness, fingerprints, turned
from guard.types import Event, Fingerprint, Pixels
from guard.verify.similar import (
    AGREES,
    DISTINCT,
    NEAR,
    SAME_PICTURE,
    agrees,
    find_lookalike,
    find_lookalikes,
)
from tests.support.auditing import new_record_id, pictured
from tests.support.house import picture
from tests.support.mark_pictures import scene, striped


class Shelf:
    """A log that holds a few records and compares with all of them."""

    def __init__(self, *records: StoredRecord) -> None:
        self.records = records
        self.asked: list[int] = []

    def find_similar(
        self, prints: list[Fingerprint], max_distance: int, limit: int = 1
    ) -> tuple[Similar, ...]:
        self.asked.append(len(prints))
        found = [
            Similar(stored, apart(one, print_), place)
            for stored in self.records
            for place, print_ in enumerate(prints)
            for one in (stored.record.fingerprint, *stored.record.other_fingerprints)
            if one is not None
            and one.algorithm == print_.algorithm
            and apart(one, print_) <= max_distance
        ]
        return tuple(sorted(found, key=lambda one: one.distance)[:limit])


def apart(a: Fingerprint, b: Fingerprint) -> int:
    return (int(a.bits, 16) ^ int(b.bits, 16)).bit_count()


def flip(print_: Fingerprint, bits: int) -> Fingerprint:
    return replace(print_, bits=f"{int(print_.bits, 16) ^ ((1 << bits) - 1):064x}")


def stored(pixels: Pixels, *, pdq: int = 0, iscc: int = 0, others: bool = True) -> StoredRecord:
    """A record of ``pixels`` whose fingerprints are so many bits off."""
    first, second = fingerprints(pixels)
    record = pictured(
        new_record_id(),
        Event.RELEASED,
        fingerprint=flip(first, pdq),
        other_fingerprints=(flip(second, iscc),) if others else (),
    )
    return StoredRecord(record, None)


def described(pixels: Pixels, *, pdq: int = 0, iscc: int = 0) -> StoredRecord:
    """As :func:`stored`, with what the picture looks like."""
    return replace(stored(pixels, pdq=pdq, iscc=iscc), blocks=describe(pixels))


def test_a_copy_is_found_as_it_stands() -> None:
    shelf = Shelf(stored(picture(1)), stored(picture(2)))
    found = find_lookalike(shelf, picture(2))  # type: ignore[arg-type]
    assert found is not None
    assert found.stored is shelf.records[1]
    assert (found.bits_apart, found.position) == (0, 0)
    assert [one.algorithm for one, _ in found.near] == [ALGORITHM, ISCC]
    assert shelf.asked == [2]


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_turned_copies_are_found(turns: int, mirrored: bool) -> None:
    shelf = Shelf(stored(picture(3)))
    pixels = np.rot90(picture(3), turns)
    found = find_lookalike(shelf, (pixels[:, ::-1] if mirrored else pixels).copy())  # type: ignore[arg-type]
    assert found is not None
    assert found.position > 0
    assert shelf.asked == [2, 14]


@pytest.mark.parametrize(
    ("pdq", "iscc", "found"),
    [
        (0, AGREES, True),
        (0, AGREES + 1, False),
        (AGREES, 0, True),
        (AGREES + 1, 0, False),
        (SAME_PICTURE, SAME_PICTURE, True),
        (SAME_PICTURE + 1, SAME_PICTURE + 1, False),
    ],
)
def test_the_other_fingerprint_must_not_speak_against_it(pdq: int, iscc: int, found: bool) -> None:
    shelf = Shelf(stored(picture(4), pdq=pdq, iscc=iscc))
    assert (find_lookalike(shelf, picture(4)) is not None) is found  # type: ignore[arg-type]


def test_older_records_have_one_fingerprint() -> None:
    shelf = Shelf(stored(picture(5), others=False))
    found = find_lookalike(shelf, picture(5))  # type: ignore[arg-type]
    assert found is not None
    assert [one.algorithm for one, _ in found.near] == [ALGORITHM]


def test_flat_pictures_are_not_found_without_a_description() -> None:
    plain = np.full((64, 64, 3), 120, np.uint8)
    shelf = Shelf(stored(plain))
    assert find_lookalike(shelf, plain) is None  # type: ignore[arg-type]


def test_flat_pictures_are_not_found_by_a_plain_description() -> None:
    plain = np.full((256, 256, 3), 120, np.uint8)
    shelf = Shelf(described(plain))
    assert find_lookalike(shelf, plain) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("position", range(8))
def test_a_nearly_flat_picture_is_found_by_what_little_it_shows(position: int) -> None:
    lamp = striped()
    assert distinctiveness(lamp) < DISTINCT
    shelf = Shelf(described(striped(0.6)), described(lamp))
    copy = np.ascontiguousarray(turned(lamp, position))
    found = find_lookalike(shelf, copy)  # type: ignore[arg-type]
    assert found is not None
    assert found.stored is shelf.records[1]
    assert find_lookalike(Shelf(stored(lamp)), copy) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(("bits", "found"), [(NEAR, True), (NEAR + 1, False)])
def test_what_a_description_vouches_for_may_be_further_away(bits: int, found: bool) -> None:
    own, other = scene(3, 384, 384), scene(4, 384, 384)
    near = described(own, pdq=bits, iscc=bits)
    assert (find_lookalike(Shelf(near), own) is not None) is found  # type: ignore[arg-type]
    lying = replace(near, blocks=describe(other))
    assert find_lookalike(Shelf(lying), own) is None  # type: ignore[arg-type]
    assert find_lookalike(Shelf(replace(near, blocks=None)), own) is None  # type: ignore[arg-type]


def test_several_nearest_first() -> None:
    shelf = Shelf(stored(picture(6), pdq=20, iscc=20), stored(picture(6), pdq=4, iscc=4))
    found = find_lookalikes(shelf, picture(6), 5)  # type: ignore[arg-type]
    assert found[0].bits_apart == 4
    assert {id(one.stored) for one in found} == {id(one) for one in shelf.records}
    assert len(find_lookalikes(shelf, picture(6), 1)) == 1  # type: ignore[arg-type]


def test_fingerprints_of_unknown_algorithms_say_nothing() -> None:
    record = pictured(new_record_id(), fingerprint=Fingerprint("old", "00" * 32))
    assert agrees(StoredRecord(record, None), fingerprints(picture(7)))
