"""Checkpoints: how large the log's tree was, and its root, signed.

The text of a checkpoint (C2SP tlog-checkpoint) is three lines: the origin, which is the log's id,
the number of leaves, and the root in Base 64. Whoever keeps one outside the database can tell
later that the log still begins with that very tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from guard.audit.checkpoints.note import Note, VerifierKey, decode64, encode64, parse_note
from guard.audit.tree.merkle import EMPTY_ROOT, HASH_BYTES, MAX_LEVELS
from guard.errors import ProofInvalid

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree of ``size`` leaves with ``root`` (32 bytes), in the log ``origin``.

    ``extensions`` are further lines, which the specification allows and we neither write nor read.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The lines that are signed, with the newline that ends them."""
        lines = (self.origin, str(self.size), encode64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a note's text. Raises ProofInvalid."""
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop() or not all(lines) or not _SIZE.fullmatch(lines[1]):
            raise _malformed("it is not origin, size and root, a line each")
        try:
            root = decode64(lines[2])
        except ValueError:
            root = b""
        size = int(lines[1])
        if len(root) != HASH_BYTES or size >= 2**MAX_LEVELS:
            raise _malformed("its size or its root cannot be those of a tree")
        if size == 0 and root != EMPTY_ROOT:
            raise _malformed("its root is not that of the empty tree")
        return cls(lines[0], size, root, tuple(lines[3:]))


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint with the note that carries it, cosignatures included."""

    checkpoint: Checkpoint
    note: Note

    @property
    def size(self) -> int:
        """Leaves of its tree."""
        return self.checkpoint.size

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self.checkpoint.root

    def __str__(self) -> str:
        return str(self.note)


def open_checkpoint(
    data: bytes | str, keys: Iterable[VerifierKey], origin: str | None = None
) -> SignedCheckpoint:
    """Read a signed checkpoint, and verify that one of ``keys`` signed it.

    ``origin`` is the log that it must be of; a key signs for the log of its own name only, so
    that a key of one log cannot speak for another. Raises ProofInvalid.
    """
    note = parse_note(data)
    checkpoint = Checkpoint.parse(note.text)
    if origin is not None and checkpoint.origin != origin:
        raise ProofInvalid(
            f"The checkpoint is of log {checkpoint.origin}, not of {origin}.",
            hint="Give a checkpoint of this log, or open the log it is of with --database.",
        )
    note.verify(key for key in keys if key.name == checkpoint.origin)
    return SignedCheckpoint(checkpoint, note)


def _malformed(why: str) -> ProofInvalid:
    return ProofInvalid(
        f"This is no checkpoint: {why}.", hint="Get it again from where it was published."
    )
