"""``trustmark`` as a policy's marking method: TrustMark's networks carry our keyed word.

*Word.* The 64 bits of the payload, 35 checks of the BCH code that mends five errors, and a zero:
100 bits, turned by a stream that HKDF and SHAKE-256 draw from the platform's secret. So another's
TrustMark reader finds noise, and a payload cannot be made up with the public encoder alone. But
whoever reads those 100 bits off a marked picture with the public decoder can write them onto
another, and with one payload known the stream is known: a mark is a pointer to a record, and
``verify`` compares the picture with it.

*p-value.* Whatever the networks are and whatever the picture is, as long as it was made without the
secret: with the decoder's magnitudes given, the signs turned back by the stream are fair coins, for
the stream is uniform. Let a word's *penalty* be the sum of the magnitudes of the signs that it
contradicts. Of 2¹⁰⁰ sign patterns N(T) have a penalty up to T against a given word, and there are
2⁶⁴ words, so P(some word's penalty ≤ T) ≤ N(T) · 2⁻³⁶. N is counted, not estimated: subsets of the
magnitudes by their sum, in whole steps rounded down, so that no pattern is missed. An error-free
reading has p = 1.5·10⁻¹¹; each wrong bit costs what it would by chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from guard.errors import DetectorUnavailable, MarkRejected, SettingsInvalid
from guard.types import Detection, Mark, MarkedImage, Pixels
from guard.watermark import bch
from guard.watermark.base import PAYLOAD_BYTES
from guard.watermark.keys import MarkKey
from guard.watermark.trustmark_code import LENGTH
from guard.watermark.trustmark_models import FETCH, SETTING, TrustMarkModels

if TYPE_CHECKING:
    from guard.watermark.assurance import Damage

METHOD: Final = "trustmark"
STRENGTHS: Final = {"default": ("Q", 1.0), "robust": ("Q", 1.5), "high-quality": ("P", 1.0)}
"""Strength of a policy → variant, and what its change is multiplied with."""

BOOSTS: Final = (1.0, 1.4, 2.0)
REQUIRED: Final = ("jpeg75",)
LEAST_SIDE: Final = 64
_ERRORS: Final = 5
_REDUNDANCY: Final = LENGTH - 8 * PAYLOAD_BYTES
_STEPS: Final = 4096

Floats = NDArray[np.float32]
Bits = NDArray[np.uint8]


class TrustMarkWatermark:
    """Marks and reads mark ids with TrustMark's networks from the folder ``models``.

    ``secret``, ``retired``, ``wished`` and ``false_positive_rate`` as in
    :class:`guard.watermark.pilot_watermark.PilotWatermark`; ``strength``: a name of ``STRENGTHS``.

    Raises KeyInvalid for a short secret, SettingsInvalid for an unknown strength or damage and when
    no folder is named, DetectorUnavailable when it lacks the models.
    """

    def __init__(  # noqa: PLR0913  # all but the first two are named options
        self,
        models: Path | None,
        secret: bytes,
        *,
        retired: Sequence[bytes] = (),
        strength: str = "default",
        false_positive_rate: float = 1e-9,
        wished: Sequence[str] = (),
    ) -> None:
        from guard.watermark.assurance import damage

        if models is None:
            raise SettingsInvalid(
                "The method trustmark needs a folder with its models.",
                hint=f"Set {SETTING} to one. {FETCH}",
            )
        if strength not in STRENGTHS:
            raise SettingsInvalid(
                f"There is no strength {strength!r}.", hint=f"Choose {', '.join(STRENGTHS)}."
            )
        variant, self._strength = STRENGTHS[strength]
        for part in ("encoder", "decoder"):
            if not (models / f"{part}_{variant}.onnx").is_file():
                raise DetectorUnavailable(
                    f"There is no {part}_{variant}.onnx in {models} ({SETTING}).", hint=FETCH
                )
        self._models = TrustMarkModels(models, variant)
        self._keys = [MarkKey(one) for one in (secret, *retired)]
        self._streams = [_stream(key) for key in self._keys]
        self._rate = false_positive_rate
        self._required = [damage(name) for name in REQUIRED]
        self._wished = [damage(name) for name in wished]

    @property
    def method(self) -> str:
        """``trustmark``."""
        return METHOD

    @property
    def key_id(self) -> str:
        """16 hex digits that name the key marks are made with, without revealing it."""
        return self._keys[0].key_id

    def embed(self, pixels: Pixels, payload: bytes) -> MarkedImage:
        """A marked copy of the same shape; ``payload``: 8 bytes. Read back, also from JPEG 75.

        Raises MarkRejected when it does not read at twice the strength either, ValueError for
        another payload, DetectorUnavailable for broken models.
        """
        from guard.watermark.embed import psnr

        if len(payload) != PAYLOAD_BYTES:
            raise ValueError(f"the payload must be {PAYLOAD_BYTES} bytes, not {len(payload)}")
        if min(pixels.shape[:2]) < LEAST_SIDE:
            raise MarkRejected(
                "The picture is too small for a mark.",
                hint=f"Its short side must measure at least {LEAST_SIDE} pixels.",
            )
        bits = _word(payload) ^ self._streams[0]
        for boost in BOOSTS:
            marked = self._models.marked(pixels, bits, self._strength * boost)
            if self._reads(marked, payload) and self._survives(marked, payload, self._required):
                break
        else:
            raise MarkRejected(
                "A TrustMark in this picture could not be read back.",
                hint="Use another method, or make another picture.",
            )
        marked.setflags(write=False)
        survived = (*REQUIRED, *(self._survived(marked, payload)))
        return MarkedImage(
            marked, Mark(METHOD, payload.hex(), round(psnr(pixels, marked), 2), survived)
        )

    def detect(self, pixels: Pixels) -> Detection:
        """What is found under the keys, in the picture's own frame. DetectorUnavailable."""
        if min(pixels.shape[:2]) < LEAST_SIDE // 2:
            return Detection(detected=False, payload=None, method=METHOD, p_value=1.0)
        logits, least = self._models.logits(pixels), 1.0
        for key, stream in zip(self._keys, self._streams, strict=True):
            payload, p_value = read(logits, stream)
            p_value = min(1.0, p_value * len(self._keys))
            if payload is not None and p_value <= self._rate:
                return Detection(
                    detected=True,
                    payload=payload.hex(),
                    method=METHOD,
                    p_value=p_value,
                    key_id=key.key_id,
                    geometry="whole picture",
                )
            least = min(least, p_value)
        return Detection(detected=False, payload=None, method=METHOD, p_value=least)

    def _reads(self, pixels: Pixels, payload: bytes) -> bool:
        return self.detect(pixels).payload == payload.hex()

    def _survives(self, marked: Pixels, payload: bytes, damages: Sequence[Damage]) -> bool:
        return all(self._reads(one.copy(marked)[0], payload) for one in damages)

    def _survived(self, marked: Pixels, payload: bytes) -> tuple[str, ...]:
        return tuple(
            one.name
            for one in self._wished
            if one.name not in REQUIRED and self._survives(marked, payload, [one])
        )


