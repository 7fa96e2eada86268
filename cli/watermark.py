"""``guard watermark``: the mark alone, without policy, signature or record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from guard.errors import GuardError, InvalidRequest, OutputUnwritable
from guard.image.encode import EXTENSIONS, encode
from guard.types import as_dict
from guard.watermark.base import PAYLOAD_BYTES

from .command import Run, command
from .exits import Exit, of_row_error, worst
from .files import pictures
from .output import error_row


def register(app: typer.Typer) -> None:
    """Add the noun to ``app``."""
    noun = typer.Typer(no_args_is_help=True, help="Embed and detect the invisible mark alone.")
    command(
        noun, "embed", example="guard watermark embed in.png out.png --payload 00112233aabbccdd"
    )(embed)
    command(noun, "detect", example="guard watermark detect suspect.jpg --json")(detect)
    app.add_typer(noun, name="watermark")


def embed(
    run: Run,
    source: Annotated[Path, typer.Argument(metavar="IN", help="Picture to mark.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Marked picture.")],
    payload: Annotated[str, typer.Option("--payload", metavar="HEX", help="8 bytes in hex.")],
) -> Exit:
    """Mark a picture. No record knows it: for tests and for pipelines of your own."""
    from guard.assemble import build_watermark
    from guard.image.decode import load

    data = _payload(payload)
    media_type = _media_type(target)
    decoded = load(source)
    marked = build_watermark(run.policy, run.settings).embed(decoded.pixels, data)
    try:
        target.write_bytes(encode(marked.pixels, media_type, alpha=decoded.alpha))
    except OSError as error:
        raise OutputUnwritable(
            f"Cannot write {target}: {error.strerror}.", hint="Choose another OUT."
        ) from error
    run.out.emit(
        {"path": str(target), **as_dict(marked.mark)},
        f"marked  [bold]{escape(str(target))}[/]  {marked.mark.payload}"
        f"  [dim]PSNR {marked.mark.psnr_db:.1f} dB[/]",
    )
    return Exit.DONE


def detect(
    run: Run,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Pictures or folders.")],
) -> Exit:
    """Look for a mark of this home's keys, with the probability that there is none."""
    from guard.assemble import build_watermark

    watermark = build_watermark(run.policy, run.settings)
    files = pictures(images)
    return worst([_one(run, watermark, path) for path in run.out.track(files, "Detecting")])


def _one(run: Run, watermark: Any, path: Path) -> Exit:
    from guard.image.decode import load

    try:
        found = watermark.detect(load(path).pixels)
    except GuardError as error:
        row = {"path": str(path), "error": error_row(error)}
        run.out.emit(row, f"[red]error[/]  {escape(str(path))}: {escape(error.message)}")
        return of_row_error(error)
    word = f"[bold green]mark {found.payload}[/]" if found.detected else "[dim]no mark[/]"
    run.out.emit(
        {"path": str(path), **as_dict(found), "confidence": found.confidence},
        f"{word}  {escape(str(path))}  [dim]p = {found.p_value:.1e}  {escape(found.method)}[/]",
    )
    return Exit.DONE


def _payload(text: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != PAYLOAD_BYTES:
        raise InvalidRequest(
            f"The payload {text!r} is not {PAYLOAD_BYTES} bytes in hex.",
            hint=f"Give {2 * PAYLOAD_BYTES} hexadecimal digits.",
        )
    return data


def _media_type(target: Path) -> str:
    by_suffix = {suffix: media_type for media_type, suffix in EXTENSIONS.items()}
    by_suffix[".jpeg"] = "image/jpeg"
    by_suffix[".tif"] = "image/tiff"
    if target.suffix.lower() not in by_suffix:
        raise InvalidRequest(
            f"{target.name} names no picture format.", hint=f"End it in {', '.join(by_suffix)}."
        )
    return by_suffix[target.suffix.lower()]
