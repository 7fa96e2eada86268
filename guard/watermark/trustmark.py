"""Reads others' TrustMarks, as labels, with weights from a folder that the operator names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from guard.types import Pixels
from guard.watermark.foreign import PROVES_NOTHING
from guard.watermark.trustmark_code import TrustMarkWord, decode
from guard.watermark.trustmark_models import TrustMarkModels, available

LEAST_SIDE: Final = 32
"""Pixels of the short side: a smaller picture is mostly invented when it is scaled up."""

CHANCE: Final = 1e-5
"""The largest :attr:`TrustMarkWord.chance` that is told. It lets BCH_SUPER mend all of its eight
errors, BCH_5 three, BCH_4 two and BCH_3 none: with more, chance decodes as well too often."""


class TrustMarkReader:
    """Tells the TrustMarks in pictures, with every variant whose decoder lies in ``models``.

    Raises DetectorUnavailable when none does, and when reading with a file that is broken.
    """

    def __init__(self, models: Path) -> None:
        self._models = tuple(TrustMarkModels(models, variant) for variant in available(models))

    def read(self, pixels: Pixels) -> tuple[dict[str, Any], ...]:
        """The marks in ``pixels``, at most one a variant; see :class:`MarkReader` for the fields.

        Besides ``schema``, ``payload`` (bits as text), ``text`` (or None), ``corrected`` (wrong
        bits of 98), ``chance_if_coins`` (no p-value: these networks' false-positive rate is not
        known), ``soft_binding`` (C2PA's algorithm and value) and ``decoder_sha256``.
        """
        if min(pixels.shape[:2]) < LEAST_SIDE:
            return ()
        return tuple(self._labels(pixels))

    def _labels(self, pixels: Pixels) -> Iterator[dict[str, Any]]:
        for models in self._models:
            word = decode((models.logits(pixels) > 0).astype(np.uint8))
            if word is not None and word.chance <= CHANCE:
                yield _label(word, models)


def _label(word: TrustMarkWord, models: TrustMarkModels) -> dict[str, Any]:
    payload = "".join(map(str, word.data))
    return {
        "kind": "watermark",
        "method": f"trustmark-{models.variant}",
        "name": "TrustMark",
        "source": "Adobe TrustMark, arXiv:2311.18297",
        "message": f"{int(payload, 2):0{-(-len(payload) // 4)}x}",
        "proves": PROVES_NOTHING,
        "schema": word.schema.name,
        "payload": payload,
        "text": word.text,
        "corrected": word.wrong,
        "chance_if_coins": word.chance,
        "soft_binding": {
            "alg": f"com.adobe.trustmark.{models.variant}",
            "value": word.soft_binding,
        },
        "decoder_sha256": models.decoder_sha256,
    }
