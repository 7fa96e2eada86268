"""What every endpoint needs: who may do it, at what pace, and on which thread."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

from guard.server.limits import RateLimit, Workers, read_body
from guard.server.options import ServerOptions
from guard.server.problems import Problem, bad_request
from guard.server.reference import ReferenceFetcher
from guard.server.repository import MOST_VALUE_BYTES, Repository, SoftBinding

T = TypeVar("T")

PICTURE_COST = 10.0
"""A picture costs a second of work, a look-up a few milliseconds."""


class Desk:
    """One service's repository, limits and threads."""

    def __init__(self, repository: Repository, options: ServerOptions) -> None:
        self.repository = repository
        self.options = options
        self.fetcher = ReferenceFetcher(options.reference_hosts, options.max_bytes)
        self.workers = Workers(options.threads, options.waiting)
        self.fetches = Workers(4, 16)
        self._lookups = Workers(8, 256)
        self._rate = RateLimit(options.requests_per_minute)

    def close(self) -> None:
        """End the threads."""
        for workers in (self.workers, self.fetches, self._lookups):
            workers.close()

    def admit(self, request: Request, cost: float = 1.0) -> None:
        """Count a request of its client. Raises Problem 429."""
        self._rate.take(who(request.client.host if request.client else ""), cost)

    def authorize(self, request: Request) -> None:
        """That the operator asks. Raises Problem 403 without a token set, 401 for a wrong one."""
        if self.options.token is None:
            raise Problem(
                403,
                "forbidden",
                "This service takes no changes.",
                "Its operator has set no token (GUARD_SERVER_TOKEN).",
            )
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(given.strip().encode(), self.options.token.encode())
        if scheme.lower() != "bearer" or not same:
            raise Problem(
                401,
                "unauthorized",
                "The bearer token is missing or wrong.",
                WWW_Authenticate="Bearer",
            )

    async def body(self, request: Request, most: int | None = None) -> bytes:
        """The request's body, at most ``most`` bytes (default: a picture's); not empty.

        Raises Problem.
        """
        declared = request.headers.get("content-length")
        data = await read_body(request.stream(), declared, most or self.options.max_bytes)
        if not data:
            raise bad_request("The body is empty.")
        return data

    async def look_up(self, work: Callable[[], T]) -> T:
        """``work()`` beside the event loop: it waits for the database."""
        return await self._lookups.run(work)


def who(address: str) -> str:
    """Whom an address counts for: one of IPv6 for its network, of which a client has 2⁶⁴."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address) or found.ipv4_mapped:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False))


def binding(algorithm: str, value: str) -> SoftBinding:
    """A soft binding from its algorithm and base64 value. Raises Problem 400."""
    text = value.strip().replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise bad_request("The value is no base64.") from None
    if not 0 < len(data) <= MOST_VALUE_BYTES:
        raise bad_request(f"The value has {len(data):,} bytes.", f"At most {MOST_VALUE_BYTES:,}.")
    return SoftBinding(algorithm, data)
