"""Writes ``docs/reference`` and README's help block from the program itself.

``python docs/build_reference.py`` writes; with ``--check`` it only says what is out of date.
What a page says can then not differ from what the program does: a test compares them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
README = ROOT / "README.md"

WIDTH = "100"
STABLE = {"COLUMNS": WIDTH, "TERMINAL_WIDTH": WIDTH, "TERM": "dumb", "NO_COLOR": "1"}
"""A terminal that is the same everywhere: wide, and without colours."""

NOTE = "<!-- Written by docs/build_reference.py: `make docs` writes it anew. -->\n\n"
HELP_START, HELP_END = "<!-- help: begin -->", "<!-- help: end -->"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def main(arguments: list[str]) -> int:
    """Write every page, or with ``--check`` name those that differ."""
    check = "--check" in arguments
    stale = [path for path, text in pages() if not same(path, text)]
    for path in stale:
        print(f"{'out of date' if check else 'wrote'}: {path.relative_to(ROOT)}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(next(text for one, text in pages() if one == path), encoding="utf-8")
    return 1 if check and stale else 0


def pages() -> Iterator[tuple[Path, str]]:
    """Each file with what it should hold."""
    yield README, readme(README.read_text(encoding="utf-8"))
    yield REFERENCE / "cli.md", cli_page()
    yield REFERENCE / "settings.md", settings_page()
    yield REFERENCE / "errors.md", errors_page()


def same(path: Path, text: str) -> bool:
    """Whether the file says ``text``: word for word, wherever lines break.

    Boxes, line breaks and type names in help texts belong to the libraries that draw them, and
    change with their versions.
    """
    return path.exists() and words(path.read_text(encoding="utf-8")) == words(text)


def words(text: str) -> list[str]:
    """What ``text`` says, without how it is drawn."""
    text = re.sub(r"<(bool|text|integer|path|float)>|\b(TEXT|INTEGER|PATH|FLOAT)\b", " ", text)
    return re.findall(r"[\w./|:=<>…-]*\w[\w./|:=<>…-]*", text)


# -- the command line ----------------------------------------------------------------------------


@cache
def help_of(command: tuple[str, ...]) -> str:
    """``guard COMMAND --help`` on a terminal that is the same everywhere."""
    os.environ.update(STABLE)
    from guard.cli.main import app
    from typer.testing import CliRunner

    result = CliRunner().invoke(app, [*command, "--help"], prog_name="guard", env=STABLE)
    if result.exit_code:
        raise RuntimeError(f"guard {' '.join(command)} --help: {result.output}")
    lines = [line.rstrip() for line in ANSI.sub("", result.output).splitlines()]
    return "\n".join(lines).strip("\n")


def commands() -> Iterator[tuple[str, ...]]:
    """Every command and subcommand, as the words that call it."""
    import typer.main
    from guard.cli.main import app

    yield ()
    yield from _below(typer.main.get_command(app), ())


def _below(group: Any, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*above, name)
        if hasattr(command, "commands"):
            yield from _below(command, (*above, name))


def readme(text: str) -> str:
    """README with the help block in force."""
    before, _, rest = text.partition(HELP_START)
    _, _, after = rest.partition(HELP_END)
    return f"{before}{HELP_START}\n```text\n{help_of(())}\n```\n{HELP_END}{after}"


def cli_page() -> str:
    """``docs/reference/cli.md``."""
    parts = [NOTE + "# Command line\n\nWhat `guard COMMAND --help` says, for every command.\n"]
    parts += [
        f"\n## `{' '.join(('guard', *command))}`\n\n```text\n{help_of(command)}\n```\n"
        for command in commands()
    ]
    return "".join(parts)


# -- settings ------------------------------------------------------------------------------------

MEANINGS = {
    "home": "Keys, secrets, held pictures, imported heads and the default database.",
    "database_url": "Audit database: `sqlite:///FILE` or `postgresql://…`.",
    "keys_database_url": "The vault's key database; never the audit database. Hosts that share a"
    " log share this, too.",
    "key_encryption_key": "Wraps the vault's keys: 64 hex digits, in place of `keys/vault.kek` in"
    " the home.",
    "retired_key_encryption_key": "The one before it, until `guard keys rotate-vault` has run.",
    "policy": "Name of a shipped policy, or the path of a policy file.",
    "model": "Generator that is used when a request names none.",
    "openai_base_url": "Where `openai:NAME` models are asked.",
    "openai_api_key": "Bearer token for it.",
    "signing_certificate": "PEM chain of the claim-signing certificate, leaf first.",
    "signing_key": "PEM private key of that certificate.",
    "signing_key_passphrase": "Passphrase of that key, where it is locked by one.",
    "pkcs11_uri": "Signing key on a token, as an RFC 7512 address, in place of a key file.",
    "pkcs11_pin": "PIN of that token.",
    "tsa_url": "RFC 3161 time-stamp authority; without one manifests carry no time-stamp.",
    "mark_secret": "Secret of the watermark in hex, in place of the file in the home.",
    "retired_mark_secrets": "Earlier secrets in hex, commas between them: marks of theirs are still"
    " read. Those in the home are read as well.",
    "trustmark_models": "Folder with TrustMark's ONNX models: others' TrustMarks are then read as"
    " labels, and policies may mark with the method `trustmark`. Nothing is downloaded.",
    "server_token": "Bearer token with which `guard serve` takes changes; none: it takes none.",
    "server_url": "Where clients reach the service, for receipts and discovery.",
    "server_reference_hosts": "Hosts, commas between them, that pictures may be fetched from for"
    " `/matches/byReference`; none: it is off.",
    "server_max_bytes": "Longest picture or manifest store that the service takes.",
    "server_requests_per_minute": "Look-ups that one client may make; a picture counts ten.",
    "webhook_url": "Where messages about the log are sent (https); see also `GUARD_WEBHOOKS`.",
    "webhook_events": "Kinds of messages that it wants, spaces between them; `*` at an end.",
    "webhook_secret": "`whsec_` and base64: signs messages. Several, spaces between, all sign.",
    "webhooks": "YAML file that names several endpoints, each with what it wants.",
    "webhook_allow_loopback": "Whether messages may go to this machine, also by plain http.",
    "webhook_seconds": "Time limit of sending one message.",
    "webhook_attempts": "How often a message is sent before it is dead.",
    "reap_at_start": "Whether a guard ends at its start what was cut off in the week before.",
    "reap_seconds": "How old a run must be to count as cut off; none: what no living run reaches.",
    "checkpoints": "Where the log's checkpoints are published: a folder, a `.jsonl` file or the URL"
    " of an object store, which those who may write to the database cannot write; none: nowhere.",
    "checkpoint_key": "PEM file with the Ed25519 key that signs checkpoints, in place of"
    " `keys/checkpoint.pem` in the home.",
    "checkpoint_verifiers": "Verifier keys that are believed, commas between them, in place of"
    " `keys/checkpoint.vkey` in the home.",
    "checkpoint_rows": "After so many new rows a checkpoint is published.",
    "checkpoint_seconds": "After so many seconds with any new row a checkpoint is published.",
    "checkpoint_max_age_seconds": "How long a row may wait for a published checkpoint before no"
    " record is opened any more; none: for ever.",
    "prompt_seconds": "Time limit of prompt screening.",
    "generate_seconds": "Time limit of the generator, loading included.",
    "classify_seconds": "Time limit of the classifiers.",
    "watermark_seconds": "Time limit of embedding and reading back the mark.",
    "sign_seconds": "Time limit of encoding and signing.",
    "audit_seconds": "Time limit of one write to the audit log.",
}
DEFAULTS = {
    "home": "`~/.genguard`",
    "database_url": "`audit.sqlite3` in the home",
    "keys_database_url": "`keys.sqlite3` in the home",
}


def settings_page() -> str:
    """``docs/reference/settings.md``, from the model's own fields."""
    from guard.settings import Settings

    rows = [
        f"| `GUARD_{name.upper()}` | {_default(name, field.default)} | {MEANINGS[name]} |"
        for name, field in Settings.model_fields.items()
    ]
    return (
        NOTE
        + "# Settings\n\nSettings are environment variables. `--policy`, `--database` and `--home`"
        " win over them. A stage that runs past its time limit has failed: nothing is released, and"
        " the record says so.\n\n| variable | default | meaning |\n|---|---|---|\n"
        + "\n".join(rows)
        + "\n\n`GUARD_DEBUG=1` makes the command line print the traceback of a bug.\n"
    )


