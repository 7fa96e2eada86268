"""How signing services are asked: one short POST, with limits on time and size."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlsplit

from guard.errors import SettingsInvalid

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0
"""For connecting and for each piece of an answer: a service that is slower counts as down."""

MAX_ANSWER = 64 * 1024
"""Bytes of an answer; time-stamps and OCSP answers have 2 to 10 thousand."""


class NoAnswer(Exception):
    """A service did not answer, or not what was asked for; the text says which."""


def ask(url: str, body: bytes, kind: str) -> bytes:
    """What a service answers to ``body`` of media type ``kind``. Raises NoAnswer."""
    import httpx

    limits = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    headers = {"Content-Type": kind}
    try:
        with httpx.stream("POST", url, content=body, headers=headers, timeout=limits) as response:
            if response.status_code != httpx.codes.OK:
                raise NoAnswer(f"it answered {response.status_code}")
            return _limited(response)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}".rstrip(": ")) from error


def _limited(response: object) -> bytes:
    answer = bytearray()
    for piece in response.iter_bytes():  # type: ignore[attr-defined]
        answer += piece
        if len(answer) > MAX_ANSWER:
            raise NoAnswer(f"its answer has more than {MAX_ANSWER:,} bytes")
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
