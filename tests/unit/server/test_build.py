"""A service from settings, and the command that starts it."""

from __future__ import annotations

import builtins
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from guard.errors import AuditUnavailable, SettingsInvalid, Unavailable
from guard.policy.model import Policy
from guard.server.build import build_app, options_from, serve
from guard.settings import Settings


def test_options_from_settings() -> None:
    settings = Settings(
        server_token="t" * 16,
        server_url="https://c2pa.example/",
        server_reference_hosts="Pictures.example, other.example,",
        server_max_bytes=2048,
        server_requests_per_minute=7,
    )
    options = options_from(settings)
    assert options.token == "t" * 16
    assert options.public_url == "https://c2pa.example"
    assert options.reference_hosts == {"pictures.example", "other.example"}
    assert (options.max_bytes, options.requests_per_minute) == (2048, 7)
    assert options_from(Settings()).token is None
    assert not options_from(Settings()).reference_hosts


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("server_token", "short"),
        ("server_token", "ü" * 20),
        ("server_url", "c2pa.example"),
        ("server_url", "ftp://c2pa.example"),
    ],
)
def test_settings_that_cannot_be(name: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"GUARD_{name.upper()}") as refused:
        options_from(Settings(**{name: value}))  # type: ignore[arg-type]
    assert name == "server_url" or value not in str(refused.value)


def test_a_home_without_a_log_is_not_served(default_policy: Policy, tmp_path: Path) -> None:
    with pytest.raises(AuditUnavailable):
        build_app(default_policy, Settings(home=tmp_path))


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn"])
def test_without_the_extra(
    default_policy: Policy, furnished: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    real = builtins.__import__

    def absent(name: str, *args: Any, **named: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=missing)
        return real(name, *args, **named)

    app = build_app(default_policy, Settings(home=furnished))
    for name in [one for one in sys.modules if one.startswith("guard.server.") or one == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(Unavailable, match=missing) as refused:
        serve(app, "127.0.0.1", 1) if missing == "uvicorn" else build_app(
            default_policy, Settings(home=furnished)
        )
    assert "genguard[server]" in refused.value.hint


def test_a_port_that_is_taken(default_policy: Policy, furnished: Path) -> None:
    app = build_app(default_policy, Settings(home=furnished))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=str(port)):
            serve(app, "127.0.0.1", port)


def test_guard_serve_answers_until_it_is_told_to_stop(furnished: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from guard.cli.main import run; run()"]
    command += ["serve", "--port", str(port), "--json"]
    environment = {**os.environ, "GUARD_HOME": str(furnished)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["api"] == f"{url}/v1"
            deadline = time.monotonic() + 30
            while True:
                try:
                    answer = httpx.get(f"{url}/v1/services/status")
                    break
                except httpx.ConnectError:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
            assert answer.json()["status"] == "ok"
            assert "server" not in answer.headers
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(20) in {0, 130, -signal.SIGINT}


def test_import_guard_loads_no_server() -> None:
    code = "import sys, guard, guard.assemble; sys.exit('fastapi' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
