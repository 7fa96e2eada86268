"""Proofs to hand out: that a row is in the log, and that the log only grew.

Inclusion is written as C2SP tlog-proof (``.tlog-proof``): the index, the hashes, and the signed
checkpoint; the ``extra`` line carries the leaf itself. Consistency is written as the body of a
C2SP tlog-witness request: the old size, the hashes, and the new checkpoint.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from guard.audit.checkpoints.checkpoint import SignedCheckpoint, open_checkpoint
from guard.audit.checkpoints.note import VerifierKey, decode64, encode64
from guard.audit.tree.merkle import HASH_BYTES, MAX_LEVELS, leaf_hash, verify_consistency
from guard.audit.tree.merkle import verify_inclusion as included
from guard.errors import ProofInvalid

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PROOF_BYTES = 2_000_000
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That a leaf stands at ``index`` of the checkpoint's tree.

    ``hashes`` lead from the leaf's sibling up; ``extra`` is the leaf, unless it is kept apart.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes = b""

    def __str__(self) -> str:
        lines = [HEADER, *([f"extra {encode64(self.extra)}"] if self.extra else [])]
        lines += [f"index {self.index}", *map(encode64, self.hashes), ""]
        return "".join(f"{line}\n" for line in lines) + self.checkpoint

    def verify(
        self, keys: Iterable[VerifierKey], leaf: bytes | None = None, origin: str | None = None
    ) -> SignedCheckpoint:
        """The checkpoint whose tree holds ``leaf`` (default: the one in ``extra``).

        Raises ProofInvalid when signature or hashes do not hold.
        """
        signed = open_checkpoint(self.checkpoint, keys, origin)
        data = self.extra if leaf is None else leaf
        if not included(leaf_hash(data), self.index, signed.size, self.hashes, signed.root):
            raise ProofInvalid(
                f"The proof does not lead from leaf {self.index:,} to the checkpoint's root.",
                hint="It is of another leaf, or was changed. Ask for it again.",
            )
        return signed


def parse_inclusion(data: bytes) -> InclusionProof:
    """Read a ``.tlog-proof``; nothing is verified yet. Raises ProofInvalid."""
    lines, checkpoint = _parts(data)
    if lines.pop(0) != HEADER:
        raise _malformed(f"its first line is not {HEADER}")
    extra = b""
    if lines and lines[0].startswith("extra "):
        extra = _decoded(lines.pop(0).removeprefix("extra "))
    if not lines:
        raise _malformed("it names no index")
    index = _number(lines.pop(0), "index ")
    return InclusionProof(index, _hashes(lines), checkpoint, extra)


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That the checkpoint's tree begins with the tree that had ``old_size`` leaves."""

    old_size: int
    hashes: tuple[bytes, ...]
    checkpoint: str

    def __str__(self) -> str:
        lines = [f"old {self.old_size}", *map(encode64, self.hashes), ""]
        return "".join(f"{line}\n" for line in lines) + self.checkpoint

    def verify(self, old: SignedCheckpoint, keys: Iterable[VerifierKey]) -> SignedCheckpoint:
        """The newer checkpoint. Raises ProofInvalid when it does not contain ``old``."""
        signed = open_checkpoint(self.checkpoint, keys, old.checkpoint.origin)
        if old.size == 0:
            holds = self.old_size == 0 and not self.hashes
        else:
            holds = self.old_size == old.size and verify_consistency(
                old.size, signed.size, self.hashes, old.root, signed.root
            )
        if not holds:
            raise ProofInvalid(
                f"The proof does not show that the log of {signed.size:,} rows begins with that "
                f"of {old.size:,}.",
                hint="It is from another checkpoint, or one of the two logs was rewritten.",
            )
        return signed


def parse_consistency(data: bytes) -> ConsistencyProof:
    """Read a consistency proof; nothing is verified yet. Raises ProofInvalid."""
    lines, checkpoint = _parts(data)
    old_size = _number(lines.pop(0), "old ")
    return ConsistencyProof(old_size, _hashes(lines), checkpoint)


def _parts(data: bytes) -> tuple[list[str], str]:
    if len(data) > MAX_PROOF_BYTES:
        raise _malformed(f"it is larger than {MAX_PROOF_BYTES:,} bytes")
    try:
        head, found, checkpoint = data.decode("utf-8").partition("\n\n")
    except UnicodeDecodeError:
        raise _malformed("it is not UTF-8") from None
    if not found:
        raise _malformed("it has no checkpoint")
    return head.split("\n"), checkpoint


def _number(line: str, label: str) -> int:
    digits = line.removeprefix(label)
    if not line.startswith(label) or not _NUMBER.fullmatch(digits):
        raise _malformed(f"a line is not '{label}' and a number")
    return int(digits)


def _hashes(lines: Sequence[str]) -> tuple[bytes, ...]:
    if len(lines) > MAX_LEVELS:
        raise _malformed(f"it has more than {MAX_LEVELS} hashes")
    found = tuple(_decoded(line) for line in lines)
    if any(len(one) != HASH_BYTES for one in found):
        raise _malformed("a hash does not have 32 bytes")
    return found


def _decoded(text: str) -> bytes:
    try:
        return decode64(text)
    except ValueError:
        raise _malformed("a line is not Base 64") from None


def _malformed(why: str) -> ProofInvalid:
    return ProofInvalid(f"This is no proof: {why}.", hint="Ask for it again.")
