"""A desk whose generator and detector are fakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from guard.classify.screen import Classifier
from tests.support.desk import Desk
from tests.support.house import FakeGenerator, FixedDetector


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    generator, detector = FakeGenerator(), FixedDetector()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("guard.assemble.GeneratorCabinet.open", lambda *_: generator)
    monkeypatch.setattr(
        "guard.assemble.build_classifier", lambda policy, _: Classifier(policy, [detector])
    )
    return Desk(generator, detector, tmp_path)
