"""invisible-watermark's methods behind our protocol: known messages, with a counted p-value."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from guard.errors import DetectorUnavailable, MarkRejected, SettingsInvalid
from guard.types import Pixels
from guard.watermark import legacy, rivagan
from guard.watermark.embed import psnr
from guard.watermark.foreign import EmpiricalNull
from guard.watermark.invisible import InvisibleWatermark, write_bits
from tests.support.mark_pictures import KINDS, flat_art, texture
from tests.support.tiny_onnx import Graph
from tests.support.tiny_trustmark import GRID, LOUDNESS, heard, patterns

SIDE = 256
MESSAGE, OTHER = bytes.fromhex("69966996"), bytes.fromhex("c0ffee11")
TWO = ("dwtDct", "dwtDctSvd")


@pytest.fixture(scope="module")
def host() -> Pixels:
    return (flat_art(2) // 2 + 64).astype(np.uint8)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in the place of the package's, with networks of the same signature."""
    frame = {"frame": [1, 3, 1, SIDE, SIDE]}
    flat = np.array([1, 3, SIDE, SIDE])
    rows = patterns()[: rivagan.LENGTH]
    graph = Graph(frame, {"out": [1, rivagan.LENGTH]})
    graph.node("Reshape", ["frame", graph.constant("flat_frame", flat)], "image")
    raised = graph.node(
        "Add",
        [heard(graph, "image", SIDE, rows), graph.constant("raise", np.full((1, 1), 0.52, "f4"))],
        "out",
    )
    assert raised == "out"
    (tmp_path / "rivagan_decoder.onnx").write_bytes(graph.model())
    (tmp_path / "rivagan_encoder.onnx").write_bytes(_encoder(frame, flat, rows))
    monkeypatch.setattr(rivagan, "_folder", lambda: tmp_path)
    rivagan._session.cache_clear()
    yield tmp_path
    rivagan._session.cache_clear()


def _encoder(frame: dict[str, list[int]], flat: np.ndarray, rows: np.ndarray) -> bytes:
    graph = Graph({**frame, "data": [1, len(rows)]}, {"out": [1, 3, 1, SIDE, SIDE]})
    graph.node("Reshape", ["frame", graph.constant("flat_frame", flat)], "image")
    have = heard(graph, "image", SIDE, rows)
    loud = graph.node(
        "Mul", ["data", graph.constant("twice", np.full((1, 1), 2 * LOUDNESS, "f4"))], "loud"
    )
    wanted = graph.node(
        "Sub", [loud, graph.constant("once", np.full((1, 1), LOUDNESS, "f4"))], "wanted"
    )
    missing = graph.node("Sub", [wanted, have], "missing")
    added = graph.node("MatMul", [missing, graph.constant("voices", rows)], "added")
    shape = graph.constant("grid_shape", np.array([1, 1, GRID, GRID]))
    grid = graph.node("Reshape", [added, shape], "grid")
    sizes = graph.constant("sizes", np.array([1, 1, SIDE, SIDE]))
    full = graph.node("Resize", [grid, "", "", sizes], "full", mode="nearest")
    marked = graph.node("Add", ["image", full], "marked")
    back = graph.constant("back", np.array([1, 3, 1, SIDE, SIDE]))
    graph.node("Reshape", [marked, back], "out")
    return graph.model()


@pytest.mark.parametrize("method", TWO)
def test_known_messages_are_found(host: Pixels, method: str) -> None:
    mark = InvisibleWatermark(method, [OTHER, MESSAGE])
    before = host.copy()
    marked = mark.embed(host, MESSAGE)
    found = mark.detect(marked.pixels)
    assert (found.detected, found.payload, found.method) == (True, MESSAGE.hex(), method)
    assert found.p_value <= 1e-3
    assert marked.mark.method == mark.method == method
    assert marked.mark.payload == MESSAGE.hex()
    assert marked.mark.psnr_db > 35
    assert not marked.pixels.flags.writeable
    assert np.array_equal(host, before)


@pytest.mark.parametrize("method", TWO)
def test_a_message_that_is_not_sought_is_not_found(host: Pixels, method: str) -> None:
    marked = InvisibleWatermark(method, [MESSAGE]).embed(host, MESSAGE).pixels
    found = InvisibleWatermark(method, [OTHER]).detect(marked)
    assert (found.detected, found.payload) == (False, None)
    assert found.p_value > 1e-3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", TWO)
def test_unmarked_pictures_are_unmarked(kind: str, method: str) -> None:
    mark = InvisibleWatermark(method, [MESSAGE, OTHER])
    for seed in range(30, 33):
        assert not mark.detect(KINDS[kind](seed, 300, 400)).detected


def test_evidence_at_a_policys_rate_is_out_of_reach(host: Pixels) -> None:
    """The p-value is counted on pictures: an exact reading is no more than a label."""
    mark = InvisibleWatermark("dwtDct", [MESSAGE], false_positive_rate=1e-9)
    found = mark.detect(mark.embed(host, MESSAGE).pixels)
    assert not found.detected
    assert 1e-4 < found.p_value < 1e-3


