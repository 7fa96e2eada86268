"""``guard screen --input``: real files, real processes, killed and resumed."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from guard.cli import lines as lines_module
from guard.cli import workers as workers_module
from guard.cli.exits import Exit
from guard.cli.lines import CHUNK_LINES, Chunk, Lines, open_input, parse_line
from guard.cli.progress import beside
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import InvalidRequest
from tests.support.desk import Desk
from tests.support.house import FORBIDDEN, PROMPT

POLICY = """\
name: small
prompt_rules:
  - {id: sexual, category: sexual, lists: [sexual], action: block, message: No.}
required_detectors: []
"""
GUARD = [sys.executable, "-c", "from guard.cli.main import run; run()"]
MANY = 2000


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(POLICY)
    return file


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """Every seventh forbidden, each with its number."""
    file = tmp_path / "prompts.txt"
    texts = (f"{FORBIDDEN if n % 7 == 0 else PROMPT} number {n}" for n in range(MANY))
    file.write_text("\n".join(texts) + "\n")
    return file


class Bomb(workers_module.Recipe):
    """A worker that is killed as soon as it begins."""

    def judge(self) -> workers_module.Judge:
        os._exit(9)


def rows(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


# -- in order, on all cores ------------------------------------------------------------------------


def test_workers_give_the_rows_of_one_process_in_order(
    desk: Desk, policy: Path, prompts: Path, tmp_path: Path
) -> None:
    outputs = []
    for count in (1, 2):
        output = tmp_path / f"out{count}.jsonl"
        answer = desk.json(
            "screen", "--policy", policy, "--input", prompts, "--output", output,
            "--workers", count,
        )  # fmt: skip
        assert answer.code == Exit.FINDING
        assert answer.row["rows"] == MANY
        blocked = len(range(0, MANY, 7))
        assert answer.row["counts"] == {"allow": MANY - blocked, "block": blocked}
        outputs.append(output.read_bytes())
    assert outputs[0] == outputs[1]
    found = rows(tmp_path / "out2.jsonl")
    assert [one["line"] for one in found] == list(range(1, MANY + 1))
    assert all(one["prompt"].endswith(f"number {n}") for n, one in enumerate(found))  # type: ignore[attr-defined]


def test_a_long_input_takes_every_core_by_itself(
    desk: Desk, policy: Path, prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = workers_module._pool

    def pool(recipe: workers_module.Recipe, count: int):  # type: ignore[no-untyped-def]
        asked.append(count)
        return real(recipe, count)

    monkeypatch.setattr(workers_module, "_pool", pool)
    monkeypatch.setattr(workers_module, "cores", lambda: 2)
    answer = desk.json("screen", "--policy", policy, "--input", prompts)
    assert asked == [2]
    assert len(answer.rows) == MANY


def test_a_short_input_needs_no_help(
    desk: Desk, policy: Path, prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts.write_text("a boat\n" * 300)
    monkeypatch.setattr(workers_module, "_pool", lambda *_: pytest.fail("asked for help"))
    assert len(desk.json("screen", "--policy", policy, "--input", prompts).rows) == 300


def test_a_worker_that_dies_ends_the_run_and_says_how_to_go_on(
    desk: Desk, policy: Path, prompts: Path, tmp_path: Path
) -> None:
    recipe = Bomb(None, {}, {}, "")  # type: ignore[arg-type]
    with open(prompts, "rb", buffering=0) as file, pytest.raises(Exception, match="worker") as bad:  # noqa: PTH123
        list(workers_module.in_order(recipe, None, Lines(file), 2))  # type: ignore[arg-type]
    assert "--resume" in bad.value.hint  # type: ignore[attr-defined]


# -- killed and resumed ----------------------------------------------------------------------------


def start(policy: Path, prompts: Path, output: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [*GUARD, "screen", "--policy", str(policy), "--input", str(prompts)]
    return subprocess.Popen(
        [*command, "--output", str(output), *more],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def wait_for_rows(output: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not (output.exists() and output.stat().st_size):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """Enough lines that nobody screens them in a second."""
    file = tmp_path / "long.txt"
    file.write_text("".join(f"{FORBIDDEN} {'storm ' * 40} {n}\n" for n in range(20_000)))
    return file


def test_a_killed_run_goes_on_where_it_was(policy: Path, long: Path, tmp_path: Path) -> None:
    output, whole = tmp_path / "out.jsonl", tmp_path / "whole.jsonl"
    process = start(policy, long, output, "--workers", "2")
    wait_for_rows(output, process)
    process.kill()
    process.communicate()
    assert output.stat().st_size
    assert not rows_done(output)

    again = start(policy, long, output, "--workers", "2", "--resume")
    again.communicate()
    assert again.returncode == Exit.FINDING
    start(policy, long, whole, "--workers", "1").communicate()
    assert output.read_bytes() == whole.read_bytes()
    assert rows_done(output)


def rows_done(output: Path) -> bool:
    file = beside(output)
    return file.exists() and bool(json.loads(file.read_text())["done"])


def test_ctrl_c_ends_cleanly_and_says_how_to_go_on(
    policy: Path, long: Path, tmp_path: Path
) -> None:
    # Python drops an interrupt that falls into a finaliser: who presses Ctrl-C then presses again.
    for attempt in range(3):
        output = tmp_path / f"out-{attempt}.jsonl"
        process = start(policy, long, output, "--workers", "2")
        wait_for_rows(output, process)
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the workers too
        _, told = process.communicate()
        if process.returncode != Exit.FINDING:
            break

    assert process.returncode == 130
    assert b"--resume" in told
    assert b"Traceback" not in told
    known = json.loads(beside(output).read_text())
    assert 0 < known["rows"] < 20_000
    assert output.read_bytes()[: known["written"]].count(b"\n") == known["rows"]


@pytest.fixture
def interrupted(desk: Desk, policy: Path, prompts: Path, tmp_path: Path) -> Path:
    """An output whose run stopped after a thousand lines, and wrote some more than it marked."""
    output = tmp_path / "out.jsonl"
    desk.json("screen", "--policy", policy, "--input", prompts, "--output", output, "--workers", 1)
    data = output.read_bytes().splitlines(keepends=True)
    read = b"".join(prompts.read_bytes().splitlines(keepends=True)[:1000])
    known = json.loads(beside(output).read_text())
    import hashlib

    known |= {"offset": len(read), "digest": hashlib.sha256(read).hexdigest(), "line": 1001}
    known |= {"written": len(b"".join(data[:1000])), "rows": 1000, "done": False}
    known |= {"counts": {"block": 143, "allow": 857}, "code": 1}
    beside(output).write_text(json.dumps(known))
    output.write_bytes(b"".join(data[:1100]) + data[1100][:20])
    return output


def resume(desk: Desk, policy: Path, prompts: Path | str, output: Path, *more: str):  # type: ignore[no-untyped-def]
    return desk.json(
        "screen", "--policy", policy, "--input", prompts, "--output", output, "--resume",
        "--workers", 1, *more,
    )  # fmt: skip


def test_half_a_line_is_written_anew(
    desk: Desk, policy: Path, prompts: Path, interrupted: Path
) -> None:
    answer = resume(desk, policy, prompts, interrupted)
    assert [one["line"] for one in rows(interrupted)] == list(range(1, MANY + 1))
    assert answer.row["rows"] == MANY
    assert answer.code == Exit.FINDING
    assert sum(answer.row["counts"].values()) == MANY
    finished = resume(desk, policy, prompts, interrupted)
    assert (finished.code, finished.row) == (Exit.FINDING, answer.row)


def test_a_pipe_can_be_resumed_too(
    desk: Desk, policy: Path, prompts: Path, interrupted: Path
) -> None:
    answer = desk(
        "screen", "--policy", policy, "--input", "-", "--output", interrupted, "--resume",
        "--workers", 1, stdin=prompts.read_bytes(),
    )  # fmt: skip
    assert answer.code == Exit.FINDING
    assert len(rows(interrupted)) == MANY


def test_what_cannot_be_resumed_is_said(
    desk: Desk, policy: Path, prompts: Path, interrupted: Path, tmp_path: Path
) -> None:
    marks = beside(interrupted).read_text()

    def refused(what: str, *more: str, text: str = "") -> None:
        answer = resume(desk, policy, prompts, interrupted, *more)
        assert answer.code == Exit.USAGE
        assert what in answer.row["error"]["message"]
        assert answer.row["error"]["hint"]
        beside(interrupted).write_text(marks)

    refused("negative prompt", "--negative-prompt", "fog")
    refused("policy", "--policy", "strict")
    beside(interrupted).write_text("{")
    refused("cannot be read")
    kept = interrupted.read_bytes()
    interrupted.write_bytes(b"x")
    refused("bytes")
    interrupted.write_bytes(kept)
    prompts.write_text("another\n" * MANY)
    refused("not the one")
    prompts.write_text("short\n")
    refused("not the one")
    beside(interrupted).unlink()
    refused("no out.jsonl.progress")


def test_an_unfinished_run_is_not_overwritten(
    desk: Desk, policy: Path, prompts: Path, interrupted: Path
) -> None:
    answer = desk.json("screen", "--policy", policy, "--input", prompts, "--output", interrupted)
    assert answer.code == Exit.USAGE
    assert "--resume" in answer.row["error"]["hint"]


def test_resuming_what_never_began_begins(
    desk: Desk, policy: Path, prompts: Path, tmp_path: Path
) -> None:
    prompts.write_text(f"{PROMPT}\n")
    answer = resume(desk, policy, prompts, tmp_path / "new.jsonl")
    assert (answer.code, answer.row["rows"]) == (Exit.DONE, 1)


@pytest.mark.parametrize(
    "args",
    [
        ("--input", "x", "--resume"),
        ("a boat", "--output", "x"),
        ("a boat", "--input", "x", "--output", "y"),
        ("--input", "x", "--dry-run"),
    ],
)
def test_options_that_do_not_go_together(desk: Desk, args: tuple[str, ...]) -> None:
    assert desk.json("screen", *args).code == Exit.USAGE


def test_an_output_that_cannot_be_written(
    desk: Desk, policy: Path, prompts: Path, tmp_path: Path
) -> None:
    answer = desk.json(
        "screen", "--policy", policy, "--input", prompts, "--output", tmp_path / "no" / "x.jsonl"
    )
    assert answer.code == Exit.USAGE
    assert answer.row["error"]["code"] == "output_unwritable"


# -- lines -----------------------------------------------------------------------------------------


def test_unusable_lines_have_rows_and_stop_nothing(
    desk: Desk, policy: Path, prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "MAX_LINE_BYTES", 100_000)
    monkeypatch.setattr(workers_module, "MAX_LINE_BYTES", 100_000)
    deep = b'{"prompt": ' + b"[" * 50_000
    bad = [b"x" * 300_000, b"y" * 150_000, b"z" * 30_000, deep, b'{"prompt": "\\ud800"}', b"a\0b"]
    prompts.write_bytes(b"\xef\xbb\xbfa boat\r\n\r\n" + b"\n".join(bad) + b"\nlast")

    answer = desk.json("screen", "--policy", policy, "--input", prompts)

    assert [one["line"] for one in answer.rows] == [1, 3, 4, 5, 6, 7, 8, 9]
    assert answer.rows[0]["prompt"] == "a boat"
    assert answer.rows[-1]["action"] == "allow"
    for row in answer.rows[1:-1]:
        assert row["error"]["code"] == "invalid_request"
    assert "bytes" in answer.rows[1]["error"]["message"]
    assert "bytes" in answer.rows[2]["error"]["message"]
    assert answer.code == Exit.FINDING


def test_a_screener_that_breaks_on_one_prompt_is_an_error_in_its_row(
    desk: Desk, policy: Path, prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guard.prompt.screen import PolicyScreener

    real = PolicyScreener.screen

    def screen(self: PolicyScreener, prompt: str, **more: str) -> object:
        if "bad" in prompt:
            raise ZeroDivisionError("oops")
        return real(self, prompt, **more)

    monkeypatch.setattr(PolicyScreener, "screen", screen)
    prompts.write_text("a boat\na bad boat\na boat\n")
    answer = desk.json("screen", "--policy", policy, "--input", prompts)
    first, second, third = answer.rows
    assert second["error"]["code"] == "stage_misbehaved"
    assert first["action"] == third["action"] == "allow"
    assert answer.code == Exit.UNAVAILABLE


def test_packed_and_damaged_files(desk: Desk, policy: Path, tmp_path: Path) -> None:
    good, cut = tmp_path / "a.txt.gz", tmp_path / "b.txt.gz"
    packed = gzip.compress(f"{PROMPT}\n{FORBIDDEN}\n".encode() * 5000)
    good.write_bytes(packed)
    cut.write_bytes(packed[:-200])

    answer = desk.json("screen", "--policy", policy, "--input", good, "--workers", 1)
    assert len(answer.rows) == 10_000
    answer = desk.json("screen", "--policy", policy, "--input", cut, "--workers", 1)
    assert answer.code == Exit.USAGE
    assert "beyond byte" in answer.rows[-1]["error"]["message"]


class Dribble(io.RawIOBase):
    """A stream that hands out as much as it likes."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = [part for part in parts if part]

    def read(self, size: int = -1) -> bytes:
        if not self._parts:
            return b""
        part = self._parts.pop(0)
        if len(part) > size:
            self._parts.insert(0, part[size:])
        return part[:size]


