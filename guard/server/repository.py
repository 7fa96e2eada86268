"""The manifest repository as the API asks it: matches, manifests, bindings, receipts.

Two kinds of manifests are in it. Those of our own released pictures are proven by the audit log,
and what leads to them (mark, fingerprints) must stand in the manifest itself. Those that the
operator handed in are checked when they come; what leads to them is what they say, and what the
operator added. No answer says who asked for a picture, or what for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from guard.audit.base import StoredRecord
from guard.audit.frame import to_us
from guard.audit.log import SqlAuditLog
from guard.image.blocks import read
from guard.image.decode import decode
from guard.image.fingerprint import ALGORITHM as PDQ
from guard.image.fingerprint import (
    BITS,
    ISCC,
    distance,
    from_binding,
    iscc_code,
    measured,
    to_binding,
    turned,
)
from guard.provenance.cose import active_label
from guard.provenance.manifest import mark_algorithm
from guard.provenance.read import verify_stored
from guard.provenance.trust import TrustList
from guard.server.handed_in import HandedIn
from guard.server.problems import Problem, bad_request, not_found
from guard.server.stores import active_manifest, is_manifest_id
from guard.store.rows import ManifestEntry
from guard.types import Detection, Event, Pixels
from guard.verify.compare import compare
from guard.verify.similar import DISTINCT, SAME_PICTURE, find_lookalikes
from guard.watermark.base import PAYLOAD_BYTES, Watermark

FINGERPRINTS = (ISCC, PDQ)

OTHER_PICTURE = 100
"""Bits of 256: beyond this, a picture in the same frame is not the one that was recorded."""

CHANGED = 50
"""Score of a picture that was changed in places: whoever asks should look at both."""

MOST_LOOKALIKES = 100
"""Manifests that one picture leads to at most: as many as can be asked for."""

MOST_VALUE_BYTES = 4096
"""A soft binding's value; ours have 8, 32 and 34 bytes."""


@dataclass(frozen=True, slots=True)
class Match:
    """A manifest that a soft binding leads to; ``score`` 0–100, 100 for the very value."""

    manifest_id: str
    score: int


@dataclass(frozen=True, slots=True)
class SoftBinding:
    """Algorithm and value, as a soft binding assertion has them."""

    algorithm: str
    value: bytes


