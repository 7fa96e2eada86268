"""``guard``: the front desk. One module per noun; heavy packages load inside the commands."""

from __future__ import annotations

import sys
from io import TextIOWrapper

import typer

from guard.version import __version__

from . import (
    audit,
    classify,
    demo,
    doctor,
    generate,
    keys,
    lists,
    models,
    policy,
    protect,
    review,
    screen,
    serve,
    timestamps,
    trust,
    verify,
    watermark,
)
from .command import DatabaseOption, HomeOption, JsonOption, PolicyOption

EPILOG = (
    "Exit codes: 0 done · 1 a finding (blocked, altered) · 2 usage · 3 needs review · "
    "4 policy, settings or key invalid · 5 audit log tampered · 6 a needed part is unavailable "
    "(failed closed) · 70 a bug."
)

app = typer.Typer(
    name="guard",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"genguard {__version__}")
        raise typer.Exit


@app.callback()
def _globals(
    ctx: typer.Context,
    policy: PolicyOption = None,
    database: DatabaseOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    version: bool = typer.Option(
        False, "--version", help="Show the version.", callback=_show_version, is_eager=True
    ),
) -> None:
    """Content safety and provenance around image generation.

    Start with `guard demo`.
    """
    ctx.obj = {"policy": policy, "database": database, "home": home, "as_json": as_json}


for room in (demo, generate, screen, classify, protect, verify, serve, doctor):
    room.register(app)
for noun in (watermark, audit, review, lists, policy, keys, timestamps, trust, models):
    noun.register(app)


def run() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what a terminal cannot write must not end a run
            stream.reconfigure(errors="backslashreplace")
    app()
