"""``guard audit``: what was generated and blocked, and whether the log is what was written."""

from __future__ import annotations

import typer

from .audit_events import register as register_events
from .audit_proofs import register as register_proofs
from .audit_questions import LIST_EXAMPLE, list_, show
from .audit_report import register as register_report
from .audit_stats import stats
from .audit_vault import register as register_vault
from .command import command


def register(app: typer.Typer) -> None:
    """Add the noun to ``app``."""
    noun = typer.Typer(no_args_is_help=True, help="The tamper-evident record of every decision.")
    command(noun, "list", example=LIST_EXAMPLE)(list_)
    command(noun, "show", example="guard audit show 0199b2c4-…")(show)
    command(noun, "stats", example="guard audit stats --since 30d --by day")(stats)
    register_proofs(noun)
    register_vault(noun)
    register_events(noun)
    register_report(noun)
    app.add_typer(noun, name="audit")
