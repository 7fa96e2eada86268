"""``guard generate``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from guard.delivery import Delivery
from guard.errors import AuditUnavailable, GuardError
from guard.types import GenerationRequest, Outcome

from .command import Run, command
from .exits import Exit, of_error, of_outcome, worst
from .requests import Format, OutOption, TenantOption, UserOption, parse_size, read_input_image
from .rows import outcome_lines, outcome_row

EXAMPLE = """\
guard generate "a red heart on a yellow background" --out pictures
guard generate "a lighthouse in a storm" --model stabilityai/sd-turbo --steps 2 --seed 7
guard generate "a lighthouse in a storm" --model openai:gpt-image-1 --json"""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "generate", example=EXAMPLE)(generate)


def generate(
    run: Run,
    prompts: Annotated[list[str], typer.Argument(metavar="PROMPT…", help="One or more prompts.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="demo|DIR|HUB_ID|openai:NAME", help="Generator. [env: GUARD_MODEL]"
        ),
    ] = None,
    out: OutOption = Path(),
    count: Annotated[int, typer.Option("--count", help="Pictures per prompt, 1–64.")] = 1,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the first picture.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Denoising steps.")] = None,
    size: Annotated[str | None, typer.Option("--size", metavar="WxH", help="Pixels.")] = None,
    picture_format: Annotated[Format, typer.Option("--format", help="File format.")] = Format(
        "png"
    ),
    input_image: Annotated[
        Path | None, typer.Option("--input", metavar="IMAGE", help="Start from this picture.")
    ] = None,
    negative_prompt: Annotated[
        str, typer.Option("--negative-prompt", help="What to keep out of the picture.")
    ] = "",
    user: UserOption = None,
    tenant: TenantOption = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", help="A request with a used key is refused.")
    ] = None,
) -> Exit:
    """Generate pictures: screened, classified, marked, signed and recorded."""
    start = read_input_image(input_image)
    requests = [
        GenerationRequest(
            prompt=prompt,
            negative_prompt=negative_prompt,
            size=parse_size(size),
            steps=steps,
            seed=seed,
            count=count,
            model=model,
            input_image=start,
            user=user,
            tenant=tenant,
            idempotency_key=_key(idempotency_key, position if len(prompts) > 1 else None),
        )
        for position, prompt in enumerate(prompts)
    ]
    delivery = Delivery(out, picture_format.value)
    delivery.check()
    return worst([_one(run, request, delivery) for request in requests])


def _key(key: str | None, position: int | None) -> str | None:
    return key if key is None or position is None else f"{key}#{position}"


def _one(run: Run, request: GenerationRequest, delivery: Delivery) -> Exit:
    try:
        with run.out.working("Screening, generating, marking, signing"):
            outcomes = run.guard.generate_each(request, delivery=delivery)
    except GuardError as error:
        if isinstance(error, AuditUnavailable):
            for outcome in error.outcomes:
                report(run, outcome)
        run.out.error(error)
        return of_error(error)
    return worst([report(run, outcome) for outcome in outcomes])


def report(run: Run, outcome: Outcome) -> Exit:
    """Print one outcome."""
    run.out.emit(outcome_row(outcome), *outcome_lines(outcome))
    return of_outcome(outcome)
