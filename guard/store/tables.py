"""The tables, as SQLModel sees them. The migrations are what creates them; a test compares both.

A ``table=True`` class does not validate: rows are built from validated border types by the
audit room, and the database's own constraints and triggers are the second fence.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, LargeBinary, Table, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel


class AuditLeaf(SQLModel, table=True):
    """One event of one record. ``leaf`` is the truth; all other columns derive from it."""

    __tablename__ = "audit_leaf"
    __table_args__ = (
        UniqueConstraint("log_id", "record_id", "event", name="uq_audit_leaf_record_event"),
        Index("ix_audit_leaf_record", "record_id", "leaf_index", "event"),
        Index("ix_audit_leaf_event", "event", "at_us"),
        Index("ix_audit_leaf_at", "at_us"),
        Index("ix_audit_leaf_tenant", "tenant", "at_us"),
        Index(
            "ix_audit_leaf_about",
            "about",
            sqlite_where=text("about IS NOT NULL"),
            postgresql_where=text("about IS NOT NULL"),
        ),
        Index(
            "ix_audit_leaf_subject",
            "subject",
            sqlite_where=text("subject IS NOT NULL"),
            postgresql_where=text("subject IS NOT NULL"),
        ),
        Index(
            "ix_audit_leaf_rules",
            "leaf_index",
            "rules",
            sqlite_where=text("rules <> ''"),
            postgresql_where=text("rules <> ''"),
        ),
        Index(
            "ix_audit_leaf_categories",
            "leaf_index",
            "categories",
            sqlite_where=text("categories <> ''"),
            postgresql_where=text("categories <> ''"),
        ),
        Index(
            "ix_audit_leaf_asset",
            "asset_sha256",
            sqlite_where=text("asset_sha256 IS NOT NULL"),
            postgresql_where=text("asset_sha256 IS NOT NULL"),
        ),
    )

    log_id: str = Field(primary_key=True, sa_type=Text)
    leaf_index: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    leaf: bytes = Field(sa_type=LargeBinary)
    leaf_hash: bytes = Field(sa_type=LargeBinary)
    record_id: str = Field(sa_type=Text)
    event: str = Field(sa_type=Text)
    at_us: int = Field(sa_type=BigInteger)
    origin: str = Field(sa_type=Text)
    tenant: str | None = Field(default=None, sa_type=Text)
    action: str | None = Field(default=None, sa_type=Text)
    stage: str | None = Field(default=None, sa_type=Text)
    rules: str = Field(sa_type=Text)
    categories: str = Field(sa_type=Text)
    policy: str = Field(sa_type=Text)
    policy_digest: str = Field(sa_type=Text)
    model: str | None = Field(default=None, sa_type=Text)
    mark: str | None = Field(default=None, sa_type=Text)
    fingerprint: str | None = Field(default=None, sa_type=Text)
    asset_sha256: str | None = Field(default=None, sa_type=Text)
    manifest_sha256: str | None = Field(default=None, sa_type=Text)
    idempotency_key: str | None = Field(default=None, sa_type=Text)
    reviewer: str | None = Field(default=None, sa_type=Text)
    about: str | None = Field(default=None, sa_type=Text)
    subject: str | None = Field(default=None, sa_type=Text)


class AuditHead(SQLModel, table=True):
    """The tree's state: exactly one row, replaced only by a larger one (compare-and-swap)."""

    __tablename__ = "audit_head"

    log_id: str = Field(primary_key=True, sa_type=Text)
    size: int = Field(sa_type=BigInteger)
    root: bytes = Field(sa_type=LargeBinary)
    frontier: bytes = Field(sa_type=LargeBinary)


class AuditTile(SQLModel, table=True):
    """A full tile of the tree: 256 hashes of one level and the root over them, written once."""

    __tablename__ = "audit_tile"

    level: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    tile_index: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    root: bytes = Field(sa_type=LargeBinary)
    hashes: bytes = Field(sa_type=LargeBinary)


class CommitmentSalt(SQLModel, table=True):
    """The salts of a record's commitments. Without them the commitments mean nothing."""

    __tablename__ = "commitment_salt"

    record_id: str = Field(primary_key=True, sa_type=Text)
    prompt_salt: bytes = Field(sa_type=LargeBinary)
    user_salt: bytes = Field(sa_type=LargeBinary)


