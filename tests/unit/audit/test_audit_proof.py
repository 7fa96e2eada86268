"""Proofs: all of them for small trees, and none accepted that was tampered with.

tests/benchmarks/bench_tampering.py does the same for larger trees and more proofs.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.audit.checkpoints.proof import (
    MAX_PROOF_BYTES,
    ConsistencyProof,
    parse_consistency,
    parse_inclusion,
)
from guard.audit.tree.merkle import EMPTY_ROOT
from guard.errors import ProofInvalid
from tests.support.proof_reference import (
    OURS,
    Forger,
    Reference,
    check_all_proofs,
    false_growth,
    false_inclusions,
    has_grown,
    is_included,
)

LARGEST, EACH = 72, 100


@pytest.fixture(scope="module")
def forger() -> Forger:
    return Forger(Reference(300), random.Random(5))  # noqa: S311


def test_every_proof_of_every_small_tree() -> None:
    assert check_all_proofs(LARGEST) == LARGEST * (LARGEST + 1)


def test_no_spoilt_inclusion_proof_is_accepted(forger: Forger) -> None:
    tried: Counter[str] = Counter()
    for name, accepted in false_inclusions(forger, EACH):
        assert not accepted, name
        tried[name] += 1
    assert len(tried) >= 16
    assert set(tried.values()) == {EACH}


def test_no_spoilt_consistency_proof_is_accepted(forger: Forger) -> None:
    tried: Counter[str] = Counter()
    for name, accepted in false_growth(forger, EACH):
        assert not accepted, name
        tried[name] += 1
    assert len(tried) >= 16
    assert set(tried.values()) == {EACH}


def test_proofs_are_read_as_they_were_written(forger: Forger) -> None:
    proof = forger.inclusion()
    assert parse_inclusion(str(proof).encode()) == proof
    assert str(proof).startswith("c2sp.org/tlog-proof@v1\nextra ")
    growth, _ = forger.growth()
    assert parse_consistency(str(growth).encode()) == growth
    assert str(growth).startswith(f"old {growth.old_size}\n")


def test_the_only_leaf_needs_no_hashes(forger: Forger) -> None:
    text = f"c2sp.org/tlog-proof@v1\nindex 0\n\n{forger.signed(1)}"
    assert is_included(text, forger.tree.leaves[0])
    assert not is_included(text, forger.tree.leaves[1])


def test_every_log_grew_from_the_empty_one(forger: Forger) -> None:
    empty = OURS.sign(0, EMPTY_ROOT)
    assert has_grown(str(ConsistencyProof(0, (), str(forger.signed(7)))), empty)
    assert not has_grown(str(ConsistencyProof(0, (bytes(32),), str(forger.signed(7)))), empty)
    assert not has_grown(str(ConsistencyProof(1, (), str(forger.signed(7)))), empty)


CHECKPOINT = "log-1\n1\nAAAA\n\n— log-1 AAAAAAA=\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "c2sp.org/tlog-proof@v1",
        f"c2sp.org/tlog-proof@v2\nindex 0\n\n{CHECKPOINT}",
        f"c2sp.org/tlog-proof@v1\n\n{CHECKPOINT}",
        f"c2sp.org/tlog-proof@v1\nextra AAAA\n\n{CHECKPOINT}",
        f"c2sp.org/tlog-proof@v1\nextra A\nindex 0\n\n{CHECKPOINT}",
        f"c2sp.org/tlog-proof@v1\nindex 00\n\n{CHECKPOINT}",
        f"c2sp.org/tlog-proof@v1\nindex -1\n\n{CHECKPOINT}",
        f"c2sp.org/tlog-proof@v1\nindex 1{'0' * 30}\n\n{CHECKPOINT}",
        f"c2sp.org/tlog-proof@v1\nindex ٣\n\n{CHECKPOINT}",
        f"c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\n{CHECKPOINT}",
        "c2sp.org/tlog-proof@v1\nindex 0\n" + f"{'A' * 43}=\n" * 64 + f"\n{CHECKPOINT}",
        "c2sp.org/tlog-proof@v1\nindex 0\n\n" + "x" * MAX_PROOF_BYTES,
        b"c2sp.org/tlog-proof@v1\xff\nindex 0\n\n",
    ],
)
def test_what_is_no_proof_is_refused(text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(ProofInvalid, match="no proof") as caught:
        parse_inclusion(data)
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "old 1",
        f"old\n\n{CHECKPOINT}",
        f"old 01\n\n{CHECKPOINT}",
        f"new 1\n\n{CHECKPOINT}",
        f"old 1\nAAAA\n\n{CHECKPOINT}",
        f"old 1\n!\n\n{CHECKPOINT}",
    ],
)
def test_what_is_no_proof_of_growth_is_refused(text: str) -> None:
    with pytest.raises(ProofInvalid, match="no proof"):
        parse_consistency(text.encode())


@given(st.binary(max_size=300))
def test_hostile_bytes_raise_nothing_else(data: bytes) -> None:
    for parse in (parse_inclusion, parse_consistency):
        with pytest.raises(ProofInvalid):
            parse(data)
