"""A time-stamping authority and an OCSP responder on this machine, over real HTTP.

For development and tests: they listen on 127.0.0.1 alone, and every name in their certificates
says DEVELOPMENT ONLY. What they answer can be changed while they run, to see what signers and
verifiers make of it.

    with DevelopmentServices() as services:
        signer_chain, signer_key = services.pki.signer.chain_pem, services.pki.signer.key_pem
        services.answers.ocsp = "revoked"
        ...  # services.tsa_url, services.ocsp_url
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from cryptography.hazmat.primitives.serialization import Encoding

from guard.provenance import stamping
from guard.provenance.development import ISSUER_PATH, DevelopmentPki
from guard.provenance.ocsp_reply import STATUSES, OcspAnswer, ocsp_reply, try_later
from guard.provenance.service_keys import ServiceKeys

TSA_PATH, OCSP_PATH = "/tsa", "/ocsp"
MAX_REQUEST = 64 * 1024
"""Bytes of a request body; real ones have a few hundred."""

WAIT_SECONDS = 60.0
"""The longest that a slow answer is held back; it is given up when the services stop."""

_POLL_SECONDS = 0.02
"""How often they look whether they are to stop: tests start and stop them by the dozen."""

_KINDS = {TSA_PATH: "application/timestamp-reply", OCSP_PATH: "application/ocsp-response"}
_WRONG_NONCE = 0x5EED
_WRONG_NONCE_BYTES = b"not the nonce asked"

TSA_ANSWERS = ("good", "rejected", "broken", "down", "slow", "wrong_nonce", "wrong_digest")
OCSP_ANSWERS = (
    *STATUSES,
    "try_later",
    "stale",
    "broken",
    "down",
    "slow",
    "wrong_nonce",
    "no_nonce",
)


@dataclass
class Answers:
    """What the services say from now on; change it at any time.

    ``tsa`` is one of :data:`TSA_ANSWERS`, ``ocsp`` one of :data:`OCSP_ANSWERS`. ``ocsp_signer``:
    "delegated" or "issuer". ``delay``: seconds before a "slow" answer. ``stamp_time``: the time
    that time-stamps state (default: now). ``revoked_at``: since when a revoked certificate is.
    """

    tsa: str = "good"
    ocsp: str = "good"
    ocsp_signer: str = "delegated"
    delay: float = WAIT_SECONDS
    stamp_time: datetime | None = None
    revoked_at: datetime | None = None


class DevelopmentServices:
    """Both services on one port; a context manager. Without ``keys`` it makes a whole PKI.

    ``port`` 0 takes a free one. ``served`` counts the requests by path. Raises OSError when the
    port is taken.
    """

    def __init__(self, keys: ServiceKeys | None = None, *, port: int = 0) -> None:
        self.answers = Answers()
        self.served: Counter[str] = Counter()
        self._stopping = threading.Event()
        self._server = _Server(self, port)
        self._thread: threading.Thread | None = None
        self._pki = None if keys else DevelopmentPki.create(ocsp_url=self.ocsp_url)
        self._keys = keys or ServiceKeys.of(self.pki)

    @property
    def pki(self) -> DevelopmentPki:
        """The PKI that was made here. Raises ValueError when keys were given instead."""
        if self._pki is None:
            raise ValueError("these services were given their keys and made no PKI")
        return self._pki

    @property
    def tsa_url(self) -> str:
        """Where time-stamps are asked for."""
        return f"{self._base}{TSA_PATH}"

    @property
    def ocsp_url(self) -> str:
        """Where the state of certificates is asked for."""
        return f"{self._base}{OCSP_PATH}"

    @property
    def issuer_certificate(self) -> bytes:
        """The issuing CA's certificate (DER), which is handed out to whoever asks."""
        return self._keys.issuer.public_bytes(Encoding.DER)

    @property
    def _base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop answering and free the port."""
        self._stopping.set()
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()

    def answer(self, path: str, body: bytes) -> bytes | None:
        """What goes back for one request; None: nothing, the service is down.

        Raises ValueError for a request that is none.
        """
        self.served[path] += 1
        how = self.answers.tsa if path == TSA_PATH else self.answers.ocsp
        if how == "down":
            return None
        if how == "broken":
            return b"\x30\x03\x02\x01"
        if how == "slow":
            self._stopping.wait(min(self.answers.delay, WAIT_SECONDS))
        return self._stamp(body, how) if path == TSA_PATH else self._status(body, how)

    def _stamp(self, body: bytes, how: str) -> bytes:
        if how == "rejected":
            return stamping.rejection("told to reject")
        request = stamping.read_request(body)
        if how == "wrong_nonce":
            request = replace(request, nonce=_WRONG_NONCE)
        if how == "wrong_digest":
            other = request.imprint[:-1] + bytes([request.imprint[-1] ^ 1])
            request = replace(request, imprint=other)
        return stamping.reply(request, self._keys.tsa, self.answers.stamp_time)

    def _status(self, body: bytes, how: str) -> bytes:
        if how == "try_later":
            return try_later()
        delegated = self.answers.ocsp_signer == "delegated"
        signer = self._keys.responder if delegated else self._keys.direct
        if signer is None:
            raise ValueError("the issuing CA's key was thrown away: it cannot answer")
        answer = OcspAnswer(
            status=how if how in STATUSES else "good",
            nonce={"wrong_nonce": _WRONG_NONCE_BYTES, "no_nonce": b""}.get(how),
            when=_long_ago() if how == "stale" else None,
            revoked_at=self.answers.revoked_at,
        )
        return ocsp_reply(body, self._keys.issuer, signer, answer)


def _long_ago() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(days=30)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a slow answer's thread ends by itself, once told to stop

    def __init__(self, services: DevelopmentServices, port: int) -> None:
        self.services = services
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10  # seconds for a client to say what it wants

    def do_POST(self) -> None:  # the name that http.server calls
        try:
            size = int(self.headers.get("Content-Length", ""))
        except ValueError:
            size = -1
        if not 0 <= size <= MAX_REQUEST:
            self.send_error(413)
            return
        self._answer(self.path, self.rfile.read(size))

    def do_GET(self) -> None:
        """OCSP by GET, in base64 behind the path (RFC 6960 appendix A); the CA's certificate."""
        if self.path == ISSUER_PATH:
            self._send("application/pkix-cert", self.server.services.issuer_certificate)
            return
        path, _, encoded = self.path[1:].partition("/")
        try:
            body = base64.b64decode(unquote(encoded), validate=True)
        except (ValueError, binascii.Error):
            body = b""
        if f"/{path}" != OCSP_PATH or not body:
            self.send_error(404)
            return
        self._answer(OCSP_PATH, body)

    def _answer(self, path: str, body: bytes) -> None:
        if path not in _KINDS:
            self.send_error(404)
            return
        try:
            reply = self.server.services.answer(path, body)
        except ValueError:
            self.send_error(400)
            return
        if reply is None:
            self.send_error(503)
            return
        self._send(_KINDS[path], reply)

    def _send(self, kind: str, reply: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its given name
        """Nothing: this room does not print."""