class MarkId(SQLModel, table=True):
    """Which record's picture carries which mark. One mark id is never used twice."""

    __tablename__ = "mark_id"
    __table_args__ = (Index("ix_mark_id_record", "record_id"),)

    payload: str = Field(primary_key=True, sa_type=Text)
    record_id: str = Field(sa_type=Text)


class ManifestStore(SQLModel, table=True):
    """The manifest store that was embedded into a record's picture."""

    __tablename__ = "manifest_store"

    record_id: str = Field(primary_key=True, sa_type=Text)
    sha256: str = Field(sa_type=Text)
    manifest: bytes = Field(sa_type=LargeBinary)


class PictureFingerprint(SQLModel, table=True):
    """A record's perceptual fingerprints; ``leaf_index`` lets readers fetch only what is new."""

    __tablename__ = "picture_fingerprint"
    __table_args__ = (Index("ix_picture_fingerprint_leaf", "algorithm", "leaf_index"),)

    record_id: str = Field(primary_key=True, sa_type=Text)
    leaf_index: int = Field(sa_type=BigInteger)
    algorithm: str = Field(primary_key=True, sa_type=Text)
    bits: bytes = Field(sa_type=LargeBinary)


class ManifestEntry(SQLModel, table=True):
    """A manifest by the id of its active manifest.

    ``record_id`` names the record of ours whose ``manifest_store`` holds it; it is empty for one
    that was handed in, which ``manifest`` holds.
    """

    __tablename__ = "manifest_entry"
    __table_args__ = (Index("ix_manifest_entry_record", "record_id"),)

    manifest_id: str = Field(primary_key=True, sa_type=Text)
    record_id: str = Field(primary_key=True, sa_type=Text)
    sha256: str = Field(sa_type=Text)
    media_type: str = Field(sa_type=Text)
    at_us: int = Field(sa_type=BigInteger)
    manifest: bytes | None = Field(default=None, sa_type=LargeBinary)
    withdrawn_at_us: int | None = Field(default=None, sa_type=BigInteger)


class SoftBinding(SQLModel, table=True):
    """A soft binding of a manifest that was handed in."""

    __tablename__ = "soft_binding"
    __table_args__ = (
        Index("ix_soft_binding_value", "algorithm", "value"),
        Index("ix_soft_binding_manifest", "manifest_id"),
    )

    number: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    manifest_id: str = Field(sa_type=Text)
    algorithm: str = Field(sa_type=Text)
    value: bytes = Field(sa_type=LargeBinary)
    at_us: int = Field(sa_type=BigInteger)


class PictureBlocks(SQLModel, table=True):
    """What a record's picture looks like, coarsely. Its digest stands in the record's leaf."""

    __tablename__ = "picture_blocks"

    record_id: str = Field(primary_key=True, sa_type=Text)
    sha256: str = Field(sa_type=Text)
    blocks: bytes = Field(sa_type=LargeBinary)


class IdempotencyKey(SQLModel, table=True):
    """Which record a caller's key began. Keys of different tenants do not meet."""

    __tablename__ = "idempotency_key"

    tenant: str = Field(primary_key=True, sa_type=Text)
    key: str = Field(primary_key=True, sa_type=Text)
    record_id: str = Field(sa_type=Text)


class OwnListChange(SQLModel, table=True):
    """One change of a platform's own list. What a list holds is the sum of its changes."""

    __tablename__ = "own_list_change"
    __table_args__ = (Index("ix_own_list_change_list", "kind", "name", "number"),)

    number: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    kind: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    change: str = Field(sa_type=Text)
    term: str = Field(sa_type=Text)
    category: str = Field(sa_type=Text)
    note: str = Field(sa_type=Text)
    who: str = Field(sa_type=Text)
    at_us: int = Field(sa_type=BigInteger)


class BankChange(SQLModel, table=True):
    """One change of a bank of known pictures' fingerprints."""

    __tablename__ = "bank_change"
    __table_args__ = (
        Index("ix_bank_change_bank", "bank", "number"),
        Index("ix_bank_change_bits", "bits", "bank"),
    )

    number: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    bank: str = Field(sa_type=Text)
    change: str = Field(sa_type=Text)
    bits: bytes = Field(sa_type=LargeBinary)
    label: str = Field(sa_type=Text)
    note: str = Field(sa_type=Text)
    who: str = Field(sa_type=Text)
    at_us: int = Field(sa_type=BigInteger)