def read(logits: Floats, stream: Bits) -> tuple[bytes | None, float]:
    """The payload in 100 ``logits`` under ``stream``, and its p-value; (None, 1) for none."""
    received = (logits > 0).astype(np.uint8) ^ stream
    mended = bch.code(_ERRORS).corrected(received[:-1])
    if mended is None:
        return None, 1.0
    word = np.append(mended, np.uint8(0))
    size = np.abs(logits.astype(np.float64))
    patterns = count_patterns(size, float(size[word != received].sum()))
    p_value = min(1.0, math.ldexp(patterns, -_REDUNDANCY))
    return np.packbits(word[: 8 * PAYLOAD_BYTES]).tobytes(), p_value


def count_patterns(sizes: NDArray[np.float64], limit: float) -> float:
    """How many subsets of ``sizes`` (≥ 0) sum to at most ``limit``; never too few."""
    if limit <= 0.0:
        return 2.0 ** np.count_nonzero(sizes <= 0.0)
    steps = np.floor(np.minimum(sizes / limit, 2.0) * _STEPS * (1 - 1e-12)).astype(np.int64)
    ways = np.zeros(_STEPS + 1)
    ways[0] = 1.0
    for step in steps[steps <= _STEPS]:
        moved = ways[: _STEPS + 1 - step].copy()
        ways[step:] += moved
    return float(ways.sum())


def _word(payload: bytes) -> Bits:
    bits = np.unpackbits(np.frombuffer(payload, np.uint8))
    return np.concatenate([bits, bch.code(_ERRORS).checks(bits), [0]]).astype(np.uint8)


def _stream(key: MarkKey) -> Bits:
    drawn = key.stream("trustmark/word", 2).astype("<u8")
    return np.unpackbits(np.frombuffer(drawn.tobytes(), np.uint8))[:LENGTH]
