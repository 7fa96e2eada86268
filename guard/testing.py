"""Contracts that every plug-in keeps: inherit one in a test, say how to make yours, run pytest.

::

    from guard.testing import DetectorContract

    class TestMine(DetectorContract):
        def make(self):
            return MyDetector()

The hallway checks every answer again at run time; these tests say beforehand, and more exactly,
what it will trip over.
"""

# ruff: noqa: S101  # assertions are what this module is for

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, ClassVar

import numpy as np

from guard.classify.base import Detector
from guard.errors import MarkRejected
from guard.generate.base import Generator
from guard.image.decode import decode
from guard.image.encode import encode
from guard.image.fingerprint import fingerprint
from guard.provenance.base import ManifestFacts, Signer
from guard.types import GenerationRequest, Mark, Origin, Pixels, RawImage
from guard.watermark.base import PAYLOAD_BYTES, Watermark

LEAST_PSNR_DB = 30.0
"""A mark below this shows."""

UNMARKED_P = 1e-6
"""An unmarked picture with a smaller p-value was called marked, or nearly."""

SIZES = ((64, 64), (300, 200), (96, 640), (641, 97))
"""Heights and widths that detectors meet: small, odd, very wide and very tall."""


def sample_picture(seed: int = 0, height: int = 384, width: int = 384) -> Pixels:
    """Soft blobs of colour, read-only as in the hallway: uint8, (height, width, 3)."""
    from PIL import Image

    coarse = np.random.default_rng(seed).integers(0, 256, (12, 12, 3)).astype(np.uint8)
    soft = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(soft, dtype=np.uint8)
    pixels.setflags(write=False)
    return pixels


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and len(text) == 64 and not set(text) - set("0123456789abcdef")


