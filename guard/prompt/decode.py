"""Every other text that a text may be read as: unescaped, without markup, decoded.

What one reading uncovers is read again, up to a few layers deep.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from guard.prompt.codes import hidden
from guard.prompt.escapes import unescaped
from guard.prompt.normalise import View, compose

_MARKUP: Final = re.compile(
    r"(?<=\w)(?:<!--.{0,40}?-->|</?[A-Za-z][^<>]{0,40}>|\[/?[A-Za-z]{1,8}\]|[\"\u201c\u201d])+(?=\w)"
)
MAX_READINGS: Final = 12
"""A text that decodes to more texts than this is a puzzle, not a prompt."""


def decoded(text: str) -> Iterator[View]:
    """What encodings in ``text`` say, each as a view of ``text``."""
    waiting = list(_once(text))
    for count in range(MAX_READINGS):
        if count >= len(waiting):
            return
        view = waiting[count]
        yield view
        if len(waiting) < MAX_READINGS and len(view.text) < len(text):
            waiting += [compose(view, inner) for inner in _once(view.text)]


def _once(text: str) -> Iterator[View]:
    for view in (unescaped(text), unmarked(text)):
        if view is not None:
            yield view
    yield from hidden(text)


def unmarked(text: str) -> View | None:
    """``text`` without markup and quotation marks that stand inside words; None without any."""
    cuts = [found.span() for found in _MARKUP.finditer(text)]
    if not cuts:
        return None
    kept = [*range(cuts[0][0])]
    for (_, start), (end, _) in pairwise([*cuts, (len(text), len(text))]):
        kept += range(start, end)
    return View("".join(map(text.__getitem__, kept)), kept, [one + 1 for one in kept])
