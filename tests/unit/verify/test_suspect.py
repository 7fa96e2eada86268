"""Suspect pictures, examined with real rooms: what a home makes of its own and others' pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from guard.cli.exits import Exit, of_verdict
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from guard import verify_image
from guard.assemble import build_verifier, build_watermark
from guard.errors import InvalidImage, StageMisbehaved
from guard.image.decode import decode
from guard.image.encode import encode
from guard.provenance.keys import create_development_keys
from guard.provenance.trust import load_trust
from guard.settings import Settings
from guard.types import Pixels, Released, VerdictName, VerificationReport
from guard.verify.suspect import Verifier
from tests.support.house import FLAGGED, House, picture

V = VerdictName


@pytest.fixture
def verifier(house: House) -> Verifier:
    return Verifier(load_trust(house.home), house.rooms.watermark, house.log)


@pytest.fixture
def released(house: House) -> bytes:
    outcome = house.generate()
    assert isinstance(outcome, Released)
    return outcome.images[0].bytes


def as_jpeg(data: bytes, quality: int = 80) -> bytes:
    """A copy without metadata."""
    out = BytesIO()
    Image.fromarray(decode(data).pixels).save(out, "JPEG", quality=quality)
    return out.getvalue()


def half_size(data: bytes) -> bytes:
    out = BytesIO()
    small = Image.fromarray(decode(data).pixels).resize((200, 200), Image.Resampling.LANCZOS)
    small.save(out, "PNG")
    return out.getvalue()


def with_mark_of(data: bytes, original: Pixels, other: Pixels) -> bytes:
    """``other`` with the difference between the released and the original picture."""
    mark = decode(data).pixels.astype(np.int16) - original
    return encode(np.clip(other + 3 * mark, 0, 255).astype(np.uint8), "image/png")


COPIES: dict[str, tuple[VerdictName, Callable[[bytes], bytes]]] = {
    "as it left": (V.TRUSTED, lambda data: data),
    "re-encoded": (V.RECOVERED, as_jpeg),
    "re-encoded badly": (V.RECOVERED, lambda data: as_jpeg(data, 60)),
    "scaled": (V.RECOVERED, half_size),
    "its mark on another picture": (
        V.ALTERED,
        lambda data: with_mark_of(data, picture(0), picture(50)),
    ),
}


@pytest.mark.parametrize(("verdict", "copy"), COPIES.values(), ids=COPIES)
def test_copy_of_a_released_picture(
    verifier: Verifier, released: bytes, verdict: VerdictName, copy: Callable[[bytes], bytes]
) -> None:
    report = verifier.examine(copy(released))

    assert report.verdict is verdict, report
    assert report.watermark is not None
    assert report.record is not None
    assert report.record["found_by"] == "watermark"


def test_report_of_a_released_picture_tells_one_story(
    house: House, verifier: Verifier, released: bytes
) -> None:
    report = verifier.examine(released)

    record = house.records()[-1]
    assert report.provenance is not None
    assert report.provenance["source"] == "embedded"
    assert report.provenance["record_id"] == record.record_id
    assert report.record["record_id"] == record.record_id
    assert report.watermark["payload"] == record.mark.payload
    assert report.fingerprint["bits_apart"] < 20
    assert record.record_id in report.explanation
    assert "development CA" in report.explanation


def test_signed_file_whose_pixels_were_edited_is_altered(
    house: House, verifier: Verifier, released: bytes
) -> None:
    """Its picture data replaced by those of an edited copy, its manifest kept."""
    pixels = decode(released).pixels.copy()
    pixels[100:140, 100:140] = 255
    edited = encode(pixels, "image/png")
    before, after = released.index(b"IDAT") - 4, released.rindex(b"IDAT") - 4
    end = after + int.from_bytes(released[after : after + 4], "big") + 12
    data = edited[edited.index(b"IDAT") - 4 : edited.index(b"IEND") - 4]

    report = verifier.examine(released[:before] + data + released[end:])

    assert report.verdict is V.ALTERED
    assert "changed after it was signed" in report.explanation


def test_manifest_moved_to_another_picture_is_altered(
    house: House, verifier: Verifier, released: bytes
) -> None:
    """The caBX chunk of one file in another."""
    other = encode(picture(8), "image/png")
    start = released.index(b"caBX") - 4
    length = int.from_bytes(released[start : start + 4], "big") + 12
    moved = other[:33] + released[start : start + length] + other[33:]

    report = verifier.examine(moved)

    assert report.verdict is V.ALTERED
    assert "changed after it was signed" in report.explanation
    assert report.watermark is None


def test_another_home_knows_neither_signer_nor_mark(released: bytes, tmp_path: Path) -> None:
    other = Settings(home=tmp_path / "other")
    create_development_keys(other.home)

    whole = verify_image(released, settings=other)
    bare = verify_image(as_jpeg(released), settings=other)

    assert (whole.verdict, whole.watermark, whole.record) == (V.UNKNOWN_SIGNER, None, None)
    assert bare.verdict is V.NOTHING_FOUND


def test_home_without_keys_can_verify(released: bytes, tmp_path: Path) -> None:
    assert verify_image(released, settings=Settings(home=tmp_path)).verdict is V.UNKNOWN_SIGNER


def test_same_secret_without_the_record_says_marked(
    house: House, released: bytes, default_policy: object
) -> None:
    verifier = Verifier(load_trust(house.home), house.rooms.watermark, None)

    report = verifier.examine(as_jpeg(released))

    assert (report.verdict, report.record) == (V.MARKED, None)
    assert "no record here" in report.explanation


def test_painted_over_mark_is_recovered_by_fingerprint(house: House, verifier: Verifier) -> None:
    """A picture whose mark is gone still looks like the one on record."""
    house.generate()

    report = verifier.examine(encode(picture(0), "image/png"))

    assert report.verdict is V.RECOVERED
    assert report.record["found_by"] == "fingerprint"
    assert "fingerprint" in report.explanation


def test_held_picture_that_leaked_is_not_vouched_for(house: House, verifier: Verifier) -> None:
    house.generate(FLAGGED)
    (waiting,) = house.rooms.quarantine.list()

    bare = verifier.examine(as_jpeg(waiting.path.read_bytes()))

    assert bare.verdict is V.MARKED
    assert "never released" in bare.explanation


def test_flat_picture_is_not_recognised_by_its_fingerprint(
    house: House, verifier: Verifier
) -> None:
    """All flat pictures look alike to a perceptual hash."""
    house.generate()

    report = verifier.examine(encode(np.full((256, 256, 3), 77, np.uint8), "image/png"))

    assert (report.verdict, report.record) == (V.NOTHING_FOUND, None)


def test_stored_manifest_that_cannot_be_read_recovers_nothing(
    verifier: Verifier, released: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StageMisbehaved("It cannot be read.")

    monkeypatch.setattr("guard.verify.suspect.examine_stored", fail)

    report = verifier.examine(as_jpeg(released))

    assert (report.verdict, report.provenance) == (V.MARKED, None)
    assert "no manifest that verifies" in report.explanation


@pytest.mark.parametrize("seed", [20, 21])
def test_plain_picture(house: House, verifier: Verifier, seed: int) -> None:
    house.generate()

    report = verifier.examine(encode(picture(seed), "image/png"))

    assert report.verdict is V.NOTHING_FOUND
    assert (report.provenance, report.watermark, report.record) == (None, None, None)
    assert report.labels == ()
    assert "does not mean" in report.explanation


def test_generators_text_is_an_unproven_label(verifier: Verifier) -> None:
    out, text = BytesIO(), PngInfo()
    text.add_text("parameters", "a boat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1")
    Image.fromarray(picture(30)).save(out, "PNG", pnginfo=text)

    report = verifier.examine(out.getvalue())

    assert report.verdict is V.LABEL_ONLY
    assert report.labels


def test_pixels_and_paths_are_examined_like_bytes(
    verifier: Verifier, released: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "x.png"
    file.write_bytes(released)
    reports = [
        verifier.examine(one) for one in (file, str(file), Image.fromarray(decode(released).pixels))
    ]

    assert [one.verdict for one in reports] == [V.TRUSTED, V.TRUSTED, V.RECOVERED]


def test_what_is_no_picture_is_an_error(verifier: Verifier, tmp_path: Path) -> None:
    for source in (b"", b"text", tmp_path / "gone.png"):
        with pytest.raises(InvalidImage):
            verifier.examine(source)


EXITS = {V.ALTERED: Exit.FINDING, V.UNKNOWN_SIGNER: Exit.REVIEW}


@pytest.mark.parametrize("verdict", VerdictName)
def test_exit_code(verdict: VerdictName) -> None:
    assert of_verdict(verdict) is EXITS.get(verdict, Exit.DONE)


def test_report_shows_nothing_personal(house: House, verifier: Verifier) -> None:
    outcome = house.generate("a quincunx at dawn", user="mallory", tenant="acme")
    assert isinstance(outcome, Released)

    report = verifier.examine(outcome.images[0].bytes)

    text = str(dataclasses.asdict(report)) if isinstance(report, VerificationReport) else ""
    for word in ("quincunx", "mallory", "acme"):
        assert word not in text


def test_verifier_of_a_home_finds_what_its_guard_released(house: House, released: bytes) -> None:
    settings = Settings(home=house.home)

    report = build_verifier(house.policy, settings).examine(released)

    assert report.verdict is V.TRUSTED
    assert build_watermark(house.policy, settings).detect(decode(released).pixels).detected
