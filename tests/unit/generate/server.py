"""An OpenAI-shaped images server on 127.0.0.1 that answers from a script and keeps what it got."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from PIL import Image


def png(width: int = 64, height: int = 48, colour: tuple[int, int, int] = (1, 2, 3)) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Answer:
    """One answer: a JSON-able body or bytes."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0

    @property
    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def pictures(*images: bytes) -> Answer:
    return Answer({"data": [{"b64_json": base64.b64encode(one).decode()} for one in images]})


def complaint(status: int, code: str | None, message: str, **headers: str) -> Answer:
    return Answer({"error": {"code": code, "message": message}}, status, headers)


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class ImagesServer:
    """Answers the script in order, its last answer for ever."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.seen: list[Seen] = []
        self.stop = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                owner.seen.append(Seen(self.command, self.path, dict(self.headers), body))
                answer = owner.script.pop(0) if len(owner.script) > 1 else owner.script[0]
                owner.stop.wait(answer.delay)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.data)))
                self.end_headers()
                with suppress(OSError):  # the client may have had enough
                    self.wfile.write(answer.data)

            do_GET = do_POST = answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Keep the test's output clean."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    @contextmanager
    def running(self) -> Iterator[ImagesServer]:
        thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.stop.set()
            self._http.shutdown()
            self._http.server_close()
            thread.join()
