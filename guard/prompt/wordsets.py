"""Small sets of words as they are written in the modules that use them."""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """The words of ``text``."""
    return frozenset(text.split())


def word_list(text: str) -> tuple[str, ...]:
    """The words of ``text``, in order."""
    return tuple(text.split())
