"""What only a check of the whole log asks: whether the lookup tables follow the leaves."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, Select, Table, cast, func, literal, select

from guard.store.tables import LEAF, table

CALLS = {
    "mark_id": LEAF.c.mark,
    "picture_fingerprint": LEAF.c.fingerprint,
    "idempotency_key": LEAF.c.idempotency_key,
    "manifest_store": LEAF.c.manifest_sha256,
}
"""Which column of a leaf calls for a row in which lookup table."""

MANIFESTS_AT_ONCE = 50
"""Manifest stores are tens of kilobytes each."""


def missing(name: str, size: int, limit: int, dialect: str) -> Select[Any]:
    """(record id, index) of leaves that call for a row of a lookup table which is not there."""
    found = select(literal(1)).where(_matches(table(name), dialect)).exists()
    return (
        select(LEAF.c.record_id, LEAF.c.leaf_index)
        .where(CALLS[name].is_not(None), LEAF.c.leaf_index < size, ~found)
        .limit(limit)
    )


def stray(name: str, limit: int, dialect: str) -> Select[Any]:
    """(record id, None) of rows of a lookup table that no leaf calls for."""
    lookup = table(name)
    said = _is_said(lookup, dialect) if name == "picture_fingerprint" else _matches(lookup, dialect)
    called = select(literal(1)).where(said).exists()
    return select(lookup.c.record_id, literal(None)).where(~called).limit(limit)


def _matches(lookup: Table, dialect: str) -> ColumnElement[bool]:
    same = lookup.c.record_id == LEAF.c.record_id
    if lookup.name == "mark_id":
        return same & (lookup.c.payload == LEAF.c.mark)
    if lookup.name == "manifest_store":
        return same & (lookup.c.sha256 == LEAF.c.manifest_sha256)
    if lookup.name == "picture_fingerprint":
        bits = lookup.c.bits
        as_hex = func.hex(bits) if dialect == "sqlite" else func.encode(bits, literal("hex"))
        return same & (func.lower(as_hex) == LEAF.c.fingerprint)
    tenant = func.coalesce(LEAF.c.tenant, literal(""))
    return same & (lookup.c.key == LEAF.c.idempotency_key) & (lookup.c.tenant == tenant)


def _is_said(prints: Table, dialect: str) -> ColumnElement[bool]:
    """The leaf that brought a fingerprint holds it: only the first has a column of its own."""
    bits, utf8 = prints.c.bits, literal("UTF8")
    if dialect == "sqlite":
        place = func.instr(LEAF.c.leaf, cast(func.lower(func.hex(bits)), LargeBinary))
    else:
        as_hex = func.convert_to(func.encode(bits, literal("hex")), utf8)
        place = func.pg_catalog.position(LEAF.c.leaf, as_hex)
    same = (prints.c.record_id == LEAF.c.record_id) & (prints.c.leaf_index == LEAF.c.leaf_index)
    return same & (place > 0)


def manifests(after: str) -> Select[Any]:
    """(record id, sha256, manifest) by record id, from behind ``after`` on."""
    lookup = table("manifest_store")
    return (
        select(lookup.c.record_id, lookup.c.sha256, lookup.c.manifest)
        .where(lookup.c.record_id > after)
        .order_by(lookup.c.record_id)
        .limit(MANIFESTS_AT_ONCE)
    )
