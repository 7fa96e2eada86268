"""Marking and reading one picture after the other: what a worker of ``guard watermark`` does."""

from __future__ import annotations

import errno
import math
import multiprocessing
import os
import secrets
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guard.errors import GuardError, InvalidRequest, MarkRejected, OutputUnwritable, StageMisbehaved
from guard.image.decode import SUFFIXES, Decoded, load
from guard.image.encode import EXTENSIONS, WITHOUT_ALPHA, encode
from guard.policy.model import Policy
from guard.types import Detection, MarkedImage, Pixels, as_dict
from guard.watermark.base import PAYLOAD_BYTES, Watermark

from .exits import Exit, of_row_error
from .output import error_row

UNFINISHED = ".unfinished"
"""Folder in --out for files that are being written; begun anew by every run."""

PNG = "image/png"
SUFFIX_TYPES = {suffix: media_type for media_type, suffix in EXTENSIONS.items()} | {
    ".jpeg": "image/jpeg",
    ".tif": "image/tiff",
}
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""What goes wrong with one file and would with every other."""

NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})
"""How file systems without hard links answer."""

MOST_CHANGED = 12.0
"""Root mean square, of 255, up to which a file is a marked copy of a picture (26.5 dB): the loudest
mark is 3.6, and JPEG at quality 95 adds less."""

LEFT_OUT = "transparency is not in the copy: it lies on white, as the format has none"
ONLY_MARKED = "Marked only: not signed and not recorded."


@dataclass(frozen=True, slots=True)
class Item:
    """A picture: where it is, and its place below what was named on the command line."""

    source: Path
    place: Path


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a picture. ``stop``: an error that every other picture would meet, too."""

    row: dict[str, Any]
    code: Exit = Exit.DONE
    stop: GuardError | None = None


@dataclass(frozen=True)
class _Asked:
    """Policy and settings of a run, from which each worker builds the watermark of its own."""

    policy: Policy
    settings: dict[str, Any]

    def watermark(self) -> Watermark:
        """Raises InvalidConfiguration."""
        from guard.assemble import build_watermark
        from guard.settings import Settings

        return build_watermark(self.policy, Settings.load(**self.settings))

    def prepare(self) -> Callable[[Item], Row]:
        """The work of a worker."""
        watermark = self.watermark()
        if multiprocessing.parent_process() is not None:  # every core has its process
            import cv2

            cv2.setNumThreads(1)
        return lambda item: self.one(watermark, item)

    def one(self, watermark: Watermark, item: Item) -> Row:
        """The row of one picture, whatever comes of it."""
        try:
            return self._one(watermark, item)
        except GuardError as error:
            return self.failed(item, error)
        except Exception as error:  # noqa: BLE001  # one picture must not end a run over an archive
            broken = StageMisbehaved(
                f"{type(error).__name__}: {error}", hint="Please report it with the picture."
            )
            return self.failed(item, broken)

    def failed(self, item: Item, error: GuardError) -> Row:
        """An error's row."""
        stop = error if isinstance(error, Stop) else None
        return Row({"path": str(item.source), "error": error_row(error)}, of_row_error(error), stop)

    def _one(self, watermark: Watermark, item: Item) -> Row:
        raise NotImplementedError


class Stop(OutputUnwritable):
    """The disk is full or read-only: there is no use in trying the next picture."""


@dataclass(frozen=True)
class Detecting(_Asked):
    """``guard watermark detect``."""

    def _one(self, watermark: Watermark, item: Item) -> Row:
        found = watermark.detect(load(item.source).pixels)
        return Row({"path": str(item.source), **_detection(watermark, found)})


