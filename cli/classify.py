"""``guard classify``: what the detectors and the policy say of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from guard.errors import GuardError, InvalidRequest
from guard.policy.decide import decide_output
from guard.types import Score, as_dict

from .command import Run, command
from .exits import OF_ACTION, Exit, of_row_error, worst
from .files import pictures
from .output import error_row, progress
from .rows import coloured

if TYPE_CHECKING:
    from guard.classify.evaluate import Confusion, Rate

EXAMPLE = """\
guard classify picture.png
guard classify folder/ --json
guard classify --evaluate labelled/      # with labelled/safe/ and labelled/unsafe/"""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "classify", example=EXAMPLE)(classify)


def classify(
    run: Run,
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="IMAGE…", help="Pictures or folders.")
    ] = None,
    evaluate: Annotated[
        Path | None,
        typer.Option("--evaluate", metavar="FOLDER", help="Measure on FOLDER/safe and /unsafe."),
    ] = None,
) -> Exit:
    """Score pictures with the policy's detectors."""
    if not images and evaluate is None:
        raise InvalidRequest("There is no picture.", hint="Give pictures, or --evaluate FOLDER.")
    from guard.assemble import build_classifier

    classifier = build_classifier(run.policy, run.settings)
    if evaluate is not None:
        return _evaluate(run, classifier, evaluate)
    with run.out.working("Opening the detectors"):
        classifier.prepare()
    files = pictures(images or [])
    return worst([_one(run, classifier, path) for path in run.out.track(files, "Classifying")])


def _one(run: Run, classifier: Any, path: Path) -> Exit:
    from guard.image.decode import load

    try:
        scores = classifier.score(load(path).pixels)
        decision = decide_output(run.policy, scores)
    except GuardError as error:
        refused = {"path": str(path), "error": error_row(error)}
        run.out.emit(refused, f"[red]error[/]  {escape(str(path))}: {escape(error.message)}")
        return of_row_error(error)
    row: dict[str, Any] = {
        "path": str(path),
        "action": decision.action.value,
        "scores": [as_dict(score) for score in scores],
    }
    run.out.emit(row, f"{coloured(decision.action.value)}  {escape(str(path))}", *_lines(scores))
    return OF_ACTION[decision.action]


def _lines(scores: tuple[Score, ...]) -> list[str]:
    return [
        f"    {escape(one.category):<12} {one.value:.3f}  "
        f"[dim]acts from {one.threshold:.2f} · {escape(one.detector)}[/]"
        for one in scores
    ]


def _evaluate(run: Run, classifier: Any, folder: Path) -> Exit:
    from guard.classify.evaluate import evaluate

    with progress(run.out.messages) as bar:
        task = bar.add_task("Classifying", total=None)
        figures = evaluate(
            classifier, folder, lambda done, total: bar.update(task, completed=done, total=total)
        )
    run.out.emit(
        figures.as_dict(),
        f"{figures.safe} safe and {figures.unsafe} unsafe pictures",
        *[_figures(one) for one in figures.categories],
        *[f"[red]unreadable[/]  {escape(path)}: {escape(why)}" for path, why in figures.unreadable],
    )
    return Exit.DONE


def _figures(row: Confusion) -> str:
    parts = (("precision", row.precision), ("recall", row.recall),
             ("false positives", row.false_positive_rate))  # fmt: skip
    return f"[bold]{escape(row.category):<12}[/] " + "  ".join(
        f"{name} {_rate(rate)}" for name, rate in parts
    )


def _rate(rate: Rate) -> str:
    if rate.value is None or rate.interval is None:
        return "–"
    low, high = rate.interval
    return f"{rate.value:.1%} [dim]({low:.1%}–{high:.1%}, {rate.hits}/{rate.total})[/]"