def _is_name(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= 200 and text.isprintable()


class DetectorContract(ABC):
    """What ``guard.classify.base.Detector`` promises."""

    @abstractmethod
    def make(self) -> Detector:
        """A detector, ready to score."""

    def test_id_names_it_for_good(self) -> None:
        """A printable name, the same each time: it stands in policies and records."""
        assert _is_name(self.make().id)
        assert self.make().id == self.make().id

    def test_digest_names_its_weights(self) -> None:
        """SHA-256 in lower-case hex: it stands in every score."""
        assert _is_digest(self.make().model_digest)

    def test_scores_are_probabilities_whatever_the_shape(self) -> None:
        """Every category each time, each a number in 0–1; the picture is left as it was."""
        detector, categories = self.make(), set()
        for height, width in SIZES:
            pixels = sample_picture(1, height, width)
            before = pixels.copy()
            scores = detector.score(pixels)
            assert scores
            assert all(_is_name(category) for category in scores)
            assert all(math.isfinite(v) and 0.0 <= v <= 1.0 for v in scores.values())
            assert np.array_equal(pixels, before)
            categories.add(frozenset(scores))
        assert len(categories) == 1

    def test_same_picture_same_scores_also_in_threads(self) -> None:
        """A decision must not depend on who else is being served."""
        detector, pixels = self.make(), sample_picture(2)
        first = dict(detector.score(pixels))
        with ThreadPoolExecutor(4) as pool:
            others = list(pool.map(detector.score, [pixels] * 4))
        for other in others:
            assert set(other) == set(first)
            assert all(abs(other[name] - first[name]) < 1e-4 for name in first)


class GeneratorContract(ABC):
    """What ``guard.generate.base.Generator`` promises.

    ``seeded``: whether the same seed must draw the same picture. Remote services may not.
    """

    seeded: ClassVar[bool] = True

    @abstractmethod
    def make(self) -> Generator:
        """A generator, ready to draw."""

    def request(self, **asked: Any) -> GenerationRequest:
        """A cheap request; override it for a model that wants another size or fewer steps."""
        return GenerationRequest(**{"prompt": "a red circle", "seed": 7, **asked})

    def test_model_has_a_name(self) -> None:
        """It stands in the record and in the manifest."""
        assert _is_name(self.make().model)

    def test_draws_as_many_pictures_as_asked_for(self) -> None:
        """uint8 RGB, each with a seed that can be recorded."""
        for count in (1, 2):
            raws = self.make().generate(self.request(count=count))
            assert isinstance(raws, Sequence)
            assert len(raws) == count
            for raw in raws:
                assert isinstance(raw, RawImage)
                assert raw.pixels.dtype == np.uint8
                assert raw.pixels.ndim == 3
                assert raw.pixels.shape[2] == 3
                assert raw.seed is None or 0 <= raw.seed < 2**63
                assert _is_name(raw.model)

    def test_same_seed_same_picture(self) -> None:
        """What a record says can be drawn again."""
        if not self.seeded:
            return
        generator = self.make()
        first, again = (generator.generate(self.request())[0] for _ in range(2))
        other = generator.generate(self.request(seed=8))[0]
        assert first.seed == again.seed
        assert np.array_equal(first.pixels, again.pixels)
        assert not np.array_equal(first.pixels, other.pixels)

    def test_notices_are_lines(self) -> None:
        """A tuple of one-line texts, empty when there is nothing to say."""
        notices = self.make().notices(self.request())
        assert isinstance(notices, tuple)
        assert all(isinstance(one, str) and "\n" not in one for one in notices)


class WatermarkContract(ABC):
    """What ``guard.watermark.base.Watermark`` promises."""

    payload: ClassVar[bytes] = bytes.fromhex("0123456789abcdef")

    @abstractmethod
    def make(self) -> Watermark:
        """A watermark under one secret, the same each time."""

    @abstractmethod
    def make_other(self) -> Watermark:
        """The same method under another secret."""

    def test_payload_comes_back(self) -> None:
        """Also all zeros and all ones; the mark says what it carries."""
        watermark = self.make()
        assert len(self.payload) == PAYLOAD_BYTES
        for payload in (self.payload, bytes(8), b"\xff" * 8):
            marked = watermark.embed(sample_picture(3), payload)
            found = watermark.detect(marked.pixels)
            assert (found.detected, found.payload) == (True, payload.hex())
            assert marked.mark.payload == payload.hex()
            assert marked.mark.method == found.method == watermark.method

    def test_picture_stays_what_it_was(self) -> None:
        """Same shape and type, hardly changed; the original untouched."""
        pixels = sample_picture(4)
        before = pixels.copy()
        marked = self.make().embed(pixels, self.payload).pixels
        assert marked.shape == pixels.shape
        assert marked.dtype == np.uint8
        assert np.array_equal(pixels, before)
        error = np.mean(np.square(marked.astype(float) - pixels))
        assert 10 * math.log10(255**2 / error) >= LEAST_PSNR_DB

    def test_mark_survives_a_messenger(self) -> None:
        """A JPEG at quality 80 still reads."""
        from PIL import Image

        watermark, copy = self.make(), BytesIO()
        marked = watermark.embed(sample_picture(5), self.payload)
        Image.fromarray(marked.pixels).save(copy, "JPEG", quality=80)
        assert watermark.detect(decode(copy.getvalue()).pixels).payload == self.payload.hex()

    def test_unmarked_pictures_are_unmarked(self) -> None:
        """Neither plain pictures nor those of another secret, and with an honest p-value."""
        watermark, other = self.make(), self.make_other()
        foreign = other.embed(sample_picture(6), self.payload).pixels
        for pixels in (sample_picture(7), foreign, np.zeros((256, 256, 3), np.uint8)):
            found = watermark.detect(pixels)
            assert not found.detected
            assert found.payload is None
            assert UNMARKED_P < found.p_value <= 1.0

    def test_what_cannot_carry_a_mark_is_rejected(self) -> None:
        """Tiny and flat pictures: MarkRejected, or a mark that reads back. Never a silent miss."""
        watermark = self.make()
        for pixels in (sample_picture(8, 16, 16), np.full((256, 256, 3), 128, np.uint8)):
            try:
                marked = watermark.embed(pixels, self.payload)
            except MarkRejected:
                continue
            assert watermark.detect(marked.pixels).payload == self.payload.hex()

    def test_detection_never_raises(self) -> None:
        """However small or odd the picture."""
        watermark = self.make()
        for height, width in ((1, 1), (8, 8), (1, 500), (333, 77)):
            watermark.detect(np.full((height, width, 3), 9, np.uint8))


class SignerContract(ABC):
    """What ``guard.provenance.base.Signer`` promises."""

    media_types: ClassVar[tuple[str, ...]] = ("image/png", "image/jpeg", "image/webp")

    @abstractmethod
    def make(self) -> Signer:
        """A signer with a valid key."""

    def facts(self, **stated: Any) -> ManifestFacts:
        """Facts about the sample picture."""
        plain: dict[str, Any] = {
            "record_id": "01934a7e-0000-7000-8000-000000000001",
            "origin": Origin.GENERATED,
            "when": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            "model": "contract@1",
            "mark": Mark("contract", "0123456789abcdef", 42.0),
            "fingerprint": fingerprint(sample_picture(9)),
            "provider": "Contract tests",
        }
        return ManifestFacts(**(plain | stated))

    def test_certificate_has_a_fingerprint(self) -> None:
        """SHA-256 in lower-case hex: it stands in the record."""
        assert _is_digest(self.make().certificate_fingerprint)

    def test_signed_file_is_the_picture_with_a_manifest(self) -> None:
        """Same pixels, a manifest that names the record, and a true digest."""
        from guard.provenance.container import extract_manifest_store

        signer, facts = self.make(), self.facts()
        for media_type in self.media_types:
            encoded = encode(sample_picture(9), media_type)
            asset = signer.sign(encoded, media_type, facts)
            assert asset.media_type == media_type
            assert asset.sha256 == hashlib.sha256(asset.bytes).hexdigest()
            assert asset.certificate_fingerprint == signer.certificate_fingerprint
            assert np.array_equal(decode(asset.bytes).pixels, decode(encoded).pixels)
            manifest = extract_manifest_store(asset.bytes, media_type)
            assert manifest is not None
            assert facts.record_id.encode() in manifest
            assert asset.manifest_label.encode() in manifest

    def test_files_state_nothing_that_was_not_stated(self) -> None:
        """A prompt only where the facts hold one."""
        encoded, signer = encode(sample_picture(9), "image/png"), self.make()
        silent = signer.sign(encoded, "image/png", self.facts()).bytes
        telling = signer.sign(encoded, "image/png", self.facts(prompt="quincunx")).bytes
        assert b"quincunx" not in silent
        assert b"quincunx" in telling