class VaultSubject(SQLModel, table=True):
    """A person's pseudonym: 32 random bytes behind a keyed hash of tenant and user."""

    __tablename__ = "vault_subject"
    __table_args__ = (UniqueConstraint("subject", name="uq_vault_subject"),)

    lookup: bytes = Field(primary_key=True, sa_type=LargeBinary)
    subject: bytes = Field(sa_type=LargeBinary)


class VaultKey(SQLModel, table=True):
    """Whose data key this is, and of which period. The key itself is in another database."""

    __tablename__ = "vault_key"
    __table_args__ = (UniqueConstraint("subject", "period", name="uq_vault_key_subject_period"),)

    key_id: bytes = Field(primary_key=True, sa_type=LargeBinary)
    subject: bytes = Field(sa_type=LargeBinary)
    period: str = Field(sa_type=Text)


class VaultEntry(SQLModel, table=True):
    """A record's personal data, encrypted: nonce, ciphertext and tag in each column."""

    __tablename__ = "vault_entry"
    __table_args__ = (
        Index("ix_vault_entry_key", "key_id"),
        Index("ix_vault_entry_at", "at_us", "record_id"),
    )

    record_id: str = Field(primary_key=True, sa_type=Text)
    key_id: bytes = Field(sa_type=LargeBinary)
    at_us: int = Field(sa_type=BigInteger)
    prompt: bytes | None = Field(default=None, sa_type=LargeBinary)
    negative_prompt: bytes | None = Field(default=None, sa_type=LargeBinary)
    user_id: bytes | None = Field(default=None, sa_type=LargeBinary)
    salts: bytes | None = Field(default=None, sa_type=LargeBinary)


class VaultErasure(SQLModel, table=True):
    """An erasure under way: what is to be recorded once it is done."""

    __tablename__ = "vault_erasure"

    erasure_id: str = Field(primary_key=True, sa_type=Text)
    act: str = Field(sa_type=Text)
    who: str = Field(sa_type=Text)
    reason: str = Field(sa_type=Text)
    at_us: int = Field(sa_type=BigInteger)
    records: int = Field(sa_type=BigInteger)


class VaultDoomed(SQLModel, table=True):
    """A key, or a record's quarantined picture, that an erasure under way destroys."""

    __tablename__ = "vault_doomed"

    erasure_id: str = Field(primary_key=True, sa_type=Text)
    kind: str = Field(primary_key=True, sa_type=Text)
    item: str = Field(primary_key=True, sa_type=Text)


class OutboxMessage(SQLModel, table=True):
    """A message to be sent to an endpoint; ``endpoint`` is empty while nobody wants it.

    ``payload`` never changes; the rest says how far its sending got.
    """

    __tablename__ = "outbox_message"
    __table_args__ = (
        Index("ix_outbox_message_due", "state", "endpoint", "next_us"),
        Index("ix_outbox_message_about", "about"),
    )

    message_id: str = Field(primary_key=True, sa_type=Text)
    endpoint: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    about: str = Field(sa_type=Text)
    payload: bytes = Field(sa_type=LargeBinary)
    created_us: int = Field(sa_type=BigInteger)
    next_us: int = Field(sa_type=BigInteger)
    attempts: int = Field(sa_type=BigInteger)
    state: str = Field(sa_type=Text)
    lease_until_us: int | None = Field(default=None, sa_type=BigInteger)
    lease_owner: str | None = Field(default=None, sa_type=Text)
    last_error: str | None = Field(default=None, sa_type=Text)


class SubjectBlock(SQLModel, table=True):
    """A block of a user, by pseudonym: counted for signals and forgotten when too old."""

    __tablename__ = "subject_block"
    __table_args__ = (Index("ix_subject_block_subject", "subject", "at_us"),)

    record_id: str = Field(primary_key=True, sa_type=Text)
    subject: str = Field(sa_type=Text)
    at_us: int = Field(sa_type=BigInteger)
    categories: str = Field(sa_type=Text)


def table(name: str) -> Table:
    """The Core table: statements are built on it, without a session."""
    return SQLModel.metadata.tables[name]


LEAF = table("audit_leaf")
