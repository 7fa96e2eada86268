"""The wheel, built from this tree, installed where nothing but its dependencies is seen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "MANIFEST.in")
PACKAGES = ("guard", "cli", "policies")
NOWHERE = "http://127.0.0.1:9"
"""The discard port: whatever wants the network fails at once."""


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment in which the wheel is installed."""

    python: Path

    def environment(self, home: Path) -> dict[str, str]:
        """As on a fresh machine without network: no ``GUARD_…``, no hub settings."""
        proxies = {f"{scheme}_proxy": NOWHERE for scheme in ("http", "https", "all")}
        return {
            "PATH": f"{self.python.parent}:/usr/bin:/bin",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            **proxies,
            **{name.upper(): value for name, value in proxies.items()},
        }

    def guard(
        self, *args: object, cwd: Path, stdin: bytes = b"", timeout: float = 240
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the console script in ``cwd``, which is its home, too."""
        return subprocess.run(
            [self.python.parent / "guard", *map(str, args)],
            cwd=cwd,
            env=self.environment(cwd),
            input=stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
        )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that no build folder is left in the tree."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in SOURCES:
        shutil.copy(ROOT / name, source / name)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", target, source],
        check=True,
        capture_output=True,
        timeout=240,
    )
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel alone; its dependencies are lent by the environment that runs the tests.

    A path in a ``.pth`` file is searched, but its own ``.pth`` files are not read: an editable
    genguard there stays hidden.
    """
    folder = tmp_path_factory.mktemp("machine") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet",
         "--no-deps", "--no-index", "--disable-pip-version-check", wheel],
        check=True,
        env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"},
        timeout=240,
    )  # fmt: skip
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Installed(python)
