"""Signed notes and checkpoints: known ones, our own, and hostile ones."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from guard.audit.checkpoints.checkpoint import Checkpoint, open_checkpoint
from guard.audit.checkpoints.checkpoint_key import CheckpointKey
from guard.audit.checkpoints.note import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    Signature,
    VerifierKey,
    decode64,
    parse_note,
    sign,
)
from guard.audit.tree.merkle import EMPTY_ROOT
from guard.errors import KeyInvalid, ProofInvalid

# Of the specification, and of the note package of Go.
_SPEC = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppz"
    "i2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
_GO = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngot"
    "pRZb6KE6RyyBwJnAM=\n"
)
KNOWN = [
    ("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", _SPEC),
    ("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", _GO),
]
EXAMPLE, NOTE = KNOWN[0]
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = CheckpointKey("log-1", PRIVATE)
ROOT = hashlib.sha256(b"a root").digest()


@pytest.mark.parametrize(("key", "text"), KNOWN)
def test_known_notes_hold(key: str, text: str) -> None:
    verifier = VerifierKey.parse(key)
    note = parse_note(text)
    assert str(verifier) == key
    assert str(note) == text
    assert note.verify([verifier]) == (verifier,)


def test_our_own_notes_hold_and_are_the_same_each_time() -> None:
    note = sign("line\n\nline after an empty one\n", "log-1", PRIVATE)
    assert parse_note(str(note)) == note == sign(note.text, "log-1", PRIVATE)
    assert note.verify([KEY.verifier]) == (KEY.verifier,)


def test_cosignatures_are_kept() -> None:
    witness = Ed25519PrivateKey.from_private_bytes(bytes(32))
    text = "log-1\n0\n" + base64.b64encode(EMPTY_ROOT).decode() + "\n"
    ours, theirs = sign(text, "log-1", PRIVATE), sign(text, "witness.example", witness)
    note = parse_note(str(ours) + str(theirs.signatures[0]))
    assert [one.name for one in note.signatures] == ["log-1", "witness.example"]
    both = [
        KEY.verifier,
        VerifierKey("witness.example", witness.public_key().public_bytes_raw()),
    ]
    assert note.verify(both) == tuple(both)
    assert open_checkpoint(str(note), both).note == note


def test_unknown_signatures_are_ignored_and_false_ones_are_not() -> None:
    note = parse_note(NOTE)
    verifier = VerifierKey.parse(EXAMPLE)
    stranger = Signature("example.com/foo", b"\0\0\0\0", bytes(64))  # our name, another key
    assert parse_note(NOTE + str(stranger)).verify([verifier]) == (verifier,)
    for data in (bytes(64), bytes(63), b"x"):
        spoilt = NOTE + str(Signature(verifier.name, verifier.key_id, data))
        with pytest.raises(ProofInvalid, match="does not hold"):
            parse_note(spoilt).verify([verifier])
    with pytest.raises(ProofInvalid, match="no signature of a key that is trusted"):
        note.verify([])
    with pytest.raises(ProofInvalid, match="no signature of a key that is trusted"):
        note.verify([KEY.verifier])
    with pytest.raises(ProofInvalid, match="does not hold"):
        parse_note(NOTE.replace("example message", "example massage")).verify([verifier])


SIGNED = NOTE.partition("\n\n")[2]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\n\n",
        "text\n",
        "text\n\n",
        f"text\n{SIGNED}",
        f"\n\n{SIGNED}",
        NOTE.rstrip("\n"),
        NOTE + "\n",
        NOTE + "more\n",
        NOTE.replace("— ", "- "),
        NOTE.replace("— ", "—"),
        NOTE.replace("example.com/foo ", ""),
        NOTE.replace("example.com/foo", "a+b"),
        NOTE.replace("example.com/foo", "a\u2003b"),
        NOTE.replace("foo Uw2", "foo  Uw2"),
        NOTE.replace("Uw2Q", "Uw2!"),
        NOTE.replace("aQM=", "aQM"),
        NOTE.replace("aQM=", "aQN="),  # other bits behind the end
        NOTE.replace("message", "mess\tage"),
        NOTE.replace("\n", "\r\n"),
        "text\n\n— a AAAAAA==\n",  # a key id without a signature
        "text\n\n" + "— a AAAAAAA=\n" * (MAX_SIGNATURES + 1),
        "x" * MAX_NOTE_BYTES + "\n\n— a AAAAAAA=\n",
        b"text\xff\n\n\xe2\x80\x94 a AAAAAAA=\n",
        "te\ud800xt\n\n— a AAAAAAA=\n",
    ],
)
def test_what_is_no_note_is_refused(text: str | bytes) -> None:
    with pytest.raises(ProofInvalid, match="no signed note") as caught:
        parse_note(text)
    assert caught.value.hint


def test_sixteen_signatures_are_read() -> None:
    assert len(parse_note("text\n\n" + "— a AAAAAAA=\n" * 16).signatures) == 16


@pytest.mark.parametrize(
    "line",
    [
        "",
        "name",
        "name+530d903a",
        EXAMPLE.replace("530d903a", "530d903b"),
        EXAMPLE.replace("530d903a", "530D903A"),
        EXAMPLE.replace("AekyeR", "BOkyeR"),  # another type
        EXAMPLE[:-4],
        EXAMPLE + "+",
        EXAMPLE.replace("example", "ex ample"),
        "\ud800+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_what_is_no_verifier_key_is_refused(line: str) -> None:
    with pytest.raises(KeyInvalid):
        VerifierKey.parse(line)


def test_a_public_key_that_is_no_point_verifies_nothing() -> None:
    assert not VerifierKey("x", b"\xff" * 32).verifies(b"text", bytes(64))


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "x\ud800\n"])
def test_what_cannot_be_signed_is_not(text: str) -> None:
    with pytest.raises(ValueError, match="cannot stand"):
        sign(text, "log-1", PRIVATE)
    with pytest.raises(ValueError, match="cannot stand"):
        sign("text\n", "a name", PRIVATE)


def test_base64_has_one_form() -> None:
    assert decode64("AA==") == b"\0"
    for other in ("AB==", "AA", "AA=", "AA==\n", "A A==", "é"):
        with pytest.raises(ValueError, match=r"Base64|canonical|Base 64|ASCII"):
            decode64(other)


def test_a_checkpoint_is_what_was_signed() -> None:
    signed = KEY.sign(7, ROOT)
    again = open_checkpoint(str(signed), [KEY.verifier], "log-1")
    assert again == signed
    assert (again.size, again.root, again.checkpoint.origin) == (7, ROOT, "log-1")
    assert str(signed).startswith("log-1\n7\n")


def test_extension_lines_are_kept() -> None:
    text = Checkpoint("log-1", 1, ROOT, ("more", "lines")).text
    note = sign(text, "log-1", PRIVATE)
    found = open_checkpoint(str(note), [KEY.verifier]).checkpoint
    assert found.extensions == ("more", "lines")
    assert found.text == text


ROOT64 = base64.b64encode(ROOT).decode()


@pytest.mark.parametrize(
    "text",
    [
        "\n",
        "log-1\n",
        "log-1\n1\n",
        f"\n1\n{ROOT64}\n",
        f"log-1\n\n{ROOT64}\n",
        f"log-1\n01\n{ROOT64}\n",
        f"log-1\n-1\n{ROOT64}\n",
        f"log-1\n+1\n{ROOT64}\n",
        f"log-1\n1 \n{ROOT64}\n",
        f"log-1\n1e3\n{ROOT64}\n",
        f"log-1\n١\n{ROOT64}\n",
        f"log-1\n{2**63}\n{ROOT64}\n",
        f"log-1\n{10**30}\n{ROOT64}\n",
        f"log-1\n0\n{ROOT64}\n",
        "log-1\n1\nAAAA\n",
        "log-1\n1\n!\n",
        f"log-1\n1\n{ROOT64}\n\nmore\n",
        f"log-1\n1\n{ROOT64}",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(ProofInvalid, match="no checkpoint"):
        Checkpoint.parse(text)


def test_a_checkpoint_of_another_log_is_refused() -> None:
    with pytest.raises(ProofInvalid, match="is of log log-1, not of log-2"):
        open_checkpoint(str(KEY.sign(1, ROOT)), [KEY.verifier], "log-2")


def test_a_trusted_key_of_another_name_does_not_speak_for_a_log() -> None:
    other = VerifierKey("log-2", KEY.verifier.public)
    forged = sign(Checkpoint("log-1", 1, ROOT).text, "log-2", PRIVATE)
    with pytest.raises(ProofInvalid, match="no signature of a key"):
        open_checkpoint(str(forged), [other, KEY.verifier])


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_hostile_notes_raise_nothing_else(data: bytes | str) -> None:
    with pytest.raises(ProofInvalid) as caught:
        open_checkpoint(data, [KEY.verifier])
    assert caught.value.hint


@given(st.data())
def test_one_changed_byte_spoils_a_checkpoint(data: st.DataObject) -> None:
    good = str(KEY.sign(12345, ROOT)).encode()
    place = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ProofInvalid):
        open_checkpoint(bytes(bad), [KEY.verifier], "log-1")
