"""A screener with own lists, whose clock the test turns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guard.prompt.own.lists import OwnLists, ScreenerWithOwnLists
from guard.store.engine import Store
from tests.support.own import Clock, Inner, nowhere, policy


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def build(tmp_path: Path, clock: Clock) -> Callable[..., ScreenerWithOwnLists]:
    def make(*lists: dict[str, Any], store: Callable[[], Store] = nowhere) -> ScreenerWithOwnLists:
        own = OwnLists(policy(tmp_path, *lists), store, clock=clock)
        return ScreenerWithOwnLists(Inner(), own)

    return make
