"""``guard watermark embed`` and ``detect``: archives, kinds of pictures, runs cut short."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from guard.cli import marking, watermark
from guard.cli.exits import Exit
from guard.cli.files import pictures, walk
from PIL import Image, ImageCms

from guard.image.decode import load
from tests.support.desk import Answer, Desk
from tests.support.house import picture

PAYLOAD = "00112233aabbccdd"
GUARD = [sys.executable, "-c", "from guard.cli.main import run; run()"]
SIDE = 256


@pytest.fixture
def archive(desk: Desk) -> Path:
    """Three pictures, one of them deeper, and two files that cannot be marked."""
    folder = desk.folder / "archive"
    small(folder / "a.png", 1)
    small(folder / "deep" / "b.jpg", 2)
    small(folder / "deep" / "c.webp", 3)
    (folder / "deep" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    small(folder / "tiny.png", 4, side=64)
    (folder / "notes.txt").write_text("no picture")
    return folder


def small(path: Path, seed: int, side: int = SIDE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed, side)).save(path)
    return path


def embed(desk: Desk, *args: object) -> Answer:
    return desk.json("watermark", "embed", *args, "--out", desk.out, "--workers", 1)


def detect(desk: Desk, *args: object) -> Answer:
    return desk.json("watermark", "detect", *args, "--workers", 1)


def files(folder: Path) -> dict[str, bytes]:
    """What lies in ``folder``."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


# -- there and back --------------------------------------------------------------------------------


def test_there_and_back(desk: Desk) -> None:
    source = small(desk.folder / "in.png", 0)
    made = embed(desk, source, "--payload", PAYLOAD)
    found = detect(desk, desk.out, source, desk.broken_picture(), "gone.png")

    row = made.row
    assert made.code == Exit.DONE
    assert (row["path"], row["source"]) == (str(desk.out / "in.png"), str(source))
    assert (row["status"], row["payload"], row["changed"]) == ("marked", PAYLOAD, [])
    assert (row["signed"], row["recorded"]) == (False, False)
    assert row["psnr_db"] > 30
    assert row["p_value"] < 1e-9
    assert len(row["key_id"]) == 16
    assert "jpeg75" in row["survived"]
    marked, plain, broken, gone = found.rows
    assert (marked["detected"], marked["payload"]) == (True, PAYLOAD)
    assert (marked["key_id"], marked["retired"]) == (row["key_id"], False)
    assert (plain["detected"], plain["payload"], plain["retired"]) == (False, None, False)
    assert set(marked) >= {"path", "method", "p_value", "confidence", "geometry"}
    assert broken["error"]["code"] == gone["error"]["code"] == "invalid_image"
    assert found.code == Exit.FINDING
    assert detect(desk, source).code == Exit.DONE, "no mark is nothing against a picture"


def test_a_folder_keeps_its_shape_and_errors_stop_nothing(desk: Desk, archive: Path) -> None:
    before = files(archive)
    made = embed(desk, archive)

    assert [Path(row["source"]).name for row in made.rows] == [
        "a.png", "b.jpg", "broken.png", "c.webp", "tiny.png",
    ]  # fmt: skip
    errors = [row["error"]["code"] for row in made.rows if "error" in row]
    assert errors == ["invalid_image", "mark_rejected"]
    assert all(row["error"]["hint"] and row["path"] is None for row in made.rows if "error" in row)
    assert made.code == Exit.FINDING
    assert set(files(desk.out)) == {"a.png", "deep/b.jpg", "deep/c.webp"}
    assert {path.name for path in desk.out.iterdir()} == {"a.png", "deep"}, "nothing unfinished"
    assert files(archive) == before
    ids = [row["payload"] for row in made.rows if "error" not in row]
    assert len(set(ids)) == 3
    again = detect(desk, desk.out)
    assert [row["payload"] for row in again.rows] == ids
    assert load(desk.out / "deep" / "b.jpg").media_type == "image/jpeg"


