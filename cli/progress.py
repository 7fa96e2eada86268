"""How far a run came: a small file beside its output, from which ``--resume`` goes on."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from guard.errors import InvalidRequest, OutputUnwritable

SUFFIX = ".progress"


@dataclass
class Progress:
    """Where a run stands; ``offset`` bytes of the input, with the SHA-256 ``digest``, are done.

    ``written`` bytes of the output belong to them. ``made_by`` names what rows depend on: policy,
    program, negative prompt.
    """

    made_by: dict[str, str]
    offset: int = 0
    digest: str = ""
    line: int = 1
    written: int = 0
    rows: int = 0
    code: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    done: bool = False

    def save(self, output: Path) -> None:
        """Replace the file beside ``output``, in one step."""
        path = beside(output)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")
        temporary.replace(path)

    @classmethod
    def load(cls, output: Path) -> Self | None:
        """What stands beside ``output``; None when there is nothing. Raises InvalidRequest."""
        path = beside(output)
        try:
            plain: dict[str, Any] = json.loads(path.read_bytes())
            return cls(**plain)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise InvalidRequest(
                f"{path} cannot be read: {error}.",
                hint="Begin anew: remove it and the output.",
            ) from error


def beside(output: Path) -> Path:
    """Where the progress of a run into ``output`` is kept."""
    return output.with_name(output.name + SUFFIX)


def take_up(output: Path, made_by: dict[str, str], *, resume: bool) -> Progress:
    """The progress that a run into ``output`` begins with.

    Raises InvalidRequest when an unfinished run would be overwritten, or when the run to resume
    was another one; OutputUnwritable when the output cannot be used.
    """
    known = Progress.load(output)
    if not resume:
        if known is not None and not known.done:
            raise InvalidRequest(
                f"{output} holds an unfinished run: {known.rows:,} rows.",
                hint=f"Add --resume to go on, or remove {beside(output)} to begin anew.",
            )
        return Progress(made_by)
    if known is None:
        if output.exists() and output.stat().st_size:
            raise InvalidRequest(
                f"{output} cannot be resumed: there is no {beside(output).name} beside it.",
                hint="It was not made with --output, or the file was removed. Begin anew.",
            )
        return Progress(made_by)
    for what, value in made_by.items():
        if known.made_by.get(what) != value:
            raise InvalidRequest(
                f"{output} was begun with another {what}: {known.made_by.get(what)!r}, "
                f"now {value!r}.",
                hint="Go on with the same, or begin anew without --resume into another file.",
            )
    _cut_back(output, known)
    return known


def _cut_back(output: Path, known: Progress) -> None:
    """Drop what was written after the last mark: it will be written again."""
    size = output.stat().st_size if output.exists() else 0
    if size < known.written:
        raise InvalidRequest(
            f"{output} has {size:,} bytes; the interrupted run had written {known.written:,}.",
            hint=f"It was changed since. Begin anew: remove it and {beside(output)}.",
        )
    try:
        os.truncate(output, known.written)
    except OSError as error:
        raise OutputUnwritable(
            f"Cannot write {output}: {error.strerror}.", hint="Choose another --output."
        ) from error
