"""RFC 6962 trees: known roots, proofs of every shape, and proofs that lie."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.audit.tree.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

# The leaves that implementations of Certificate Transparency test with.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


def definition(leaves: Sequence[bytes]) -> bytes:
    """MTH of section 2.1, word by word: slow, recursive, and written apart from the code."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + definition(leaves[:k]) + definition(leaves[k:])).digest()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ],
)
def test_known_roots(size: int, expected: str) -> None:
    assert root(HASHES[:size]).hex() == expected


@pytest.mark.parametrize("size", range(40))
def test_roots_follow_the_definition(size: int) -> None:
    leaves = [bytes([i]) for i in range(size)]
    assert root([leaf_hash(leaf) for leaf in leaves]) == definition(leaves)


def test_a_leaf_does_not_pass_for_a_node() -> None:
    left, right = HASHES[0], HASHES[1]
    assert leaf_hash(left + right) != node_hash(left, right)


def test_a_frontier_goes_on_where_it_was_put_down() -> None:
    frontier = Frontier()
    for size in range(70):
        assert len(frontier.packed) == 32 * size.bit_count()
        frontier = Frontier(size, frontier.packed)
        frontier.append(leaf_hash(bytes([size])))
    assert frontier.root == definition([bytes([i]) for i in range(70)])


@pytest.mark.parametrize(("size", "packed"), [(1, b""), (0, b"x" * 32), (3, b"x" * 32), (-1, b"")])
def test_a_frontier_that_fits_no_tree_is_refused(size: int, packed: bytes) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Frontier(size, packed)


def test_an_empty_tree_has_the_root_of_nothing() -> None:
    assert Frontier().root == EMPTY_ROOT == hashlib.sha256(b"").digest()


@pytest.mark.parametrize("size", range(1, 20))
def test_every_leaf_can_be_proved(size: int) -> None:
    hashes = [leaf_hash(bytes([i])) for i in range(size)]
    whole = root(hashes)
    for index, hashed in enumerate(hashes):
        proof = inclusion_proof(hashes, index)
        assert verify_inclusion(hashed, index, size, proof, whole)
        assert not verify_inclusion(leaf_hash(b"else"), index, size, proof, whole)
        assert not verify_inclusion(hashed, index, size, [*proof, hashed], whole)
        assert not proof or not verify_inclusion(hashed, index, size, proof[:-1], whole)
        for other in range(size):
            if other != index:
                assert not verify_inclusion(hashed, other, size, proof, whole)


@pytest.mark.parametrize("size", range(1, 20))
def test_every_earlier_tree_can_be_proved(size: int) -> None:
    hashes = [leaf_hash(bytes([i])) for i in range(size)]
    whole = root(hashes)
    for old in range(1, size + 1):
        before, proof = root(hashes[:old]), consistency_proof(hashes, old)
        assert verify_consistency(old, size, proof, before, whole)
        assert not verify_consistency(old, size, proof, leaf_hash(b"else"), whole)
        assert not verify_consistency(old, size, proof, before, leaf_hash(b"else"))
        assert not verify_consistency(old, size, [*proof, before], before, whole)
        if proof:
            assert not verify_consistency(old, size, proof[:-1], before, whole)


@given(st.data(), st.integers(2, 200))
def test_one_changed_byte_breaks_a_proof(data: st.DataObject, size: int) -> None:
    hashes = [leaf_hash(i.to_bytes(2, "big")) for i in range(size)]
    whole = root(hashes)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size - 1))
    for proof, holds in (
        (
            inclusion_proof(hashes, index),
            lambda p: verify_inclusion(hashes[index], index, size, p, whole),
        ),
        (
            consistency_proof(hashes, old),
            lambda p: verify_consistency(old, size, p, root(hashes[:old]), whole),
        ),
    ):
        assert holds(proof)
        place, byte = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 31))
        spoilt = bytearray(proof[place])
        spoilt[byte] ^= data.draw(st.integers(1, 255))
        assert not holds([*proof[:place], bytes(spoilt), *proof[place + 1 :]])


@given(st.integers(-3, 300), st.integers(-3, 300), st.lists(st.binary(max_size=40), max_size=12))
def test_hostile_proofs_are_answered_not_raised(a: int, b: int, proof: list[bytes]) -> None:
    one = leaf_hash(b"x")
    assert not verify_inclusion(one, a, b, proof, leaf_hash(b"y"))
    assert not verify_consistency(a, b, proof, one, leaf_hash(b"y"))


@pytest.mark.parametrize("index", [-1, 3])
def test_no_proof_for_a_leaf_that_is_not_there(index: int) -> None:
    with pytest.raises(IndexError):
        inclusion_proof(HASHES[:3], index)


@pytest.mark.parametrize("old", [0, 4])
def test_no_proof_for_a_tree_that_never_was(old: int) -> None:
    with pytest.raises(IndexError):
        consistency_proof(HASHES[:3], old)
