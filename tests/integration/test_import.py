"""``import guard`` is quick, and loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LIMIT = 0.150
"""Seconds, on a machine with nothing else to do."""

HEAVY = ("torch", "diffusers", "transformers", "onnxruntime", "open_clip", "scipy", "cv2", "c2pa")

PUBLIC = "from guard import Guard, GenerationRequest, Policy, Released, verify_image, wrap"


def _seconds(statement: str) -> float:
    """The best of five imports, each in a process of its own."""
    code = f"import time; a = time.perf_counter(); {statement}; print(time.perf_counter() - a)"
    return min(float(_run(code)) for _ in range(5))


def _run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    ).stdout


@pytest.mark.slow
def test_import_is_quick() -> None:
    """Under the limit, or, on a loaded machine, no slower than what the border types stand on."""
    allowed = max(LIMIT, _seconds("import numpy, pydantic"))

    assert _seconds("import guard") < allowed
    assert _seconds("import guard.types, guard.errors") < 2 * allowed


@pytest.mark.parametrize(
    "statement",
    ["import guard", PUBLIC, "import guard.cli.main", "import guard.testing"],
    ids=["package", "public names", "command line", "contracts"],
)
def test_nothing_heavy_is_loaded(statement: str, tmp_path: Path) -> None:
    code = f"import sys; {statement}; print([n for n in {HEAVY} if n in sys.modules])"

    assert _run(code).strip() == "[]"
