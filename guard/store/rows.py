"""What the store hands out and takes: frozen values, never ORM objects."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Head:
    """The state of the log's tree.

    ``root`` is the RFC 6962 root over ``size`` leaves (32 bytes); ``frontier`` is the
    concatenation of the roots of its perfect subtrees, largest first, 32 bytes each.
    """

    log_id: str
    size: int
    root: bytes
    frontier: bytes


@dataclass(frozen=True, slots=True)
class LeafColumns:
    """What is stored beside a leaf so that it can be searched: all of it derives from the leaf.

    ``at_us`` counts microseconds since 1970 UTC. ``rules`` and ``categories`` hold one item a
    line, each line closed by a newline and the whole opened by one, or nothing. The row of an act
    has the act's id and name as ``record_id`` and ``event``; ``about`` and ``subject`` say whom or
    what it concerns.
    """

    record_id: str
    event: str
    at_us: int
    origin: str
    tenant: str | None
    action: str | None
    stage: str | None
    rules: str
    categories: str
    policy: str
    policy_digest: str
    model: str | None
    mark: str | None
    fingerprint: str | None
    asset_sha256: str | None
    manifest_sha256: str | None
    idempotency_key: str | None
    reviewer: str | None
    about: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class LeafRow:
    """One row of the log: its place, its canonical bytes, their hash, and the columns."""

    index: int
    leaf: bytes
    leaf_hash: bytes
    columns: LeafColumns


@dataclass(frozen=True, slots=True)
class Salts:
    """The keys of a record's commitments, 32 random bytes each."""

    prompt: bytes
    user: bytes


@dataclass(frozen=True, slots=True)
class ListChange:
    """One change of an own list: ``change`` is ``add`` or ``remove``, ``who`` made it when.

    ``at_us`` counts microseconds since 1970 UTC; ``number`` orders all changes of a database, and
    is 0 before the change is stored.
    """

    kind: str
    name: str
    change: str
    term: str
    category: str = ""
    note: str = ""
    who: str = ""
    at_us: int = 0
    number: int = 0


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """A manifest in the repository, by the id of its active manifest.

    ``record_id`` is empty for one that was handed in, and then ``manifest`` holds it.
    """

    manifest_id: str
    record_id: str
    sha256: str
    media_type: str
    at_us: int
    manifest: bytes | None = None
    withdrawn_at_us: int | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows are wanted; None does not narrow. Times in microseconds since 1970 UTC.

    ``events`` are names of events and acts, any of which will do; ``records`` ids of records, and
    ``between`` the first and last id, any of which will do. ``policy`` is a name, or the beginning
    of a digest; ``mark`` a mark id in hex.
    """

    since_us: int | None = None
    until_us: int | None = None
    event: str | None = None
    record_id: str | None = None
    stage: str | None = None
    rule: str | None = None
    category: str | None = None
    tenant: str | None = None
    about: str | None = None
    subject: str | None = None
    events: tuple[str, ...] = ()
    action: str | None = None
    model: str | None = None
    policy: str | None = None
    mark: str | None = None
    asset_sha256: str | None = None
    records: tuple[str, ...] | None = None
    between: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows are counted: of a time, ``until_us`` excluded, and of a tenant; None for all."""

    since_us: int | None = None
    until_us: int | None = None
    tenant: str | None = None


COLUMN_NAMES = tuple(field.name for field in dataclasses.fields(LeafColumns))
