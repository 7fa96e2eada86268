"""``guard audit checkpoint``, ``prove``, ``verify``, ``fsck``, ``export``, and what checks them."""

from __future__ import annotations

import json
import runpy
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from guard.cli.exits import Exit

from guard.audit.log import SqlAuditLog
from guard.audit.tree.tile_paths import history_path, number_path
from guard.store.engine import open_store
from tests.support.auditing import write_released
from tests.support.desk import Desk
from tests.support.publishing import fill

VERIFIER = Path(__file__).resolve().parents[3] / "docs" / "verify_export.py"
ROWS = 262
"""A full tile, and part of a second."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A log of ROWS rows, and a record in it that was released."""
    folder = tmp_path_factory.mktemp("proofs")
    store = open_store(f"sqlite:///{folder / 'audit.sqlite3'}")
    log = SqlAuditLog(store)
    record, _ = write_released(log)
    # A line separator of Unicode is no end of a line: verifiers must not take it for one.
    write_released(log, model="a\u2028b")
    fill(log, ROWS - 4)
    store.close()
    return folder / "audit.sqlite3", record.record_id


@pytest.fixture
def home(template: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(template[0], folder / "audit.sqlite3")
    monkeypatch.setenv("GUARD_HOME", str(folder))
    monkeypatch.setenv("GUARD_CHECKPOINTS", str(tmp_path / "outside"))
    return folder


@pytest.fixture
def record_id(template: tuple[Path, str]) -> str:
    return template[1]


@pytest.fixture
def busy(desk: Desk, home: Path) -> Desk:
    return desk


@pytest.fixture
def tamper(home: Path) -> Callable[[str], None]:
    def change(sql: str) -> None:
        with sqlite3.connect(home / "audit.sqlite3") as database:
            names = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            for (name,) in names.fetchall():
                database.execute(f'DROP TRIGGER "{name}"')
            database.execute(sql)
        database.close()

    return change


def key_of(home: Path) -> str:
    return (home / "keys" / "checkpoint.vkey").read_text().split()[0]


def stand_alone(*args: object) -> tuple[bool, str]:
    """What the stand-alone verifier says: in a process without genguard."""
    code = (
        "import runpy, sys; sys.modules['guard'] = None; "
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(VERIFIER), *map(str, args)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == (0 if done.stdout.startswith("good: ") else 1), done.stderr
    return done.returncode == 0, done.stdout + done.stderr


# -- checkpoint --------------------------------------------------------------------------------


def test_checkpoint(busy: Desk, home: Path, tmp_path: Path) -> None:
    answer = busy.json("audit", "checkpoint", "--out", "noted")
    row = answer.row

    assert answer.code == 0
    assert (row["size"], row["place"]) == (ROWS, str(tmp_path / "outside"))
    assert row["note"] == Path("noted").read_text()
    assert row["note"] == (tmp_path / "outside" / "checkpoint").read_text()
    assert row["verifier_keys"] == [key_of(home)]
    text = busy("audit", "checkpoint")
    assert f"\n{ROWS}\n" in text.stdout
    assert "published to" in text.stderr


def test_checkpoint_without_a_place(busy: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GUARD_CHECKPOINTS")
    answer = busy.json("audit", "checkpoint")
    assert (answer.code, answer.row["place"]) == (0, None)
    assert "GUARD_CHECKPOINTS" in answer.stderr


def test_checkpoint_that_cannot_be_published(busy: Desk, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("in the way")
    answer = busy.json("audit", "checkpoint")
    assert answer.code == Exit.UNAVAILABLE
    assert answer.row["error"]["code"] == "checkpoint_unavailable"
    row = busy.json("audit", "verify")
    assert row.code == Exit.UNAVAILABLE  # what it should be compared with cannot be read
    (tmp_path / "outside").unlink()
    row = busy.json("audit", "verify")
    assert row.code == 0
    assert any("last publication failed" in notice for notice in row.row["notices"])


def test_checkpoint_into_a_file_that_cannot_be(busy: Desk) -> None:
    assert busy.json("audit", "checkpoint", "--out", "/proc/x/y").code == Exit.USAGE


# -- verify ------------------------------------------------------------------------------------


def test_verify_compares_with_what_was_published(busy: Desk, tamper: Callable[[str], None]) -> None:
    busy("audit", "checkpoint")
    good = busy.json("audit", "verify")
    assert good.code == 0
    assert (good.row["ok"], good.row["checkpoint"], good.row["notices"]) == (True, ROWS, [])
    tamper("DELETE FROM audit_leaf WHERE leaf_index >= 200")
    tamper("UPDATE audit_head SET size = 200")
    bad = busy.json("audit", "verify")
    assert bad.code == Exit.TAMPERED
    assert (bad.row["ok"], bad.row["first_bad"]) == (False, 200)
    assert f"The log once had {ROWS} rows." in bad.row["problems"]
    assert "first bad row: 200" in busy("audit", "verify").stdout


def test_verify_says_when_nothing_is_known(busy: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GUARD_CHECKPOINTS")
    answer = busy.json("audit", "verify")
    assert answer.code == 0
    assert answer.row["checkpoint"] is None
    assert "goes unnoticed" in answer.row["notices"][0]
    assert "goes unnoticed" in busy("audit", "verify").stdout


def test_verify_with_a_note_or_a_place(busy: Desk, home: Path, tmp_path: Path) -> None:
    busy("audit", "checkpoint", "--out", "noted")
    key = key_of(home)
    for where in ("noted", tmp_path / "outside"):
        answer = busy.json("audit", "verify", "--checkpoint", where, "--key", key)
        assert (answer.code, answer.row["checkpoint"]) == (0, ROWS)
    lines = tmp_path / "lines.jsonl"
    lines.write_text(json.dumps({"note": Path("noted").read_text()}) + "\n")
    assert busy.json("audit", "verify", "--checkpoint", lines).row["checkpoint"] == ROWS
    assert busy.json("audit", "verify", "--key", key).code == 0
    Path("forged").write_text(Path("noted").read_text().replace(f"\n{ROWS}\n", "\n9\n"))
    answer = busy.json("audit", "verify", "--checkpoint", "forged")
    assert answer.code == Exit.TAMPERED
    assert "does not hold" in answer.row["problems"][0]
    for missing in ("nowhere", tmp_path, "memory://empty/log"):
        assert busy.json("audit", "verify", "--checkpoint", missing).code == Exit.USAGE
    (home / "keys" / "checkpoint.vkey").unlink()
    unknown = busy.json("audit", "verify", "--checkpoint", "noted")
    assert unknown.code == Exit.CONFIGURATION


def test_verify_names_a_place_that_lost_its_checkpoints(busy: Desk, tmp_path: Path) -> None:
    busy("audit", "checkpoint")
    shutil.rmtree(tmp_path / "outside")
    answer = busy.json("audit", "verify")
    assert answer.code == Exit.TAMPERED
    assert "has lost the checkpoint" in answer.row["problems"][0]


# -- prove -------------------------------------------------------------------------------------


def test_prove_a_record(busy: Desk, home: Path, record_id: str) -> None:
    proven = busy.json("audit", "prove", record_id, "--out", "a.tlog-proof")
    assert proven.code == 0
    assert (proven.row["index"], proven.row["size"]) == (1, ROWS)
    first = busy.json("audit", "prove", record_id, "--event", "started").row
    assert first["index"] == 0
    assert busy("audit", "prove", record_id).stdout.startswith("c2sp.org/tlog-proof@v1\nextra ")
    checked = busy.json("audit", "verify", "--proof", "a.tlog-proof")
    assert (checked.code, checked.row["ok"], checked.row["index"]) == (0, True, 1)
    assert json.loads(checked.row["leaf"])["record_id"] == record_id
    leaf = Path("leaf.json")
    leaf.write_text(checked.row["leaf"])
    key = key_of(home)
    assert busy.json("audit", "verify", "--proof", "a.tlog-proof", "--leaf", leaf).code == 0
    assert stand_alone(key, "a.tlog-proof") == (True, f"good: row 1 is in the log of {ROWS} rows\n")
    assert stand_alone(key, "a.tlog-proof", leaf)[0]
    leaf.write_text(checked.row["leaf"].replace("released", "blocked"))
    other = busy.json("audit", "verify", "--proof", "a.tlog-proof", "--leaf", leaf)
    assert (other.code, other.row["ok"]) == (Exit.TAMPERED, False)
    assert not stand_alone(key, "a.tlog-proof", leaf)[0]
    assert "not proven" in busy("audit", "verify", "--proof", "a.tlog-proof", "--leaf", leaf).stdout


def test_prove_a_row_that_no_checkpoint_covers_yet(busy: Desk, home: Path) -> None:
    busy("audit", "checkpoint")
    store = open_store(f"sqlite:///{home / 'audit.sqlite3'}")
    record, _ = write_released(SqlAuditLog(store))
    store.close()
    row = busy.json("audit", "prove", record.record_id).row
    assert (row["index"], row["size"]) == (ROWS + 1, ROWS + 2)


def test_prove_growth(busy: Desk, home: Path) -> None:
    busy("audit", "checkpoint", "--out", "old")
    store = open_store(f"sqlite:///{home / 'audit.sqlite3'}")
    fill(SqlAuditLog(store), 3)
    store.close()
    proven = busy.json("audit", "prove", "--since", "old", "--out", "growth.proof")
    assert proven.code == 0
    assert (proven.row["old_size"], proven.row["size"]) == (ROWS, ROWS + 3)
    checked = busy.json("audit", "verify", "--proof", "growth.proof", "--checkpoint", "old")
    assert (checked.code, checked.row["ok"]) == (0, True)
    assert busy.json("audit", "verify", "--proof", "growth.proof").code == Exit.USAGE
    busy("audit", "checkpoint", "--out", "new")
    swapped = busy.json("audit", "verify", "--proof", "growth.proof", "--checkpoint", "new")
    assert (swapped.code, swapped.row["ok"]) == (Exit.TAMPERED, False)


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("0199b2c4-0000-7000-8000-000000000000",),
        ("0199b2c4-0000-7000-8000-000000000000", "--since", "x"),
        ("--since", "nowhere"),
    ],
)
def test_prove_what_cannot_be(busy: Desk, args: tuple[str, ...]) -> None:
    answer = busy.json("audit", "prove", *args)
    assert answer.code == Exit.USAGE
    assert answer.row["error"]["hint"]


def test_no_proof_is_made_of_a_log_that_was_changed(
    busy: Desk, tamper: Callable[[str], None], record_id: str
) -> None:
    busy("audit", "checkpoint")
    tamper("UPDATE audit_leaf SET leaf = CAST(REPLACE(CAST(leaf AS TEXT), 'demo-1', 'demo-2') "
           "AS BLOB) WHERE leaf_index = 1")  # fmt: skip
    answer = busy.json("audit", "prove", record_id)
    assert answer.code == Exit.TAMPERED
    assert answer.row["error"]["code"] == "proof_invalid"


def test_what_is_no_proof(busy: Desk) -> None:
    busy("audit", "checkpoint", "--out", "noted")
    for name in ("noted", "missing"):
        answer = busy.json("audit", "verify", "--proof", name)
        assert answer.code == (Exit.TAMPERED if name == "noted" else Exit.USAGE)


# -- fsck --------------------------------------------------------------------------------------


def test_fsck_of_a_good_log(busy: Desk) -> None:
    busy("audit", "checkpoint")
    answer = busy.json("audit", "fsck")
    assert answer.code == 0
    assert [(row["part"], row["ok"]) for row in answer.rows] == [
        ("file", True), ("checkpoints", True), ("rows", True), ("published tiles", True),
        ("beside the log", True),
    ]  # fmt: skip
    assert "✓ rows" in busy("audit", "fsck").stdout


def bad_parts(busy: Desk) -> list[str]:
    answer = busy.json("audit", "fsck")
    bad = [row for row in answer.rows if not row["ok"]]
    assert answer.code == (Exit.TAMPERED if bad else 0)
    assert all(row["problems"] and row["mend"] for row in bad)
    return [row["part"] for row in bad]


def test_fsck_finds_what_is_wrong(
    busy: Desk, tamper: Callable[[str], None], tmp_path: Path
) -> None:
    busy("audit", "checkpoint")
    outside = tmp_path / "outside"
    tile = outside / "tile" / "0" / "000"
    good = tile.read_bytes()
    tile.write_bytes(bytes(8192))
    assert bad_parts(busy) == ["published tiles"]
    assert "✗ published tiles" in busy("audit", "fsck").stdout
    tile.unlink()
    assert bad_parts(busy) == ["published tiles"]
    tile.write_bytes(good)
    tamper("DELETE FROM audit_leaf WHERE leaf_index = 250")
    tamper("DELETE FROM audit_tile")
    assert bad_parts(busy) == ["rows", "published tiles", "beside the log"]
    (outside / history_path(1)).write_text("forged")
    assert "checkpoints" in bad_parts(busy)


def test_fsck_finds_a_damaged_file(busy: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from guard.store.integrity import Integrity

    monkeypatch.setattr(Integrity, "damage", lambda *_: ["Page 7: btreeInitPage() returns error"])
    monkeypatch.delenv("GUARD_CHECKPOINTS")
    assert bad_parts(busy) == ["file"]


# -- export ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["jsonl", "csv", "tiles"])
def test_export(busy: Desk, home: Path, form: str) -> None:
    target = Path("out.tiles" if form == "tiles" else f"out.{form}")
    answer = busy.json("audit", "export", target, "--format", form, "--who", "dana")
    assert answer.code == 0
    row = answer.row
    assert row["rows"] == ROWS + 1  # the export itself is on record
    manifest = json.loads(Path(row["manifest"]).read_text())
    assert (manifest["rows"], manifest["root"]) == (row["rows"], row["root"])
    assert manifest["verifier_keys"] == [key_of(home)]
    assert Path(row["checkpoint"]).read_text().split("\n")[1] == str(row["rows"])
    if form != "csv":
        good, said = stand_alone(key_of(home), target)
        assert good, said
        assert said == f"good: {row['rows']} rows, root {row['root']}\n"
        forged = (
            key_of(home).split("+")[0] + "+00000000+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
        )
        assert "not signed with this key" in stand_alone(forged, target)[1]


def test_export_of_a_mistyped_name_is_no_act(busy: Desk) -> None:
    before = busy.json("audit", "verify").row["records"]
    Path("folder").mkdir()
    Path("file").write_text("")
    for args in (("folder",), ("file", "--format", "tiles"), ("missing/x.jsonl",)):
        assert busy.json("audit", "export", *args).code == Exit.USAGE
    assert busy.json("audit", "verify").row["records"] == before


def test_export_by_a_user_without_a_name(busy: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.delenv("USER", raising=False)
    monkeypatch.setattr("getpass.getuser", nobody)
    assert busy.json("audit", "export", "log.jsonl").code == 0
    last = Path("log.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["leaf"]["who"] == "unknown"


def spoil(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


SPOILT: dict[str, Callable[[Path], None]] = {
    "a record": lambda path: spoil(path, b"demo-1", b"demo-2"),
    "a hash": lambda path: spoil(path, b'"leaf_hash": "', b'"leaf_hash": "0'),
    "an index": lambda path: spoil(path, b'{"index": 3,', b'{"index": 4,'),
    "a line less": lambda path: path.write_bytes(
        b"".join(path.read_bytes().splitlines(keepends=True)[:-1])
    ),
    "a line twice": lambda path: path.write_bytes(
        path.read_bytes() + path.read_bytes().split(b"\n")[0] + b"\n"
    ),
    "nothing": lambda path: path.write_bytes(b""),
    "another root": lambda path: spoil(Path(f"{path}.checkpoint"), b"\n263\n", b"\n262\n"),
    "no signature": lambda path: Path(f"{path}.checkpoint").write_bytes(
        Path(f"{path}.checkpoint").read_bytes().split("—".encode())[0]
    ),
}


def test_the_stand_alone_verifier_finds_what_was_spoilt(busy: Desk, home: Path) -> None:
    busy("audit", "export", "log.jsonl")
    note = Path("log.jsonl.checkpoint").read_bytes()
    for number, (how, spoil_it) in enumerate(SPOILT.items()):
        copy = shutil.copy("log.jsonl", f"{number}.jsonl")
        Path(f"{copy}.checkpoint").write_bytes(note)
        spoil_it(Path(copy))
        good, said = stand_alone(key_of(home), copy)
        assert not good, how
        assert "NOT PROVEN" in said


def test_the_stand_alone_verifier_knows_where_entries_lie() -> None:
    place = runpy.run_path(str(VERIFIER))["place"]
    for number in (0, 7, 999, 1000, 1001, 999_999, 1_000_000, 1_234_067):
        assert place(number) == number_path(number)


def test_the_stand_alone_verifier_finds_spoilt_tiles(busy: Desk, home: Path) -> None:
    busy("audit", "export", "tiles", "--format", "tiles")
    spoil(Path("tiles/tile/entries/000"), b"demo-1", b"demo-2")
    assert not stand_alone(key_of(home), "tiles")[0]
    Path("tiles/tile/entries/000").unlink()
    assert not stand_alone(key_of(home), "tiles")[0]


def test_the_stand_alone_verifier_finds_spoilt_proofs(
    busy: Desk, home: Path, record_id: str
) -> None:
    busy("audit", "prove", record_id, "--out", "a.tlog-proof")
    lines = Path("a.tlog-proof").read_text().split("\n")
    for line in range(len(lines) - 1):
        Path("b.tlog-proof").write_text("\n".join([*lines[:line], *lines[line + 1 :]]))
        assert not stand_alone(key_of(home), "b.tlog-proof")[0], lines[line]
    assert busy("audit", "verify", "--proof", "b.tlog-proof").code == Exit.TAMPERED


# -- doctor ------------------------------------------------------------------------------------


def doctor_says(busy: Desk) -> dict[str, object]:
    rows = busy.json("doctor").rows
    return next(row for row in rows if row["check"] == "checkpoints")


def test_doctor_looks_at_checkpoints(
    busy: Desk, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guard.cli import doctor

    only = [one for one in doctor.CHECKS if one.name == "checkpoints"]
    monkeypatch.setattr(doctor, "CHECKS", only)
    assert f"{ROWS} rows wait" in str(doctor_says(busy)["remark"])
    busy("audit", "checkpoint")
    said = str(doctor_says(busy)["remark"])
    assert said.startswith(f"{ROWS} rows covered in {tmp_path / 'outside'}; back up ")
    assert str(home / "keys" / "checkpoint.pem") in said
    (tmp_path / "elsewhere").write_text("in the way")
    monkeypatch.setenv("GUARD_CHECKPOINTS", str(tmp_path / "elsewhere"))
    busy("audit", "checkpoint")
    assert busy("doctor").code == Exit.UNAVAILABLE
    monkeypatch.setenv("GUARD_CHECKPOINTS", str(tmp_path / "outside"))
    assert "last publication failed" in str(doctor_says(busy)["error"])
    monkeypatch.delenv("GUARD_CHECKPOINTS")
    assert "not published" in str(doctor_says(busy)["remark"])


def test_doctor_finds_a_log_that_was_put_back(
    busy: Desk, tamper: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from guard.cli import doctor

    only = [one for one in doctor.CHECKS if one.name == "checkpoints"]
    monkeypatch.setattr(doctor, "CHECKS", only)
    busy("audit", "checkpoint")
    tamper("UPDATE audit_head SET size = 200")
    assert busy("doctor").code == Exit.TAMPERED
