"""Where things lie in a published log: C2SP tlog-tiles, and one file a checkpoint.

A tile holds up to 256 hashes of one level: those of leaves on level 0, those of full tiles of
the level below on the others. Only the last tile of a level can be partial, and its width then
stands in its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

TILE_WIDTH = 256
CHECKPOINT = "checkpoint"
"""The newest checkpoint; the only file that changes."""

HISTORY = "checkpoints"
"""The folder of all checkpoints, by size: they are written once."""

_HISTORY_DIGITS = 18
"""Always as many, so that names sort as numbers do."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Tile ``index`` of ``level``, of which ``width`` (1–256) hashes are there."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Its name below the log's prefix."""
        return f"tile/{self.level}/{self._place}"

    @property
    def entries_path(self) -> str:
        """The name of the bundle of entries under a tile of level 0."""
        return f"tile/entries/{self._place}"

    @property
    def _place(self) -> str:
        return number_path(self.index) + ("" if self.width == TILE_WIDTH else f".p/{self.width}")


def number_path(number: int) -> str:
    """1234067 as ``x001/x234/067``."""
    digits = str(number)
    groups = _groups(digits.zfill(-(-len(digits) // 3) * 3))
    return "/".join([*(f"x{one}" for one in groups[:-1]), groups[-1]])


def history_path(size: int) -> str:
    """Where the checkpoint of a tree of ``size`` leaves lies."""
    groups = _groups(str(size).zfill(_HISTORY_DIGITS))
    return "/".join([HISTORY, *(f"x{one}" for one in groups[:-1]), groups[-1]])


def _groups(digits: str) -> list[str]:
    return [digits[at : at + 3] for at in range(0, len(digits), 3)]


def width_of(level: int, size: int) -> int:
    """How many hashes level ``level`` of a tree of ``size`` leaves has."""
    return int(size >> (8 * level))


def tiles_of(size: int, before: int = 0) -> Iterator[Tile]:
    """The tiles of a tree of ``size`` leaves that a tree of ``before`` leaves did not have."""
    level = 0
    while hashes := width_of(level, size):
        had = width_of(level, before)
        if hashes > had:
            for index in range(had // TILE_WIDTH, hashes // TILE_WIDTH):
                yield Tile(level, index)
            if hashes % TILE_WIDTH:
                yield Tile(level, hashes // TILE_WIDTH, hashes % TILE_WIDTH)
        level += 1
