"""``guard classify``: explanations and evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml
from guard.cli.exits import Exit

from guard.image.encode import encode
from guard.policy.load import load_policy
from tests.support.desk import Desk

POLICY = """\
name: house
output_rules:
  - {id: nsfw, category: nsfw, detectors: [opennsfw], review: 0.3, block: 0.8, message: No.}
"""


@pytest.fixture
def red_desk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The detector scores how red the reddest pixel is."""

    def score(_: object, pixels: np.ndarray) -> Mapping[str, float]:
        return {"nsfw": float((pixels[..., 0].astype(int) - pixels[..., 1]).clip(0).max()) / 255}

    monkeypatch.setattr(type(desk.detector), "score", score)
    return desk


def dot(path: Path, red: int) -> Path:
    pixels = np.full((96, 96, 3), 60, np.uint8)
    pixels[16:24, 64:72] = (red, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(pixels, "image/png"))
    return path


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "house.yaml"
    path.write_text(POLICY)
    return path


def test_explanations(red_desk: Desk, policy: Path, tmp_path: Path) -> None:
    picture, why = dot(tmp_path / "in.png", 120), tmp_path / "why"

    answer = red_desk.json("classify", picture, "--explain", why, "--policy", policy)

    assert (answer.code, answer.row["action"]) == (Exit.REVIEW, "flag")
    (one,) = answer.row["explanations"]
    assert one["where"] == pytest.approx([0.7, 0.2], abs=0.13)
    assert Path(one["path"]).read_bytes().startswith(b"\x89PNG")
    assert "over the threshold" in one["words"]
    assert "in.png.opennsfw.nsfw.png" in red_desk(
        "classify", picture, "--explain", why, "--policy", policy
    ).stdout.replace("\n", "")


def test_nothing_sensitive_is_drawn(red_desk: Desk, policy: Path, tmp_path: Path) -> None:
    policy.write_text(POLICY.replace("review: 0.3, ", "") + "sensitive:\n  categories: [nsfw]\n")
    why = tmp_path / "why"

    answer = red_desk.json(
        "classify", dot(tmp_path / "in.png", 250), "--explain", why, "--policy", policy
    )

    assert (answer.row["action"], answer.row["explanations"]) == ("block", [])
    assert "sensitive" in answer.stderr
    assert not why.exists()


def test_a_folder_that_cannot_be_written(red_desk: Desk, policy: Path, tmp_path: Path) -> None:
    picture = dot(tmp_path / "in.png", 120)

    answer = red_desk.json("classify", picture, "--explain", picture, "--policy", policy)

    assert answer.code != Exit.DONE
    assert answer.row["error"]["code"] == "output_unwritable"


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_what_is_fitted_goes_into_a_policy(
    red_desk: Desk, policy: Path, tmp_path: Path, method: str
) -> None:
    for red in (10, 30, 60, 150):
        dot(tmp_path / "set" / "safe" / f"{red}.png", red)
    for red in (120, 180, 230, 250):
        dot(tmp_path / "set" / "unsafe" / f"{red}.png", red)
    args = ("classify", "--evaluate", tmp_path / "set", "--policy", policy, "--calibrate", method)

    row = red_desk.json(*args, "--false-positives", "0").row
    shown = red_desk(*args).stdout

    (detector,) = row["detectors"]
    assert detector["area"] == pytest.approx(15 / 16)
    assert detector["suggested"]["threshold"] == pytest.approx(180 / 255)
    said = yaml.safe_load(POLICY) | {"calibration": row["calibration"]}
    policy.write_text(yaml.safe_dump(said))
    (calibration,) = load_policy(policy).calibration
    assert calibration.probability(0.9) > 0.7
    assert calibration.probability(0.05) < 0.2
    assert "calibration:" in shown
    assert "area 0.938" in shown


def test_what_cannot_be_fitted(red_desk: Desk, policy: Path, tmp_path: Path) -> None:
    dot(tmp_path / "set" / "safe" / "a.png", 10)
    (tmp_path / "set" / "unsafe").mkdir()
    args = ("classify", "--evaluate", tmp_path / "set", "--policy", policy)

    assert red_desk.json(*args).row["detectors"][0]["area"] is None
    assert "area –" in red_desk(*args).stdout
    refused = red_desk.json(*args, "--calibrate", "platt")
    assert refused.code == Exit.USAGE
    assert "cannot be calibrated" in refused.row["error"]["message"]
