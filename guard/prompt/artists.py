"""Whether a name stands for a style: "in the style of X", "by X", "X style", a tag of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from guard.prompt.lexicon import Hit
from guard.prompt.tokens import BREAK, Words
from guard.prompt.wordsets import word_set

_LEADS: Final = tuple(
    sorted(
        (
            "by",
            "style of",
            "styles of",
            "manner of",
            "art of",
            "work of",
            "works of",
            "artwork of",
            "paintings of",
            "spirit of",
            "aesthetic of",
            "vein of",
            "influenced by",
            "inspired by",
            "artist",
            "artists",
            "style",
            "styled after",
            "a la",
            "homage to",
            "tribute to",
            "stil von",
            "stile di",
            "estilo de",
            "estilo del",
            "style de",
            "stijl van",
            "stylu",
            "в стиле",
        ),
        key=len,
        reverse=True,
    )
)
_FOLLOWERS: Final = word_set(
    "style styled styles stylized stylised inspired esque art artstyle artwork artworks painting "
    "paintings aesthetic illustration illustrations drawing drawings inspiration technique stil "
    "stile estilo stijl"
)
_CONNECTORS: Final = frozenset({"and", "with", "x", BREAK, "by", "mixed", "meets", "vs", "or", "n"})
_PLATFORMS: Final = frozenset({"artstation", "deviantart", "pixiv", "cgsociety", "behance"})


def styled(words: Words, hits: Sequence[Hit]) -> list[Hit]:
    """Those of ``hits`` (names in one text) that ask for a style."""
    texts = words.texts
    platform = not _PLATFORMS.isdisjoint(texts)
    chosen: list[Hit] = []
    ends: set[int] = set()
    for hit in sorted(hits, key=lambda one: (one.first, -one.last)):
        asks = (
            _led(texts, hit.first)
            or _followed(texts, hit.last)
            or _continues(texts, hit.first, ends)
            or _stands_alone(texts, hit)
            or (platform and " " in hit.entry.text)
        )
        if asks:
            chosen.append(hit)
            ends.add(hit.last)
    return chosen


def _led(texts: Sequence[str], first: int) -> bool:
    before = " " + " ".join(texts[max(0, first - 3) : first])
    return any(before.endswith(f" {lead}") for lead in _LEADS)


def _followed(texts: Sequence[str], last: int) -> bool:
    after = texts[last : last + 2]
    if list(after[:1]) == ["s"]:
        after = texts[last + 1 : last + 3]
    return bool(after) and after[0] in _FOLLOWERS


def _continues(texts: Sequence[str], first: int, ends: set[int]) -> bool:
    """After a styled name and connectors only: "by A, B and C"."""
    position = first
    while position > 0 and texts[position - 1] in _CONNECTORS and first - position < 3:
        position -= 1
    return position != first and position in ends


def _stands_alone(texts: Sequence[str], hit: Hit) -> bool:
    """A tag between commas that is not the first one, which names the subject."""
    before = hit.first > 0 and texts[hit.first - 1] == BREAK
    after = hit.last == len(texts) or texts[hit.last] == BREAK
    return before and after
