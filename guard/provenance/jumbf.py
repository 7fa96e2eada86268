"""Boxes of a manifest store (JUMBF, ISO/IEC 19566-5): found by label, never copied.

A store holds manifests, a manifest holds its claim, its signature and its assertions; each is a
superbox that begins with a description box with a label (C2PA 2.4 section 11.1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SUPERBOX = b"jumb"
DESCRIPTION = b"jumd"
_LABEL_TOGGLE = 0x02
_UUID_AND_TOGGLES = 17


@dataclass(frozen=True, slots=True)
class Box:
    """A box by its place in the store: header at ``start``, content ``body``–``end``."""

    kind: bytes
    start: int
    body: int
    end: int


def find(store: bytes, *labels: str) -> Box | None:
    """The superbox at a path of labels below the store; None where none or more than one is.

    Two of one label would be read differently by different readers: neither is taken.
    """
    found = next(boxes(store, 0, len(store)), None)
    for label in labels:
        if found is None:
            return None
        inner = boxes(store, found.body, found.end)
        named = [box for box in inner if box.kind == SUPERBOX and label_of(store, box) == label]
        found = named[0] if len(named) == 1 else None
    return found


def content(store: bytes, superbox: Box, kind: bytes) -> Box | None:
    """The content box of ``kind`` (``cbor``, ``json``) in a superbox."""
    return next((b for b in boxes(store, superbox.body, superbox.end) if b.kind == kind), None)


def label_of(store: bytes, superbox: Box) -> str | None:
    """The label in a superbox's description box."""
    first = next(boxes(store, superbox.body, superbox.end), None)
    if first is None or first.kind != DESCRIPTION:
        return None
    about = store[first.body : first.end]
    if len(about) < _UUID_AND_TOGGLES or not about[_UUID_AND_TOGGLES - 1] & _LABEL_TOGGLE:
        return None
    label, ended, _ = about[_UUID_AND_TOGGLES:].partition(b"\0")
    return label.decode("utf-8", errors="replace") if ended else None


def boxes(store: bytes, start: int, end: int) -> Iterator[Box]:
    """The boxes that lie side by side between two offsets; ends at the first that is malformed."""
    while start + 8 <= end:
        length, kind = struct.unpack_from(">I4s", store, start)
        body = start + 8
        if length == 1 and start + 16 <= end:
            length, body = struct.unpack_from(">Q", store, start + 8)[0], start + 16
        box = Box(kind, start, body, start + length if length else end)
        if not body <= box.end <= end:
            return
        yield box
        start = box.end
