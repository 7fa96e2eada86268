"""A prompt a line from any stream: in chunks of bounded size, with the place reached in it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import select
import stat
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guard.errors import InvalidRequest

READ_BYTES = 1 << 16
"""Asked for at once: what a pipe holds on Linux."""

CHUNK_LINES = 256
"""Screened at once: some hundredths of a second's work, so that results and the mark of how far a
run came are never far behind."""

MAX_LINE_BYTES = 1 << 20
"""Of one line; a prompt has at most 20,000 characters, and a JSON row may carry more fields."""

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some lines: ``first`` is the number of the first one, from 1; None is one too long to keep.

    ``end`` is how many bytes of the input come before what follows, ``digest`` their SHA-256.
    """

    first: int
    lines: tuple[bytes | None, ...]
    end: int
    digest: str


class Lines:
    """The lines of a binary stream, chunk by chunk. Reads no further than it must."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self._end = 0
        self._number = 1
        self._kept = bytearray()
        self._overlong = False
        self._ready: list[Chunk] = []

    def skip(self, end: int, digest: str, number: int) -> None:
        """Pass over what an earlier run has read. Raises InvalidRequest when it is not the same."""
        while self._end < end:
            data = self._read(min(READ_BYTES, end - self._end))
            if not data:
                break
            self._take(data)
        if self._end != end or self._hash.hexdigest() != digest:
            raise InvalidRequest(
                "The input is not the one that the interrupted run read.",
                hint="Give the same --input, or begin anew: leave --resume out and remove the "
                "output and the .progress file beside it.",
            )
        self._number = number

    def waits(self) -> bool:
        """Whether asking for the next chunk may wait for whoever writes the stream."""
        if self._ready:
            return False
        try:
            return not select.select([self._stream], [], [], 0)[0]
        except (OSError, ValueError, TypeError):  # not a descriptor: memory or an unpacked file
            return False

    def __iter__(self) -> Iterator[Chunk]:
        while chunk := self.next():
            yield chunk

    def next(self) -> Chunk | None:
        """The next lines; None at the end."""
        while not self._ready:
            data = self._read(READ_BYTES)
            if not data:
                self._finish()
                break
            self._add(data)
        return self._ready.pop(0) if self._ready else None

    def _read(self, most: int) -> bytes:
        try:
            return self._stream.read(most) or b""
        except (OSError, EOFError, zlib.error) as error:
            raise InvalidRequest(
                f"The input cannot be read beyond byte {self._end:,}: {error}.",
                hint="It is damaged or cut off. Rows before that place are written.",
            ) from error

    def _add(self, data: bytes) -> None:
        self._kept += data
        cut = self._kept.rfind(b"\n") + 1
        if cut:
            whole = bytes(self._kept[:cut])
            del self._kept[:cut]
            # Not splitlines(), which also splits at a lone carriage return.
            self._split([line + b"\n" for line in whole.split(b"\n")[:-1]])
        if len(self._kept) > MAX_LINE_BYTES:
            self._take(bytes(self._kept))
            self._kept.clear()
            self._overlong = True

    def _finish(self) -> None:
        if self._kept or self._overlong:
            last = bytes(self._kept)
            self._kept.clear()
            self._split([last])

    def _split(self, lines: list[bytes]) -> None:
        for start in range(0, len(lines), CHUNK_LINES):
            part = lines[start : start + CHUNK_LINES]
            self._take(b"".join(part))
            kept: list[bytes | None] = [
                None if len(line) > MAX_LINE_BYTES else line for line in part
            ]
            if self._overlong:
                kept[0], self._overlong = None, False
            if self._number == 1 and kept[0] is not None:
                kept[0] = kept[0].removeprefix(BOM)
            digest = self._hash.hexdigest()
            self._ready.append(Chunk(self._number, tuple(kept), self._end, digest))
            self._number += len(part)

    def _take(self, data: bytes) -> None:
        self._hash.update(data)
        self._end += len(data)


@dataclass(frozen=True, slots=True)
class Input:
    """An opened input: its lines, and for a progress bar how many bytes it has and are read."""

    lines: Lines
    raw: Any
    size: int | None

    def read(self) -> int:
        """Bytes read of the file as it lies on disk."""
        return int(self.raw.tell()) if self.size is not None else 0

    def close(self) -> None:
        """Give the file back; stdin stays open."""
        if isinstance(self.raw, io.FileIO):
            self.raw.close()


def open_input(source: str) -> Input:
    """``-`` or a file, unpacked when it ends in ``.gz``. Raises InvalidRequest."""
    if source == "-":
        return _stdin()
    try:
        raw = io.FileIO(source)
        about = Path(source).stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidRequest(
            f"Cannot read {source}: {reason}.", hint="Check the path given to --input."
        ) from error
    size = about.st_size if stat.S_ISREG(about.st_mode) else None
    packed = source.endswith(".gz")
    stream: Any = gzip.GzipFile(fileobj=io.BufferedReader(raw)) if packed else raw
    return Input(Lines(stream), raw, size)


def _stdin() -> Input:
    try:
        raw: Any = io.FileIO(sys.stdin.fileno(), closefd=False)
    except (OSError, ValueError, AttributeError):  # a test's or another program's own stdin
        raw = getattr(sys.stdin, "buffer", sys.stdin)
    return Input(Lines(raw), raw, None)


def parse_line(line: bytes, negative: str) -> tuple[str, str]:
    """(prompt, negative prompt): a plain line, or a JSON object with ``prompt``."""
    text = line.rstrip(b"\r\n").decode("utf-8", errors="replace")
    if text.lstrip().startswith("{"):
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            return text, negative  # a prompt may begin with a brace
        if isinstance(row, dict) and isinstance(row.get("prompt"), str):
            return row["prompt"], str(row.get("negative_prompt") or negative)
    return text, negative
