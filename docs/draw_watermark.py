"""Draws the figures of docs/explanation/watermark.md: ``python docs/draw_watermark.py``.

Pictures and keys are made here, so whoever runs it gets the same figures.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from guard.types import Pixels, Placement  # noqa: E402
from guard.watermark import bands, canonical, shaping, spectrum  # noqa: E402
from guard.watermark.keys import MarkKey  # noqa: E402
from guard.watermark.pilot import Pilot  # noqa: E402
from guard.watermark.pilot_watermark import PilotWatermark  # noqa: E402
from tests.support.mark_pictures import scene, texture  # noqa: E402

FOLDER = ROOT / "docs" / "explanation" / "figures"
SECRET = b"the secret of the figures, 32 by"
PAYLOAD = bytes.fromhex("0123456789abcdef")
SIDE, GAP, HEAD = 256, 12, 26
LOUDER = 24


def main() -> None:
    """Draw all figures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    mark = PilotWatermark(SECRET)
    before = landscape()
    after = mark.embed(before, PAYLOAD).pixels
    anatomy(before, after).save(FOLDER / "watermark-anatomy.jpg", quality=88)
    found(mark, after).save(FOLDER / "watermark-found.jpg", quality=88)


def landscape() -> Pixels:
    """Half smooth, half busy: a scene over a textured ground."""
    sky, ground = scene(3, 512, 512), texture(5, 512, 512)
    fade = np.clip((np.arange(512) - 250) / 60, 0, 1)[:, None, None]
    return np.rint(sky * (1 - fade) + ground * fade).astype(np.uint8)


def anatomy(before: Pixels, after: Pixels) -> Image.Image:
    """The picture, its copy, what was added, and where its frequencies lie."""
    luma = canonical.luma(before)
    fineness = bands.finenesses(shaping.typical_activity(luma), min(luma.shape))[0]
    added = canonical.luma(after) - luma
    plane = canonical.to_canonical(added, canonical.scale_of(*luma.shape[:2], fineness))
    power = np.log(np.abs(np.fft.fft2(spectrum.fold(plane))) + 1)
    shown = np.fft.fftshift(power)
    shown = np.rint(255 * (shown - shown.min()) / np.ptp(shown)).astype(np.uint8)
    lines = cv2.cvtColor(shown, cv2.COLOR_GRAY2RGB)
    for x, y in Pilot(MarkKey(SECRET)).points:
        for sign in (1, -1):
            at = (int(128 + sign * x), int(128 + sign * y))
            cv2.circle(lines, at, 3, (255, 120, 60), 1, cv2.LINE_AA)
    grey = np.clip(128 + LOUDER * added, 0, 255).astype(np.uint8)
    return row(
        [
            ("before", before),
            ("marked", after),
            (f"what was added, {LOUDER} times", cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)),
            ("its frequencies; circles: the pilot", lines),
        ]
    )


def found(mark: PilotWatermark, marked: Pixels) -> Image.Image:
    """Copies that were cut, turned and pasted, with the part in which the reader saw the mark."""
    crop = marked[120:420, 60:400]
    turn = cv2.getRotationMatrix2D((256, 256), 33, 0.7)
    turned = cv2.warpAffine(marked, turn, (512, 512), borderValue=(225, 225, 225))
    page = np.full((640, 640, 3), 225, np.uint8)
    page[90:450, 210:570] = cv2.resize(marked, (360, 360), interpolation=cv2.INTER_AREA)
    corners = np.array([[0, 0], [512, 0], [512, 512], [0, 512]], np.float32)
    tilt = cv2.getPerspectiveTransform(
        corners, corners + np.array([[26, 12], [-20, 26], [-5, -26], [8, -10]], np.float32)
    )
    screen = cv2.warpPerspective(marked, tilt, (512, 512), borderValue=(225, 225, 225))
    panels = []
    for name, suspect in (
        ("cropped", crop),
        ("turned 33°, to 70 %", turned),
        ("pasted", page),
        ("seen at an angle", screen),
    ):
        detection = mark.detect(np.ascontiguousarray(suspect))
        right = detection.payload == PAYLOAD.hex()
        text = f"{name}: p {detection.p_value:.0e}" if right else f"{name}: not read"
        panels.append((text, outlined(suspect, detection.placement)))
    return row(panels)


def outlined(pixels: Pixels, placement: Placement | None) -> Pixels:
    """A copy with the marked region drawn on it."""
    shown = np.ascontiguousarray(pixels.copy())
    if placement is not None:
        points = np.rint(np.array(placement.region) * pixels.shape[1::-1]).astype(np.int32)
        thick = max(2, round(min(pixels.shape[:2]) / 100))
        cv2.polylines(
            shown,
            [points],
            isClosed=True,
            color=(255, 120, 60),
            thickness=thick,
            lineType=cv2.LINE_AA,
        )
    return shown


def row(panels: list[tuple[str, Pixels]]) -> Image.Image:
    """Panels beside each other, a line of text above each."""
    size = (len(panels) * (SIDE + GAP) - GAP, SIDE + HEAD)
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, (name, pixels) in enumerate(panels):
        left = number * (SIDE + GAP)
        picture = Image.fromarray(pixels)
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        where = (left + (SIDE - picture.width) // 2, HEAD + (SIDE - picture.height) // 2)
        sheet.paste(picture, where)
        draw.text((left, 4), name, fill="black", font=font)
    return sheet


if __name__ == "__main__":
    main()