@given(st.lists(st.binary(max_size=40), max_size=30))
def test_any_cuts_give_the_same_lines(parts: list[bytes]) -> None:
    data = b"".join(parts)
    chunks = list(Lines(Dribble(parts)))
    joined = [line for chunk in chunks for line in chunk.lines]
    wanted = [line + b"\n" for line in data.split(b"\n")]
    wanted[-1] = wanted[-1][:-1]
    if wanted and not wanted[-1]:
        wanted.pop()
    if wanted:
        wanted[0] = wanted[0].removeprefix(b"\xef\xbb\xbf")
    assert [one for one in joined if one] == [one for one in wanted if one]
    assert sum(len(chunk.lines) for chunk in chunks) == len(wanted)
    if chunks:
        assert chunks[-1].end == len(data)


@given(st.integers(1, 700), st.integers(0, 6))
def test_a_run_can_be_taken_up_behind_every_chunk(count: int, at: int) -> None:
    data = b"".join(b"line %d\n" % number for number in range(count))
    chunks = list(Lines(io.BytesIO(data)))
    assert all(len(chunk.lines) <= CHUNK_LINES for chunk in chunks)
    mark: Chunk = chunks[min(at, len(chunks) - 1)]
    rest = Lines(io.BytesIO(data))
    rest.skip(mark.end, mark.digest, mark.first + len(mark.lines))
    assert [(c.first, c.end, c.digest) for c in rest] == [
        (c.first, c.end, c.digest) for c in chunks if c.end > mark.end
    ]


