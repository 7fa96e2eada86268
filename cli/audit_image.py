"""Which record a picture leads to: by the file itself, its mark, or what it looks like."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from guard.errors import InvalidImage

if TYPE_CHECKING:
    from .command import Run


def records_of_image(run: Run, image: Path) -> tuple[str, ...]:
    """Ids of the records; says what led there. Raises InvalidImage for what is no picture.

    A file that was released is found by its digest, without looking at the picture.
    """
    from guard.audit.query import list_records

    try:
        data = image.read_bytes()
    except OSError as error:
        raise InvalidImage(f"Cannot read {image}: {error.strerror}.") from error
    same = list_records(run.log, asset_sha256=hashlib.sha256(data).hexdigest(), limit=100)
    if same:
        return _said(run, image, "is the released file", [one.record.record_id for one in same])
    return _by_looks(run, image, data)


def _by_looks(run: Run, image: Path, data: bytes) -> tuple[str, ...]:
    from guard.assemble import build_watermark
    from guard.image.decode import load
    from guard.verify.similar import find_lookalike

    pixels = load(data).pixels
    detection = build_watermark(run.policy, run.settings).detect(pixels)
    if detection.detected and detection.payload is not None:
        stored = run.log.find_by_mark(detection.payload)
        if stored is not None:
            what = f"carries mark {detection.payload}"
            return _said(run, image, what, [stored.record.record_id])
    near = find_lookalike(run.log, pixels)
    if near is None:
        return ()
    what = f"looks like a recorded picture, {near.bits_apart} bits of 256 apart"
    return _said(run, image, what, [near.stored.record.record_id])


def _said(run: Run, image: Path, what: str, records: list[str]) -> tuple[str, ...]:
    run.out.say(f"[dim]{escape(str(image))} {what}.[/]")
    return tuple(dict.fromkeys(records))
