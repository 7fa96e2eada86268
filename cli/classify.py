"""``guard classify``: what the detectors and the policy say of pictures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from guard.errors import GuardError, InvalidRequest, OutputUnwritable
from guard.policy.decide import decide_output
from guard.types import Action, Decision, Score, as_dict

from .command import Run, command
from .exits import OF_ACTION, Exit, of_row_error, worst
from .files import pictures
from .output import error_row, progress
from .rows import coloured

if TYPE_CHECKING:
    from guard.classify.evaluate import Confusion, Rate
    from guard.classify.measure import Curve
    from guard.types import Pixels

EXAMPLE = """\
guard classify picture.png
guard classify folder/ --json
guard classify picture.png --explain why/
guard classify --evaluate labelled/      # with labelled/safe/ and labelled/unsafe/
guard classify --evaluate labelled/ --calibrate platt --false-positives 0.01"""


class Method(StrEnum):
    """How scores are calibrated."""

    PLATT = "platt"
    ISOTONIC = "isotonic"


@dataclass(frozen=True, slots=True)
class Wish:
    """What an evaluation is to say beside its figures."""

    method: Method | None
    rate: float


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
    explain: Annotated[
        Path | None,
        typer.Option("--explain", metavar="DIR", help="Draw into DIR where scores come from."),
    ] = None,
    calibrate: Annotated[
        Method | None,
        typer.Option("--calibrate", help="With --evaluate: what the policy may say of scores."),
    ] = None,
    false_positives: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="With --evaluate: suggest thresholds at this rate."),
    ] = 0.01,
) -> Exit:
    """Score pictures with the policy's detectors."""
    if not images and evaluate is None:
        raise InvalidRequest("There is no picture.", hint="Give pictures, or --evaluate FOLDER.")
    from guard.assemble import build_classifier

    classifier = build_classifier(run.policy, run.settings)
    if evaluate is not None:
        return _evaluate(run, classifier, evaluate, Wish(calibrate, false_positives))
    with run.out.working("Opening the detectors"):
        classifier.prepare()
    files = pictures(images or [])
    todo = run.out.track(files, "Classifying")
    return worst([_one(run, classifier, path, explain) for path in todo])


def _one(run: Run, classifier: Any, path: Path, folder: Path | None) -> Exit:
    from guard.image.decode import load

    try:
        pixels = load(path).pixels
        scores = classifier.score(pixels)
        decision = decide_output(run.policy, scores)
        drawn = (
            _explained(classifier, pixels, scores, decision, folder / path.name) if folder else []
        )
    except GuardError as error:
        refused = {"path": str(path), "error": error_row(error)}
        run.out.emit(refused, f"[red]error[/]  {escape(str(path))}: {escape(error.message)}")
        return of_row_error(error)
    row: dict[str, Any] = {
        "path": str(path),
        "action": decision.action.value,
        "scores": [as_dict(score) for score in scores],
    }
    if folder:
        row["explanations"] = drawn
    told = [f"    [dim]→ {escape(one['path'])}: {escape(one['words'])}[/]" for one in drawn]
    head = f"{coloured(decision.action.value)}  {escape(str(path))}"
    run.out.emit(row, head, *_lines(scores), *told)
    if folder and decision.sensitive:
        run.out.say("[yellow]note:[/] nothing of a picture of a sensitive category is drawn")
    return OF_ACTION[decision.action]


def _explained(
    classifier: Any, pixels: Pixels, scores: tuple[Score, ...], decision: Decision, target: Path
) -> list[dict[str, Any]]:
    """Files with where each score comes from; none of what may not be kept."""
    from guard.classify.explain import explain, overlay
    from guard.image.encode import encode

    if decision.sensitive:
        return []
    found = []
    for one in explain(classifier, pixels, scores):
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", f"{one.score.detector}.{one.score.category}")
        path = target.with_name(f"{target.name}.{name}.png")
        shown = overlay(pixels, one, hidden=decision.action is Action.BLOCK)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(shown, "image/png"))
        except OSError as error:
            raise OutputUnwritable(
                f"Cannot write {path}: {error.strerror}.", hint="Give --explain another folder."
            ) from error
        found.append(
            {"path": str(path), "detector": one.score.detector, "category": one.score.category,
             "over": one.over, "where": one.where, "words": str(one)}
        )  # fmt: skip
    return found


def _lines(scores: tuple[Score, ...]) -> list[str]:
    return [
        f"    {escape(one.category):<12} {one.value:.3f}  "
        f"[dim]acts from {one.threshold:.2f} · {escape(one.detector)}[/]"
        for one in scores
    ]


def _evaluate(run: Run, classifier: Any, folder: Path, wish: Wish) -> Exit:
    from guard.classify.evaluate import evaluate
    from guard.classify.measure import calibrate, curves

    with progress(run.out.messages) as bar:
        task = bar.add_task("Classifying", total=None)
        figures = evaluate(
            classifier, folder, lambda done, total: bar.update(task, completed=done, total=total)
        )
    found = curves(figures.samples)
    row = figures.as_dict() | {"detectors": [one.as_dict(wish.rate) for one in found]}
    fitted = [calibrate(one, wish.method.value) for one in found] if wish.method else []
    if wish.method:
        row["calibration"] = [one.model_dump(mode="json", exclude_defaults=True) for one in fitted]
    run.out.emit(
        row,
        f"{figures.safe} safe and {figures.unsafe} unsafe pictures",
        *[_figures(one) for one in figures.categories],
        *[_curve(one, wish.rate) for one in found],
        *[f"[red]unreadable[/]  {escape(path)}: {escape(why)}" for path, why in figures.unreadable],
        *(
            ["", "[dim]# for the policy; fitted and measured on the same pictures[/]"]
            if fitted
            else []
        ),
        *(escape(_yaml(row["calibration"])).splitlines() if fitted else []),
    )
    return Exit.DONE


def _yaml(calibration: list[dict[str, Any]]) -> str:
    import yaml

    return str(yaml.safe_dump({"calibration": calibration}, sort_keys=False))


def _curve(curve: Curve, rate: float) -> str:
    row = curve.as_dict(rate)
    area = "–" if row["area"] is None else f"{row['area']:.3f}"
    at, name = row["suggested"], f"{escape(curve.detector)} · {escape(curve.category)}"
    advice = (
        f"threshold {at['threshold']:.3f} catches {at['recall']:.1%} "
        f"at {at['false_positive_rate']:.1%} false positives"
        if at
        else f"no threshold has at most {rate:.1%} false positives"
    )
    return f"    {name}  area {area}  error {row['calibration_error']:.3f}  [dim]{advice}[/]"


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
