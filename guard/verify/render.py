"""Verification reports as one HTML page that stands alone: for a person, on screen or paper.

The page loads nothing and runs nothing. Whatever a manifest or a label says was written by
somebody else: it is escaped, isolated from the page's own writing direction, and cut to a bounded
length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from guard.types import VerdictName, VerificationReport
from guard.verify.parts import LONGEST, MOST_ROWS, Part, cut, parts_of
from guard.verify.preview import UNITS, Preview
from guard.verify.tree import Node, tree_of
from guard.version import __version__

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["FACES", "LONGEST", "MOST_ROWS", "Face", "page"]


@dataclass(frozen=True, slots=True)
class Face:
    """How a verdict looks: its title, a tone for the colour, and a sign for those who see none."""

    title: str
    tone: str
    sign: str
    gist: str


FACES = {
    VerdictName.ALTERED: Face(
        "Altered", "bad", "✕", "This is not the picture that was signed or recorded."
    ),
    VerdictName.TRUSTED: Face(
        "Trusted", "good", "✓", "Unchanged since somebody whom we know signed it."
    ),
    VerdictName.UNKNOWN_SIGNER: Face(
        "Unknown signer", "warn", "?", "Unchanged since it was signed, by nobody whom we know."
    ),
    VerdictName.RECOVERED: Face(
        "Recovered", "good", "↺", "A copy of a picture on record; its own manifest was lost."
    ),
    VerdictName.MARKED: Face("Marked", "info", "≈", "It carries our mark; there is no proof more."),
    VerdictName.LABEL_ONLY: Face(
        "Label only", "warn", "!", "It says something of itself that nothing proves."
    ),
    VerdictName.NOTHING_FOUND: Face(
        "Nothing found", "none", "–", "No trace was found. That says nothing about its origin."
    ),
}


@dataclass(frozen=True, slots=True)
class Card:
    """What the page says of one picture."""

    name: str
    folder: str
    face: Face
    verdict: str
    explanation: str
    parts: tuple[Part, ...]
    preview: Preview | None
    withheld: bool
    chain: Node | None
    undrawn: int


def page(
    reports: Sequence[tuple[Path, VerificationReport]],
    previews: Mapping[Path, Preview | None] | None = None,
) -> str:
    """The reports as one HTML document, encodable as UTF-8 whatever the file names hold.

    ``previews`` by path: pictures to show; None for one that may not be shown.
    """
    cards = [_card(path, report, previews or {}) for path, report in reports]
    tally = Counter(report.verdict for _, report in reports)
    text = _template().render(
        cards=cards,
        tally=[(FACES[verdict], tally[verdict]) for verdict in VerdictName if tally[verdict]],
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        software=f"genguard {__version__}",
        units=UNITS,
        pictures=any(card.preview for card in cards),
    )
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    source = (files("guard.verify") / "page.html.j2").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source)


def _card(path: Path, report: VerificationReport, previews: Mapping[Path, Preview | None]) -> Card:
    chain, undrawn = tree_of(report.provenance)
    preview = previews.get(path)
    return Card(
        name=cut(path.name or str(path)),
        folder=cut(str(path.parent)),
        face=FACES[report.verdict],
        verdict=report.verdict.value,
        explanation=report.explanation,
        parts=tuple(parts_of(report)),
        preview=preview,
        withheld=path in previews and preview is None,
        chain=chain,
        undrawn=undrawn,
    )