def test_workers_give_the_rows_of_one_process_in_order(desk: Desk, archive: Path) -> None:
    made = desk.json("watermark", "embed", archive, "--out", desk.out, "--workers", 2)
    alone = detect(desk, desk.out, archive)
    shared = desk.json("watermark", "detect", desk.out, archive, "--workers", 2)

    assert [Path(row["source"]).name for row in made.rows] == [
        "a.png", "b.jpg", "broken.png", "c.webp", "tiny.png",
    ]  # fmt: skip
    assert shared.rows == alone.rows
    assert shared.code == made.code == Exit.FINDING


def test_a_short_run_asks_for_no_help(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [small(desk.folder / f"{n}.png", n) for n in range(3)]
    monkeypatch.setattr(watermark, "cores", lambda: 2)
    monkeypatch.setattr(watermark, "ALONE_SECONDS", 600)
    monkeypatch.setattr(watermark, "opened", lambda *_: pytest.fail("asked for help"))

    assert len(desk.json("watermark", "embed", *sources, "--out", desk.out).rows) == 3

    asked: list[int] = []
    monkeypatch.setattr(watermark, "ALONE_SECONDS", 0)
    monkeypatch.setattr(watermark, "opened", lambda _, count: asked.append(count) or nullcontext())
    monkeypatch.setattr(watermark, "spread", lambda *_: iter(()))
    desk.json("watermark", "detect", *sources)
    assert asked == [2]


def test_what_is_written_says_that_it_is_marked_only(desk: Desk) -> None:
    source = small(desk.folder / "in.png", 0)
    told = "Marked only: not signed and not recorded."

    for_people = desk("watermark", "embed", source, "--out", desk.out)
    for_scripts = embed(desk, source, "--resume")

    assert told in " ".join(for_people.stderr.split())
    assert told in " ".join(for_scripts.stderr.split())
    helped = " ".join(desk("watermark", "embed", "--help").stdout.split())
    assert "MARKED ONLY: not signed and not recorded" in helped
    assert "guard watermark embed archive/" in desk("watermark", "--help").stdout


def test_people_read_one_line_a_picture(desk: Desk) -> None:
    source = small(desk.folder / "in.png", 0)
    odd = small(desk.folder / "odd\x1b[31m.png", 1)
    made = desk("watermark", "embed", source, odd, "gone.png", "--out", desk.out)
    found = desk("watermark", "detect", desk.out / "in.png", odd)

    first, second, third, hint = made.stdout.splitlines()
    assert re.fullmatch(r"marked    [0-9a-f]{16}  \d\d\.\d dB  \S+/in\.png → \S+/in\.png", first)
    assert "\x1b" not in second
    assert third.startswith("error     gone.png: There is no file")
    assert hint.strip().startswith("→")
    assert "2 marked, 1 not readable or not markable" in made.stderr
    marked, plain = found.stdout.splitlines()
    assert re.fullmatch(r"marked    \d\.\de-\d+ +[0-9a-f]{16}  same frame  \S+in\.png", marked)
    assert re.fullmatch(r"no mark   [\d.]+ +\S+odd\S+", plain)


def test_pictures_in_folders_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b/x.PNG", "b/a.jpg", "a.gif", "c.webp", "b/notes.txt", "out/b/x.PNG"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    top = tmp_path / "in"

    places = [str(place) for _, place in walk([top, top / "a.gif"], without=top / "out")]
    assert places == ["a.gif", "b/a.jpg", "b/x.PNG", "c.webp", "a.gif"]
    assert pictures([top]) == sorted(pictures([top]))
    assert len(pictures([top])) == 5
    assert pictures([tmp_path / "gone"]) == [tmp_path / "gone"]

    def closed(folder: Path) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", folder)

    monkeypatch.setattr("guard.cli.files.os.scandir", closed)
    assert pictures([top]) == [top], "which cannot be read, and then has a row that says so"


# -- usage -----------------------------------------------------------------------------------------

USAGE = {
    "a short payload": ("in.png", "--out", "out", "--payload", "0011"),
    "a payload that is no hex": ("in.png", "--out", "out", "--payload", "zz" * 8),
    "a payload for several": ("in.png", "other.png", "--out", "out", "--payload", "00" * 8),
    "an impossible folder": ("in.png", "--out", "/proc/x/out"),
    "a folder without pictures": ("empty", "--out", "out"),
    "into the originals": (".", "--out", "."),
}


@pytest.mark.parametrize("args", USAGE.values(), ids=USAGE)
def test_usage(desk: Desk, args: tuple[str, ...]) -> None:
    for name in ("in.png", "other.png"):
        small(desk.folder / name, 0)
    (desk.folder / "empty").mkdir()

    answer = desk.json("watermark", "embed", *args)

    assert answer.code == Exit.USAGE
    assert answer.row["error"]["hint"]
    assert not files(desk.folder / "out")


def test_detecting_nothing_is_a_usage_error(desk: Desk) -> None:
    (desk.folder / "empty").mkdir()

    assert detect(desk, "empty").code == Exit.USAGE
    assert desk("watermark", "detect").code == Exit.USAGE


# -- kinds of pictures -----------------------------------------------------------------------------


def test_alpha_stays_as_it_was(desk: Desk) -> None:
    alpha = np.full((SIDE, SIDE), 255, np.uint8)
    alpha[:, :40] = np.arange(40) * 6
    pixels = np.dstack([picture(1, SIDE), alpha])
    for suffix, options in ((".png", {}), (".webp", {"lossless": True, "exact": True})):
        Image.fromarray(pixels).save(desk.folder / f"clear{suffix}", **options)

    made = embed(desk, "clear.png", "clear.webp")

    for row in made.rows:
        assert row["changed"] == []
        copy = load(row["path"])
        assert copy.alpha is not None
        assert np.array_equal(copy.alpha, alpha)
    flat = desk.json("watermark", "embed", "clear.png", "--out", "flat", "--format", "jpeg").row
    assert flat["changed"] == ["PNG became JPEG", marking.LEFT_OUT]
    assert flat["path"] == str(Path("flat") / "clear.jpg")
    assert load(flat["path"]).alpha is None


def test_what_cannot_be_kept_is_said(desk: Desk) -> None:
    whole = Image.fromarray(picture(2, SIDE))
    deep = Image.fromarray(picture(2, SIDE)[..., 0].astype(np.uint16) * 257)
    whole.convert("P").save("palette.png")
    deep.save("deep.png")
    whole.convert("P").save("old.gif")

    rows = embed(desk, "palette.png", "deep.png", "old.gif").rows
    text = desk("watermark", "embed", "deep.png", "--out", "again").stdout

    assert [row["changed"] for row in rows] == [
        ["its palette became full colour"],
        ["16 bits a channel became 8", "grey became RGB"],
        ["its palette became full colour", "GIF became PNG"],
    ]
    assert [Path(row["path"]).name for row in rows] == ["palette.png", "deep.png", "old.png"]
    assert "16 bits a channel became 8" in text
    assert all(row["detected"] for row in detect(desk, desk.out).rows)


def test_upright_with_its_colours(desk: Desk) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x112] = 6
    lying = Image.fromarray(picture(3, 300)[:SIDE])
    lying.save("photo.jpeg", quality=95, exif=exif, icc_profile=profile)

    row = embed(desk, "photo.jpeg").row

    assert row["changed"] == ["it was turned upright, as its EXIF said"]
    assert row["path"].endswith("photo.jpeg"), "a suffix that says the same stays"
    with Image.open(row["path"]) as copy:
        assert copy.size == (SIDE, 300)
        assert copy.info["icc_profile"] == profile
        assert copy.getexif().get(0x112, 1) == 1


