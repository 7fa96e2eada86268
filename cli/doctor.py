"""``guard doctor``: what works on this machine, what does not, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import typer
from rich.markup import escape

from guard.errors import CheckpointUnavailable, GuardError, KeyInvalid

from .certificates import in_force
from .command import Run, command
from .exits import Exit, of_error, worst
from .output import error_row


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at: ``look`` answers a remark, or raises a GuardError."""

    name: str
    look: Callable[[Run], str]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "doctor", example="guard doctor\nguard doctor --policy strict --json")(doctor)


def doctor(run: Run) -> Exit:
    """Check policy, lexicons, detectors, demo model, keys, mark secret, database, vault."""
    return worst([_one(run, check) for check in CHECKS])


def _one(run: Run, check: Check) -> Exit:
    try:
        with run.out.working(check.name):
            remark = check.look(run)
    except GuardError as error:
        run.out.emit(
            {"check": check.name, "ok": False, "error": error_row(error)},
            f"[bold red]✗[/] {check.name:<14} {escape(error.message)}",
            f"  {'':<14} [dim]→[/] {escape(error.hint)}",
        )
        return of_error(error)
    run.out.emit(
        {"check": check.name, "ok": True, "remark": remark},
        f"[bold green]✓[/] {check.name:<14} {escape(remark)}",
    )
    return Exit.DONE


def _policy(run: Run) -> str:
    return f"{run.policy.name}, digest {run.policy.digest[:12]}"


def _lexicons(run: Run) -> str:
    from guard.assemble import build_screener

    build_screener(run.policy, run.settings).screen("a lighthouse in a storm")
    return "loaded"


def _detectors(run: Run) -> str:
    from guard.assemble import build_classifier

    classifier = build_classifier(run.policy, run.settings)
    classifier.prepare()
    return ", ".join(detector.id for detector in classifier.detectors)


def _demo(run: Run) -> str:
    generator = run.guard.rooms.open_generator("demo")
    getattr(generator, "prepare", lambda: None)()
    return generator.model


def _keys(run: Run) -> str:
    from guard.provenance.checkup import check_in_force

    settings = run.settings
    found = check_in_force(settings.home, in_force(settings))
    if not found.valid:
        worst_one = found.findings[0]
        raise KeyInvalid(worst_one.what, hint=f"{worst_one.mend} See: guard keys check")
    kind = "development only" if found.development else "production"
    warnings = len(found.of("warning"))
    more = f"; warnings: {warnings}, see guard keys check" if warnings else ""
    return f"{kind}, expires {found.chain[0].expires:%Y-%m-%d}{more}"


def _mark(run: Run) -> str:
    import numpy as np

    from guard.assemble import build_mark_readers, build_watermark

    build_watermark(run.policy, run.settings)
    for reader in build_mark_readers(run.policy, run.settings):
        reader.read(np.zeros((64, 64, 3), np.uint8))  # its weights are opened at first use
    if run.settings.mark_secret is not None:
        return "from GUARD_MARK_SECRET"
    return f"back up {run.settings.home / 'keys'}: who loses a mark's secret cannot read old marks"


def _database(run: Run) -> str:
    from guard.assemble import build_log
    from guard.audit.verify import verify_log

    check = verify_log(build_log(run.settings))
    if not check.ok:
        from guard.errors import LogTampered

        raise LogTampered(
            f"The audit log does not verify: {check.problems[0]}.", hint="Run `guard audit verify`."
        )
    return f"{check.records} records, root {check.root[:16]}"


def _vault(run: Run) -> str:
    from guard.assemble import build_log
    from guard.audit.vault.holds import vault_of

    vault = vault_of(build_log(run.settings))
    kept = vault.check()
    keys = vault.keys.store.name
    if run.settings.key_encryption_key is not None:
        return f"{kept} records; back up {keys} and GUARD_KEY_ENCRYPTION_KEY"
    return (
        f"{kept} records; back up {keys} and, elsewhere, {run.settings.home / 'keys'}: who loses "
        "either cannot read them, who has both and the log can"
    )


def _checkpoints(run: Run) -> str:
    from guard.assemble import build_store
    from guard.audit.checkpoints.publishing import build_publisher

    settings = run.settings
    publisher = build_publisher(settings, build_store(settings))
    newest, state = publisher.check(), publisher.state.read()
    if publisher.place is None:
        return (
            "not published: whoever may write to the whole database could rewrite it unnoticed. "
            "Set GUARD_CHECKPOINTS to a folder or a store elsewhere"
        )
    if state.failure:
        raise CheckpointUnavailable(
            f"The last publication failed: {state.failure}",
            hint="Mend that, then: guard audit checkpoint",
        )
    covered = newest.size if newest else 0
    waiting = publisher.size() - covered
    more = f", {waiting:,} rows wait" if waiting else ""
    return (
        f"{covered:,} rows covered in {publisher.place.name}{more}; "
        f"back up {publisher.keys.private}, hand out {publisher.keys.public}"
    )


CHECKS = (
    Check("policy", _policy),
    Check("lexicons", _lexicons),
    Check("detectors", _detectors),
    Check("signing key", _keys),
    Check("mark secret", _mark),
    Check("audit log", _database),
    Check("checkpoints", _checkpoints),
    Check("vault", _vault),
    Check("demo model", _demo),
)
