"""``guard models``: what is here, what is missing, and nothing taken on trust."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from guard.cli.exits import Exit
from safetensors.numpy import save_file

from guard.errors import DetectorUnavailable
from tests.support.desk import Desk

WEIGHTS = b"pretend weights"
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()
OTHER = "0" * 64


@pytest.fixture
def head(tmp_path: Path) -> Path:
    """A head of two linear layers for an embedding of four numbers."""
    rng = np.random.default_rng(5)
    shapes = {"linear_1.weight": (3, 4), "linear_1.bias": (3,), "linear_2.weight": (1, 3)}
    tensors = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    tensors["linear_2.bias"] = np.zeros(1, np.float32)
    path = tmp_path / "gore.safetensors"
    save_file(
        tensors,
        str(path),
        metadata={"categories": "gore", "input": "raw", "encoder": "ViT-B-32/openai"},
    )
    return path


def test_list(desk: Desk, furnished: Path) -> None:
    rows = desk.json("models", "list").rows

    assert [row["name"] for row in rows][1:] == ["opennsfw"]
    assert rows[0]["name"].startswith("demo@")
    assert all(set(row) == {"name", "here", "sha256"} for row in rows)
    assert "demo@" in desk("models", "list").stdout


def test_check(desk: Desk) -> None:
    answer = desk.json("models", "check")

    assert (answer.code, answer.row["name"], answer.row["ok"]) == (0, "opennsfw", True)


def test_missing_weights_are_said_with_their_mend(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: object) -> str:
        raise DetectorUnavailable("There are no weights.", hint="Pull them.")

    monkeypatch.setattr(type(desk.detector), "model_digest", property(gone, lambda *_: None))

    checked, listed = desk.json("models", "check"), desk.json("models", "list")

    assert checked.code == Exit.UNAVAILABLE
    assert checked.row["error"]["hint"] == "Pull them."
    assert [row["here"] for row in listed.rows if row["name"] == "opennsfw"] == [False]


@pytest.mark.parametrize("args", [("pull", "opennsfw"), ("pull", "clip")])
def test_nothing_to_pull(desk: Desk, args: tuple[str, ...]) -> None:
    answer = desk.json("models", *args)

    assert answer.code == Exit.USAGE
    assert answer.row["error"]["hint"]


@pytest.mark.parametrize(
    ("options", "code"),
    [((), 0), (("--sha256", DIGEST.upper()), 0), (("--sha256", OTHER), Exit.USAGE)],
    ids=["unpinned", "pinned", "another digest"],
)
def test_pulled_weights_are_checked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], code: int
) -> None:
    file = desk.folder / "weights"
    file.write_bytes(WEIGHTS)
    monkeypatch.setattr("guard.classify.weights.pull_weights", lambda *_: file)

    answer = desk.json("models", "pull", "clip", "--policy", "strict", *options)

    assert answer.code == code
    assert file.exists() is (code == 0)
    if code == 0:
        assert answer.row["sha256"] == DIGEST


def test_head_is_imported_and_listed(desk: Desk, furnished: Path, head: Path) -> None:
    digest = hashlib.sha256(head.read_bytes()).hexdigest()

    answer = desk.json("models", "import-head", head, "--sha256", digest)

    assert (answer.code, answer.row["categories"]) == (0, ["gore"])
    assert (furnished / "models" / "gore.safetensors").read_bytes() == head.read_bytes()
    assert "gore.safetensors" in [row["name"] for row in desk.json("models", "list").rows]
    assert "clip.heads" in desk("models", "import-head", head).stdout


def test_head_has_a_card_and_is_checked_against_it(desk: Desk, furnished: Path, head: Path) -> None:
    imported = desk.json("models", "import-head", head, "--licence", "MIT", "--source", "us")
    card = imported.row["card"]

    assert (card["encoder"], card["dims"], card["licence"]) == ("ViT-B-32/openai", 4, "MIT")
    assert [row["card"] for row in desk.json("models", "list").rows if "card" in row] == [card]
    assert [row["ok"] for row in desk.json("models", "check").rows] == [True, True]
    assert "ViT-B-32/openai" in desk("models", "list").stdout

    with (furnished / "models" / "gore.safetensors").open("ab") as file:
        file.write(b"x")
    checked = desk.json("models", "check")
    assert (checked.code, checked.rows[-1]["ok"]) == (Exit.UNAVAILABLE, False)
    assert "not the file" in desk("models", "list").stdout


def test_head_of_no_encoder_is_refused(desk: Desk, furnished: Path, head: Path) -> None:
    answer = desk.json("models", "import-head", head, "--encoder", "ViT-L-14/openai")

    assert answer.code == Exit.USAGE
    assert "nonsense" in answer.row["error"]["hint"]
    assert not (furnished / "models").exists()


def test_head_of_another_digest_is_refused(desk: Desk, furnished: Path, head: Path) -> None:
    answer = desk.json("models", "import-head", head, "--sha256", OTHER)

    assert answer.code == Exit.USAGE
    assert not (furnished / "models").exists()


def test_head_that_is_none_is_refused(desk: Desk, furnished: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"no head")

    answer = desk.json("models", "import-head", bad)

    assert answer.code in {Exit.USAGE, Exit.UNAVAILABLE}
    assert answer.row["error"]["hint"]
    assert not (furnished / "models").exists()


def test_head_that_cannot_be_put_away(desk: Desk, furnished: Path, head: Path) -> None:
    (furnished / "models").write_text("in the way")

    answer = desk.json("models", "import-head", head)

    assert answer.code == Exit.USAGE
    assert answer.row["error"]["code"] == "output_unwritable"
