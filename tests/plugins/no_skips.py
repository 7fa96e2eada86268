"""A pytest plug-in for CI: a test that was skipped has failed.

Loaded by ``.ci/run`` with ``-p no_skips``, which installs every part that tests need. Inactive
unless ``GUARD_CI``, or else ``CI``, is set to something other than 0 or false.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

Report = pytest.TestReport | pytest.CollectReport


ACTIVE = os.environ.get("GUARD_CI", os.environ.get("CI", "")).lower() not in {"", "0", "false"}
"""Looked up once: tests may change the environment. ``GUARD_CI`` wins over ``CI``."""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Turn skipped tests into failures; expected failures stay what they are."""
    outcome = yield
    _refuse(outcome.get_result(), item.nodeid)


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, None]:
    """Turn skipped modules (``importorskip``, ``allow_module_level``) into errors."""
    outcome = yield
    _refuse(outcome.get_result(), collector.nodeid)


def _refuse(report: Report, name: str) -> None:
    if not ACTIVE or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"{name} was skipped, and here nothing may be:\n{reason}"
