"""The transparency report in a real browser: light, dark, on paper, on a phone; quiet and alone."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from guard.audit.report.periods import Bucket, Step
from guard.audit.report.report_page import ReportOptions, report_page
from guard.audit.report.statistics import Disputed, PolicyCounts, Reviews, Statistics
from guard.types import Act, Event

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason="NOT TESTED: no Chromium here; install the package chromium"
    ),
]

BEGIN = datetime(2026, 10, 1, tzinfo=UTC)
SCRIPT = "<script>console.log('pwned')</script><img src=http://127.0.0.1:1/x onerror=alert(1)>"
GREEN, RED = (47, 143, 102), (194, 59, 49)
LIMIT = 120
"""Seconds: a browser starts in three, on a busy machine in many more."""


def statistics() -> Statistics:
    counts = {"started": 40, "released": 30, "blocked": 8, "failed": 2}
    events = {one.value: counts.get(one.value, 0) * 31 for one in Event}
    return Statistics(
        log_id="genguard-1",
        size=2_480,
        root="ab" * 32,
        since=BEGIN,
        until=BEGIN + timedelta(days=31),
        tenant=None,
        step=Step.DAY,
        events=events,
        over_time=tuple(Bucket(BEGIN + timedelta(days=day), counts) for day in range(31)),
        by={"stage": {"prompt": {"blocked": 248}}, "model": {}, "tenant": {SCRIPT: events}},
        policies=(PolicyCounts("default", "cd" * 32, events),),
        rules=(Disputed(SCRIPT, blocked=248, appealed=3, granted=1),),
        categories=(),
        acts={one.value: 1 for one in Act},
        open_appeals=1,
        reviews=Reviews(1, 2, 3, 60.0, 600.0, 6_000.0),
    )


@pytest.fixture(scope="module")
def html() -> str:
    return report_page(statistics(), ReportOptions(tenants=True, title="Report " + SCRIPT))


def browse(folder: Path, html: str, *how: str, size: tuple[int, int] = (1000, 1100)) -> str:
    """What the browser writes about the page: to stdout, and its log."""
    file, log = folder / "report.html", folder / "browser.log"
    file.write_text(html, encoding="utf-8")
    done = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            "--enable-logging",
            "--v=0",
            f"--log-file={log}",
            f"--log-net-log={folder / 'net.json'}",
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={size[0]},{size[1]}",
            *how,
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    return done.stdout


def seen(
    folder: Path, html: str, *how: str, size: tuple[int, int] = (1000, 1100)
) -> NDArray[np.int_]:
    """The page as pixels."""
    shot = folder / "shot.png"
    browse(folder, html, f"--screenshot={shot}", *how, size=size)
    return np.asarray(Image.open(shot).convert("RGB")).astype(int)


def near(pixels: NDArray[np.int_], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return (np.abs(pixels - colour) <= 12).all(axis=-1)


def test_the_chart_shows_what_was_counted(tmp_path: Path, html: str) -> None:
    pixels = seen(tmp_path, html)
    assert pixels[3, 3].min() > 230, "light by default"
    green, red = near(pixels, GREEN), near(pixels, RED)
    column = green[250:900].any(axis=1)
    assert column.sum() > 60, "a chart high enough to read"
    # Of one column, released and blocked stand 30 to 8.
    x = int(np.argmax(green[250:900].sum(axis=0)))
    top = 250 + int(np.argmax(green[250:900, x]))
    released, blocked = green[top:900, x].sum(), red[top - 60 : top, x].sum()
    assert 3.2 < released / blocked < 4.4
    starts = np.diff(green[250:900].any(axis=0).astype(int)) == 1
    assert starts.sum() >= 31, "a column a day"


def test_it_is_quiet_and_alone(tmp_path: Path, html: str) -> None:
    dom = browse(tmp_path, html, "--dump-dom")
    assert "<script" not in dom
    assert "<img" not in dom
    log = (tmp_path / "browser.log").read_text(encoding="utf-8", errors="replace")
    assert "CONSOLE" not in log, "no error, and nothing that ran"
    net = (tmp_path / "net.json").read_text(encoding="utf-8", errors="replace")
    assert "127.0.0.1:1/" not in net, "nothing in the page was asked for"


def test_that_the_console_would_be_heard(tmp_path: Path) -> None:
    loud = "<!doctype html><script>console.error('x')</script><img src=http://127.0.0.1:1/x>"
    browse(tmp_path, loud, "--dump-dom")
    log = (tmp_path / "browser.log").read_text(encoding="utf-8", errors="replace")
    assert "CONSOLE" in log
    net = (tmp_path / "net.json").read_text(encoding="utf-8", errors="replace")
    assert "127.0.0.1:1/" in net


def test_dark_is_dark_and_paper_is_paper(tmp_path: Path, html: str) -> None:
    pixels = seen(tmp_path, html, "--blink-settings=preferredColorScheme=0")
    assert pixels[3, 3].max() < 40
    assert (pixels.max(axis=-1) > 200).sum() > 2_000, "and its text is light"
    paper = tmp_path / "report.pdf"
    browse(tmp_path, html, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    assert paper.read_bytes().startswith(b"%PDF")
    assert paper.stat().st_size > 10_000


def test_a_narrow_screen_loses_nothing_to_the_right(tmp_path: Path, html: str) -> None:
    """Headless windows are at least 500 wide: narrower ones are framed."""
    file = tmp_path / "page.html"
    file.write_text(html, encoding="utf-8")
    frame = (
        "<!doctype html><body style='margin:0'>"
        f"<iframe src='{file.as_uri()}' width=360 height=1000 style='border:0'></iframe>"
    )
    pixels = seen(tmp_path, frame, size=(600, 1000))
    edge = pixels[:, 345:359].reshape(-1, 3)
    assert (edge == edge[0]).all(), "a margin on the right, and nothing in it"
