"""``guard serve``: the C2PA Soft Binding Resolution API over this home's records."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Annotated

import typer
from rich.markup import escape

from .audit_events import build_deliverer
from .command import Run, command
from .exits import Exit

EXAMPLE = """\
guard serve
guard serve --host 0.0.0.0 --port 8443 --deliver"""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "serve", example=EXAMPLE)(serve)


def serve(
    run: Run,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=1, max=65_535, help="Port to listen on.")
    ] = 8080,
    deliver: Annotated[
        bool, typer.Option("--deliver", help="Also send what waits to webhooks, meanwhile.")
    ] = False,
) -> Exit:
    """Let others find the manifests of pictures that lost them, by mark or fingerprint.

    Serves the C2PA Soft Binding Resolution API 2.4 until stopped. Nothing can be changed through
    it unless `GUARD_SERVER_TOKEN` is set. It speaks plain HTTP: put a proxy with TLS before it.
    """
    from guard.server.build import build_app
    from guard.server.build import serve as listen

    app = build_app(run.policy, run.settings)
    where = f"http://{host}:{port}"
    run.out.emit(
        {"url": where, "api": f"{where}/v1", "openapi": f"{where}/openapi.json"},
        f"Serving [bold]{escape(where)}/v1[/] until stopped (Ctrl+C)",
    )
    with _delivering(run) if deliver else nullcontext():
        listen(app, host, port)
    return Exit.DONE


@contextmanager
def _delivering(run: Run) -> Iterator[None]:
    """Sends messages in the background; what is being sent at the end is settled first."""
    sender, stop = build_deliverer(run), threading.Event()
    thread = threading.Thread(target=sender.watch, args=(stop,), name="guard-outbox", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(2 * sender.seconds + 5.0)
