"""Outcomes of the hallway, with real rooms around a fake generator."""

from __future__ import annotations

from guard.types import Event, Released
from tests.support.house import House


def test_released_picture_is_on_disk_and_on_record(house: House) -> None:
    outcome = house.generate()

    assert isinstance(outcome, Released)
    assert house.files() == [outcome.path]
    assert outcome.path.read_bytes() == outcome.images[0].bytes
    assert house.events() == [Event.STARTED, Event.RELEASED]
