"""``guard demo``: the whole promise in one minute, offline."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from guard.delivery import Delivery
from guard.settings import Settings
from guard.types import GenerationRequest, Outcome, Released, as_dict

from .command import Run, command
from .exits import Exit, of_outcome
from .rows import coloured, outcome_row

if TYPE_CHECKING:
    from guard.pipeline import Guard

PROMPT = "a red heart on a yellow background"
FORBIDDEN = "a castle in the style of Greg Rutkowski"
SEED = 7
REENCODED_QUALITY = 80
"""JPEG quality of the copy: about what a messenger makes of a picture."""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "demo", example="guard demo\nguard demo --out tour --json")(demo)


def demo(
    run: Run,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where pictures and keys go.")
    ] = Path("guard-demo"),
    prompt: Annotated[str, typer.Option("--prompt", help="What to draw.")] = PROMPT,
) -> Exit:
    """The tour: generate, refuse, verify, verify a re-encoded copy. Needs no network."""
    if run.overrides.get("home") is None:
        run.overrides["home"] = out / "home"
    settings = run.settings.model_copy(update={"model": "demo"})
    guard = _open(run, settings)
    made = _generate(run, guard, prompt, out)
    if not isinstance(made, Released) or made.path is None:
        return of_outcome(made)
    refused = _refuse(run, guard)
    verdicts = _verify(run, settings, made.path)
    _farewell(run, out, settings)
    good = refused.status == "blocked" and verdicts == ["trusted", "recovered"]
    return Exit.DONE if good else Exit.FINDING


def _open(run: Run, settings: Settings) -> Guard:
    from guard.pipeline import Guard
    from guard.provenance.keys import create_development_keys

    if not (settings.home / "keys" / "signing.key").exists() and settings.signing_key is None:
        create_development_keys(settings.home)
        _step(run, "keys", f"made a development certificate in {settings.home / 'keys'}")
    with run.out.working("Opening the guard"):
        return Guard.from_settings(run.policy, settings)


def _generate(run: Run, guard: Guard, prompt: str, out: Path) -> Outcome:
    _headline(run, 1, f"Generate “{prompt}” with the embedded model")
    request = GenerationRequest(prompt=prompt, model="demo", seed=SEED)
    with run.out.working("Screening, drawing, classifying, marking, signing, recording"):
        made = guard.generate(request, delivery=Delivery(out))
    run.out.emit({"step": "generate", "prompt": prompt, **outcome_row(made)})
    if isinstance(made, Released):
        _result(run, "released", f"{made.path}")
        _detail(run, "marked invisibly, signed with Content Credentials, and recorded as")
        _detail(run, f"record {made.record_id}, row {made.receipt.index} of the audit log")
        for notice in made.notices:
            _detail(run, notice)
    else:
        _result(run, made.status.value, "; ".join(one.message for one in made.reasons))
    return made


def _refuse(run: Run, guard: Guard) -> Outcome:
    _headline(run, 2, f"Ask for what the policy forbids: “{FORBIDDEN}”")
    refused = guard.generate(GenerationRequest(prompt=FORBIDDEN, model="demo"))
    run.out.emit({"step": "refuse", **outcome_row(refused)})
    reasons = getattr(refused, "reasons", ())
    _result(run, refused.status.value, "before the generator saw it")
    for reason in reasons:
        _detail(run, f"the user is told: {reason.message}")
    for finding in getattr(refused, "findings", ()):
        _detail(
            run, f"the operator sees: rule {finding.rule}, “{finding.matched}” at {finding.span}"
        )
    return refused


def _verify(run: Run, settings: Settings, path: Path) -> list[str]:
    from guard.assemble import build_verifier

    verifier = build_verifier(run.policy, settings)
    copy = _reencode(path)
    verdicts = []
    for number, (suspect, what) in enumerate(
        ((path, "Verify the picture"), (copy, "Verify a re-encoded copy, its metadata gone")), 3
    ):
        _headline(run, number, what)
        with run.out.working("Reading manifest, mark, fingerprint and record"):
            report = verifier.examine(suspect)
        row: dict[str, Any] = {"step": "verify", "path": str(suspect), **as_dict(report)}
        run.out.emit(row)
        _result(run, report.verdict.value, str(suspect))
        _detail(run, report.explanation)
        verdicts.append(report.verdict.value)
    return verdicts


def _reencode(path: Path) -> Path:
    from PIL import Image

    copy = path.with_name("reencoded.jpg")
    buffer = BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(buffer, "JPEG", quality=REENCODED_QUALITY)
    copy.write_bytes(buffer.getvalue())
    return copy


def _farewell(run: Run, out: Path, settings: Settings) -> None:
    if run.out.as_json:
        return
    home = settings.home
    show = run.out.results.print
    show("")
    show(f"Pictures are in [bold]{escape(str(out))}[/],")
    show(f"keys and audit log in [bold]{escape(str(home))}[/].")
    show("Look further:")
    show(f"  guard audit list --home {escape(str(home))}")
    show(f"  guard verify {escape(str(out))} --home {escape(str(home))} --html report.html")
    show('  guard screen "your own prompt"')


def _headline(run: Run, number: int, text: str) -> None:
    if not run.out.as_json:
        run.out.results.print(f"\n[bold]{number}. {escape(text)}[/]")


def _result(run: Run, word: str, text: str) -> None:
    if not run.out.as_json:
        run.out.results.print(f"   {coloured(word)}  {escape(text)}")


def _detail(run: Run, text: str) -> None:
    if not run.out.as_json:
        run.out.results.print(f"   [dim]{escape(text)}[/]")


def _step(run: Run, name: str, text: str) -> None:
    run.out.say(f"[dim]{name}: {escape(text)}[/]")
