"""The command line, run in this process with stdout and stderr apart."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from guard.image.encode import encode
from tests.support.house import FakeGenerator, FixedDetector, picture


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command answered."""

    code: int
    stdout: str
    stderr: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Every line of stdout as a JSON object: whatever else is there fails the test."""
        rows = [json.loads(line) for line in self.stdout.splitlines()]
        assert all(isinstance(row, dict) for row in rows)
        return rows

    @property
    def row(self) -> dict[str, Any]:
        (row,) = self.rows
        return row


@dataclass
class Desk:
    """Runs ``guard`` with a fake generator and a detector that the test steers."""

    generator: FakeGenerator
    detector: FixedDetector
    folder: Path

    def __call__(
        self, *args: object, stdin: str | bytes | None = None, as_json: bool = False
    ) -> Answer:
        from guard.cli.main import app  # looked up late: tests put others in its place

        result = CliRunner().invoke(app, [*map(str, args)], input=stdin)
        error = result.exception
        if error is not None and not isinstance(error, SystemExit):
            raise error
        return Answer(result.exit_code, result.stdout, result.stderr)

    def json(self, *args: object, stdin: bytes | None = None) -> Answer:
        return self(*args, "--json", stdin=stdin)

    def picture(self, name: str = "in.png", seed: int = 0) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(picture(seed), "image/png"))
        return path

    def broken_picture(self, name: str = "broken.png") -> Path:
        path = self.folder / name
        path.write_bytes(encode(picture(), "image/png")[:2000])
        return path

    @property
    def out(self) -> Path:
        return self.folder / "out"