class Repository:
    """Questions and changes; thread-safe. Raises Problem, or a GuardError of the rooms below."""

    def __init__(self, log: SqlAuditLog, trust: TrustList, watermark: Watermark) -> None:
        self._log = log
        self._trust = trust
        self._watermark = watermark
        self._handed_in = HandedIn(log.store)

    @property
    def watermarks(self) -> tuple[str, ...]:
        """Watermark algorithms that are understood."""
        return (mark_algorithm(self._watermark.method),)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Fingerprint algorithms that are understood."""
        return FINGERPRINTS

    def check(self) -> None:
        """That the database answers. Raises AuditUnavailable."""
        with self._log.store.read() as reader:
            reader.head()

    # -- matches -----------------------------------------------------------------------------

    def by_binding(self, asked: SoftBinding, limit: int) -> list[Match]:
        """What one soft binding leads to, best first."""
        found = list(self._own(asked, limit))
        found += self._handed_in.matches(asked.algorithm, asked.value, SAME_PICTURE, limit)
        return _best((Match(one, score) for one, score in found), limit)

    def by_content(
        self, data: bytes, limit: int, algorithm: str | None, hint: SoftBinding | None
    ) -> list[Match]:
        """What a picture's mark and fingerprints lead to, best first.

        A mark that was copied onto another picture leads nowhere: beside it the fingerprint is
        compared. ``algorithm`` narrows to one; a ``hint`` is believed only if the picture agrees.
        Raises InvalidImage.
        """
        pixels = decode(data).pixels
        seen = list(self._seen(pixels))
        matches = [match for name, match in seen if algorithm in {None, name}]
        if hint is not None:
            known = {match.manifest_id for _, match in seen}
            matches += [one for one in self.by_binding(hint, limit) if one.manifest_id in known]
        return _best(matches, limit)

    def _seen(self, pixels: Pixels) -> Iterator[tuple[str, Match]]:
        """(algorithm, match) of all that a picture itself leads to.

        All that a manifest binds must agree: a picture with another record's mark is not that of
        the record that it looks like, nor that of the mark.
        """
        detection = self._watermark.detect(pixels)
        mark = detection.payload if detection.detected else None
        if mark is not None:
            for algorithm in self.watermarks:
                for stored in self._by_mark(SoftBinding(algorithm, bytes.fromhex(mark))):
                    score = _likeness(stored, pixels, detection)
                    if score:
                        yield algorithm, Match(_id(stored), score)
        yield from self._by_prints(pixels, mark)

    def _by_prints(self, pixels: Pixels, mark: str | None) -> Iterator[tuple[str, Match]]:
        known = measured(pixels)
        for near in find_lookalikes(self._log, pixels, MOST_LOOKALIKES, known):
            theirs = near.stored.record.mark
            if mark is not None and (theirs is None or theirs.payload != mark):
                continue
            most = _likeness(near.stored, turned(pixels, near.position), None)
            for print_, apart in near.near if most and self._is_served(near.stored) else ():
                if self._says(near.stored, print_.algorithm, bytes.fromhex(print_.bits)):
                    yield print_.algorithm, Match(_id(near.stored), min(most, _score(apart)))
        prints = (known[0], iscc_code(pixels)) if known[1] >= DISTINCT else ()
        for print_ in prints:
            bounds = SAME_PICTURE, MOST_LOOKALIKES
            for found in self._handed_in.matches(print_.algorithm, to_binding(print_), *bounds):
                yield print_.algorithm, Match(*found)

    def _own(self, asked: SoftBinding, limit: int) -> Iterator[tuple[str, int]]:
        if asked.algorithm in self.watermarks:
            yield from ((_id(stored), 100) for stored in self._by_mark(asked))
            return
        print_ = from_binding(asked.algorithm, asked.value)
        if print_ is None:
            if asked.algorithm in FINGERPRINTS:
                raise bad_request(f"The value is none of {asked.algorithm}.")
            return
        bits = bytes.fromhex(print_.bits)
        for near in self._log.find_similar([print_], SAME_PICTURE, limit):
            if self._is_served(near.stored) and self._says(near.stored, print_.algorithm, bits):
                yield _id(near.stored), _score(near.distance)

    def _by_mark(self, asked: SoftBinding) -> Iterator[StoredRecord]:
        if len(asked.value) != PAYLOAD_BYTES:
            raise bad_request(f"The value is none of {asked.algorithm}: it has 8 bytes.")
        stored = self._log.find_by_mark(asked.value.hex())
        if stored is not None and self._is_served(stored):
            mark = stored.record.mark
            same = mark is not None and mark_algorithm(mark.method) == asked.algorithm
            if same and self._says(stored, asked.algorithm, asked.value):
                yield stored

    def _says(self, stored: StoredRecord, algorithm: str, value: bytes) -> bool:
        """Whether the manifest itself binds what led to it: the very mark, or a near print."""
        media_type = stored.record.media_type or "image/png"
        reading = verify_stored(stored.manifest or b"", media_type, self._trust)
        if reading.state == "invalid" or reading.record_id != stored.record.record_id:
            return False
        for name, text in reading.soft_bindings:
            print_ = from_binding(name, bytes.fromhex(text))
            if name != algorithm:
                continue
            if print_ is None and bytes.fromhex(text) == value:
                return True
            if print_ is not None and _apart(bytes.fromhex(print_.bits), value) <= SAME_PICTURE:
                return True
        return False

    def _is_served(self, stored: StoredRecord) -> bool:
        """Only what left the house, has a manifest, and was not withdrawn."""
        label = stored.record.manifest_label
        if stored.record.event is not Event.RELEASED or stored.manifest is None or label is None:
            return False
        with self._log.store.read() as reader:
            entries = reader.entries_of([stored.record.record_id])
        return any(one.manifest_id == label and one.withdrawn_at_us is None for one in entries)

    # -- manifests ---------------------------------------------------------------------------

    def manifest(self, manifest_id: str, *, active_only: bool = False) -> bytes:
        """A manifest store, or of it the active manifest alone. Raises Problem 404."""
        store = self._kept(manifest_id)[0]
        return active_manifest(store, manifest_id) if active_only else store

    def _kept(self, manifest_id: str) -> tuple[bytes, ManifestEntry]:
        if is_manifest_id(manifest_id):
            with self._log.store.read() as reader:
                entries = reader.entries(manifest_id)
            for entry in entries:
                store = entry.manifest if not entry.record_id else self._released(manifest_id)
                if store is not None and entry.withdrawn_at_us is None:
                    return store, entry
        raise not_found("There is no such manifest here.")

    def _released(self, manifest_id: str) -> bytes | None:
        stored = self._log.find_by_manifest(manifest_id)
        return stored.manifest if stored is not None and self._is_served(stored) else None

    def add(self, store: bytes) -> str:
        """Take a manifest store in, with the soft bindings that it says; answers its id.

        The same store again is no mistake. Raises Problem 400 for one that does not verify, 409
        when the id is taken by another, or was withdrawn.
        """
        manifest_id, bindings = self._checked(store)
        digest, now = hashlib.sha256(store).hexdigest(), to_us(datetime.now(UTC))
        with self._log.store.write() as writer:
            for entry in writer.entries(manifest_id):
                if entry.sha256 == digest and entry.withdrawn_at_us is None:
                    return manifest_id
                raise Problem(409, "conflict", "This manifest id is taken, or was withdrawn.")
            writer.add_entry(ManifestEntry(manifest_id, "", digest, "", now, store))
            for one in bindings:
                writer.add_binding(manifest_id, one.algorithm, one.value, now)
        return manifest_id

    def _checked(self, store: bytes) -> tuple[str, list[SoftBinding]]:
        reading = verify_stored(store, "image/png", self._trust)
        try:
            label = active_label(store)
        except ValueError:
            label = ""
        if reading.state == "invalid" or reading.label != label or not is_manifest_id(label):
            raise bad_request(
                "The body is no C2PA manifest store that verifies.",
                "Send the store as it is embedded, as application/c2pa.",
            )
        values = [(name, bytes.fromhex(text)) for name, text in reading.soft_bindings]
        return label, [SoftBinding(*one) for one in values if 0 < len(one[1]) <= MOST_VALUE_BYTES]

    def bind(self, asked: SoftBinding, manifest_id: str, *, replace: bool) -> None:
        """Let a soft binding lead to a manifest, also; or only, with ``replace``.

        Raises Problem 404 for a manifest that is not here.
        """
        self._kept(manifest_id)
        with self._log.store.write() as writer:
            if replace:
                writer.remove_bindings(asked.algorithm, asked.value)
            known = writer.bound_manifests(asked.algorithm, asked.value, MOST_VALUE_BYTES)
            if manifest_id not in known:
                now = to_us(datetime.now(UTC))
                writer.add_binding(manifest_id, asked.algorithm, asked.value, now)

    def withdraw(self, manifest_id: str) -> None:
        """Serve a manifest no longer. The audit log keeps it. Raises Problem 404."""
        self._kept(manifest_id)
        with self._log.store.write() as writer:
            writer.withdraw(manifest_id, to_us(datetime.now(UTC)))

    def receipt(self, manifest_id: str) -> dict[str, object]:
        """What proves that a manifest was taken in: its digest, the time, and the log's leaf."""
        _, entry = self._kept(manifest_id)
        proof: dict[str, object] = {
            "alg": "sha256",
            "manifestSha256": entry.sha256,
            "registered": datetime.fromtimestamp(entry.at_us / 1e6, UTC).isoformat(),
        }
        if entry.record_id:
            with self._log.store.read() as reader:
                rows = reader.events(entry.record_id)
            row = next(one for one in rows if one.columns.manifest_sha256 == entry.sha256)
            proof |= {"logId": self._log.log_id, "leafIndex": row.index}
            proof |= {"leafHash": row.leaf_hash.hex()}
        return proof


