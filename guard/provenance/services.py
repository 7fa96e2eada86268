"""What is asked of others for a signature: a time-stamp, and word that the key is not revoked.

Both are optional, and what to do when nobody answers is the policy's to say: fail closed, or sign
with less and say so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from guard.errors import RevocationUnavailable, TimestampUnavailable

if TYPE_CHECKING:
    from guard.provenance.envelope import Sealed
    from guard.provenance.late_stamps import StampQueue
    from guard.provenance.stapling import Stapler
    from guard.provenance.timestamps import TimestampSource

NO_STAMP = "No time-stamp: the authority did not answer. One is fetched later: `guard timestamps`."
NO_REVOCATION = "No word on revocation: the certificate's OCSP responder did not answer."

STAMP_ROOM = 8 * 1024
"""Bytes that a time-stamp with its certificates may need: those of public authorities have 3–7
thousand. One that is larger is made room for, at the cost of a second attempt."""


@dataclass(frozen=True, slots=True)
class Services:
    """``stamps`` None: nothing is time-stamped. ``stapler`` None: nothing is stapled.

    ``queue`` keeps signatures that are to be time-stamped later; without it a signature that gets
    no time-stamp is an error. ``revocation``: ``staple`` signs also without word, ``required``
    does not.
    """

    stamps: TimestampSource | None = None
    queue: StampQueue | None = None
    stapler: Stapler | None = None
    revocation: Literal["staple", "required"] = "staple"

    @property
    def room(self) -> int:
        """Bytes to leave for what :meth:`complete` adds later than the claim is built."""
        return STAMP_ROOM if self.stamps is not None else 0

    def word(self) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
        """OCSP answers to staple, and notices.

        Raises KeyInvalid when the certificate is revoked, RevocationUnavailable.
        """
        if self.stapler is None:
            return (), ()
        try:
            return (self.stapler.answer(),), ()
        except RevocationUnavailable:
            if self.revocation == "required":
                raise
            return (), (NO_REVOCATION,)

    def stamped(self, sealed: Sealed) -> Sealed:
        """The signature with a time-stamp; as it was where none is asked for or none came.

        Raises TimestampUnavailable where there is no queue for later.
        """
        if self.stamps is None:
            return sealed
        try:
            return replace(sealed, token=self.stamps.token(sealed.stamped))
        except TimestampUnavailable:
            if self.queue is None:
                raise
            return sealed
