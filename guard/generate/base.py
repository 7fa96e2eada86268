"""What a generator is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from guard.types import GenerationRequest, RawImage


class Generator(Protocol):
    """Draws pictures. Whatever it raises or answers wrongly makes the request fail closed."""

    @property
    def model(self) -> str:
        """A name with a version or digest, for the record and the manifest."""
        ...

    def generate(self, request: GenerationRequest) -> Sequence[RawImage]:
        """``request.count`` pictures.

        Raises ModelUnavailable when the model cannot be opened or reached.
        """
        ...

    def notices(self, request: GenerationRequest) -> tuple[str, ...]:
        """One-line remarks for the caller, such as words that the model does not know."""
        ...
