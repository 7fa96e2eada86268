"""One RFC 6962 Merkle tree over SHA-256: hashes, roots, proofs, and their verification.

Hashes are 32 bytes. A leaf is hashed with the prefix 0x00 and a node with 0x01 (section 2.1),
so that no node passes for a leaf. The verifying functions never raise on hostile proofs; they
answer False.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
MAX_LEVELS = 63
"""A tree index is a 64-bit signed integer in the store."""


def leaf_hash(leaf: bytes) -> bytes:
    """MTH({d}) = SHA-256(0x00 ‖ d)."""
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Frontier:
    """A tree of which only the roots of its perfect subtrees are kept, largest first.

    Enough to append and to know the root: at most 63 hashes, however large the tree.
    """

    def __init__(self, size: int = 0, packed: bytes = b"") -> None:
        """Raises ValueError when ``packed`` does not fit a tree of ``size`` leaves."""
        if not 0 <= size < 2**MAX_LEVELS or len(packed) != size.bit_count() * HASH_BYTES:
            raise ValueError(f"a frontier of {len(packed)} bytes does not fit {size} leaves")
        self.size = size
        self._hashes = [packed[i : i + HASH_BYTES] for i in range(0, len(packed), HASH_BYTES)]

    def append(self, hashed_leaf: bytes) -> None:
        """Add a leaf, given by its leaf hash."""
        level = self.size
        while level & 1:
            hashed_leaf = node_hash(self._hashes.pop(), hashed_leaf)
            level >>= 1
        self._hashes.append(hashed_leaf)
        self.size += 1

    @property
    def root(self) -> bytes:
        """The root of the whole tree."""
        if not self._hashes:
            return EMPTY_ROOT
        root = self._hashes[-1]
        for left in reversed(self._hashes[:-1]):
            root = node_hash(left, root)
        return root

    @property
    def packed(self) -> bytes:
        """The hashes, concatenated."""
        return b"".join(self._hashes)


def root(hashes: Sequence[bytes]) -> bytes:
    """The root over leaf hashes."""
    frontier = Frontier()
    for one in hashes:
        frontier.append(one)
    return frontier.root


def _split(size: int) -> int:
    """The largest power of two below ``size`` (at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """PATH(index, D[n]) of section 2.1.1. Raises IndexError when there is no such leaf."""
    if not 0 <= index < len(hashes):
        raise IndexError(f"no leaf {index} in a tree of {len(hashes)}")
    proof: list[bytes] = []
    while len(hashes) > 1:
        k = _split(len(hashes))
        if index < k:
            proof.append(root(hashes[k:]))
            hashes = hashes[:k]
        else:
            proof.append(root(hashes[:k]))
            hashes, index = hashes[k:], index - k
    return proof[::-1]


def consistency_proof(hashes: Sequence[bytes], old_size: int) -> list[bytes]:
    """PROOF(old_size, D[n]) of section 2.1.2. Raises IndexError for 0 or more than there are."""
    if not 0 < old_size <= len(hashes):
        raise IndexError(f"no tree of {old_size} leaves within {len(hashes)}")
    proof: list[bytes] = []
    whole = True  # the subtree at hand is the old tree itself, whose root the verifier knows
    while old_size < len(hashes):
        k = _split(len(hashes))
        if old_size <= k:
            proof.append(root(hashes[k:]))
            hashes = hashes[:k]
        else:
            proof.append(root(hashes[:k]))
            hashes, old_size, whole = hashes[k:], old_size - k, False
    if not whole:
        proof.append(root(hashes))
    return proof[::-1]


def verify_inclusion(
    hashed_leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes
) -> bool:
    """Whether ``proof`` shows the leaf at ``index`` of the tree of ``size`` with that root.

    The algorithm of RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size or not _sane(proof):
        return False
    node, last, computed = index, size - 1, hashed_leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and computed == expected


def verify_consistency(
    old_size: int, size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> bool:
    """Whether ``proof`` shows that the tree of ``size`` begins with that of ``old_size``.

    The algorithm of RFC 9162, section 2.1.4.2.
    """
    if not 0 < old_size <= size or not _sane(proof):
        return False
    if old_size == size:
        return not proof and old_root == new_root
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path:
        return False
    node, last = old_size - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    return _climb(node, last, iter(path), (old_root, new_root))


def _climb(node: int, last: int, path: Iterator[bytes], roots: tuple[bytes, bytes]) -> bool:
    old = new = next(path)
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and (old, new) == roots


def _sane(proof: Sequence[bytes]) -> bool:
    return len(proof) <= 2 * MAX_LEVELS and all(len(one) == HASH_BYTES for one in proof)
