"""RFC 6962 word by word, and proofs that were tampered with in every way we could think of."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from guard.audit.checkpoints.checkpoint import SignedCheckpoint
from guard.audit.checkpoints.checkpoint_key import CheckpointKey
from guard.audit.checkpoints.proof import (
    ConsistencyProof,
    InclusionProof,
    parse_consistency,
    parse_inclusion,
)
from guard.errors import ProofInvalid


class Reference:
    """MTH, PATH and PROOF of section 2.1, by their definitions, over leaves 0, 1, 2 …"""

    def __init__(self, size: int) -> None:
        self.leaves = [f"leaf {number}".encode() for number in range(size)]
        self.mth = lru_cache(maxsize=None)(self._mth)

    def _mth(self, start: int, end: int) -> bytes:
        if start == end:
            return hashlib.sha256(b"").digest()
        if end - start == 1:
            return hashlib.sha256(b"\x00" + self.leaves[start]).digest()
        k = start + self.k(end - start)
        return hashlib.sha256(b"\x01" + self.mth(start, k) + self.mth(k, end)).digest()

    @staticmethod
    def k(size: int) -> int:
        power = 1
        while power * 2 < size:
            power *= 2
        return power

    def path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        k = self.k(end - start)
        if index < k:
            return [*self.path(index, start, start + k), self.mth(start + k, end)]
        return [*self.path(index - k, start + k, end), self.mth(start, start + k)]

    def proof(self, old: int, size: int) -> list[bytes]:
        return self._subproof(old, 0, size, known=True)

    def _subproof(self, old: int, start: int, end: int, *, known: bool) -> list[bytes]:
        size = end - start
        if old == size:
            return [] if known else [self.mth(start, end)]
        k = self.k(size)
        if old <= k:
            return [
                *self._subproof(old, start, start + k, known=known),
                self.mth(start + k, end),
            ]
        return [
            *self._subproof(old - k, start + k, end, known=False),
            self.mth(start, start + k),
        ]


OURS = CheckpointKey("log-1", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
THEIRS = CheckpointKey("log-1", Ed25519PrivateKey.from_private_bytes(bytes(32)))
ELSEWHERE = CheckpointKey("log-2", OURS.private)


@dataclass(slots=True)
class Forger:
    """Makes true proofs over a reference tree, and spoils them."""

    tree: Reference
    rng: random.Random

    def signed(self, size: int, key: CheckpointKey = OURS) -> SignedCheckpoint:
        return key.sign(size, self.tree.mth(0, size))

    def size(self, least: int = 9) -> int:
        return self.rng.randrange(least, len(self.tree.leaves))

    def inclusion(self) -> InclusionProof:
        """With at least two hashes that differ: fewer cannot be spoilt in every way."""
        while True:
            size = self.size()
            index = self.rng.randrange(size)
            path = tuple(self.tree.path(index, 0, size))
            if len(set(path)) > 1:
                return InclusionProof(index, path, str(self.signed(size)), self.tree.leaves[index])

    def growth(self) -> tuple[ConsistencyProof, SignedCheckpoint]:
        while True:
            size = self.size(12)
            old = self.rng.randrange(3, size)
            hashes = tuple(self.tree.proof(old, size))
            if len(set(hashes)) > 1:
                return ConsistencyProof(old, hashes, str(self.signed(size))), self.signed(old)


def is_included(text: str, leaf: bytes) -> bool:
    try:
        parse_inclusion(text.encode()).verify([OURS.verifier], leaf, "log-1")
    except ProofInvalid:
        return False
    return True


def has_grown(text: str, old: SignedCheckpoint) -> bool:
    try:
        parse_consistency(text.encode()).verify(old, [OURS.verifier])
    except ProofInvalid:
        return False
    return True


# -- what is done to the hashes, to the checkpoint and to the text ------------------------------

Hashes = tuple[bytes, ...]


def _flip(hashes: Hashes, rng: random.Random) -> Hashes:
    at, bit = rng.randrange(len(hashes)), rng.randrange(256)
    one = bytearray(hashes[at])
    one[bit // 8] ^= 1 << bit % 8
    return (*hashes[:at], bytes(one), *hashes[at + 1 :])


def _drop(hashes: Hashes, rng: random.Random) -> Hashes:
    at = rng.randrange(len(hashes))
    return hashes[:at] + hashes[at + 1 :]


def _twice(hashes: Hashes, rng: random.Random) -> Hashes:
    at = rng.randrange(len(hashes))
    return (*hashes[: at + 1], *hashes[at:])


def _more(hashes: Hashes, rng: random.Random) -> Hashes:
    return (*hashes, rng.randbytes(32))


def _before(hashes: Hashes, rng: random.Random) -> Hashes:
    return (rng.randbytes(32), *hashes)


def _swap(hashes: Hashes, rng: random.Random) -> Hashes:
    while True:
        one, two = rng.sample(range(len(hashes)), 2)
        if hashes[one] != hashes[two]:
            changed = list(hashes)
            changed[one], changed[two] = changed[two], changed[one]
            return tuple(changed)


def _reverse(hashes: Hashes, _: random.Random) -> Hashes:
    return hashes[::-1] if hashes[::-1] != hashes else ()


def _random(hashes: Hashes, rng: random.Random) -> Hashes:
    return tuple(rng.randbytes(32) for _ in hashes)


def _none(_: Hashes, __: random.Random) -> Hashes:
    return ()


def _short(hashes: Hashes, rng: random.Random) -> Hashes:
    at = rng.randrange(len(hashes))
    return (*hashes[:at], hashes[at][:-1], *hashes[at + 1 :])


ON_HASHES: dict[str, Callable[[Hashes, random.Random], Hashes]] = {
    "a bit flipped": _flip, "a hash left out": _drop, "a hash twice": _twice,
    "a hash more": _more, "a hash before": _before, "two swapped": _swap,
    "all reversed": _reverse, "others": _random, "none": _none, "one too short": _short,
}  # fmt: skip


def _line(text: str, number: int, change: Callable[[str], str]) -> str:
    lines = text.split("\n")
    lines[number] = change(lines[number])
    return "\n".join(lines)


def _checkpoint_line(text: str, number: int, change: Callable[[str], str]) -> str:
    head, _, note = text.partition("\n\n")
    return f"{head}\n\n{_line(note, number, change)}"


def _spoil64(text: str, rng: random.Random) -> str:
    """Another character, at a place where every character counts."""
    at = rng.randrange(8, len(text) - 4)
    other = rng.choice([one for one in "ABCDEFabcdef012345" if one != text[at]])
    return text[:at] + other + text[at + 1 :]


def _signature(text: str, rng: random.Random) -> str:
    name, _, encoded = text.rpartition(" ")
    return f"{name} {_spoil64(encoded, rng)}"


def _cut(text: str, rng: random.Random) -> str:
    return text[: rng.randrange(len(text) - 1)]


ON_TEXT: dict[str, Callable[[str, random.Random], str]] = {
    "another size": lambda text, rng: _checkpoint_line(
        text, 1, lambda size: str(int(size) + rng.choice([-1, 1, 2, 256]))
    ),
    "another root": lambda text, rng: _checkpoint_line(text, 2, lambda one: _spoil64(one, rng)),
    "another origin": lambda text, _: _checkpoint_line(text, 0, lambda one: one + "x"),
    "a line more": lambda text, _: _checkpoint_line(text, 2, lambda one: f"{one}\nmore"),
    "a spoilt signature": lambda text, rng: _checkpoint_line(
        text, 4, lambda one: _signature(one, rng)
    ),
    "a leading zero": lambda text, _: _checkpoint_line(text, 1, lambda size: f"0{size}"),
    "cut off": _cut,
    "something before": lambda text, rng: f"{rng.randrange(10)}\n{text}",
    "carriage returns": lambda text, _: text.replace("\n", "\r\n"),
    "an empty line more": lambda text, _: text.replace("\n\n", "\n\n\n", 1),
}


def false_inclusions(forger: Forger, count: int) -> Iterator[tuple[str, bool]]:
    """(class, whether it was accepted) of ``count`` spoilt proofs of every class."""
    rng, tree = forger.rng, forger.tree
    for _ in range(count):
        good = forger.inclusion()
        text = str(good)
        if not is_included(text, good.extra):
            yield "a true one was refused", True
        for name, spoil in ON_HASHES.items():
            spoilt = InclusionProof(good.index, spoil(good.hashes, rng), good.checkpoint)
            yield f"hashes: {name}", is_included(str(spoilt), good.extra)
        for name, change in ON_TEXT.items():
            yield f"text: {name}", is_included(change(text, rng), good.extra)
        size = int(good.checkpoint.split("\n")[1])
        other = rng.choice([one for one in range(size) if one != good.index])
        yield "another leaf", is_included(text, tree.leaves[other])
        yield (
            "another index",
            is_included(str(InclusionProof(other, good.hashes, good.checkpoint)), good.extra),
        )
        yield (
            "an index beyond",
            is_included(str(InclusionProof(size, good.hashes, good.checkpoint)), good.extra),
        )
        node = b"\1" + hashlib.sha256(b"\0" + good.extra).digest() + good.hashes[0]
        yield (
            "a node for a leaf",
            is_included(
                str(InclusionProof(good.index // 2, good.hashes[1:], good.checkpoint)), node
            ),
        )
        elsewhere = forger.signed(rng.choice([one for one in range(1, size + 9) if one != size]))
        yield (
            "a true checkpoint of another size",
            is_included(str(InclusionProof(good.index, good.hashes, str(elsewhere))), good.extra),
        )
        for name, key in (("another key", THEIRS), ("another log", ELSEWHERE)):
            note = str(forger.signed(size, key))
            yield (
                f"signed by {name}",
                is_included(str(InclusionProof(good.index, good.hashes, note)), good.extra),
            )


def false_growth(forger: Forger, count: int) -> Iterator[tuple[str, bool]]:
    """(class, whether it was accepted) of ``count`` spoilt consistency proofs of every class."""
    rng = forger.rng
    for _ in range(count):
        good, old = forger.growth()
        text = str(good)
        if not has_grown(text, old):
            yield "a true one was refused", True
        for name, spoil in ON_HASHES.items():
            spoilt = ConsistencyProof(old.size, spoil(good.hashes, rng), good.checkpoint)
            yield f"hashes: {name}", has_grown(str(spoilt), old)
        for name, change in ON_TEXT.items():
            yield f"text: {name}", has_grown(change(text, rng), old)
        size = int(good.checkpoint.split("\n")[1])
        other = rng.choice([one for one in range(1, size) if one != old.size])
        yield (
            "another old size",
            has_grown(str(ConsistencyProof(other, good.hashes, good.checkpoint)), old),
        )
        yield "another old tree", has_grown(text, forger.signed(other))
        forked = OURS.sign(old.size, rng.randbytes(32))
        yield "a forked old tree", has_grown(text, forked)
        forked = OURS.sign(size, rng.randbytes(32))
        yield (
            "a forked new tree",
            has_grown(str(ConsistencyProof(old.size, good.hashes, str(forked))), old),
        )
        yield (
            "old and new exchanged",
            has_grown(str(ConsistencyProof(size, good.hashes, str(old))), forger.signed(size)),
        )
        for name, key in (("another key", THEIRS), ("another log", ELSEWHERE)):
            note = str(forger.signed(size, key))
            yield (
                f"signed by {name}",
                has_grown(str(ConsistencyProof(old.size, good.hashes, note)), old),
            )


class MemoryTiles:
    """What a :class:`~guard.audit.tree.tiles.TileReader` asks of the store, over leaf hashes."""

    def __init__(self, hashes: list[bytes]) -> None:
        self.levels = [hashes]
        while len(self.levels[-1]) >= 256:
            below = self.levels[-1]
            tiles = [below[at : at + 256] for at in range(0, len(below) - 255, 256)]
            self.levels.append([_mth(one) for one in tiles])

    @property
    def tiles(self) -> MemoryTiles:
        return self

    def leaf_hashes(self, start: int, count: int) -> list[bytes]:
        return self.levels[0][start : start + count]

    def roots(self, level: int, start: int, count: int) -> list[bytes]:
        return self.levels[level + 1][start : start + count]

    def sealed(self, level: int, index: int) -> bytes | None:
        found = self.levels[level][index * 256 : (index + 1) * 256]
        return b"".join(found) if len(found) == 256 else None


def _mth(hashes: list[bytes]) -> bytes:
    if len(hashes) == 1:
        return hashes[0]
    k = Reference.k(len(hashes))
    return hashlib.sha256(b"\x01" + _mth(hashes[:k]) + _mth(hashes[k:])).digest()


def check_all_proofs(largest: int) -> int:
    """Every proof of every tree up to ``largest`` leaves, as made by lists and by tiles.

    Raises AssertionError where one differs from the reference or does not hold; answers how many.
    """
    from guard.audit.tree import merkle
    from guard.audit.tree.tiles import TileReader

    tree, count = Reference(largest), 0
    hashes = [merkle.leaf_hash(leaf) for leaf in tree.leaves]
    for size in range(1, largest + 1):
        mine, root = hashes[:size], tree.mth(0, size)
        tiles = TileReader(MemoryTiles(mine))  # type: ignore[arg-type]
        assert merkle.root(mine) == tiles.root(size) == root
        for number in range(size):
            path = tree.path(number, 0, size)
            assert merkle.inclusion_proof(mine, number) == path
            assert tiles.inclusion_proof(number, size) == path
            assert merkle.verify_inclusion(mine[number], number, size, path, root)
            old = number + 1
            proof = tree.proof(old, size)
            assert merkle.consistency_proof(mine, old) == proof
            assert tiles.consistency_proof(old, size) == proof
            assert merkle.verify_consistency(old, size, proof, tree.mth(0, old), root)
            count += 2
    return count
