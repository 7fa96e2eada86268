"""``guard policy``: policies as code."""

from __future__ import annotations

from typing import Annotated

import typer
import yaml
from rich.markup import escape

from guard.errors import GuardError
from guard.policy.evaluate import CaseStatus, evaluate
from guard.policy.load import available_policies, load_policy
from guard.types import as_dict

from .command import Run, command
from .exits import Exit
from .output import error_row

NameArgument = Annotated[
    str | None,
    typer.Argument(metavar="[NAME|FILE]", help="A policy; the one in force if left out."),
]


def register(app: typer.Typer) -> None:
    """Add the noun to ``app``."""
    noun = typer.Typer(no_args_is_help=True, help="Policies: list, show, check and test them.")
    command(noun, "list", example="guard policy list")(list_)
    command(noun, "show", example="guard policy show strict")(show)
    command(noun, "lint", example="guard policy lint my-policy.yaml")(lint)
    command(noun, "test", example="guard policy test strict\nguard policy test my-policy.yaml")(
        run_tests
    )
    app.add_typer(noun, name="policy")


def list_(run: Run) -> Exit:
    """The policies that ship."""
    for name in available_policies():
        policy = load_policy(name)
        run.out.emit(
            {"name": name, "digest": policy.digest, "description": policy.description},
            f"[bold]{name}[/]  [dim]{policy.digest[:12]}[/]  {escape(policy.description.strip())}",
        )
    return Exit.DONE


def show(run: Run, name: NameArgument = None) -> Exit:
    """Everything that a policy says, defaults included."""
    policy = load_policy(name) if name else run.policy
    plain = policy.model_dump(mode="json")
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
    run.out.emit({**plain, "digest": policy.digest}, escape(text.rstrip()))
    return Exit.DONE


def lint(run: Run, name: NameArgument = None) -> Exit:
    """Check that a policy is valid, naming line and field if not."""
    chosen = name or run.settings.policy
    try:
        policy = load_policy(chosen)
    except GuardError as error:
        run.out.emit(
            {"policy": chosen, "ok": False, "error": error_row(error)},
            f"[bold red]invalid[/]  {escape(error.message)}",
            f"[dim]  →[/] {escape(error.hint)}",
        )
        return Exit.CONFIGURATION
    rules = len(policy.prompt_rules) + len(policy.combinations) + len(policy.output_rules)
    run.out.emit(
        {"policy": chosen, "ok": True, "digest": policy.digest, "rules": rules},
        f"[bold green]valid[/]  {escape(policy.name)}  {rules} rules  [dim]{policy.digest[:12]}[/]",
    )
    return Exit.DONE


def run_tests(run: Run, name: NameArgument = None) -> Exit:
    """Run the test cases that stand beside a policy."""
    from guard.assemble import build_screener

    chosen = name or run.settings.policy
    policy = load_policy(chosen)
    with run.out.working(f"Testing {chosen}"):
        tally = evaluate(policy, chosen, build_screener(policy, run.settings).screen)
    failed = [one for one in tally.results if one.status is not CaseStatus.PASSED]
    lines = [
        f"[red]{one.status}[/]  line {one.line}: {escape(one.explanation)}"
        if one.status is CaseStatus.FAILED
        else f"[yellow]{one.status}[/]  line {one.line}: {escape(one.explanation)}"
        for one in failed
    ]
    run.out.emit(
        {
            "policy": policy.name,
            "digest": policy.digest,
            "ok": tally.ok,
            "total": tally.total,
            **{status.value: tally.count(status) for status in CaseStatus},
            "failures": [
                {"line": one.line, "status": one.status.value, "explanation": one.explanation,
                 "decision": as_dict(one.decision)}
                for one in failed
            ],
        },
        *lines,
        f"{'[bold green]ok[/]' if tally.ok else '[bold red]failed[/]'}  {tally}",
    )  # fmt: skip
    return Exit.DONE if tally.ok else Exit.FINDING
