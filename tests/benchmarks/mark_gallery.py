"""The pictures that marks are measured on: photographs, and flat or painted ones.

Debian's ``lomiri-wallpapers`` and ``mate-backgrounds`` and scikit-image's data, fetched once into
``.bench/pictures`` where ``apt-get`` and ``pip`` can (``--fetch``); the photographs of the C2PA
test files in ``../shared``; and drawings by formula, which are always there. Each is cut to about
3 : 2 or a square, and scaled so that its short side has the size asked for.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from guard.types import Pixels
from tests.support.mark_pictures import KINDS

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / ".bench" / "pictures"
SHARED: Final = Path(os.environ.get("GENGUARD_SHARED", ROOT.parent / "shared"))
PACKAGES: Final = ("lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04", "mate-backgrounds")
WHEEL: Final = "scikit-image"
SAMPLES: Final = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
FLAT_FOLDERS: Final = ("abstract", "desktop")
FLAT_NAMES: Final = ("Painting-Colors", "warty-final", "analogpattern")
LEAST_SIDE: Final = 480
"""A smaller original would only be enlarged: it has nothing at the frequencies of the mark."""

PAPER: Final = (90, 70, 50)
"""What transparent wallpapers lie on (BGR)."""


def fetch() -> None:
    """Fetches what is missing; says on stderr what could not be had."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not (FOLDER / "usr").is_dir():
        _try(["apt-get", "download", "-q", *PACKAGES])
        for package in FOLDER.glob("*.deb"):
            _try(["dpkg-deb", "-x", package.name, "."])
            package.unlink()
    if not (FOLDER / "skimage").is_dir():
        _try([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", ".", WHEEL])
        for wheel in FOLDER.glob("*.whl"):
            _try([sys.executable, "-m", "zipfile", "-e", wheel.name, "."])
            wheel.unlink()


def gallery(side: int, count: int | None = None) -> Iterator[tuple[str, Pixels]]:
    """(kind, picture) pairs; kind is ``photographs``, ``flat or painted`` or ``drawn``.

    ``side``: pixels of the short side. ``count``: at most so many of each kind, evenly chosen.
    """
    for kind, files in _files().items():
        chosen = files if count is None else files[:: max(1, len(files) // count)][:count]
        for number, file in enumerate(chosen):
            pixels = _read(file)
            if min(pixels.shape[:2]) >= LEAST_SIDE:
                yield kind, _cut(pixels, side, square=number % 3 > 0)
    each = 4 if count is None else max(1, count // len(KINDS))
    for number, draw in enumerate(KINDS.values()):
        for seed in range(each):
            yield "drawn", draw(1000 * number + seed, side, side)


def _files() -> dict[str, list[Path]]:
    images = [
        file
        for file in sorted((FOLDER / "usr").rglob("*"))
        if file.suffix in {".jpg", ".png"} and not file.stem.endswith(("2160", "3172"))
    ]
    flat = [
        file
        for file in images
        if file.parent.name in FLAT_FOLDERS or file.name.startswith(FLAT_NAMES)
    ]
    photographs = [file for file in images if file not in flat]
    photographs += [FOLDER / "skimage" / "data" / name for name in SAMPLES]
    photographs = [file for file in photographs if file.is_file()]
    if not photographs:
        photographs = sorted((SHARED / "data" / "c2pa" / "public-testfiles").glob("*.jpg"))[:12]
        where = f"{FOLDER} (--fetch)"
        if photographs:
            sys.stderr.write(f"SKIPPED wallpapers: none in {where}; C2PA's test photographs only\n")
        else:
            sys.stderr.write(f"SKIPPED photographs: none in {where} or {SHARED}; drawings only\n")
    return {"photographs": photographs, "flat or painted": flat}


def _read(file: Path) -> Pixels:
    """RGB, on :data:`PAPER` where it is transparent."""
    pixels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    if pixels.dtype != np.uint8:
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = cv2.merge([pixels] * 3)
    if pixels.shape[2] == 4:
        cover = pixels[..., 3:].astype(np.float32) / 255
        mixed = pixels[..., :3] * cover + np.float32(PAPER) * (1 - cover)
        pixels = np.rint(mixed).astype(np.uint8)
    return np.ascontiguousarray(pixels[..., ::-1])


def _cut(pixels: Pixels, side: int, *, square: bool) -> Pixels:
    height, width = pixels.shape[:2]
    short = min(height, width)
    most = short if square else round(1.5 * short)
    top, left = max(0, height - most) // 2, max(0, width - most) // 2
    part = pixels[top : top + most, left : left + most]
    factor = side / short
    size = (round(part.shape[1] * factor), round(part.shape[0] * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.ascontiguousarray(cv2.resize(part, size, interpolation=method))


def _try(command: list[str]) -> None:
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no reason given"]
        sys.stderr.write(f"SKIPPED {' '.join(command[:2])}: {last[0]}\n")
