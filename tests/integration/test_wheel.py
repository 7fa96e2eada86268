"""What is in the wheel, and that it works where nothing else of this repository is."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from guard.version import __version__
from tests.integration.conftest import ROOT, Installed
from tests.support.house import FORBIDDEN, PROMPT, picture

pytestmark = pytest.mark.slow

MOST_DEMO_BYTES = 25 * 1024 * 1024
WEIGHTS = "guard/generate/demo/weights/"

NEEDED = [
    "guard/__init__.py",
    "guard/py.typed",
    "guard/cli/main.py",
    "guard/policies/default.yaml",
    "guard/policies/default.test.yaml",
    "guard/policies/strict.yaml",
    "guard/policies/permissive.yaml",
    "guard/policies/lexicons/artists.tsv",
    "guard/policies/lexicons/people.tsv",
    "guard/provenance/trust_lists/C2PA-TRUST-LIST.pem",
    "guard/store/migrations/env.py",
    "guard/store/migrations/versions/r0001_first_tables.py",
    "guard/store/migrations/versions/r0002_own_lists.py",
    "guard/store/migrations/versions/r0003_picture_blocks.py",
    "guard/testing.py",
    "guard/verify/page.html.j2",
]


@pytest.fixture(scope="session")
def sizes(wheel: Path) -> dict[str, int]:
    with zipfile.ZipFile(wheel) as archive:
        return {one.filename: one.file_size for one in archive.infolist()}


def test_wheel_has_what_it_needs(sizes: dict[str, int]) -> None:
    assert [name for name in NEEDED if name not in sizes] == []


def test_wheel_has_every_package_of_the_tree(sizes: dict[str, int]) -> None:
    homes = {"guard": "guard", "cli": "guard/cli", "policies": "guard/policies"}
    for source, home in homes.items():
        for path in (ROOT / source).rglob("*"):
            inside = f"{home}/{path.relative_to(ROOT / source)}"
            if path.is_file() and "__pycache__" not in path.parts and path.name != "README.md":
                assert inside in sizes, inside


def test_wheel_has_nothing_else(sizes: dict[str, int]) -> None:
    tops = {name.split("/")[0] for name in sizes}

    assert tops == {"guard", f"genguard-{__version__}.dist-info"}
    assert not [name for name in sizes if "/tests/" in name or "datasets" in name]
    assert not [name for name in sizes if name.endswith((".key", ".pyc", ".sqlite3"))]


def test_demo_model_is_small_and_whole(sizes: dict[str, int]) -> None:
    weights = {name: size for name, size in sizes.items() if name.startswith(WEIGHTS)}
    if not any(name.endswith(".safetensors") for name in weights):
        pytest.skip("the demo model's weights are not built: python -m datasets.demo_model")

    assert f"{WEIGHTS}model_index.json" in weights
    assert sum(weights.values()) <= MOST_DEMO_BYTES
    assert not [name for name in weights if name.endswith((".bin", ".pt", ".ckpt", ".pkl"))]


# -- the real command line --------------------------------------------------------------------


def rows(done: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="session")
def machine(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder in which ``guard keys dev`` has been run."""
    folder = tmp_path_factory.mktemp("empty")
    done = installed.guard("keys", "dev", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / ".genguard" / "keys" / "signing.key").is_file()
    return folder


def test_installed_guard_is_the_wheels(installed: Installed, tmp_path: Path) -> None:
    where = subprocess.run(
        [installed.python, "-c", "import guard, guard.cli as c; print(guard.__file__, c.__file__)"],
        cwd=tmp_path,
        env=installed.environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()  # fmt: skip

    assert all(path.startswith(str(installed.python.parents[1])) for path in where)


def test_version(installed: Installed, tmp_path: Path) -> None:
    assert installed.guard("--version", cwd=tmp_path).stdout == f"genguard {__version__}\n".encode()


def test_screen(installed: Installed, tmp_path: Path) -> None:
    done = installed.guard("screen", PROMPT, FORBIDDEN, "--json", cwd=tmp_path)

    assert [row["action"] for row in rows(done)] == ["allow", "block"]
    assert done.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_screen_streams_and_stops_with_its_reader(installed: Installed, tmp_path: Path) -> None:
    """A row is out before the next prompt is in; a reader that leaves is no error."""
    process = subprocess.Popen(
        [installed.python.parent / "guard", "screen", "--input", "-", "--json"],
        cwd=tmp_path,
        env=installed.environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdin as stdin, process.stdout as stdout, process.stderr as stderr:
        for prompt in (PROMPT, FORBIDDEN):
            stdin.write(f"{prompt}\n".encode())
            stdin.flush()
            assert json.loads(stdout.readline())["prompt"] == prompt
        stdout.close()
        stdin.write(f"{PROMPT}\n".encode())
        stdin.flush()
        assert process.wait(60) == 0
        assert b"bug" not in stderr.read()


def test_bytes_that_are_no_text(installed: Installed, tmp_path: Path) -> None:
    done = installed.guard(
        "screen", "--json", "--", b"\xff\xfe".decode("utf-8", "surrogateescape"), cwd=tmp_path
    )

    assert done.returncode == 1
    assert rows(done)[0]["error"]["code"] == "invalid_request"
    shown = installed.guard("verify", b"\xff.png".decode("utf-8", "surrogateescape"), cwd=tmp_path)
    assert shown.returncode == 1
    assert b"bug" not in shown.stderr


def test_protect_verify_audit(installed: Installed, machine: Path) -> None:
    Image.fromarray(picture(5)).save(machine / "in.png")

    made = installed.guard("protect", "in.png", "--out", "out", "--json", cwd=machine)
    (row,) = rows(made)
    checked = installed.guard("verify", row["path"], "in.png", "--json", cwd=machine)
    audited = installed.guard("audit", "verify", "--json", cwd=machine)

    assert (made.returncode, row["status"]) == (0, "released"), made.stderr
    assert rows(checked)[0]["verdict"] == "trusted"
    assert (audited.returncode, rows(audited)[0]["ok"]) == (0, True)


def test_policies_pass_their_own_tests(installed: Installed, tmp_path: Path) -> None:
    for name in ("default", "strict", "permissive"):
        done = installed.guard("policy", "test", name, "--json", cwd=tmp_path)
        assert done.returncode == 0, rows(done)[0]["failures"]


def test_strict_fails_closed_without_clip(installed: Installed, machine: Path) -> None:
    done = installed.guard("classify", "in.png", "--policy", "strict", "--json", cwd=machine)

    assert done.returncode == 6
    assert "guard models pull" in json.dumps(rows(done))


@pytest.mark.timeout(600)
def test_demo(installed: Installed, tmp_path: Path, sizes: dict[str, int]) -> None:
    if not any(name.startswith(f"{WEIGHTS}unet/") and name.endswith("tensors") for name in sizes):
        pytest.skip("the demo model's weights are not built: python -m datasets.demo_model")

    done = installed.guard("demo", "--json", cwd=tmp_path, timeout=500)

    steps = rows(done)
    assert done.returncode == 0, done.stderr
    assert [row.get("status") or row.get("verdict") for row in steps] == [
        "released", "blocked", "trusted", "recovered",
    ]  # fmt: skip
    picture_file = tmp_path / steps[0]["path"]
    with Image.open(picture_file) as image:
        assert image.size == (512, 512)
    assert (picture_file.parent / "reencoded.jpg").stat().st_size > 0
    assert not (tmp_path / ".genguard").exists()
