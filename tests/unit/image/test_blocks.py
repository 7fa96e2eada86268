"""What is kept of a picture's looks: its grid, its size, and what is no such thing."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from guard.errors import LogTampered
from guard.image.blocks import CELL, LONGEST, SHORT, UNITS, coarse, describe, fine, read
from guard.testing import sample_picture
from guard.types import Pixels


def halves(height: int, width: int) -> Pixels:
    """Dark on the left, bright on the right."""
    pixels = np.full((height, width, 3), 40, np.uint8)
    pixels[:, width // 2 :] = 200
    return pixels


@pytest.mark.parametrize(
    ("height", "width", "cells"),
    [
        (256, 256, (64, 64)),
        (400, 600, (64, 96)),
        (600, 400, (96, 64)),
        (100, 101, (64, 65)),
        (24, 4000, (64, LONGEST)),
        (16, 16, (64, 64)),
    ],
)
def test_sixty_four_square_cells_on_the_short_side(
    height: int, width: int, cells: tuple[int, int]
) -> None:
    blocks = read(describe(sample_picture(1, height, width)))
    assert blocks.cells.shape == (*cells, 3)
    assert (blocks.width, blocks.height) == (width, height)
    assert blocks.unit == min(height, width) / UNITS
    assert min(cells) == SHORT


def test_cells_show_what_lies_there() -> None:
    cells = read(describe(halves(300, 450))).cells.astype(int)
    assert np.abs(cells[:, :46] - 40).max() < 8
    assert np.abs(cells[:, 50:] - 200).max() < 8


def test_size_does_not_change_the_cells() -> None:
    small, large = (
        read(
            describe(np.asarray(Image.fromarray(sample_picture(3, 512, 512)).resize((side, side))))
        )
        for side in (200, 1500)
    )
    assert np.abs(small.cells.astype(int) - large.cells).mean() < 4


def test_a_kilobyte_or_two_is_kept() -> None:
    described = describe(sample_picture(2, 512, 768))
    assert 100 < len(described) < 4096
    assert described == describe(sample_picture(2, 512, 768))


def test_a_placed_part_falls_onto_its_cells() -> None:
    pixels = halves(256, 256)
    part = pixels[64:192, 96:224]  # its centre shows (160, 128)
    shown, mask = fine(part, np.eye(2), np.array([160.0, 128.0]), (0, 0), (SHORT, SHORT))
    cells, seen = coarse(shown), coarse(mask) > 250
    rows, columns = np.nonzero(seen)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (16, 47, 24, 55)
    assert seen.sum() == (128 / CELL) ** 2
    assert np.abs(cells[seen] - coarse(pixels)[seen]).max() <= 1


def test_large_parts_are_averaged_not_picked() -> None:
    noise = np.random.default_rng(5).integers(0, 256, (2048, 2048, 3)).astype(np.uint8)
    assert read(describe(noise)).cells.std() < 12


def webp(width: int, height: int) -> bytes:
    out = BytesIO()
    Image.new("RGB", (width, height)).save(out, "WEBP")
    return out.getvalue()


HEAD = struct.pack(">2sII", b"B1", 64, 64)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"B1",
        HEAD,
        HEAD + b"RIFF and no picture",
        HEAD + webp(64, 64)[:-20],
        HEAD + webp(LONGEST + 1, 64),
        b"B2" + HEAD[2:] + webp(64, 64),
        struct.pack(">2sII", b"B1", 0, 64) + webp(64, 64),
        struct.pack(">2sII", b"B1", 64, 0) + webp(64, 64),
    ],
)
def test_what_was_not_described_here_is_refused(data: bytes) -> None:
    with pytest.raises(LogTampered, match="looks"):
        read(data)
