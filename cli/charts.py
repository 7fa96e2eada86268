"""Bars and sparklines in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

_EIGHTHS = " ▏▎▍▌▋▊▉"
_HEIGHTS = "▁▂▃▄▅▆▇█"


def bar(value: float, most: float, width: int) -> str:
    """A bar of up to ``width`` columns, drawn in eighths; something for whatever is not zero."""
    if value <= 0 or most <= 0:
        return ""
    eighths = max(1, round(8 * width * value / most))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def sparkline(values: Sequence[int], width: int) -> str:
    """The values as a line of columns; where they are too many, neighbours are added up.

    Zero is a space: it differs from a little.
    """
    merged = merge(values, width)
    most = max(merged, default=0)
    return "".join(
        _HEIGHTS[max(0, -(-len(_HEIGHTS) * value // most) - 1)] if value else " "
        for value in merged
    )


def merge(values: Sequence[int], width: int) -> list[int]:
    """At most ``width`` sums of neighbours, each of equally many values (but for the last)."""
    each = -(-len(values) // width) or 1
    return [sum(values[start : start + each]) for start in range(0, len(values), each)]