def test_more_messages_cost_p(host: Pixels) -> None:
    null = EmpiricalNull(np.random.default_rng(0).integers(0, 2, (9999, 32), np.uint8))
    marked = InvisibleWatermark("dwtDct", [MESSAGE], null=null).embed(host, MESSAGE).pixels
    few, many = (
        InvisibleWatermark("dwtDct", [MESSAGE, *more], null=null).detect(marked).p_value
        for more in ([], [OTHER, b"abcd"])
    )
    assert many == pytest.approx(3 * few)


def test_a_small_null_can_still_tell(host: Pixels) -> None:
    null = EmpiricalNull(np.random.default_rng(0).integers(0, 2, (99, 32), np.uint8))
    mark = InvisibleWatermark("dwtDct", [MESSAGE], null=null)
    found = mark.detect(mark.embed(host, MESSAGE).pixels)
    assert (found.detected, found.p_value) == (True, 1 / 100)


@pytest.mark.parametrize(
    ("method", "messages"),
    [("sigil", [MESSAGE]), ("dwtDct", []), ("dwtDct", [b""]), ("dwtDct", [b"ab", b"abc"])],
)
def test_what_cannot_be_sought_is_refused(method: str, messages: list[bytes]) -> None:
    with pytest.raises(SettingsInvalid):
        InvisibleWatermark(method, messages)


def test_without_a_null_nothing_is_claimed() -> None:
    with pytest.raises(SettingsInvalid, match="No null") as missing:
        InvisibleWatermark("dwtDct", [b"nine bytes"])
    assert "Measure one" in missing.value.hint


def test_what_does_not_carry_is_rejected(host: Pixels) -> None:
    mark = InvisibleWatermark("dwtDct", [MESSAGE])
    white = np.full((300, 300, 3), 255, np.uint8)
    for pixels in (white, texture(0, 100, 100)):
        with pytest.raises(MarkRejected):
            mark.embed(pixels, MESSAGE)
        assert not mark.detect(pixels).detected
    with pytest.raises(ValueError, match="4 bytes, not 8"):
        mark.embed(host, bytes(8))


@pytest.mark.parametrize("shape", [(257, 301), (1024, 70)])
def test_odd_sizes_are_written_and_read(shape: tuple[int, int]) -> None:
    bits = np.unpackbits(np.frombuffer(MESSAGE, np.uint8))
    marked = write_bits(texture(1, *shape), "dwtDctSvd", bits)
    assert marked.shape == (*shape, 3)
    assert legacy.decode_bits(marked, "dwtDctSvd", 32) == "".join(map(str, bits))


@pytest.mark.usefixtures("models")
def test_rivagan_reads_what_it_wrote(host: Pixels) -> None:
    mark = InvisibleWatermark("rivaGan", [MESSAGE, OTHER], false_positive_rate=1e-2)
    pixels = np.ascontiguousarray(host[:SIDE, :SIDE])
    marked = mark.embed(pixels, OTHER)
    assert psnr(pixels, marked.pixels) > 30
    found = mark.detect(marked.pixels)
    assert (found.detected, found.payload) == (True, OTHER.hex())
    assert not mark.detect(pixels).detected


@pytest.mark.usefixtures("models")
def test_rivagan_has_32_bits(host: Pixels) -> None:
    with pytest.raises(ValueError, match="32 bits, not 31"):
        legacy.decode_bits(host, "rivaGan", 31)


def test_a_broken_model_is_an_error(models: Path, host: Pixels) -> None:
    (models / "rivagan_decoder.onnx").write_bytes(b"no model")
    with pytest.raises(DetectorUnavailable, match="cannot be opened") as broken:
        InvisibleWatermark("rivaGan", [MESSAGE]).detect(host)
    assert "pip install" in broken.value.hint


def test_rivagan_needs_the_package(host: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imwatermark", None)
    rivagan._session.cache_clear()
    assert not rivagan.installed()
    with pytest.raises(DetectorUnavailable) as missing:
        legacy.decode_bits(host, "rivaGan", 32)
    assert "pip install" in missing.value.hint


def test_the_packages_own_models(host: Pixels) -> None:
    if importlib.util.find_spec("imwatermark") is None:
        pytest.skip("invisible-watermark is not installed: pip install --no-deps it")
    mark = InvisibleWatermark("rivaGan", [MESSAGE, OTHER], false_positive_rate=1e-2)
    assert rivagan.installed()
    pixels = np.ascontiguousarray(host[:300, :300])
    marked = write_bits(pixels, "rivaGan", np.unpackbits(np.frombuffer(MESSAGE, np.uint8)))
    assert marked.shape == pixels.shape
    assert mark.detect(marked).payload in {MESSAGE.hex(), None}
    assert "torch" not in rivagan.__dict__
