"""What the guard costs a 512 × 512 picture: everything but the generator, by stage.

    python tests/benchmarks/bench_overhead.py [--runs N] [--json] [--check]

Real rooms on a fresh home and SQLite, around a generator that hands over a finished picture: one
flat, as the demo model draws, and one textured, as a photograph is. Each room is timed inside a
real request; "rest" is what the hallway itself does: encoding, reading back, fingerprint, threads.
Medians of N requests, after one that warms up. With ``--check`` ceilings make the exit status 1.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from guard import GenerationRequest, Guard
from guard.assemble import GeneratorCabinet, build_rooms, build_verifier, resolve_policy
from guard.errors import GuardError
from guard.provenance.keys import create_development_keys
from guard.settings import Settings
from guard.stage import StageLimits
from guard.types import Pixels, RawImage, Released

SIDE = 512
PROMPT = "a red heart on a yellow background"
SEED = 7

IMPORT_CEILING = 0.150
"""Seconds: what ``import guard`` may take, the best of several starts."""

OVERHEAD_CEILING = 4.0
"""Seconds a picture on two cores: about eight times what was measured there."""

ROOMS = {
    "screener": "prompt",
    "classifier": "classify",
    "watermark": "watermark",
    "signer": "sign",
    "log": "audit",
}

Seconds = dict[str, list[float]]


class Timed:
    """A room with a stopwatch on every call."""

    def __init__(self, room: Any, name: str, seconds: Seconds) -> None:
        self._room, self._name, self._seconds = room, name, seconds

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._room, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return value(*args, **kwargs)
            finally:
                self._seconds[self._name].append(time.perf_counter() - started)

        return call


class Finished:
    """A generator that takes no time."""

    model = "finished@1"

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels

    def generate(self, request: GenerationRequest) -> Sequence[RawImage]:
        return [RawImage(self._pixels.copy(), request.seed, self.model)]

    def notices(self, request: GenerationRequest) -> tuple[str, ...]:
        return ()


def flat() -> Pixels:
    """Two shapes on a plain ground."""
    y, x = np.mgrid[:SIDE, :SIDE]
    picture = np.full((SIDE, SIDE, 3), (240, 205, 60), np.uint8)
    picture[(x - 256) ** 2 + (y - 150) ** 2 < 90**2] = (200, 30, 40)
    picture[(np.abs(x - 256) < 80) & (np.abs(y - 370) < 80)] = (40, 70, 180)
    return picture


def textured() -> Pixels:
    """Noise whose amplitude falls with frequency, as in photographs."""
    random = np.random.default_rng(SEED)
    fx = np.fft.fftfreq(SIDE)[:, None]
    fy = np.fft.fftfreq(SIDE)[None, :]
    falloff = 1.0 / np.maximum(np.hypot(fx, fy), 1.0 / SIDE)
    planes = []
    for _ in range(3):
        noise = np.fft.ifft2(np.fft.fft2(random.normal(size=(SIDE, SIDE))) * falloff).real
        planes.append(128 + 45 * (noise - noise.mean()) / noise.std())
    return np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)


def measure(settings: Settings, pixels: Pixels, runs: int) -> dict[str, float]:
    """Median seconds by stage, of whole requests, and of verifying the result."""
    policy = resolve_policy("default", settings)
    rooms = build_rooms(policy, settings)
    seconds: Seconds = defaultdict(list)
    timed = {field: Timed(getattr(rooms, field), name, seconds) for field, name in ROOMS.items()}
    limits = StageLimits.from_settings(settings)
    guard = Guard(policy, dataclasses.replace(rooms, **timed), limits)
    verifier = build_verifier(policy, settings)
    by_stage: Seconds = defaultdict(list)
    for run in range(runs + 1):
        seconds.clear()
        started = time.perf_counter()
        result = guard.generate(GenerationRequest(PROMPT, seed=SEED), generator=Finished(pixels))
        total = time.perf_counter() - started
        if not isinstance(result, Released):
            raise SystemExit(f"not released: {result}")
        verifying = _timed(lambda data=result.images[0].bytes: verifier.examine(data))
        if run == 0:
            continue
        for name in ROOMS.values():
            by_stage[name].append(sum(seconds[name]))
        by_stage["rest"].append(total - sum(sum(one) for one in seconds.values()))
        by_stage["total"].append(total)
        by_stage["verify"].append(verifying)
    return {name: statistics.median(all_) for name, all_ in by_stage.items()}


def _timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def demo_seconds(settings: Settings) -> float | None:
    """Seconds a picture of the demo model after loading; None where its weights are missing."""
    try:
        generator = GeneratorCabinet(settings).open("demo")
        request = GenerationRequest(PROMPT, seed=SEED)
        generator.generate(request)
        return _timed(lambda: generator.generate(request))
    except GuardError as error:
        Console(stderr=True).print(f"[yellow]No demo model:[/] {error.message}")
        return None


def import_seconds(starts: int = 5) -> float:
    """The best of several fresh starts: what the import costs, not what else the machine does."""
    code = "import time; t = time.perf_counter(); import guard; print(time.perf_counter() - t)"
    runs = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        for _ in range(starts)
    ]
    return min(float(run.stdout) for run in runs)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=9, help="requests a picture (default 9)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--check", action="store_true", help="exit 1 above the ceilings")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home")
        create_development_keys(settings.home)
        with Console(stderr=True).status("measuring"):
            pictures = {
                "flat": measure(settings, flat(), given.runs),
                "textured": measure(settings, textured(), given.runs),
            }
            figures = {
                "runs": given.runs,
                "side": SIDE,
                "pictures": pictures,
                "demo_seconds": demo_seconds(settings),
                "import_seconds": import_seconds(),
            }
    if given.json:
        print(json.dumps(figures))
    else:
        show(figures)
    return report(exceeded(figures)) if given.check else 0


def show(figures: dict[str, Any]) -> None:
    """The figures as a table."""
    pictures, demo = figures["pictures"], figures["demo_seconds"]
    table = Table(title=f"Guard overhead, {SIDE}×{SIDE}, median of {figures['runs']}")
    table.add_column("stage")
    for name in pictures:
        table.add_column(f"{name}, ms", justify="right")
        table.add_column("share", justify="right")
    for stage in (*ROOMS.values(), "rest", "total"):
        cells = []
        for one in pictures.values():
            cells += [f"{1000 * one[stage]:.1f}", f"{one[stage] / one['total']:.0%}"]
        table.add_row(stage, *cells, style="bold" if stage == "total" else None)
    out = Console()
    out.print(table)
    for name, one in pictures.items():
        out.print(f"verify, {name}: {1000 * one['verify']:.1f} ms")
        if demo is not None:
            share = one["total"] / (one["total"] + demo)
            out.print(f"share of a demo picture, {name}: {share:.1%} ({demo:.2f} s to draw)")
    out.print(f"import guard: {1000 * figures['import_seconds']:.0f} ms")


def exceeded(figures: dict[str, Any]) -> list[str]:
    """Which ceilings were broken."""
    problems = [
        f"{name}: {one['total']:.2f} s a picture, at most {OVERHEAD_CEILING} are allowed"
        for name, one in figures["pictures"].items()
        if one["total"] > OVERHEAD_CEILING
    ]
    if figures["import_seconds"] > IMPORT_CEILING:
        problems.append(f"import guard took {figures['import_seconds']:.3f} s")
    return problems


def report(problems: list[str]) -> int:
    """The problems on stderr; the exit status."""
    for problem in problems:
        print(f"too slow: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
