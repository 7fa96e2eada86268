"""What a prompt screener is."""

from __future__ import annotations

from typing import Protocol

from guard.types import Finding


class PromptScreener(Protocol):
    """Reads a prompt and says what it found, under the rules of one policy."""

    def screen(self, prompt: str, *, negative_prompt: str = "") -> tuple[Finding, ...]:
        """All findings, ordered by span; never raises on any text."""
        ...
