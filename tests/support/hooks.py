"""A webhook on this machine that can be told to misbehave."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "whsec_" + "c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBtb3JlIQ=="
"""Made up for these tests."""


@dataclass
class Hook:
    """What came in, and how the next requests are answered.

    ``answers`` are taken in turn, the last one stays: a status, ``hang``, ``drip`` (a header a
    moment, for ever), ``close`` (no answer), or ``move:URL``.
    """

    url: str = ""
    answers: list[int | str] = field(default_factory=lambda: [200])
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    pause: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    go: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    seen: Hook


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        seen = self.server.seen
        body = self.rfile.read(int(self.headers["content-length"]))
        with seen.lock:
            seen.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            answer = seen.answers.pop(0) if len(seen.answers) > 1 else seen.answers[0]
            seen.at_once += 1
            seen.most_at_once = max(seen.most_at_once, seen.at_once)
        time.sleep(seen.pause)
        with suppress(OSError):
            self._answer(answer)
        with seen.lock:
            seen.at_once -= 1

    def do_GET(self) -> None:
        seen = self.server.seen
        with seen.lock:
            seen.got.append(({"webhook-id": "GET"}, b""))
        self.send_response(200)
        self.end_headers()

    def _answer(self, answer: int | str) -> None:
        seen = self.server.seen
        if answer == "hang":
            seen.go.wait(30)
        elif answer == "drip":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not seen.go.wait(0.05):
                self.wfile.write(b"x-more: 1\r\n")
        elif isinstance(answer, str) and answer.startswith("move:"):
            self.send_response(307)
            self.send_header("location", answer.removeprefix("move:"))
            self.end_headers()
        elif isinstance(answer, int):
            self.send_response(answer)
            for name, value in seen.headers.items():
                self.send_header(name, value)
            self.end_headers()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def hook() -> Iterator[Hook]:
    """A server on the loopback address for as long as the block lasts."""
    seen = Hook()

    server = _Server(("127.0.0.1", 0), _Handler)
    server.seen = seen
    seen.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        seen.go.set()
        server.shutdown()
        server.server_close()
        thread.join()