@pytest.mark.parametrize("name", ["wrong.png", "none", "date.2024"])
def test_the_content_says_what_it_is(desk: Desk, name: str) -> None:
    small(desk.folder / "in.jpg", 5).rename(name)

    row = embed(desk, name).row

    expected = {"wrong.png": "wrong.jpg", "none": "none.jpg", "date.2024": "date.2024.jpg"}
    assert Path(row["path"]).name == expected[name]


# -- nothing is overwritten, nothing unmarked passes -----------------------------------------------


def test_no_file_is_overwritten(desk: Desk) -> None:
    one, other = small(desk.folder / "one" / "x.png", 1), small(desk.folder / "two" / "x.png", 2)

    first, second = embed(desk, one, other).rows
    again = embed(desk, one)

    assert first["status"] == "marked"
    assert second["error"]["code"] == again.row["error"]["code"] == "output_unwritable"
    assert "--resume" in again.row["error"]["hint"]
    assert detect(desk, desk.out).row["payload"] == first["payload"]
    resumed = embed(desk, one, other, "--resume")
    assert [row["status"] for row in resumed.rows] == ["kept", "failed"]
    assert "no marked copy of this picture" in resumed.rows[1]["error"]["message"]


def test_originals_are_not_touched_where_they_lie_in_the_target(desk: Desk) -> None:
    source = small(desk.out / "x.png", 1)
    before = source.read_bytes()

    rows = embed(desk, source).rows + embed(desk, source, "--resume").rows

    assert [row["error"]["code"] for row in rows] == ["output_unwritable"] * 2
    assert source.read_bytes() == before