def _default(name: str, value: object) -> str:
    if name in DEFAULTS:
        return DEFAULTS[name]
    return "none" if value is None else f"`{value}`"


# -- errors --------------------------------------------------------------------------------------


def errors_page() -> str:
    """``docs/reference/errors.md``, from the tree of error classes."""
    from guard.errors import GuardError

    rows = "\n".join(_error_rows(GuardError, 0))
    return (
        NOTE
        + "# Errors\n\nEvery error has a stable `code`, a message that says what is wrong, and a"
        " hint that says what to do. A block is not an error: it is an outcome. Codes also stand in"
        " `error.code` of JSON rows and in `reasons` of failed outcomes. For one input among"
        " several, an unusable input counts as a finding: exit 1 instead of 2.\n\n"
        "| error | code | exit | meaning |\n|---|---|---|---|\n" + rows + "\n"
    )


def _error_rows(kind: type, depth: int) -> Iterator[str]:
    from guard.cli.exits import of_error

    meaning = (kind.__doc__ or "").strip().splitlines()[0].replace("``", "`")
    code = int(of_error(kind("")))
    shown = code if code != 70 else "–"  # the root itself is never raised
    indent = "&nbsp;&nbsp;" * depth
    yield f"| {indent}`{kind.__name__}` | `{kind.code}` | {shown} | {meaning} |"  # type: ignore[attr-defined]
    for below in kind.__subclasses__():
        if below.__module__ == kind.__module__:
            yield from _error_rows(below, depth + 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
