"""What both trainings share: a clock that survives a resume, checkpoints, EMA, progress."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_CHECKPOINT_EVERY_S: Final = 150.0
_LOG_EVERY_STEPS: Final = 20
_EMA_DECAY: Final = 0.998


@dataclass
class Clock:
    """Training time: a stopped and resumed run goes on where it was.

    The learning rate follows the share of the planned time that is gone, so that it lands
    at zero on time however busy the machine is.
    """

    planned_s: float
    elapsed_s: float = 0.0
    step: int = 0
    #: What counts as time: wall time inside steps, or the process's CPU time, for a
    #: training that runs in the background of another.
    now: Callable[[], float] = time.monotonic

    @property
    def share(self) -> float:
        """Share of the planned time that is gone, 0..1."""
        return min(1.0, self.elapsed_s / self.planned_s)

    def rate(self, peak: float, warm_steps: int = 100) -> float:
        """Linear warm-up, then a half cosine down to zero."""
        warm = min(1.0, (self.step + 1) / warm_steps)
        return peak * warm * 0.5 * (1.0 + math.cos(math.pi * self.share))


class Average:
    """An exponential moving average of a module's parameters."""

    def __init__(self, module: Any) -> None:
        import copy

        self.module = copy.deepcopy(module).eval().requires_grad_(requires_grad=False)
        self._steps = 0

    def update(self, module: Any) -> None:
        """Take one step towards the parameters of ``module``."""
        import torch

        self._steps += 1
        decay = min(_EMA_DECAY, (1 + self._steps) / (10 + self._steps))
        torch._foreach_lerp_(  # the public loop is ten times slower
            list(self.module.parameters()), list(module.parameters()), 1.0 - decay
        )


class Checkpoint:
    """State written every few minutes, through a rename so that a kill cannot tear it."""

    def __init__(self, path: Path, parts: dict[str, Any]) -> None:
        self._path = path
        self._parts = parts
        self._last = time.monotonic()

    def load(self, clock: Clock) -> bool:
        """Restore every part and the clock; False where nothing was saved yet."""
        import torch

        if not self._path.is_file():
            return False
        state = torch.load(self._path, weights_only=True)
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        clock.elapsed_s, clock.step = state["elapsed_s"], state["step"]
        return True

    def due(self) -> bool:
        """Whether the last one is old enough."""
        return time.monotonic() - self._last > _CHECKPOINT_EVERY_S

    def save(self, clock: Clock) -> None:
        """Write every part and the clock."""
        import torch

        state = {name: part.state_dict() for name, part in self._parts.items()}
        fresh = self._path.with_suffix(".new")
        torch.save({**state, "elapsed_s": clock.elapsed_s, "step": clock.step}, fresh)
        fresh.replace(self._path)
        self._last = time.monotonic()


@contextmanager
def _bar(title: str, clock: Clock) -> Iterator[Any]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(title, total=clock.planned_s, completed=clock.elapsed_s)
        yield lambda text: progress.update(
            task, completed=clock.elapsed_s, description=f"{title}: {text}"
        )


def run(title: str, clock: Clock, take_step: Any, saved: Checkpoint, log: Path) -> None:
    """Call ``take_step()``, which returns a loss, until the planned time is gone."""
    losses: list[float] = []
    with _bar(title, clock) as show, log.open("a") as lines:
        while clock.share < 1.0:
            start = clock.now()
            losses.append(take_step())
            clock.step += 1
            clock.elapsed_s += clock.now() - start
            if clock.step % _LOG_EVERY_STEPS == 0:
                mean = sum(losses) / len(losses)
                losses.clear()
                show(f"step {clock.step}, loss {mean:.4f}")
                row = {"step": clock.step, "elapsed_s": round(clock.elapsed_s), "loss": mean}
                lines.write(json.dumps(row) + "\n")
                lines.flush()
            if saved.due():
                saved.save(clock)
    saved.save(clock)
