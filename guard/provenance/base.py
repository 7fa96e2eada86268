"""What a signer is, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from guard.types import Fingerprint, Mark, Origin, SignedAsset


@dataclass(frozen=True, slots=True)
class ManifestFacts:
    """Everything that a manifest states about one picture. No prompt unless the policy says so.

    ``parent`` is what the picture was made from: the original that was opened, or with
    ``parent_is_input`` what a generation started from. ``labelled``: it bears a visible sign.
    """

    record_id: str
    origin: Origin
    when: datetime
    model: str | None
    mark: Mark | None
    fingerprint: Fingerprint | None
    provider: str
    title: str = "Generated image"
    prompt: str | None = None
    parent: bytes | None = None
    parent_media_type: str | None = None
    screened_by: tuple[str, ...] = ()
    other_fingerprints: tuple[Fingerprint, ...] = ()
    parent_is_input: bool = True
    labelled: bool = False

    @property
    def opened(self) -> bool:
        """Whether the picture is its parent, opened and gone on with."""
        return self.origin is not Origin.GENERATED or (
            self.parent is not None and not self.parent_is_input
        )


class Signer(Protocol):
    """Embeds a signed C2PA manifest into an encoded picture."""

    @property
    def certificate_fingerprint(self) -> str:
        """SHA-256 of the signing certificate's DER, hex."""
        ...

    def sign(self, encoded: bytes, media_type: str, facts: ManifestFacts) -> SignedAsset:
        """The signed file. Raises KeyInvalid for a bad key, Unavailable when a service is down.

        ``notices`` of what it answers say what the file lacks by leave of the policy.
        """
        ...
