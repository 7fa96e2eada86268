"""Exports for auditors: JSON lines and CSV, streamed, redacted by nature.

The leaves hold no personal data, so nothing needs to be taken out. JSON lines carry the leaf
itself and its hash, so that a receiver can recompute the tree; CSV is for spreadsheets.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import TextIO

from guard.audit.frame import from_us
from guard.audit.log import SqlAuditLog
from guard.store.rows import COLUMN_NAMES, LeafRow

PAGE = 1_000

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet would run such a cell (CWE-1236); a quote before it makes it text."""


def export_jsonl(log: SqlAuditLog, file: TextIO, size: int | None = None) -> int:
    """One line a row: ``{"index","leaf_hash","leaf"}``, in the log's order.

    ``leaf`` is the record as recorded; its canonical JSON (RFC 8785) is what was hashed.
    ``size``: only so many rows. Answers the number of rows.
    """
    count = 0
    for row in leaf_rows(log, size):
        # The leaf is canonical JSON already: it is copied, so that its bytes stay what they are.
        head = json.dumps({"index": row.index, "leaf_hash": row.leaf_hash.hex()})
        file.write(f'{head[:-1]}, "leaf": {row.leaf.decode()}}}\n')
        count += 1
    return count


def export_csv(log: SqlAuditLog, file: TextIO, size: int | None = None) -> int:
    """One row a line with a header, times as ISO 8601 in UTC.

    ``size``: only so many rows. Answers the number of rows.
    """
    writer = csv.writer(file, lineterminator="\n")
    names = ["at" if name == "at_us" else name for name in COLUMN_NAMES]
    writer.writerow(["index", "leaf_hash", *names])
    count = 0
    for row in leaf_rows(log, size):
        cells = [_cell(name, getattr(row.columns, name)) for name in COLUMN_NAMES]
        writer.writerow([row.index, row.leaf_hash.hex(), *cells])
        count += 1
    return count


def _cell(name: str, value: object) -> str:
    if name == "at_us" and isinstance(value, int):
        return from_us(value).isoformat()
    text = "" if value is None else str(value)
    if name in {"rules", "categories"}:
        text = " ".join(text.split())
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def leaf_rows(log: SqlAuditLog, size: int | None = None) -> Iterator[LeafRow]:
    """Every row in order, or the first ``size``, in bounded memory."""
    start = 0
    while size is None or start < size:
        with log.store.read() as reader:
            rows = reader.leaves(start, PAGE if size is None else min(PAGE, size - start))
        yield from rows
        if not rows:
            return
        start = rows[-1].index + 1
