"""Time-stamps (RFC 3161): proof by a third party that a signature was there at a time.

The authority sees a digest, nothing else. Its answer is looked at before it is used: granted, for
our digest, with our nonce, and of about now. Whether the authority is to be trusted is for
verifiers to say.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Protocol

from guard.errors import TimestampUnavailable
from guard.provenance.transport import NoAnswer, ask, host_of
from guard.provenance.trust import TrustList, context_for

if TYPE_CHECKING:
    from rfc3161_client import TimeStampRequest, TimeStampResponse

MAX_CLOCK_DIFFERENCE = timedelta(hours=24)
"""An authority whose clock is further off makes stamps that contradict the certificates."""

PAUSE = timedelta(seconds=60)
"""For those who can do without: long enough to keep up the pace, short enough to miss little."""

VALIDATED = "timeStamp.validated"
"""C2PA 2.4 section 15.2.1."""

_QUERY = "application/timestamp-query"


class TimestampSource(Protocol):
    """Who gives time-stamps."""

    def token(self, message: bytes) -> bytes:
        """A TimeStampToken (DER) over ``message``. Raises TimestampUnavailable."""
        ...


class TimestampAuthority:
    """A time-stamping authority at ``url``. Raises SettingsInvalid for what is no address.

    With ``pause``, one that did not answer is not asked again for so long: who can sign without
    it must not wait for it at every picture.
    """

    def __init__(self, url: str, *, pause: timedelta = timedelta(0)) -> None:
        self._url = url
        self._pause = pause
        self._paused: tuple[datetime, str] | None = None
        self.host = host_of(url, "GUARD_TSA_URL")

    def token(self, message: bytes) -> bytes:
        """A TimeStampToken (DER) over ``message``. Raises TimestampUnavailable."""
        if self._paused is not None and datetime.now(UTC) < self._paused[0]:
            raise self._unavailable(self._paused[1])
        try:
            return self._asked(message)
        except (NoAnswer, ValueError) as error:
            self._paused = (datetime.now(UTC) + self._pause, str(error))
            raise self._unavailable(str(error)) from error

    def _unavailable(self, why: str) -> TimestampUnavailable:
        return TimestampUnavailable(
            f"The time-stamping authority {self.host} gave no time-stamp: {why}.",
            hint="Try again, or let the policy say `manifest: {timestamp: queue}`; without "
            "GUARD_TSA_URL nothing is time-stamped.",
        )

    def _asked(self, message: bytes) -> bytes:
        """Raises NoAnswer, ValueError."""
        from rfc3161_client import (
            HashAlgorithm,
            TimestampRequestBuilder,
            decode_timestamp_response,
        )

        builder = TimestampRequestBuilder().data(message).hash_algorithm(HashAlgorithm.SHA256)
        request = builder.cert_request(cert_request=True).nonce(nonce=True).build()
        response = decode_timestamp_response(ask(self._url, request.as_bytes(), _QUERY))
        _check(request, response, message)
        return response.time_stamp_token()


def time_stamp_holds(data: bytes, media_type: str) -> bool:
    """Whether the time-stamp in a signed file is one of its signature, by whomever.

    Readers pass over one that is not, so nobody would notice that the picture has none.
    """
    from c2pa import Reader

    with Reader(media_type, BytesIO(data), context=context_for(TrustList())) as reader:
        report = json.loads(reader.json())
    passed = report["validation_results"]["activeManifest"]["success"]
    return any(one["code"] == VALIDATED for one in passed)


def _check(request: TimeStampRequest, response: TimeStampResponse, message: bytes) -> None:
    """Raises ValueError for an answer that is none to this request."""
    from rfc3161_client import PKIStatus

    if response.status not in {PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS}:
        raise ValueError("it refused: " + (", ".join(response.status_string) or "no reason given"))
    info = response.tst_info
    if info.message_imprint.message != hashlib.sha256(message).digest():
        raise ValueError("its stamp is of something else")
    if info.nonce != request.nonce:
        raise ValueError("its stamp answers another request")
    if abs(info.gen_time - datetime.now(UTC)) > MAX_CLOCK_DIFFERENCE:
        raise ValueError(f"its stamp says {info.gen_time:%Y-%m-%d %H:%M}, which is not now")
