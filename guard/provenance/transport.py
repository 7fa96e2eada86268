"""How signing services are asked: one short POST, with limits on time and size."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from guard.errors import SettingsInvalid

if TYPE_CHECKING:
    import ssl

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0
"""For connecting and for each piece of an answer: a service that is slower counts as down."""

TOTAL_SECONDS = 30.0
"""For a whole answer: one that trickles in counts as none."""

MAX_ANSWER = 64 * 1024
"""Bytes of an answer; time-stamps and OCSP answers have 2 to 10 thousand."""


class NoAnswer(Exception):
    """A service did not answer, or not what was asked for; the text says which."""


def ask(url: str, body: bytes, kind: str) -> bytes:
    """What a service answers to ``body`` of media type ``kind``. Raises NoAnswer."""
    import httpx

    limits = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    said = {"Content-Type": kind}
    try:
        with httpx.stream(
            "POST", url, content=body, headers=said, timeout=limits, verify=_tls()
        ) as response:
            if response.status_code != httpx.codes.OK:
                raise NoAnswer(f"it answered {response.status_code}")
            return _limited(response)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}".rstrip(": ")) from error


@cache  # reading the certificates of the world's authorities takes longer than most answers
def _tls() -> ssl.SSLContext:
    import httpx

    return httpx.create_ssl_context()


def _limited(response: object) -> bytes:
    answer, started = bytearray(), time.monotonic()
    for piece in response.iter_bytes():  # type: ignore[attr-defined]
        answer += piece
        if len(answer) > MAX_ANSWER:
            raise NoAnswer(f"its answer has more than {MAX_ANSWER:,} bytes")
        if time.monotonic() - started > TOTAL_SECONDS:
            raise NoAnswer(f"its answer was not there after {TOTAL_SECONDS:.0f} seconds")
    return bytes(answer)


def host_of(url: str, setting: str) -> str:
    """The host in a setting's address, without user and password. Raises SettingsInvalid."""
    with suppress(ValueError):  # brackets that do not close
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname:
            return parts.hostname
    raise SettingsInvalid(
        f"{setting}: {url!r} is not an http(s) address.", hint=f"Correct or unset {setting}."
    )
