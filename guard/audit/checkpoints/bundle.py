"""An export with what proves it: beside the rows a signed checkpoint and a manifest.

The checkpoint is of exactly the rows exported. Whoever has the log's verifier key can check the
export with ``docs/verify_export.py``, which needs nothing of genguard.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from guard.audit.checkpoints.checkpoint import SignedCheckpoint
from guard.audit.checkpoints.place_files import LocalFiles
from guard.audit.checkpoints.places import PublishedFolder
from guard.audit.checkpoints.publish import Publisher
from guard.audit.export import export_csv, export_jsonl, leaf_rows
from guard.audit.files import writable
from guard.audit.log import SqlAuditLog
from guard.audit.tree.tile_paths import TILE_WIDTH, Tile, tiles_of
from guard.audit.tree.tiles import TileReader
from guard.errors import InvalidRequest, OutputUnwritable
from guard.version import __version__

FORMAT = "genguard-export-1"
MAX_ENTRY_BYTES = 2**16 - 1
"""Bundles of entries give a length two bytes."""

Write = Callable[[SqlAuditLog, TextIO, int], int]
_FILES: dict[str, Write] = {"jsonl": export_jsonl, "csv": export_csv}
FORMS = (*_FILES, "tiles")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: ``path`` with ``rows``, the ``checkpoint`` and the ``manifest`` beside."""

    path: Path
    form: str
    rows: int
    root: str
    checkpoint: Path
    manifest: Path


def export_bundle(
    log: SqlAuditLog, publisher: Publisher, target: Path, form: str = "jsonl"
) -> Exported:
    """Write the log as it is now to ``target``: a file, or for ``tiles`` a folder.

    Signs a checkpoint of it, which is published where a place is set. ``form`` is one of FORMS.
    Raises OutputUnwritable, KeyInvalid, LogTampered when the log does not contain what was signed
    before, CheckpointUnavailable, AuditUnavailable.
    """
    signed = publisher.publish()
    if form == "tiles":
        checkpoint, manifest = target / "checkpoint", target / "manifest.json"
        with writable(target):
            _write_tiles(log, signed, target)
        digest = None
    else:
        checkpoint, manifest = _beside(target, ".checkpoint"), _beside(target, ".manifest.json")
        with writable(target):
            with target.open("w", encoding="utf-8", newline="") as file:
                _FILES[form](log, file, signed.size)
            digest = _digest(target)
            checkpoint.write_text(str(signed), encoding="utf-8")
    said = {
        "format": FORMAT,
        "form": form,
        "log": log.log_id,
        "rows": signed.size,
        "root": signed.root.hex(),
        "sha256": digest,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": f"genguard/{__version__}",
        "verifier_keys": [str(one) for one in publisher.keys.verifiers(log.log_id)],
    }
    with writable(manifest):
        manifest.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    return Exported(target, form, signed.size, signed.root.hex(), checkpoint, manifest)


def check_target(target: Path, form: str) -> None:
    """That there is a place to write to. Raises OutputUnwritable."""
    usable = target.is_dir() or not target.exists() if form == "tiles" else not target.is_dir()
    if not usable or not target.absolute().parent.is_dir():
        what = "a folder" if form == "tiles" else "a file"
        raise OutputUnwritable(
            f"{target} cannot be written as {what}.",
            hint="Choose another name, in a folder that is there.",
        )


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_tiles(log: SqlAuditLog, signed: SignedCheckpoint, target: Path) -> None:
    folder = PublishedFolder(LocalFiles(target))
    for tile, data in _entries(log, signed.size):
        folder.write_once(tile.entries_path, data)
    with log.store.read() as reader:
        tree = TileReader(reader)
        tiles = (
            (tile, tree.tile(tile.level, tile.index, tile.width)) for tile in tiles_of(signed.size)
        )
        folder.publish(signed.size, str(signed), tiles)


def _entries(log: SqlAuditLog, size: int) -> Iterator[tuple[Tile, bytes]]:
    """Bundles of up to 256 leaves, each behind its length."""
    bundle = bytearray()
    for row in leaf_rows(log, size):
        if len(row.leaf) > MAX_ENTRY_BYTES:
            raise InvalidRequest(
                f"Row {row.index:,} has {len(row.leaf):,} bytes: too many for the tiles format.",
                hint="Export it with --format jsonl.",
            )
        bundle += len(row.leaf).to_bytes(2, "big") + row.leaf
        end = row.index + 1
        if end % TILE_WIDTH == 0 or end == size:
            yield Tile(0, row.index // TILE_WIDTH, row.index % TILE_WIDTH + 1), bytes(bundle)
            bundle.clear()