def test_a_target_inside_the_source_is_not_marked_again(desk: Desk, archive: Path) -> None:
    for _ in range(2):
        answer = desk.json(
            "watermark", "embed", archive, "--out", archive / "marked", "--resume", "--workers", 1
        )
        assert len(answer.rows) == 5


def test_a_mark_that_does_not_read_back_from_the_file_is_not_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = small(desk.folder / "in.png", 0)
    monkeypatch.setattr(marking, "encode", lambda *_, **__: source.read_bytes())

    answer = embed(desk, source)

    assert answer.row["error"]["code"] == "mark_rejected"
    assert answer.code == Exit.FINDING
    assert files(desk.out) == {}


def test_a_bug_in_one_picture_is_its_row(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = small(desk.folder / "a.png", 0)
    fine = small(desk.folder / "b.png", 1)
    real = marking.load

    def load_or_fail(path: Any) -> Any:
        if path == broken:
            raise ZeroDivisionError("division")
        return real(path)

    monkeypatch.setattr(marking, "load", load_or_fail)
    answer = embed(desk, broken, fine)

    assert answer.rows[0]["error"]["code"] == "stage_misbehaved"
    assert "ZeroDivisionError" in answer.rows[0]["error"]["message"]
    assert answer.rows[1]["status"] == "marked"
    assert answer.code == Exit.UNAVAILABLE


def test_file_systems_without_links(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    embed(desk, small(desk.folder / "first.png", 0))  # makes the key
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    one, other = small(desk.folder / "one" / "x.png", 1), small(desk.folder / "two" / "x.png", 2)

    assert [row["status"] for row in embed(desk, one, other).rows] == ["marked", "failed"]
    assert set(files(desk.out)) == {"first.png", "x.png"}
    (desk.out / ".unfinished").mkdir()
    with pytest.raises(marking.OutputUnwritable, match="just written"):
        marking.write_new(desk.out / "x.png", b"other", desk.out / ".unfinished")


# -- cut short -------------------------------------------------------------------------------------


def test_resume_keeps_what_is_written_and_does_the_rest(desk: Desk, archive: Path) -> None:
    first = embed(desk, archive / "a.png", "--payload", PAYLOAD)
    before = (desk.out / "a.png").stat().st_mtime_ns, (desk.out / "a.png").read_bytes()
    leftover = desk.out / ".unfinished" / "tmp1.part"
    leftover.parent.mkdir()
    leftover.write_bytes(b"half")

    answer = embed(desk, archive, "--resume")

    assert [row["status"] for row in answer.rows] == [
        "kept",
        "marked",
        "failed",
        "marked",
        "failed",
    ]
    assert answer.rows[0]["payload"] == first.row["payload"]
    assert ((desk.out / "a.png").stat().st_mtime_ns, (desk.out / "a.png").read_bytes()) == before
    assert set(files(desk.out)) == {"a.png", "deep/b.jpg", "deep/c.webp"}
    other = embed(desk, archive / "a.png", "--resume", "--payload", "ff" * 8)
    assert "another mark id" in other.row["error"]["message"]


def test_resume_does_not_keep_what_is_not_marked(desk: Desk) -> None:
    source = small(desk.folder / "in.png", 0)
    desk.out.mkdir()
    (desk.out / "in.png").write_bytes(source.read_bytes())

    answer = embed(desk, source, "--resume")

    assert "no marked copy" in answer.row["error"]["message"]
    (desk.out / "in.png").write_bytes(b"half a pict")
    assert embed(desk, source, "--resume").row["error"]["code"] == "invalid_image"


def test_a_full_disk_ends_the_run(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [small(desk.folder / f"{n}.png", n) for n in range(3)]
    embed(desk, small(desk.folder / "first.png", 9))  # makes the key
    monkeypatch.setattr(marking.os, "fsync", fail_with(errno.ENOSPC))

    answer = embed(desk, *sources)

    row, end = answer.rows
    assert row["error"]["code"] == end["error"]["code"] == "output_unwritable"
    assert "--resume" in end["error"]["hint"]
    assert answer.code == Exit.USAGE
    assert set(files(desk.out)) == {"first.png"}


def fail_with(number: int) -> Any:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_one_file_that_cannot_be_written_does_not(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = small(desk.folder / "one" / "x.png", 1), small(desk.folder / "y.png", 2)
    desk.out.mkdir()
    (desk.out / "one").touch()  # where a folder must be

    answer = embed(desk, one.parent.parent / "one", other)
    assert [row["status"] for row in answer.rows] == ["marked", "marked"]
    nested = desk.folder / "all"
    small(nested / "one" / "x.png", 1)
    small(nested / "z.png", 3)

    answer = embed(desk, nested)

    assert [row["status"] for row in answer.rows] == ["failed", "marked"]
    assert answer.code == Exit.FINDING


def test_one_run_at_a_time_writes_to_a_folder(desk: Desk) -> None:
    source = small(desk.folder / "in.png", 0)
    (desk.out / ".unfinished").mkdir(parents=True)
    handle = os.open(desk.out, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        answer = embed(desk, source)
    finally:
        os.close(handle)

    assert answer.code == Exit.USAGE
    assert "Another run" in answer.row["error"]["message"]
    assert (desk.out / ".unfinished").exists(), "it is the other's"


def test_ctrl_c(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [small(desk.folder / f"{n}.png", n) for n in range(3)]
    real, seen = marking.write_new, []

    def write(target: Path, *rest: Any) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(target)
        real(target, *rest)

    monkeypatch.setattr(marking, "write_new", write)
    answer = embed(desk, *sources)

    assert answer.code == 130
    assert len(answer.rows) == 1
    assert "Stopped" in answer.stderr
    assert "--resume" in answer.stderr
    assert set(files(desk.out)) == {"0.png"}


def test_killed_and_resumed(desk: Desk, tmp_path: Path) -> None:
    count = 24
    for number in range(count):
        small(tmp_path / "in" / f"{number:02}.png", number)
    command = [*GUARD, "watermark", "embed", "in", "--out", "out", "--workers", "2", "--json"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    run = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert run.stdout is not None
    run.stdout.readline()
    run.send_signal(signal.SIGKILL)
    run.communicate()
    time.sleep(0.5)  # its workers see that it is gone

    written = list((tmp_path / "out").glob("*.png"))
    assert 1 <= len(written) < count
    assert all(load(path).pixels.shape == (SIDE, SIDE, 3) for path in written)
    answer = embed(desk, "in", "--resume")

    assert answer.code == Exit.DONE
    assert {row["status"] for row in answer.rows} == {"kept", "marked"}
    assert len(files(desk.out)) == len({row["payload"] for row in answer.rows}) == count


# -- keys ------------------------------------------------------------------------------------------


def test_marks_of_a_retired_key_are_still_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    old = embed(desk, small(desk.folder / "old.png", 0), "--payload", PAYLOAD).row
    rotated = desk.json("keys", "rotate-watermark").row
    new = embed(desk, small(desk.folder / "new.png", 1)).row

    assert old["key_id"] != new["key_id"] == rotated["key_id"]
    assert rotated["retired"] == [old["key_id"]]
    found_new, found_old = detect(desk, desk.out).rows
    assert (found_new["key_id"], found_new["retired"]) == (new["key_id"], False)
    assert (found_old["key_id"], found_old["retired"]) == (old["key_id"], True)
    assert found_old["payload"] == PAYLOAD
    assert "retired key" in desk("watermark", "detect", desk.out / "old.png").stdout

    keys = Path(os.environ["GUARD_HOME"]) / "keys"
    secret = (keys / "mark.retired").read_text().split()[0]
    (keys / "mark.retired").unlink()
    assert not detect(desk, desk.out / "old.png").row["detected"]
    monkeypatch.setenv("GUARD_RETIRED_MARK_SECRETS", secret)
    assert detect(desk, desk.out / "old.png").row["retired"]


def test_rotation_shows_no_secret_and_says_to_back_up(desk: Desk) -> None:
    missing = desk.json("keys", "rotate-watermark")
    embed(desk, small(desk.folder / "in.png", 0))
    keys = Path(os.environ["GUARD_HOME"]) / "keys"
    before = (keys / "mark.secret").read_text().strip()

    answer = desk("keys", "rotate-watermark")

    assert missing.code == Exit.CONFIGURATION
    after = (keys / "mark.secret").read_text().strip()
    assert before != after
    assert not any(one in answer.stdout + answer.stderr for one in (before, after))
    assert "Back up" in answer.stdout


def test_a_secret_of_the_setting_is_rotated_there(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUARD_MARK_SECRET", "ab" * 32)

    answer = desk.json("keys", "rotate-watermark")

    assert answer.code == Exit.CONFIGURATION
    assert "GUARD_RETIRED_MARK_SECRETS" in answer.row["error"]["hint"]
    assert "abab" not in json.dumps(answer.row)


# -- memory and the terminal -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("doing", ["embed", "detect"])
def test_memory_stays_the_same(desk: Desk, doing: str) -> None:
    source = small(desk.folder / "in.png", 0)
    if doing == "detect":
        source = Path(embed(desk, source).row["path"])
    many = desk.folder / "many"
    many.mkdir()
    for number in range(220):
        (many / f"{number:03}.png").hardlink_to(source)
    (desk.out / ".unfinished").mkdir(parents=True, exist_ok=True)
    job: Any = marking.Detecting(default(), {})
    if doing == "embed":
        job = marking.Embedding(default(), {}, desk.out)
    rows = watermark._Batch(None, job, "")._rows(  # type: ignore[arg-type]
        (marking.Item(*one) for one in walk([many])), 1
    )

    sizes = [resident() for row in rows if "error" not in row.row]

    assert len(sizes) == 220
    grown = (max(sizes[-20:]) - max(sizes[:20])) / 2**20
    assert grown < 8, f"{grown:.1f} MiB over 200 pictures"


def default() -> Any:
    from guard.policy.load import load_policy

    return load_policy("default")


def resident() -> int:
    """Bytes of this process that are in memory (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_rows_for_a_file_go_there_while_a_bar_is_shown(tmp_path: Path) -> None:
    """rich takes over stdout while it draws; what was sent to a file must not land on stderr."""
    import pty

    code = (
        "from guard.cli.output import Output\nout = Output(as_json=True)\n"
        "for number in out.track(range(3), 'Working'): out.emit({'n': number})"
    )
    ours, theirs = pty.openpty()
    try:
        with (tmp_path / "rows").open("wb") as file:
            subprocess.run(
                [sys.executable, "-c", code],
                stdout=file, stderr=theirs, check=True, env={**os.environ, "TERM": "xterm"},
            )  # fmt: skip
    finally:
        os.close(theirs)
        os.close(ours)

    rows = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
    assert rows == [{"n": 0}, {"n": 1}, {"n": 2}]
