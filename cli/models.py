"""``guard models``: weights and heads, pinned by their SHA-256."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from guard.errors import GuardError, InvalidRequest
from guard.settings import Settings

from .command import Run, command
from .exits import Exit, of_error, worst
from .output import error_row

NOT_STATED = "not stated"


def register(app: typer.Typer) -> None:
    """Add the noun to ``app``."""
    noun = typer.Typer(no_args_is_help=True, help="Weights of detectors and generators.")
    command(noun, "list", example="guard models list")(list_)
    command(noun, "check", example="guard models check --policy strict")(check)
    command(noun, "pull", example="guard models pull clip --policy strict")(pull)
    command(noun, "import-head", example=_IMPORT)(import_head)
    app.add_typer(noun, name="models")


_IMPORT = """\
guard models import-head q16.ViT-L-14.safetensors --licence MIT --sha256 1f0c…
guard models import-head sexual.pt --encoder ViT-L-14/openai --source "Qu et al., 2023"
guard models import-head safety_checker/model.safetensors"""


def list_(run: Run) -> Exit:
    """The embedded model, the detectors of the policy, and the imported heads."""
    for row in (_demo(), *_detectors(run), *_heads(run.settings)):
        state = "[green]here[/]" if row["here"] else "[yellow]missing[/]"
        run.out.emit(
            row,
            f"{state:<18} [bold]{escape(row['name'])}[/]  [dim]{str(row['sha256'])[:16]}[/]",
            *_about(row),
        )
    return Exit.DONE


def _about(row: dict[str, Any]) -> list[str]:
    if "error" in row:
        return [f"    [red]{escape(row['error']['message'])}[/]"]
    card = row.get("card")
    if card is None:
        return []
    said = f"{', '.join(card['categories'])} · {card['licence']} · {card['source']}"
    return [f"    [dim]for {escape(card['encoder'])} · {escape(said)}[/]"]


def check(run: Run) -> Exit:
    """Open every detector that the policy requires, as a run would; compare heads with cards."""
    from guard.assemble import build_classifier

    codes = []
    for detector in build_classifier(run.policy, run.settings).detectors:
        try:
            with run.out.working(f"Opening {detector.id}"):
                digest = detector.model_digest
                getattr(detector, "prepare", lambda: None)()
        except GuardError as error:
            row = {"name": detector.id, "ok": False, "error": error_row(error)}
            run.out.emit(row, f"[red]missing[/]  {detector.id}: {escape(error.message)}",
                         f"[dim]  →[/] {escape(error.hint)}")  # fmt: skip
            codes.append(of_error(error))
            continue
        run.out.emit(
            {"name": detector.id, "ok": True, "sha256": digest},
            f"[green]ok[/]  {escape(detector.id)}  [dim]{digest[:16]}[/]",
        )
        codes.append(Exit.DONE)
    codes += [_checked_head(run, head) for head in _heads(run.settings)]
    return worst(codes)


def _checked_head(run: Run, head: dict[str, Any]) -> Exit:
    """Whether an imported head is still the file that its card is about."""
    ok = "error" not in head
    kept = ("name", "sha256", "card", "error")
    row = {"ok": ok} | {key: head[key] for key in kept if key in head}
    state = "[green]ok[/]" if ok else "[red]broken[/]"
    run.out.emit(row, f"{state}  {escape(head['name'])}", *_about(head))
    return Exit.DONE if ok else Exit.UNAVAILABLE


def pull(
    run: Run,
    name: Annotated[str, typer.Argument(metavar="clip", help="Which detector's weights.")],
    sha256: Annotated[
        str | None, typer.Option("--sha256", help="Refuse weights of another digest.")
    ] = None,
) -> Exit:
    """Download the weights that the policy's clip section names, from the hub."""
    from guard.classify.weights import pull_weights

    if name != "clip":
        raise InvalidRequest(
            f"There is nothing to pull for {name!r}.",
            hint="Only 'clip' has weights to pull; opennsfw and demo bring theirs.",
        )
    clip = run.policy.clip
    if clip is None:
        raise InvalidRequest(
            f"The policy {run.policy.name!r} has no clip section.", hint="Try --policy strict."
        )
    with run.out.working(f"Fetching CLIP {clip.model} ({clip.pretrained})"):
        path = pull_weights(clip.model, clip.pretrained)
    digest = file_digest(path)
    if sha256 is not None and digest != sha256.lower():
        path.unlink(missing_ok=True)
        raise InvalidRequest(
            f"The weights have SHA-256 {digest}, not the one you gave; they were removed.",
            hint="Check the digest with whoever published it.",
        )
    run.out.emit({"name": "clip", "path": str(path), "sha256": digest}, f"[green]here[/]  {digest}")
    return Exit.DONE


def import_head(
    run: Run,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A head in safetensors, a PyTorch file of tensors, or a safety checker.",
        ),
    ],
    sha256: Annotated[str, typer.Option("--sha256", help="Refuse a file of another digest.")] = "",
    encoder: Annotated[
        str,
        typer.Option(
            "--encoder", metavar="NAME/TAG", help="The CLIP that it was made for: ViT-L-14/openai."
        ),
    ] = "",
    origin: Annotated[
        str, typer.Option("--source", help="Where it is from; kept on its card.")
    ] = NOT_STATED,
    licence: Annotated[
        str, typer.Option("--licence", help="Its licence; kept on its card.")
    ] = NOT_STATED,
) -> Exit:
    """Check a head and copy it into the home. A policy must name it before it decides anything."""
    from guard.classify.head_import import Facts
    from guard.classify.head_import import import_head as take

    facts = Facts(encoder, origin, licence, sha256)
    head, card, target = take(source, run.settings.home / "models", facts)
    run.out.emit(
        {"name": head.name, "path": str(target), "sha256": card.sha256,
         "categories": list(head.categories), "card": asdict(card)},
        f"[green]imported[/]  {escape(head.name)}  [dim]{card.sha256[:16]}[/]",
        *_about({"card": asdict(card)}),
        f"[dim]→ To enable it, add '{escape(target.name)}' to the policy's clip.heads.[/]",
    )  # fmt: skip
    return Exit.DONE


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _demo() -> dict[str, Any]:
    from guard.generate.demo import VERSION, weights_dir

    weights = sorted(Path(weights_dir()).rglob("*.safetensors"))
    digest = hashlib.sha256("".join(file_digest(path) for path in weights).encode()).hexdigest()
    return {"name": f"demo@{VERSION}", "here": bool(weights), "sha256": digest if weights else None}


def _detectors(run: Run) -> list[dict[str, Any]]:
    from guard.assemble import build_classifier

    rows = []
    for detector in build_classifier(run.policy, run.settings).detectors:
        try:
            digest: str | None = detector.model_digest
        except GuardError:
            digest = None
        rows.append({"name": detector.id, "here": digest is not None, "sha256": digest})
    return rows


def _heads(settings: Settings) -> list[dict[str, Any]]:
    folder = settings.home / "models"
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    return [_head(one) for one in files]


def _head(path: Path) -> dict[str, Any]:
    from guard.classify.cards import read_card

    digest = file_digest(path)
    row: dict[str, Any] = {"name": path.name, "here": True, "sha256": digest}
    try:
        card = read_card(path, digest)
    except GuardError as error:
        return row | {"here": False, "error": error_row(error)}
    return row | ({"card": asdict(card)} if card is not None else {})
