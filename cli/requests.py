"""Options that describe a request, and how they become one."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from guard.errors import InvalidRequest
from guard.image.encode import MEDIA_TYPES

UserOption = Annotated[
    str | None, typer.Option("--user", help="The platform's id of the user; kept as a commitment.")
]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="The platform's tenant.")]
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where released files go.")]

Format = StrEnum("Format", {name: name for name in MEDIA_TYPES})  # type: ignore[misc]  # built from data
"""File formats by name."""

PNG = Format("png")
"""The default: lossless, and every program opens it."""


def parse_size(text: str | None) -> tuple[int, int] | None:
    """``512x768`` → (512, 768). Raises InvalidRequest."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})[xX×](\d{1,5})", text.strip())
    if match is None:
        raise InvalidRequest(
            f"The size {text!r} is not WIDTHxHEIGHT.", hint="For example: --size 512x768."
        )
    return int(match[1]), int(match[2])


def read_input_image(path: Path | None) -> bytes | None:
    """The bytes of an img2img input, checked to be a picture. Raises InvalidImage."""
    if path is None:
        return None
    from guard.image.decode import load

    return load(path).data
