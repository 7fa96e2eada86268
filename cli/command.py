"""What every command has in common: global options, errors into exit codes, lazy rooms."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from guard.errors import GuardError
from guard.settings import Settings

from .exits import Exit, of_error
from .output import Output

if TYPE_CHECKING:
    from guard.audit.log import SqlAuditLog
    from guard.pipeline import Guard
    from guard.policy.model import Policy

PANEL = "Global options"

PolicyOption = Annotated[
    str | None,
    typer.Option(
        "--policy",
        metavar="NAME|FILE",
        help="Policy to apply. [env: GUARD_POLICY]",
        rich_help_panel=PANEL,
    ),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="Audit database. [env: GUARD_DATABASE_URL]",
        rich_help_panel=PANEL,
    ),
]
HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        help="Keys, secrets, default database. [env: GUARD_HOME]",
        rich_help_panel=PANEL,
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="One JSON object per result on stdout.", rich_help_panel=PANEL),
]

GLOBALS: dict[str, Any] = {
    "policy": PolicyOption,
    "database": DatabaseOption,
    "home": HomeOption,
    "as_json": JsonOption,
}


@dataclass
class Run:
    """One invocation: its output and, opened when asked for, its settings and rooms."""

    out: Output
    overrides: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def settings(self) -> Settings:
        """From the options, then the environment. Raises SettingsInvalid."""
        return Settings.load(**self.overrides)

    @cached_property
    def policy(self) -> Policy:
        """The policy in force. Raises PolicyInvalid."""
        from guard.assemble import resolve_policy

        return resolve_policy(None, self.settings)

    @cached_property
    def guard(self) -> Guard:
        """The whole hallway. Raises KeyInvalid where there is no signing key yet."""
        from guard.pipeline import Guard

        return Guard.from_settings(self.policy, self.settings)

    @cached_property
    def log(self) -> SqlAuditLog:
        """The audit log, which must be there: an empty new one would pass every check.

        Raises AuditUnavailable.
        """
        from guard.assemble import build_log

        return build_log(self.settings, create=False)


def command(
    app: typer.Typer, name: str, *, example: str = ""
) -> Callable[[Callable[..., Exit | None]], Callable[..., None]]:
    """Register ``function(run, …) -> Exit | None`` as a command with the global options.

    A GuardError becomes its message, its hint and its exit code; anything else is a bug and says
    so. ``example`` closes the help text.
    """

    def decorate(function: Callable[..., Exit | None]) -> Callable[..., None]:
        @wraps(function)
        def entry(ctx: typer.Context, **given: Any) -> None:
            run = _run(ctx, {key: given.pop(key) for key in GLOBALS})
            raise typer.Exit(int(_guarded(run, lambda: function(run, **given))))

        _lend_signature(entry, function)
        text = inspect.cleandoc(function.__doc__ or "")
        if example:
            # A paragraph and code span each: typer would flow the lines of one into another.
            shown = "\n\n".join(f"`{line}`" for line in example.splitlines())
            text += f"\n\nExample:\n\n{shown}"
        app.command(name, help=text)(entry)
        return entry

    return decorate


def _run(ctx: typer.Context, local: dict[str, Any]) -> Run:
    """Options given after the command win over those given before it."""
    given = dict(ctx.obj or {})
    given.update({key: value for key, value in local.items() if value})
    overrides = {
        "policy": given.get("policy"),
        "database_url": given.get("database"),
        "home": given.get("home"),
    }
    return Run(Output(as_json=bool(given.get("as_json"))), overrides)


def _guarded(run: Run, work: Callable[[], Exit | None]) -> Exit:
    try:
        return work() or Exit.DONE
    except GuardError as error:
        run.out.error(error)
        return of_error(error)
    except BrokenPipeError:  # the reader has seen enough: `guard screen … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except KeyboardInterrupt:
        run.out.say("[yellow]Stopped.[/] What was recorded stays recorded; nothing else left.")
        raise typer.Exit(130) from None
    except typer.Exit:
        raise
    except typer.BadParameter:
        raise
    except Exception as error:  # noqa: BLE001  # the last line of defence: say that it is our fault
        run.out.say(f"[bold red]bug:[/] {type(error).__name__}: {error}")
        run.out.say(
            "[dim]  →[/] Nothing was released. Please report it with what GUARD_DEBUG=1 shows."
        )
        if os.environ.get("GUARD_DEBUG"):
            traceback.print_exc()
        return Exit.BUG


def _lend_signature(entry: Callable[..., None], function: Callable[..., Any]) -> None:
    """Typer reads signatures: give it the function's, with the global options added."""
    hints = get_type_hints(function, include_extras=True)
    own = list(inspect.signature(function).parameters.values())[1:]
    own = [
        one.replace(annotation=hints[one.name], kind=inspect.Parameter.KEYWORD_ONLY) for one in own
    ]
    added = [
        inspect.Parameter(
            key,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=kind,
            default=False if key == "as_json" else None,
        )
        for key, kind in GLOBALS.items()
    ]
    context = inspect.Parameter(
        "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    parameters = [context, *own, *added]
    entry.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what inspect reads
    entry.__annotations__ = {one.name: one.annotation for one in parameters}
    del entry.__wrapped__  # type: ignore[attr-defined]  # or its hints would be read instead
