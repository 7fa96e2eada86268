"""A service over a real home with a few released pictures, answered by uvicorn on loopback."""

from __future__ import annotations

import dataclasses
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from guard.assemble import build_log, build_quarantine
from guard.audit.log import SqlAuditLog
from guard.classify.screen import Classifier
from guard.policy.model import Policy
from guard.provenance.trust import TrustList, load_trust
from guard.rooms import Rooms
from guard.server.app import create_app
from guard.server.options import ServerOptions
from guard.server.repository import Repository
from guard.settings import Settings
from guard.types import AuditRecord, Released
from guard.watermark.base import Watermark
from tests.support.house import FLAGGED, FakeGenerator, FixedDetector, House

TOKEN = "a-token-of-the-operator-for-tests"
OPTIONS = ServerOptions(
    token=TOKEN, public_url="https://c2pa.example", requests_per_minute=100_000, max_bytes=1 << 20
)


@dataclass(frozen=True)
class Kept:
    """A released picture and its record."""

    data: bytes
    record: AuditRecord

    @property
    def manifest_id(self) -> str:
        assert self.record.manifest_label is not None
        return self.record.manifest_label

    @property
    def mark(self) -> bytes:
        assert self.record.mark is not None
        return bytes.fromhex(self.record.mark.payload)


@dataclass(frozen=True)
class Home:
    """What the service answers from."""

    house: House
    released: tuple[Kept, Kept]
    held: AuditRecord

    @property
    def log(self) -> SqlAuditLog:
        return self.house.log

    @property
    def trust(self) -> TrustList:
        return load_trust(self.house.home)

    @property
    def watermark(self) -> Watermark:
        return self.house.rooms.watermark

    def app(self, **changes: Any) -> FastAPI:
        repository = Repository(self.log, self.trust, self.watermark)
        return create_app(repository, dataclasses.replace(OPTIONS, **changes))


@pytest.fixture(scope="session")
def home(
    furnished_home: Path,
    default_policy: Policy,
    lasting_rooms: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Home]:
    """Two released pictures and a held one; shared by all tests, which withdraw neither."""
    folder = tmp_path_factory.mktemp("served")
    place = shutil.copytree(furnished_home, folder / "home")
    settings = Settings(home=place)
    generator, detector, log = FakeGenerator(), FixedDetector(), build_log(settings)
    rooms = Rooms(
        open_generator=lambda _: generator,
        classifier=Classifier(default_policy, [detector]),
        log=log,
        quarantine=build_quarantine(settings),
        **lasting_rooms,
    )
    house = House(place, default_policy, rooms, log, generator, detector, folder / "out")
    kept = []
    for seed in (1, 2):
        outcome = house.generate(seed=seed)
        assert isinstance(outcome, Released)
        kept.append(Kept(outcome.images[0].bytes, house.records()[-1]))
    house.generate(FLAGGED, seed=3)
    held = house.records()[-1]
    assert held.event == "held"
    yield Home(house, (kept[0], kept[1]), held)
    log.store.close()


@contextmanager
def answering(app: FastAPI) -> Iterator[str]:
    """The service's address while it runs in a thread."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="critical", access_log=False, ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: server.run([listener]))
        thread.start()
        try:
            deadline = time.monotonic() + 20
            while not server.started:
                assert time.monotonic() < deadline, "the service did not start"
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


def client_of(url: str) -> httpx.Client:
    """One connection a request: some tests leave theirs in a state that the next would inherit."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=url, timeout=30, limits=limits)


@pytest.fixture(scope="session")
def client(home: Home) -> Iterator[httpx.Client]:
    """A client of the service, without a token."""
    with answering(home.app()) as url, client_of(url) as found:
        yield found


@pytest.fixture
def served(home: Home) -> Iterator[Callable[..., httpx.Client]]:
    """Starts further services, with other options."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(**changes: Any) -> httpx.Client:
            url = stack.enter_context(answering(home.app(**changes)))
            return stack.enter_context(client_of(url))

        yield start


@pytest.fixture
def operator() -> dict[str, str]:
    """What the operator's requests carry."""
    return {"Authorization": f"Bearer {TOKEN}"}
