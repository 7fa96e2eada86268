from __future__ import annotations

from collections.abc import Iterator

import pytest

from .server import ImagesServer


@pytest.fixture
def server() -> Iterator[ImagesServer]:
    with ImagesServer().running() as running:
        yield running
