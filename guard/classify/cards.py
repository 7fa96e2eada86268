"""What is known of a head beside its numbers: a card in JSON that lies beside the file.

A head reads the embeddings of one encoder and answers nonsense, quietly, on any other of the same
width. So every head must say which one it fits: in its card, in its metadata, or, as published
heads do, in its file name (``q16.ViT-L-14.safetensors``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from guard.classify.head_files import KNOWN_CATEGORIES, AnyHead
from guard.classify.weights import SUFFIXES
from guard.errors import DetectorUnavailable
from guard.policy.model import ClipSettings

SUFFIX = ".card.json"
MAX_BYTES = 100_000
NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class Card:
    """``encoder`` is ``ARCHITECTURE`` or ``ARCHITECTURE/TAG``; ``dims`` the embedding's length.

    ``sha256`` is of the file beside the card, ``source_sha256`` of the one that it was made from.
    """

    name: str
    categories: tuple[str, ...]
    encoder: str
    dims: int
    sha256: str
    source: str = NOT_STATED
    licence: str = NOT_STATED
    source_sha256: str = ""


def write_card(head: Path, card: Card) -> None:
    """Put the card beside the head's file. Raises OSError."""
    text = json.dumps(asdict(card), indent=2, ensure_ascii=False)
    head.with_name(head.name + SUFFIX).write_text(text + "\n", encoding="utf-8")


def read_card(head: Path, digest: str) -> Card | None:
    """The card beside a head's file of SHA-256 ``digest``; None when there is none.

    Raises DetectorUnavailable when it is broken, or of another file.
    """
    path = head.with_name(head.name + SUFFIX)
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(MAX_BYTES))
        card = Card(**{**said, "categories": tuple(said["categories"])})
        texts = (card.name, card.encoder, card.sha256, card.source, card.licence)
        broken = "a field is no text" if not all(isinstance(one, str) for one in texts) else ""
    except (OSError, ValueError, TypeError, KeyError) as error:
        card, broken = None, str(error) or type(error).__name__
    if card is None or broken:
        raise DetectorUnavailable(
            f"The card of the head {head.name} cannot be read: {broken}.",
            hint="Import the head again: guard models import-head FILE.",
        )
    if card.sha256 != digest:
        raise DetectorUnavailable(
            f"The head {head.name} is not the file that its card is about.",
            hint="Somebody replaced it after it was imported: import it again.",
        )
    return card


def stated_encoder(path: Path, metadata: Mapping[str, str], head: AnyHead) -> str:
    """The encoder that a head's metadata or file name says it fits; empty for none."""
    if metadata.get("encoder"):
        return metadata["encoder"]
    parts = path.name.split(".")
    if len(parts) < 3:
        return ""
    tag = "/openai" if head.name in KNOWN_CATEGORIES else ""
    return f"{parts[1]}{tag}"


def check_fit(settings: ClipSettings, head: AnyHead, encoder: str) -> None:
    """That a head which says that it fits ``encoder`` is on that one.

    Raises DetectorUnavailable when it is on another, or says nothing.
    """
    if not encoder:
        raise DetectorUnavailable(
            f"Nobody says for which CLIP the head '{head.name}' was made.",
            hint="Import it with `guard models import-head FILE --encoder ARCHITECTURE/TAG`.",
        )
    wanted, tag = _parts(encoder)
    here, here_tag = _in_policy(settings)
    if (wanted, tag or here_tag) == (here, here_tag):
        return
    place = f"{here}/{here_tag}" if here_tag else here
    hint = "Use the head that was made for this CLIP, or change the policy's clip section."
    if wanted == here and not here_tag:
        hint = f"If the local checkpoint holds these weights, say 'tag: {tag}' in the clip section."
    raise DetectorUnavailable(
        f"The head '{head.name}' was made for CLIP {encoder}, and the policy's is {place}.",
        hint=hint,
    )


def encoder_name(model: str) -> str:
    """An encoder's name as it stands in detector ids: of a folder or hub address, its end."""
    return model.rstrip("/").split("/")[-1].split(":")[-1]


def _in_policy(settings: ClipSettings) -> tuple[str, str]:
    """Architecture and tag of a clip section; no tag where a local checkpoint states none."""
    model = settings.model
    if model.startswith(("local-dir:", "hf-hub:")):
        return encoder_name(model), settings.tag
    local = settings.pretrained.endswith(SUFFIXES)
    return _parts(model)[0], settings.tag or ("" if local else settings.pretrained)


def _parts(encoder: str) -> tuple[str, str]:
    name, _, tag = encoder.rpartition("/")
    if not name or tag.isdigit():  # ViT-L/14
        name, tag = encoder, ""
    return name.replace("/", "-").removesuffix("-quickgelu"), tag
