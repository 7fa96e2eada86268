"""Whether a name stands for a style: "in the style of X", "by X", "X style", a tag of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from guard.prompt.index import Found
from guard.prompt.tokens import BREAK
from guard.prompt.wordsets import word_set

_LED_BY: Final = (
    "by; style of; styles of; manner of; art of; work of; works of; artwork of; paintings of; "
    "spirit of; aesthetic of; vein of; influenced by; inspired by; artist; artists; style; "
    "styled after; a la; homage to; tribute to; stil von; stile di; estilo de; estilo del; "
    "style de; stijl van; stylu; в стиле"
)
_LEADS: Final = frozenset(lead.strip() for lead in _LED_BY.split(";"))
_LAST_OF_LEADS: Final = frozenset(lead.split()[-1] for lead in _LEADS)
_FOLLOWERS: Final = word_set(
    "style styled styles stylized stylised inspired esque art artstyle artwork artworks painting "
    "paintings aesthetic illustration illustrations drawing drawings inspiration technique stil "
    "stile estilo stijl"
)
_CONNECTORS: Final = frozenset({"and", "with", "x", BREAK, "by", "mixed", "meets", "vs", "or", "n"})
_PLATFORMS: Final = frozenset({"artstation", "deviantart", "pixiv", "cgsociety", "behance"})


def styled(texts: Sequence[str], names: Sequence[Found]) -> frozenset[Found]:
    """Those of ``names``, found among the words ``texts``, that ask for a style."""
    if not names:
        return frozenset()
    platform = not _PLATFORMS.isdisjoint(texts)
    chosen: set[Found] = set()
    ends: set[int] = set()
    for name in sorted(names, key=lambda one: (one.first, -one.last)):
        first, last = name.first, name.last
        before = texts[first - 1] if first else ""
        after = texts[last] if last < len(texts) else BREAK
        if after == "s":  # "Van Gogh's style"
            after = texts[last + 1] if last + 1 < len(texts) else ""
        asks = (
            (before in _LAST_OF_LEADS and _led(texts, first))
            or after in _FOLLOWERS
            or (before in _CONNECTORS and _continues(texts, first, ends))
            # a tag of its own that is not the first one, which names the subject:
            or (before == BREAK and (last == len(texts) or texts[last] == BREAK))
            or (platform and " " in name.entry.text)
        )
        if asks:
            chosen.add(name)
            ends.add(last)
    return frozenset(chosen)


def _led(texts: Sequence[str], first: int) -> bool:
    return any(" ".join(texts[max(0, first - n) : first]) in _LEADS for n in (1, 2, 3))


def _continues(texts: Sequence[str], first: int, ends: set[int]) -> bool:
    """After a styled name and connectors only: "by A, B and C"."""
    position = first
    while position > 0 and texts[position - 1] in _CONNECTORS and first - position < 3:
        position -= 1
    return position != first and position in ends
