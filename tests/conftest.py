"""What every test gets: a home of its own, and a guard whose rooms are real.

Keys, lexicons and an empty database are made once a session; each test works on a copy. Rooms
are imported by the fixtures that need them: tests of one room run also while another is broken.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from guard.policy.model import Policy
    from tests.support.house import House

KEPT = "GUARD_TEST_"
"""Prefix of variables that tell tests where servers are; all other ``GUARD_…`` are cleared."""


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def _nobodys_home(_homes: Path) -> Iterator[None]:
    """No test reads or writes the home of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("GUARD_") and not name.startswith(KEPT):
                patch.delenv(name)
        patch.setenv("GUARD_HOME", str(_homes / uuid4().hex))
        yield


@pytest.fixture(scope="session")
def furnished_home(tmp_path_factory: pytest.TempPathFactory, default_policy: Policy) -> Path:
    """Development keys, a mark secret and an empty log: to be copied, not used."""
    from guard.assemble import build_log, build_watermark
    from guard.provenance.keys import create_development_keys
    from guard.settings import Settings

    home = tmp_path_factory.mktemp("furnished") / "home"
    create_development_keys(home)
    build_watermark(default_policy, Settings(home=home))
    build_log(Settings(home=home)).store.close()
    return home


@pytest.fixture
def furnished(furnished_home: Path) -> Path:
    """``GUARD_HOME``, furnished: what a user has after ``guard keys dev``."""
    return shutil.copytree(furnished_home, Path(os.environ["GUARD_HOME"]))


@pytest.fixture(scope="session")
def default_policy() -> Policy:
    from guard.policy.load import load_policy

    return load_policy("default")


@pytest.fixture(scope="session")
def lasting_rooms(default_policy: Policy, furnished_home: Path) -> dict[str, Any]:
    """The rooms that keep nothing: built once, since lexicons and key schedules take a second."""
    from guard.assemble import build_screener, build_signer, build_watermark
    from guard.settings import Settings

    settings = Settings(home=furnished_home)
    return {
        "screener": build_screener(default_policy),
        "watermark": build_watermark(default_policy, settings),
        "signer": build_signer(settings),
    }


@pytest.fixture
def house(
    furnished: Path, default_policy: Policy, lasting_rooms: dict[str, Any], tmp_path: Path
) -> Iterator[House]:
    """Real rooms around a generator and a detector that the test steers."""
    from guard.assemble import build_log, build_quarantine
    from guard.classify.screen import Classifier
    from guard.rooms import Rooms
    from guard.settings import Settings
    from tests.support.house import FakeGenerator, FixedDetector, House

    settings = Settings(home=furnished)
    generator, detector, log = FakeGenerator(), FixedDetector(), build_log(settings)
    rooms = Rooms(
        open_generator=lambda _: generator,
        classifier=Classifier(default_policy, [detector]),
        log=log,
        quarantine=build_quarantine(settings),
        **lasting_rooms,
    )
    yield House(furnished, default_policy, rooms, log, generator, detector, tmp_path / "out")
    log.store.close()
