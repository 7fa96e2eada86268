"""``guard timestamps``: what was signed without a time-stamp gets it later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from guard.cli.exits import Exit

from guard.image.encode import encode
from guard.provenance.keys import load_signing_keys
from guard.provenance.late_stamps import StampQueue
from guard.provenance.loopback import DevelopmentServices
from guard.provenance.services import Services
from guard.provenance.sign import C2paSigner
from guard.provenance.timestamps import TimestampAuthority
from tests.support.desk import Desk
from tests.unit.provenance.kit import RECORD_ID, facts, picture


@pytest.fixture(scope="module")
def authority() -> Iterator[DevelopmentServices]:
    with DevelopmentServices() as services:
        yield services


@pytest.fixture
def waiting(furnished: Path, tmp_path: Path) -> Path:
    """A file that was signed while nobody answered."""
    nobody = TimestampAuthority("http://127.0.0.1:9/tsa")
    signer = C2paSigner(
        load_signing_keys(furnished), Services(stamps=nobody, queue=StampQueue(furnished))
    )
    file = tmp_path / "picture.png"
    file.write_bytes(signer.sign(encode(picture(), "image/png"), "image/png", facts()).bytes)
    return file


def test_from_the_queue_into_the_file(
    desk: Desk,
    waiting: Path,
    authority: DevelopmentServices,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed = desk.json("timestamps", "list")
    assert (listed.code, listed.row["record_id"]) == (Exit.DONE, RECORD_ID)
    early = desk.json("timestamps", "complete", waiting, "--out", tmp_path / "early")
    assert (early.code, early.row["stamped"]) == (Exit.FINDING, False)

    monkeypatch.setenv("GUARD_TSA_URL", authority.tsa_url)
    fetched = desk.json("timestamps", "fetch")
    assert (fetched.code, fetched.row) == (Exit.DONE, {"fetched": 1, "waiting": 0})
    assert "Nothing is waiting" in desk("timestamps", "list").stderr

    out = tmp_path / "out"
    done = desk.json("timestamps", "complete", waiting, "--out", out)
    assert (done.code, done.row["stamped"]) == (Exit.DONE, True)
    assert (out / "picture.png").stat().st_size == waiting.stat().st_size
    again = desk("timestamps", "complete", waiting, "--out", out)
    assert again.code != Exit.DONE
    assert "is there already" in again.stderr


def test_while_nobody_answers(desk: Desk, waiting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk("timestamps", "fetch").code == Exit.CONFIGURATION
    monkeypatch.setenv("GUARD_TSA_URL", "http://127.0.0.1:9/tsa")
    answer = desk.json("timestamps", "fetch")
    assert answer.code == Exit.UNAVAILABLE
    assert "gave no time-stamp" in answer.stderr
    assert waiting.exists()


def test_a_file_that_is_not_signed(desk: Desk, furnished: Path, tmp_path: Path) -> None:
    file = tmp_path / "plain.png"
    file.write_bytes(encode(picture(), "image/png"))
    answer = desk("timestamps", "complete", file, "--out", tmp_path / "out")
    assert "holds no manifest" in answer.stderr
    assert furnished.exists()
