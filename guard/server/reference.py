"""Fetching a picture from an address that a client names, without being led anywhere else.

Off unless hosts are allowed. Only https, only the default port, only hosts of the allow-list, only
public addresses, and the connection goes to the very address that was checked, so that a name that
answers differently the second time gains nothing. No redirect is followed, no proxy asked, no
credentials sent.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from guard.server.problems import Problem, bad_request

HTTPS = 443
TIMEOUT_SECONDS = 10.0
"""For each step, and for the whole."""

AT_ONCE = 1 << 16

Resolve = Callable[[str], Iterable[str]]
Connect = Callable[[str, str], http.client.HTTPConnection]


def resolve(host: str) -> list[str]:
    """All addresses of a host. Raises OSError."""
    found = socket.getaddrinfo(host, HTTPS, proto=socket.IPPROTO_TCP)
    return [str(one[4][0]) for one in found]


def connect(host: str, address: str) -> http.client.HTTPConnection:
    """A connection to ``address`` that proves to be ``host``. Raises OSError."""
    plain = socket.create_connection((address, HTTPS), timeout=TIMEOUT_SECONDS)
    try:
        secured = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise
    connection = http.client.HTTPConnection(host, HTTPS, timeout=TIMEOUT_SECONDS)
    connection.sock = secured
    return connection


@dataclass(frozen=True, slots=True)
class ReferenceFetcher:
    """Fetches from ``hosts`` (lower case, exact), at most ``most`` bytes; no host: switched off."""

    hosts: frozenset[str]
    most: int
    resolve: Resolve = resolve
    connect: Connect = connect

    @property
    def enabled(self) -> bool:
        """Whether anything may be fetched at all."""
        return bool(self.hosts)

    def fetch(self, url: str) -> bytes:
        """The picture's bytes.

        Raises Problem: 501 where this is switched off, 403 for what may not be fetched, 400 for
        what is no address, 413 for what is too large, 502 for what does not answer with a picture.
        """
        parts = self._allowed(url)
        host = parts.hostname or ""
        try:
            address = self._public(host)
            with closing(self.connect(host, address)) as connection:
                return self._get(connection, parts)
        except (OSError, http.client.HTTPException) as error:
            raise _unanswered("The address does not answer.") from error

    def _allowed(self, url: str) -> SplitResult:
        if not self.enabled:
            raise Problem(
                501,
                "not_supported",
                "This service fetches nothing by reference.",
                "Send the picture itself to /v1/matches/byContent.",
            )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise bad_request("The referenceUrl is no address.") from None
        if any(ord(char) <= 32 or ord(char) > 126 for char in url) or parts.scheme != "https":
            raise bad_request("The referenceUrl must be an https address in ASCII.")
        named = parts.username is not None or parts.password is not None
        if named or port not in {None, HTTPS} or (parts.hostname or "") not in self.hosts:
            raise _forbidden("The referenceUrl's host is not one that this service fetches from.")
        return parts

    def _public(self, host: str) -> str:
        addresses = list(self.resolve(host))
        if not addresses or not all(map(_is_public, addresses)):
            raise _forbidden("The referenceUrl's host has no public address.")
        return addresses[0]

    def _get(self, connection: http.client.HTTPConnection, parts: SplitResult) -> bytes:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Accept": "image/*", "User-Agent": "genguard"})
        answer = connection.getresponse()
        kind = answer.headers.get_content_type()
        if answer.status != 200 or not kind.startswith("image/"):
            raise _unanswered(f"The address answers {answer.status} with {kind}, not a picture.")
        data = bytearray()
        while part := answer.read(AT_ONCE):
            data += part
            if len(data) > self.most:
                raise Problem(413, "too_large", f"The picture is over {self.most:,} bytes.")
            if time.monotonic() > deadline:
                raise _unanswered("The address answers too slowly.")
        return bytes(data)


def _is_public(address: str) -> bool:
    """Also of addresses that wrap an IPv4 one (mapped, 6to4, Teredo, NAT64)."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo and found.teredo[1])
        if inner or found in _NAT64:
            return False
    return found.is_global and not found.is_multicast


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _forbidden(message: str) -> Problem:
    return Problem(403, "forbidden", message, "Send the picture itself to /v1/matches/byContent.")


def _unanswered(message: str) -> Problem:
    return Problem(502, "no_answer", message, "Send the picture itself to /v1/matches/byContent.")
