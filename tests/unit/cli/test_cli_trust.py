"""``guard trust``: offered first, in force only with its SHA-256."""

from __future__ import annotations

from pathlib import Path

from guard.cli.exits import Exit

from guard.provenance import pki
from tests.support.desk import Desk


def test_a_list_from_offer_to_removal(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "partners.pem"
    file.write_bytes(pki.issue(pki.ROOT).pem)

    offered = desk.json("trust", "add", "partners", file)
    assert (offered.code, offered.row["status"]) == (Exit.REVIEW, "offered")
    assert len(offered.row["gained"]) == 1
    assert all(one["name"] != "partners" for one in desk.json("trust", "list").rows)
    shown = desk("trust", "add", "partners", file)
    assert f"--sha256 {offered.row['sha256']}" in shown.stdout

    wrong = desk("trust", "add", "partners", file, "--sha256", "00")
    assert wrong.code == Exit.CONFIGURATION

    pinned = ("--sha256", offered.row["sha256"], "--date", "2026-10-01")
    kept = desk.json("trust", "add", "partners", file, *pinned)
    assert (kept.code, kept.row["status"], kept.row["date"]) == (Exit.DONE, "kept", "2026-10-01")
    (listed,) = [one for one in desk.json("trust", "list").rows if one["name"] == "partners"]
    assert (listed["kind"], listed["date"], listed["certificates"]) == ("signers", "2026-10-01", 1)

    current = desk.json("trust", "update", "partners")
    assert (current.code, current.row["status"]) == (Exit.DONE, "current")
    assert "up to date" in desk("trust", "update", "partners").stdout
    removed = desk.json("trust", "remove", "partners")
    assert removed.code == Exit.DONE
    assert all(one["name"] != "partners" for one in desk.json("trust", "list").rows)


def test_long_lists_are_cut(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "many.pem"
    root = pki.issue(pki.ROOT.but(common_name="Old [red]root", start=None))
    file.write_bytes(root.pem + b"".join(pki.issue(pki.ROOT).pem for _ in range(24)))
    shown = desk("trust", "add", "many", file).stdout
    assert "and 5 more" in shown
    assert "Old [red]root" in shown, "a certificate's name is no markup"


def test_without_a_network(desk: Desk) -> None:
    answer = desk("trust", "add", "x", "http://127.0.0.1:9/list.pem")
    assert answer.code == Exit.UNAVAILABLE
    assert "fetch the file elsewhere" in answer.stderr


def test_a_date_that_is_none(desk: Desk, tmp_path: Path) -> None:
    assert desk("trust", "update", "c2pa", "--date", "soon").code == Exit.CONFIGURATION