def _likeness(stored: StoredRecord, pixels: Pixels, detection: Detection | None) -> int:
    """How far a picture is the recorded one: 100, :data:`CHANGED` for one that was painted over.

    0 for another picture, to which the mark was copied, or which came near by chance. Of records
    that do not say what their picture looked like, the fingerprint tells in its own frame.
    """
    framed = detection is not None and detection.geometry in {"", "same frame"}
    placement = detection.placement if detection is not None else None
    comparison = None
    if stored.blocks is not None and (detection is None or placement is not None or framed):
        comparison = compare(pixels, placement, read(stored.blocks))
    if comparison is not None and comparison.overlap:  # of what could not be compared there is none
        whole = 0 if comparison.share == 1.0 else CHANGED
        return whole if comparison.differs else 100
    recorded = stored.record.fingerprint
    if not framed or recorded is None:
        return 100
    print_, quality = measured(pixels)
    if recorded.algorithm != PDQ or quality < DISTINCT:  # of a flat picture chance decides the bits
        return 100
    return 100 if distance(recorded, print_) <= OTHER_PICTURE else 0


def _id(stored: StoredRecord) -> str:
    return stored.record.manifest_label or ""


def _score(bits_apart: int) -> int:
    """100 for the same bits, 0 for what two different pictures differ by."""
    return max(0, round(100 * (1 - 2 * bits_apart / BITS)))


def _apart(a: bytes, b: bytes) -> int:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_count()


def _best(matches: Iterable[Match], limit: int) -> list[Match]:
    scores: dict[str, int] = {}
    for one in matches:
        scores[one.manifest_id] = max(one.score, scores.get(one.manifest_id, 0))
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    return [Match(*one) for one in ranked[:limit]]
