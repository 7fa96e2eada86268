"""Completes a manifest store that c2pa built: byte strings in soft bindings, our own signature.

The c2pa library takes assertions as JSON and has no way to write a CBOR byte string, which is
what C2PA 2.4 section 18.10 wants a soft binding's value to be. So the library builds and embeds
the store with a text of the same length in its place, signed by a key that is good for nothing
(:mod:`guard.provenance.scaffold`). Here the text's head is changed to that of a byte string (same
length), the assertion's hash in the claim is replaced, and the signature box is filled anew. No
length changes, so the file around the store, and with it the hard binding, stays as it was.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping

from guard.provenance import cbor, jumbf
from guard.provenance.claim_key import ClaimKey, signature_of
from guard.provenance.cose import ASSERTIONS, CLAIM, cbor_of, to_be_signed
from guard.provenance.envelope import Sealed, protected_header


def placeholder(length: int) -> str:
    """A text of ``length`` ASCII characters that stands in no file by chance."""
    return secrets.token_hex(length // 2 + 1)[:length]


def bind_values(store: bytes, manifest_label: str, values: Mapping[str, bytes]) -> bytes:
    """The store with each placeholder text replaced by its value; its signature no longer holds.

    Raises ValueError when a placeholder or its assertion's hash is not there exactly once.
    """
    changed = bytearray(store)
    for text, value in values.items():
        _bind(changed, manifest_label, text, value)
    return bytes(changed)


def sign_claim(store: bytes, manifest_label: str, key: ClaimKey) -> Sealed:
    """The key's signature of a manifest's claim, to be put into its box.

    Raises SigningKeyUnavailable, ValueError when there is no claim.
    """
    claim = cbor_of(store, manifest_label, CLAIM)
    protected = protected_header(key)
    message = to_be_signed(protected, store[claim.body : claim.end])
    return Sealed(protected, signature_of(key, message))


def _bind(store: bytearray, manifest_label: str, text: str, value: bytes) -> None:
    assertion = _assertion_with(store, manifest_label, text)
    before = _hash(store, assertion)
    _replace(store, assertion, cbor.text_string(text), cbor.byte_string(value))
    claim = cbor_of(bytes(store), manifest_label, CLAIM)
    _replace(store, claim, before, _hash(store, assertion))


def _assertion_with(store: bytearray, manifest_label: str, text: str) -> jumbf.Box:
    frozen = bytes(store)
    parent = jumbf.find(frozen, manifest_label, ASSERTIONS)
    inner = jumbf.boxes(frozen, parent.body, parent.end) if parent is not None else iter(())
    found = [box for box in inner if text.encode() in frozen[box.body : box.end]]
    if len(found) != 1:
        raise ValueError(f"{len(found)} assertions hold the placeholder")
    return found[0]


def _hash(store: bytearray, superbox: jumbf.Box) -> bytes:
    """What a claim says of an assertion: SHA-256 of the superbox without its own head."""
    return hashlib.sha256(store[superbox.body : superbox.end]).digest()


def _replace(store: bytearray, within: jumbf.Box, old: bytes, new: bytes) -> None:
    part = bytes(store[within.body : within.end])
    if len(old) != len(new) or part.count(old) != 1:
        raise ValueError("what is to be replaced is not there exactly once, or has another length")
    at = within.body + part.index(old)
    store[at : at + len(new)] = new