@dataclass(frozen=True)
class Embedding(_Asked):
    """``guard watermark embed``: into ``out``, as ``media_type`` or (None) as the source is.

    ``payload`` None: a fresh random mark id for every picture.
    """

    out: Path
    media_type: str | None = None
    payload: bytes | None = field(default=None)
    resume: bool = False

    def failed(self, item: Item, error: GuardError) -> Row:
        """An error's row."""
        row = {"path": None, "source": str(item.source), "status": "failed"}
        plain = super().failed(item, error)
        return Row({**row, "error": plain.row["error"]}, plain.code, plain.stop)

    def _one(self, watermark: Watermark, item: Item) -> Row:
        from guard.image.conversion import conversion

        decoded = load(item.source)
        media_type = self.media_type or decoded.media_type
        if media_type not in EXTENSIONS:
            media_type = PNG
        target = self._target(item, media_type)
        if target.exists():
            return self._kept(watermark, item, decoded, target)
        told = conversion(decoded.data)
        marked = watermark.embed(decoded.pixels, self.payload or secrets.token_bytes(PAYLOAD_BYTES))
        data = encode(marked.pixels, media_type, alpha=decoded.alpha, icc=told.icc)
        found = _read_back(watermark, data, marked)
        write_new(target, data, self.out / UNFINISHED)
        changed = list(told.changed)
        if media_type != decoded.media_type:
            changed.append(f"{_format(decoded.media_type)} became {_format(media_type)}")
        if decoded.alpha is not None and media_type in WITHOUT_ALPHA:
            changed.append(LEFT_OUT)
        row = {**self._head(item, target, "marked"), **_detection(watermark, found)}
        return Row({**row, **as_dict(marked.mark), "changed": changed})

    def _head(self, item: Item, target: Path, status: str) -> dict[str, Any]:
        head = {"path": str(target), "source": str(item.source), "status": status}
        return {**head, "signed": False, "recorded": False}

    def _target(self, item: Item, media_type: str) -> Path:
        target = self.out / item.place
        if SUFFIX_TYPES.get(target.suffix.lower()) == media_type:
            return target
        named = target.with_suffix("") if target.suffix.lower() in SUFFIXES else target
        return named.with_name(named.name + EXTENSIONS[media_type])

    def _kept(self, watermark: Watermark, item: Item, decoded: Decoded, target: Path) -> Row:
        """What an earlier run wrote; read again, so that nothing unmarked passes for marked."""
        if not self.resume or target.samefile(item.source):
            raise OutputUnwritable(
                f"{target} is there already.",
                hint="Choose another --out; --resume keeps what an interrupted run has written.",
            )
        there = load(target).pixels
        found = watermark.detect(there)
        if not found.detected or not _alike(there, decoded.pixels):
            raise OutputUnwritable(
                f"{target} is there already, and is no marked copy of this picture.",
                hint="Move it away, or choose another --out.",
            )
        if self.payload not in {None, bytes.fromhex(found.payload or "")}:
            raise InvalidRequest(
                f"{target} carries another mark id: {found.payload}.", hint="Choose another --out."
            )
        return Row({**self._head(item, target, "kept"), **_detection(watermark, found)})


def _format(media_type: str) -> str:
    return media_type.removeprefix("image/").upper()


def _alike(one: Pixels, other: Pixels) -> bool:
    import cv2

    if one.shape != other.shape:
        return False
    return float(cv2.norm(one, other, cv2.NORM_L2)) <= MOST_CHANGED * math.sqrt(one.size)


def _detection(watermark: Watermark, found: Detection) -> dict[str, Any]:
    current = getattr(watermark, "key_id", found.key_id)
    retired = found.detected and found.key_id != current
    return {**as_dict(found), "confidence": found.confidence, "retired": retired}


def _read_back(watermark: Watermark, data: bytes, marked: MarkedImage) -> Detection:
    """The mark as read from the very file that will be written. Raises MarkRejected."""
    found = watermark.detect(load(data).pixels)
    if not found.detected or found.payload != marked.mark.payload:
        raise MarkRejected(
            "The mark does not read back from the file that would be written.",
            hint="Pictures that are mostly transparent carry none; or try --format png.",
        )
    return found


def write_new(target: Path, data: bytes, unfinished: Path) -> None:
    """``data`` at ``target``, whole or not at all, durably; never in the place of another file.

    Raises OutputUnwritable; its kind Stop when the disk is full or read-only.
    """
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=unfinished, suffix=".part")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
        _name(temporary, target)
        _sync(target.parent)
    except FileExistsError as error:
        raise OutputUnwritable(
            f"{target} was just written for another picture of that name.",
            hint="Mark them into different --out folders.",
        ) from error
    except OSError as error:
        kind = Stop if error.errno in FULL else OutputUnwritable
        raise kind(
            f"Cannot write {target}: {error.strerror or error}.",
            hint="Free space or mend permissions, then go on with --resume.",
        ) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def _name(temporary: Path, target: Path) -> None:
    """Rename that fails where ``target`` is taken: two sources may come to one name."""
    try:
        target.hardlink_to(temporary)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if target.exists():
            raise FileExistsError from error
        temporary.replace(target)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
