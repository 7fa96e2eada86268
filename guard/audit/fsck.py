"""Everything that can be checked of a log, part by part. Repairs nothing; says what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guard.audit.checkpoints.known import Known
from guard.audit.tree.tile_paths import Tile, tiles_of
from guard.audit.tree.tiles import TileReader
from guard.audit.verify import MAX_PROBLEMS, Progress, verify_log
from guard.errors import LogTampered

if TYPE_CHECKING:
    from guard.audit.checkpoints.publish import Publisher
    from guard.audit.log import SqlAuditLog


@dataclass(frozen=True, slots=True)
class Part:
    """One part that was looked at. ``remark`` says how much; ``mend`` what to do if it is bad."""

    name: str
    problems: tuple[str, ...]
    remark: str = ""
    mend: str = ""
    first_bad: int | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


def check_everything(
    log: SqlAuditLog, publisher: Publisher, progress: Progress | None = None
) -> Iterator[Part]:
    """File, checkpoints, rows with all that follows from them, published tiles, what is beside.

    Raises AuditUnavailable when the database cannot be read, CheckpointUnavailable when the place
    of checkpoints cannot.
    """
    yield _file(log)
    known, checkpoints = _checkpoints(publisher)
    yield checkpoints
    yield _rows(log, known, progress)
    yield _published(log, known)
    yield _beside(log)


def _file(log: SqlAuditLog) -> Part:
    with log.store.read() as reader:
        damage = reader.integrity.damage(MAX_PROBLEMS)
    return Part(
        "file", tuple(damage), log.store.name, "Restore the database from a backup of this host."
    )


def _checkpoints(publisher: Publisher) -> tuple[Known, Part]:
    mend = (
        "Keep everything as it is, and find out who may write to the place of checkpoints and who "
        "has the signing key."
    )
    try:
        known = publisher.known_roots(whole=True)
    except LogTampered as error:
        return Known({}), Part("checkpoints", (error.message,), "", error.hint or mend)
    count = len(known.roots)
    remark = f"{count:,} signed" + ("" if publisher.place else ", none published")
    return known, Part("checkpoints", (), remark, mend)


def _rows(log: SqlAuditLog, known: Known, progress: Progress | None) -> Part:
    check = verify_log(log, known=known, progress=progress)
    return Part(
        "rows",
        check.problems,
        f"{check.records:,} rows, root {check.root}",
        "Keep the database as it is for whoever looks into it. Restore a backup and run this "
        "again, with the same checkpoints, until one is good.",
        check.first_bad,
    )


def _published(log: SqlAuditLog, known: Known) -> Part:
    """Every tile that the newest checkpoint needs, beside that of the database."""
    place, size = known.place, known.newest
    if place is None or not place.keeps_tiles or size is None:
        return Part("published tiles", (), "none are kept")
    problems: list[str] = []
    count = 0
    for tile in tiles_of(size):
        count += 1
        said = _differs(log, tile, place.tile)
        if said and len(problems) < MAX_PROBLEMS:
            problems.append(f"{tile.path} in {place.name} {said}.")
    mend = "Tiles are only ever added: put back what was published, from a copy of that place."
    return Part("published tiles", tuple(problems), f"{count:,} tiles", mend)


def _differs(log: SqlAuditLog, tile: Tile, published: Callable[[Tile], bytes | None]) -> str:
    there = published(tile)
    if there is None:
        return "is missing"
    try:
        with log.store.read() as reader:
            ours = TileReader(reader).tile(tile.level, tile.index, tile.width)
    except LogTampered:
        return "is of rows that the log does not have"
    return "" if ours == there else "is not that of the log"


def _beside(log: SqlAuditLog) -> Part:
    """What belongs to a record: salts, vault, messages, counted blocks, descriptions."""
    with log.store.read() as reader:
        found = list(reader.integrity.dangling(MAX_PROBLEMS))
    problems = tuple(
        f"{name} has a row of record {one}, which is not there." for name, one in found
    )
    return Part(
        "beside the log", problems, "", "Somebody removed records, or added rows: restore a backup."
    )
