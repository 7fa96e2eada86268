"""The detector on its own: its stages, its budget, and what it says was done to a picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from guard.types import Pixels
from guard.watermark import bands, canonical, detect, search, shaping
from guard.watermark.assurance import damage
from guard.watermark.bands import FINENESSES
from guard.watermark.canonical import PERIOD
from guard.watermark.chips import Spreader
from guard.watermark.code import Code, Decoded
from guard.watermark.detect import Detector, Found
from guard.watermark.embed import STRENGTHS, Embedder
from guard.watermark.keys import MarkKey
from guard.watermark.pilot import Pilot
from guard.watermark.placement import placements
from tests.support.mangling import half, noisy, resized, turned
from tests.support.mark_pictures import KINDS, flat_art, noise, scene

PAYLOAD = b"8 bytes!"
LIMIT = 1e-9
LEAST_CROP = 162


class Bench:
    """The parts of one key."""

    def __init__(self, key: MarkKey, limit: float = LIMIT) -> None:
        code, pilot = Code(), Pilot(key)
        spreader = Spreader(key, code.code_bits)
        self.embedder = Embedder(pilot, spreader, code, STRENGTHS["default"])
        self.detector = Detector(pilot, spreader, code, limit)
        self.parts = (pilot, spreader, code)


@pytest.fixture(scope="module")
def bench(key: MarkKey) -> Bench:
    return Bench(key)


@pytest.fixture(scope="module")
def marked(bench: Bench) -> Pixels:
    return bench.embedder.embed(scene(2), PAYLOAD)


def test_the_same_frame_needs_no_search(
    bench: Bench, marked: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "search", None)
    for copy in (marked, resized(marked, 0.5), noisy(marked), 255 - marked):
        found = bench.detector.find(copy)
        assert (found.payload, found.geometry) == (PAYLOAD, "same frame")
        assert found.p_value < LIMIT


def test_without_a_search_a_crop_is_not_found(bench: Bench, marked: Pixels) -> None:
    assert bench.detector.find(half(marked), search=False).payload is None
    found = bench.detector.find(half(marked))
    assert found.payload == PAYLOAD
    assert float(found.geometry.split()[-2]) == pytest.approx(512, abs=3)


def test_a_limit_is_kept(bench: Bench, marked: Pixels) -> None:
    """What a looser limit takes, a stricter one refuses, and says the same of chance."""
    battered = noisy(resized(marked, 0.5), 9)
    loose = bench.detector.find(battered, search=False)
    strict = Detector(*bench.parts, loose.p_value / 10).find(battered, search=False)
    assert loose.payload == PAYLOAD
    assert strict.payload is None
    assert strict.p_value == pytest.approx(loose.p_value)


def test_a_strangers_mark_is_chance(marked: Pixels) -> None:
    found = Bench(MarkKey(b"the secret of another house, long")).detector.find(marked)
    assert found.payload is None
    assert found.geometry == ""
    assert found.p_value > 1e-3


def test_a_pilot_without_a_payload_is_not_a_mark(bench: Bench) -> None:
    """The p-value tells of the pilot; nothing is made up where no payload reads."""
    tile = np.tile(bench.parts[0].pattern(), (2, 2))[..., None]
    pixels = np.rint(128 + 6 * tile).astype(np.uint8).repeat(3, 2)
    found = bench.detector.find(resized(pixels, 1.2)[:300, :320])
    assert found.payload is None
    assert found.p_value < 1e-3


@pytest.mark.parametrize("shape", [(1, 1), (1, 9000), (9000, 1), (23, 23), (23, 4000)])
def test_slivers_have_no_room_for_a_mark(bench: Bench, shape: tuple[int, int]) -> None:
    assert bench.detector.find(noise(0, *shape)) == Found(1.0)


@pytest.mark.parametrize("shape", [(64, 6000), (6000, 64), (24, 24)])
@pytest.mark.parametrize("value", [255, None])
def test_ribbons_have_none(bench: Bench, shape: tuple[int, int], value: int | None) -> None:
    pixels = noise(0, *shape) if value is None else np.full((*shape, 3), value, np.uint8)
    found = bench.detector.find(pixels)
    assert found.payload is None
    assert 1e-3 < found.p_value <= 1.0


def test_of_a_ribbon_the_beginning_is_read(bench: Bench) -> None:
    ribbon = bench.embedder.embed(scene(4, 160, 2400), PAYLOAD)
    assert bench.detector.find(ribbon, search=False).payload == PAYLOAD
    spoilt = ribbon.copy()
    spoilt[:, detect.LONGEST_LOOK * 160 :] = 0
    assert bench.detector.find(spoilt, search=False) == bench.detector.find(ribbon, search=False)


# -- planes -----------------------------------------------------------------------------------


class Laid:
    """A marked square picture, and the fineness of the plane that its mark should lie on."""

    def __init__(self, bench: Bench, kind: str, side: int) -> None:
        self.pixels = bench.embedder.embed(KINDS[kind](2, side, side), PAYLOAD)
        self.side = side
        self.fineness = bands.finenesses(-math.inf if kind == "flat art" else math.inf, side)[0]
        self.number = FINENESSES.index(self.fineness)


@pytest.fixture(
    scope="module",
    params=[("scene", 1024), ("scene", 512), ("scene", 180), ("flat art", 1024), ("flat art", 512)],
    ids=lambda one: f"{one[0]} of {one[1]}",
)
def laid(request: pytest.FixtureRequest, bench: Bench) -> Laid:
    return Laid(bench, *request.param)


def _on_plane(bench: Bench, pixels: Pixels, fineness: float) -> Decoded | None:
    plane = canonical.luma(pixels)
    own = canonical.to_canonical(
        plane, canonical.scale_of(plane.shape[0], plane.shape[1], fineness)
    )
    seen, power = detect._spectrum(shaping.flatten(own))
    found = bench.detector._in_place(seen, power, fineness, detect._Tally())
    return None if found is None else found[1]


def test_lies_on_its_plane_and_no_other(bench: Bench, laid: Laid) -> None:
    for number, fineness in enumerate(FINENESSES):
        found = _on_plane(bench, laid.pixels, fineness)
        assert found == ((PAYLOAD, number) if number == laid.number else None)


@pytest.mark.parametrize("factor", [1.0, 0.75])
def test_every_plane_is_read_in_the_same_frame(bench: Bench, laid: Laid, factor: float) -> None:
    found = bench.detector.find(resized(laid.pixels, factor), search=False)
    assert (found.payload, found.geometry) == (PAYLOAD, "same frame")
    assert found.placement is not None
    # Its place is known, not only modulo a period: it is told in units of the coarsest plane.
    assert found.placement.shift == pytest.approx((PERIOD / 2, PERIOD / 2))


def test_every_plane_is_read_after_a_crop(bench: Bench, laid: Laid) -> None:
    # Half of each side; of the smallest, as much as a search needs.
    kept = max(laid.side // 2, LEAST_CROP)
    first = (laid.side - kept) // 2 + 4
    last = first + kept
    found = bench.detector.find(np.ascontiguousarray(laid.pixels[first - 8 : last - 8, first:last]))
    assert found.payload == PAYLOAD
    assert float(found.geometry.split()[-2]) == pytest.approx(laid.side, rel=0.01)
    where = found.placement
    assert where is not None
    assert where.period == pytest.approx(PERIOD / laid.fineness)
    matrix, half_side = np.array(where.matrix), (last - first) / 2
    corner = matrix @ (-half_side, -half_side) + np.array(where.shift)
    expected = np.array([first, first - 8]) * PERIOD / laid.side
    off = (corner - expected + where.period / 2) % where.period - where.period / 2
    assert np.abs(off).max() < 1.5


def test_every_plane_is_read_where_its_place_is_known(bench: Bench, laid: Laid) -> None:
    whole = laid.pixels.shape[:2]
    assert bench.detector.reads(laid.pixels, (0, 0), whole, PAYLOAD)
    part, corner = damage("crop90-jpeg90").copy(laid.pixels)
    assert bench.detector.reads(part, corner, whole, PAYLOAD)
    assert not bench.detector.reads(part, (corner[0] + 9, corner[1]), whole, PAYLOAD)


def test_a_corner_is_not_taken_for_the_whole(bench: Bench) -> None:
    """Cut to where another plane of the corner coincides with that of the whole."""
    side = max(1024, bands.LARGE_SIDE)
    _, fine, finest = FINENESSES
    cut = round(side * fine / finest)
    corner = bench.embedder.embed(scene(2, side, side), PAYLOAD)[:cut, :cut]
    assert _on_plane(bench, corner, fine) == (PAYLOAD, FINENESSES.index(finest))
    found = bench.detector.find(np.ascontiguousarray(corner))
    assert found.payload == PAYLOAD
    assert found.geometry != "same frame"
    assert float(found.geometry.split()[-2]) == pytest.approx(side, rel=0.01)


# -- without a search -------------------------------------------------------------------------


def test_reads_a_part_whose_place_is_known(bench: Bench, marked: Pixels) -> None:
    whole = marked.shape[:2]
    assert bench.detector.reads(marked, (0, 0), whole, PAYLOAD)
    part, corner = damage("crop90-jpeg75").copy(marked)
    assert bench.detector.reads(part, corner, whole, PAYLOAD)
    # Near misses: another payload, another place, no mark.
    assert not bench.detector.reads(marked, (0, 0), whole, b"8 bytes?")
    assert not bench.detector.reads(part, (corner[0] + 9, corner[1]), whole, PAYLOAD)
    assert not bench.detector.reads(scene(2), (0, 0), whole, PAYLOAD)


def test_a_crop_that_a_search_would_miss_does_not_count(
    bench: Bench, marked: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, corner = damage("crop90-jpeg75").copy(marked)
    monkeypatch.setattr(detect, "FOUND_BY_SEARCH", 1e6)
    assert not bench.detector.reads(part, corner, marked.shape[:2], PAYLOAD)
    assert bench.detector.reads(marked, (0, 0), marked.shape[:2], PAYLOAD)


# -- words ------------------------------------------------------------------------------------


class Seen:
    """As much of an observation as is needed to put a placement into words."""

    reduction = 0.5


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ((0.0,), "short side of the whole 512 px"),
        ((0.0, 0.0, 1.0), "mirrored, short side of the whole 512 px"),
        ((0.0, np.pi / 2), "turned 90.0° clockwise, short side of the whole 512 px"),
        (
            (np.log(2.0), -np.pi / 6),
            "turned 30.0° counter-clockwise, short side of the whole 1024 px",
        ),
        ((0.0, 2 * np.pi), "short side of the whole 512 px"),
        ((0.0, np.pi), "turned upside down, short side of the whole 512 px"),
        ((0.0, 0.0, 0.0, 0.2), "stretched 1.221:1, short side of the whole 512 px"),
        ((0.0, 5e-4, 0.0, 5e-3), "short side of the whole 512 px"),
    ],
)
@pytest.mark.parametrize("fineness", FINENESSES)
def test_geometry_in_words(columns: tuple[float, ...], words: str, fineness: float) -> None:
    """On a finer plane the same picture has fewer of its own pixels to a canonical one."""
    row = placements(columns[0] - math.log(fineness), *columns[1:])[0]
    assert detect._geometry(row, Seen(), fineness) == words  # type: ignore[arg-type]


def test_turns_are_told_as_they_were_made(bench: Bench, marked: Pixels) -> None:
    found = bench.detector.find(turned(marked, 33, 0.7))
    assert found.payload == PAYLOAD
    turn, size = found.geometry.split(", ")
    assert float(turn.removeprefix("turned ").removesuffix("° clockwise")) == pytest.approx(
        33, abs=0.5
    )
    assert float(size.split()[-2]) == pytest.approx(0.7 * 512, abs=4)


def test_large_pictures_are_searched_at_reduced_size(bench: Bench) -> None:
    """The words speak of the picture as it was given."""
    pixels = np.asarray(cv2.resize(flat_art(3), (1500, 1300)), np.uint8)
    marked = bench.embedder.embed(pixels, PAYLOAD)
    found = bench.detector.find(marked[100:1200, 150:1400])
    assert found.payload == PAYLOAD
    assert float(found.geometry.split()[-2]) == pytest.approx(1300, rel=0.01)
