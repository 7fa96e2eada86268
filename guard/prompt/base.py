"""What a prompt screener is."""

from __future__ import annotations

from typing import Protocol

from guard.types import Finding


class PromptScreener(Protocol):
    """Reads a prompt and says what it found, under the rules of one policy."""

    def screen(self, prompt: str, *, negative_prompt: str = "") -> tuple[Finding, ...]:
        """All findings, ordered by span.

        Raises InvalidRequest for a text longer than ``guard.types.MAX_PROMPT_CHARS``, so that
        nobody can keep it busy; on any other text it never raises.
        """
        ...
