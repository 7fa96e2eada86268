"""``guard lists … known-bad``, and what a known picture does to ``guard classify``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from guard.cli.exits import Exit
from PIL import Image

from guard.assemble import build_classifier
from tests.support.desk import Desk

HASH = "acecf3355e3125c8e24e2f30e0d4ec4f8482b878b3c34cdbdf063278db275992"
POLICY = """\
name: house
known_bad:
  - {id: known, category: known, bank: main, message: This picture is known.}
output_rules:
  - {id: nsfw, category: nsfw, detectors: [opennsfw], block: 0.8, message: No.}
"""
WHO = ("--who", "dana")


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "house.yaml"
    file.write_text(POLICY)
    return file


def scene(folder: Path, seed: int, name: str, **saved: int) -> Path:
    small = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    path = folder / name
    Image.fromarray(small).resize((256, 256), Image.Resampling.BICUBIC).save(path, **saved)
    return path


@pytest.fixture
def real_desk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose detectors are those that the policy names."""
    monkeypatch.setattr("guard.assemble.build_classifier", build_classifier)
    return desk


def test_a_bank_from_import_to_block(real_desk: Desk, policy: Path, tmp_path: Path) -> None:
    desk = real_desk
    missing = desk.json("classify", desk.picture(), "--policy", policy)
    assert missing.code == Exit.UNAVAILABLE

    file = tmp_path / "hashes.csv"
    file.write_text(f"hash,type,id\n{HASH},pdq,7\n00,md5,8\n")
    imported = desk.json("lists", "import", "known-bad", file, *WHO, "--policy", policy)
    assert imported.row == {
        "kind": "known-bad", "list": "main", "added": 1, "same": 0, "others": 1, "in_force": True,
    }  # fmt: skip
    assert desk.json("lists", "import", "known-bad", file, *WHO).row["same"] == 1

    known = scene(tmp_path, 1, "known.png")
    assert desk.json("lists", "add", "known-bad", known, *WHO).row["added"] == 1
    copy = scene(tmp_path, 1, "copy.jpg", quality=60)
    other = scene(tmp_path, 2, "other.png")

    found = desk.json("lists", "check", copy, "--policy", policy)
    assert (found.code, found.row["matches"], found.row["label"]) == (1, True, "known.png")
    assert "known" in desk("lists", "check", copy, "--policy", policy).stdout
    assert desk.json("lists", "check", other, "--policy", policy).code == 0
    assert desk.json("lists", "check", HASH.upper(), "--policy", policy).row["distance"] == 0

    blocked = desk.json("classify", copy, "--policy", policy)
    assert (blocked.code, blocked.row["action"]) == (Exit.FINDING, "block")
    assert desk.json("classify", other, "--policy", policy).code == 0

    rows = desk.json("lists", "list", "--policy", policy).rows
    assert [row for row in rows if row["kind"] == "known-bad"] == [
        {"kind": "known-bad", "source": "database:main", "entries": 2, "in_force": True,
         "rule": "known"}
    ]  # fmt: skip
    assert "2 entries" in desk("lists", "list", "--policy", policy).stdout

    assert desk.json("lists", "remove", "known-bad", known, *WHO).row["removed"] == 1
    assert desk.json("lists", "remove", "known-bad", known, *WHO).code == Exit.FINDING
    assert desk.json("classify", copy, "--policy", policy).code == 0


def test_a_bank_that_no_policy_names(desk: Desk, tmp_path: Path) -> None:
    answer = desk.json("lists", "add", "known-bad", HASH, *WHO)

    assert (answer.code, answer.row["in_force"]) == (0, False)
    assert "known_bad:" in answer.stderr
    checked = desk.json("lists", "check", HASH)
    assert (checked.code, checked.row["matches"], checked.row["in_force"]) == (0, True, False)


def test_what_cannot_be_on_a_bank(desk: Desk, tmp_path: Path) -> None:
    flat = tmp_path / "flat.png"
    Image.new("RGB", (64, 64), "red").save(flat)
    (tmp_path / "empty.csv").write_text("# nothing\n")
    (tmp_path / "broken.csv").write_text(f"{HASH}\nbroken\n")

    for args in (
        ("add", "known-bad", flat),
        ("add", "known-bad", "acme robot"),
        ("add", "known-bad", HASH, "--list", "No Name"),
        ("import", "known-bad", tmp_path / "empty.csv"),
        ("import", "known-bad", tmp_path / "broken.csv"),
    ):
        answer = desk.json("lists", *args, *WHO)
        assert answer.code == Exit.USAGE, args
        assert answer.row["error"]["hint"]
    desk.json("lists", "add", "known-bad", HASH, *WHO)
    unknown = desk.json("lists", "check", flat)
    assert (unknown.code, unknown.row["matches"]) == (0, False)
    assert "too flat" in unknown.stderr
