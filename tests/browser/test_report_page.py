"""The report page in a real browser: what a moderator sees, in light, in dark and on paper."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from guard.image.encode import encode
from guard.provenance.chain import Link
from guard.types import VerdictName, VerificationReport
from guard.verify.preview import preview_of
from guard.verify.render import page

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason="NOT TESTED: no Chromium here; install the package chromium"
    ),
]

WIDTH, HEIGHT = 1000, 1100
BLUE = (40, 90, 200)
SCRIPT = "<script>document.title = 'pwned'</script><img src=x onerror=\"document.title='pwned'\">"
LIMIT = 120
"""Seconds: a browser starts in three, on a busy machine in many more."""


@dataclasses.dataclass(frozen=True)
class Compared(VerificationReport):
    comparison: object = None


def browse(folder: Path, html: str, *how: str) -> str:
    """What the browser writes to stdout about the page."""
    file = folder / "report.html"
    file.write_text(html, encoding="utf-8")
    done = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={WIDTH},{HEIGHT}",
            *how,
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    return done.stdout


def seen(folder: Path, html: str, *how: str) -> NDArray[np.int_]:
    """The page as pixels."""
    shot = folder / "shot.png"
    browse(folder, html, f"--screenshot={shot}", *how)
    return np.asarray(Image.open(shot).convert("RGB")).astype(int)


def report() -> VerificationReport:
    lower = Link("camera.jpg", signed=False, relation="parentOf")
    chain = Link("portrait.png", signed=True, signer="Example Images", ingredients=(lower,))
    return Compared(
        VerdictName.ALTERED,
        "The face in it is not the one that was recorded.",
        provenance={"source": "embedded", "state": "invalid", "chain": chain.as_dict},
        comparison={"regions": [[[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]]},
    )


@pytest.fixture(scope="module")
def html() -> str:
    shown = encode(np.full((300, 300, 3), BLUE, np.uint8), "image/png")
    path = Path("suspect.png")
    return page([(path, report())], {path: preview_of(shown, report())})


def near(
    pixels: NDArray[np.int_], colour: tuple[int, int, int], within: int = 24
) -> NDArray[np.bool_]:
    return (np.abs(pixels - colour) <= within).all(axis=-1)


def test_the_picture_is_shown_with_its_difference_outlined(tmp_path: Path, html: str) -> None:
    pixels = seen(tmp_path, html)
    blue = np.argwhere(near(pixels, BLUE))
    (top, left), (bottom, right) = blue.min(axis=0), blue.max(axis=0)
    assert right - left > 250, "the picture is large enough to look at"
    assert abs((bottom - top) - (right - left)) < 6, "and not distorted"

    edge = np.argwhere(near(pixels, (211, 24, 15)))
    inside = edge[(edge[:, 0] > top) & (edge[:, 0] < bottom) & (edge[:, 1] < right)]
    low, high = inside.min(axis=0), inside.max(axis=0)
    side = right - left
    assert np.abs(low - (top + side / 4, left + side / 4)).max() < 5
    assert np.abs(high - (top + side * 3 / 4, left + side * 3 / 4)).max() < 5
    assert not near(pixels, BLUE)[int(top + side / 2), int(left + side / 2)], "tinted inside"
    assert pixels[3, 3].min() > 230, "light by default"


def test_dark_is_dark_and_paper_is_paper(tmp_path: Path, html: str) -> None:
    pixels = seen(tmp_path, html, "--blink-settings=preferredColorScheme=0")
    assert pixels[3, 3].max() < 40
    assert (pixels.max(axis=-1) > 200).sum() > 2000, "and its text is light"

    paper = tmp_path / "report.pdf"
    browse(tmp_path, html, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    assert paper.read_bytes().startswith(b"%PDF")
    assert paper.stat().st_size > 10_000


def test_foreign_texts_run_nothing(tmp_path: Path) -> None:
    link = Link(SCRIPT, signed=True, signer=SCRIPT, claim_generator=SCRIPT, problems=(SCRIPT,))
    hostile = Compared(
        VerdictName.UNKNOWN_SIGNER,
        SCRIPT,
        provenance={
            "state": "valid",
            "signer": SCRIPT,
            "chain": link.as_dict,
            "problems": [SCRIPT],
        },
        watermark={"payload": SCRIPT, "p_value": 0.1},
        record={"record_id": SCRIPT, "event": SCRIPT},
        labels=({"kind": SCRIPT, "source": SCRIPT, SCRIPT: SCRIPT},),
        comparison={"regions": [SCRIPT], "result": SCRIPT},
    )
    dom = browse(tmp_path, page([(Path("x.png"), hostile)]), "--dump-dom")
    assert "<title>Verification report</title>" in dom
    assert "<script" not in dom
    assert "<img" not in dom
    assert dom.count("pwned") > 10, "they are there, as texts"
