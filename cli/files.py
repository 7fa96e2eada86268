"""Pictures named on the command line: files as they are, folders opened."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from guard.image.decode import SUFFIXES


def pictures(paths: Iterable[Path]) -> list[Path]:
    """Files in the order given; a folder stands for the pictures in and below it, sorted.

    What does not exist stays in the list: each input gets its row, also when it cannot be read.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES)
        else:
            found.append(path)
    return found