def test_another_beginning_is_noticed() -> None:
    first = next(iter(Lines(io.BytesIO(b"a\nb\n"))))
    with pytest.raises(InvalidRequest, match="not the one"):
        Lines(io.BytesIO(b"a\nc\n")).skip(first.end, first.digest, 3)
    with pytest.raises(InvalidRequest, match="not the one"):
        Lines(io.BytesIO(b"a\n")).skip(first.end, first.digest, 3)


def test_memory_does_not_follow_the_length_of_a_line(tmp_path: Path) -> None:
    import tracemalloc

    file = tmp_path / "one-line.txt"
    with file.open("wb") as out:
        for _ in range(40):
            out.write(b"x" * 1_000_000)
        out.write(b"\nshort\n")
    opened = open_input(str(file))
    tracemalloc.start()
    got = [line for chunk in opened.lines for line in chunk.lines]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    opened.close()
    assert got == [None, b"short\n"]
    assert peak < 8_000_000


def test_a_pipe_says_whether_it_would_wait() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as stream:  # noqa: PTH123
        lines = Lines(stream)
        assert lines.waits()
        os.write(writing, b"a\nb\nc")
        assert not lines.waits()
        chunk = lines.next()
        assert chunk is not None
        assert chunk.lines == (b"a\n", b"b\n")
        assert lines.waits()
        os.close(writing)
        assert [c.lines for c in lines] == [(b"c",)]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (b"a boat\r\n", ("a boat", "fog")),
        (b'{"prompt": "p"}', ("p", "fog")),
        (b'{"prompt": "p", "negative_prompt": "n"}', ("p", "n")),
        (b'{"prompt": 1}', ('{"prompt": 1}', "fog")),
        (b"{curly", ("{curly", "fog")),
        (b"\xff", ("\ufffd", "fog")),
    ],
)
def test_forms_of_lines(line: bytes, wanted: tuple[str, str]) -> None:
    assert parse_line(line, "fog") == wanted
