"""``guard policy``: policies as code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer
import yaml
from rich.markup import escape

from guard.errors import GuardError
from guard.policy.evaluate import CaseStatus, evaluate
from guard.policy.lint import ERROR, Known, problems
from guard.policy.load import available_policies, load_policy, read_document
from guard.policy.model import Policy
from guard.types import as_dict

from .command import Run, command
from .exits import Exit
from .output import error_row
from .policy_diff import diff, replay

NameArgument = Annotated[
    str | None,
    typer.Argument(metavar="[NAME|FILE]", help="A policy; the one in force if left out."),
]


def register(app: typer.Typer) -> None:
    """Add the noun to ``app``."""
    noun = typer.Typer(no_args_is_help=True, help="Policies: list, show, check, test, compare.")
    command(noun, "list", example="guard policy list")(list_)
    command(noun, "show", example="guard policy show strict")(show)
    command(noun, "lint", example="guard policy lint my-policy.yaml")(lint)
    command(noun, "test", example="guard policy test strict\nguard policy test my-policy.yaml")(
        run_tests
    )
    command(noun, "diff", example=_DIFF)(diff)
    command(noun, "replay", example=_REPLAY)(replay)
    app.add_typer(noun, name="policy")


_DIFF = """\
guard policy diff default strict
guard policy diff default my-policy.yaml --prompts prompts.txt"""
_REPLAY = """\
guard policy replay strict --from 2026-11-01
guard policy replay my-policy.yaml --prompts prompts.txt"""


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
    """Check that a policy is valid, naming line and field if not, and warn of what never acts."""
    chosen = name or run.settings.policy
    try:
        policy = load_policy(chosen)
        found = [*_own_list_problems(run, policy), *_problems(policy, chosen)]
    except GuardError as error:
        run.out.emit(
            {"policy": chosen, "ok": False, "error": error_row(error), "problems": []},
            f"[bold red]invalid[/]  {escape(error.message)}",
            f"[dim]  →[/] {escape(error.hint)}",
        )
        return Exit.CONFIGURATION
    ok = all(one["level"] != ERROR for one in found)
    count = len(policy.rules)
    state = "[bold green]valid[/]" if ok else "[bold red]invalid[/]"
    run.out.emit(
        {"policy": chosen, "ok": ok, "digest": policy.digest, "rules": count, "problems": found},
        *[
            f"[{'red' if one['level'] == ERROR else 'yellow'}]{one['level']}[/]  "
            f"[dim]{escape(one['where'])}:[/] {escape(one['message'])}."
            for one in found
        ],
        f"{state}  {escape(policy.name)}  {count} rules  [dim]{policy.digest[:12]}[/]",
    )
    return Exit.DONE if ok else Exit.CONFIGURATION


def _problems(policy: Policy, chosen: str) -> Iterator[dict[str, str]]:
    from guard.prompt.lexicon import Term, available_lists, load_list
    from guard.prompt.semantic import HEADS

    def highest(name: str) -> float:
        return max(
            (one.score if isinstance(one, Term) else 1.0 for one in load_list(name)), default=0
        )

    document = read_document(chosen)
    for one in problems(policy, Known(available_lists(), HEADS, highest)):
        where = f"{document.name}:{document.line(one.path)}"
        yield {"level": one.level, "where": where, "message": one.message}


def _own_list_problems(run: Run, policy: Policy) -> Iterator[dict[str, str]]:
    """Own lists that are missing or broken: with one of them nothing can be screened."""
    from guard.assemble import build_store
    from guard.prompt.own.lists import OwnLists

    for own in policy.own_lists:
        try:
            OwnLists(
                policy.model_copy(update={"own_lists": (own,)}), lambda: build_store(run.settings)
            )
        except GuardError as error:
            message = f"{error.message.rstrip('.')} ({error.hint.rstrip('.')})"
            yield {"level": ERROR, "where": own.source, "message": message}


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
