"""Manifest stores as bytes: ids that may be asked for, and the active manifest alone."""

from __future__ import annotations

import re
import struct

from guard.provenance import jumbf
from guard.server.problems import not_found

_ID = re.compile(r"[\x21-\x7e]{1,500}")
"""Labels of manifests are URNs; older ones are ``vendor:urn:uuid:…``."""


def is_manifest_id(text: str) -> bool:
    """Whether a text may be the id of an active manifest."""
    return _ID.fullmatch(text) is not None


def active_manifest(store: bytes, manifest_id: str) -> bytes:
    """A store that holds the manifest of this id and no other. Raises Problem 404."""
    top, wanted = jumbf.find(store), jumbf.find(store, manifest_id)
    about = next(jumbf.boxes(store, top.body, top.end), None) if top is not None else None
    if wanted is None or about is None:
        raise not_found("The store holds no such manifest.")
    inner = store[about.start : about.end] + store[wanted.start : wanted.end]
    return struct.pack(">I4s", len(inner) + 8, jumbf.SUPERBOX) + inner
