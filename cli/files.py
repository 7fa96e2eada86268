"""Pictures named on the command line: files as they are, folders opened."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from guard.image.decode import SUFFIXES


def pictures(paths: Iterable[Path]) -> list[Path]:
    """Files in the order given; a folder stands for the pictures in and below it, sorted.

    What does not exist stays in the list: each input gets its row, also when it cannot be read.
    """
    return [path for path, _ in walk(paths)]


def walk(paths: Iterable[Path], without: Path | None = None) -> Iterator[tuple[Path, Path]]:
    """As :func:`pictures`, one at a time, each with its place: the path below what was named.

    At no time more than the names of the folders it is in are held. Nothing in the folder
    ``without`` is met; links to folders are not followed.
    """
    closed = without.resolve() if without is not None else None
    for path in paths:
        if path.is_dir():
            yield from ((one, one.relative_to(path)) for one in _below(path, closed))
        else:
            yield path, Path(path.name)


def _below(folder: Path, closed: Path | None) -> Iterator[Path]:
    if closed is not None and folder.resolve() == closed:
        return
    try:
        with os.scandir(folder) as found:
            entries = sorted((one.name, one.is_dir(follow_symlinks=False)) for one in found)
    except OSError:
        yield folder  # which gets a row that says why
        return
    for name, is_folder in entries:
        if is_folder:
            yield from _below(folder / name, closed)
        elif Path(name).suffix.lower() in SUFFIXES:
            yield folder / name
