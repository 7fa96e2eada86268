"""CLIP through open_clip: one forward pass a picture, read by several heads.

An encoder is shared by one detector per head, so that each head keeps its own id
(``clip:<encoder>/<head>``), digest and scores, and a head can never hide another. The encoder
remembers the embeddings of the last pictures: whichever head asks first pays for the pass.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guard.classify.cards import check_fit, encoder_name, read_card, stated_encoder
from guard.classify.head_files import AnyHead, head_of, read_tensors
from guard.classify.heads import LOGIT_SCALE, Floats, Head, PromptHead, unit
from guard.classify.views import square_views
from guard.classify.weights import Weights, find_weights, offline
from guard.errors import DetectorUnavailable, StageMisbehaved
from guard.policy.model import ClipSettings, Concept
from guard.types import Pixels

REMEMBERED = 8
"""Embeddings kept: a picture is scored by all heads in a row, perhaps by several threads."""

ZERO_SHOT = "zero-shot"


class ClipEncoder:
    """Embeds pictures and texts. Safe to share between threads; opened at the first use.

    Takes the graphics card when there is one.
    """

    def __init__(self, settings: ClipSettings, *, models: Path | None = None) -> None:
        """``models`` is a folder that relative checkpoint paths are also looked up in."""
        self._settings = settings
        self._models = models
        self._lock = threading.RLock()
        self._recent: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()

    @property
    def name(self) -> str:
        """The model's name as it stands in detector ids."""
        return encoder_name(self._settings.model)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the checkpoint. Raises DetectorUnavailable when it is missing."""
        with self._lock:
            return self._digest

    def prepare(self) -> None:
        """Open the model now. Raises DetectorUnavailable."""
        with self._lock:
            _ = self._opened

    def embed(self, pixels: Pixels) -> NDArray[np.float32]:
        """(views, d): one embedding for each square view of an (h, w, 3) picture, not normalised.

        Raises DetectorUnavailable when the model cannot be opened, StageMisbehaved when it fails.
        """
        key = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
        with self._lock:
            if key not in self._recent:
                self._recent[key] = self._embed(square_views(pixels))
            self._recent.move_to_end(key)
            while len(self._recent) > REMEMBERED:
                self._recent.popitem(last=False)
            return self._recent[key]

    def embed_all(self, pictures: Sequence[Pixels]) -> list[NDArray[np.float32]]:
        """As :meth:`embed` for several pictures in one pass; nothing is remembered."""
        views = [square_views(pixels) for pixels in pictures]
        ends = np.cumsum([len(one) for one in views])
        with self._lock:
            rows = self._embed([view for one in views for view in one])
        return np.split(rows, ends[:-1])

    @property
    def dims(self) -> int:
        """How long an embedding is. Raises DetectorUnavailable."""
        with self._lock:
            return int(self._embed([np.zeros((8, 8, 3), np.uint8)]).shape[1])

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """(n, d): one embedding for each text, of length 1."""
        import torch

        with self._lock, offline():
            model, _, device = self._opened
            tokenizer = self._tokenizer
            try:
                tokens = tokenizer(list(texts)).to(device)
                with torch.inference_mode():
                    rows = model.encode_text(tokens)
            except Exception as error:
                raise StageMisbehaved(f"CLIP could not read the concepts: {error}") from error
            return unit(rows.float().cpu().numpy().astype(np.float64))

    @property
    def scale(self) -> float:
        """The model's own temperature, at most 100."""
        with self._lock:
            learned = getattr(self._opened[0], "logit_scale", None)
            if learned is None:
                return LOGIT_SCALE
            return min(float(learned.exp().item()), LOGIT_SCALE)

    def _embed(self, views: list[Pixels]) -> NDArray[np.float32]:
        import torch
        from PIL import Image

        model, transform, device = self._opened
        try:
            batch = torch.stack(
                [transform(Image.fromarray(np.ascontiguousarray(v))) for v in views]
            )
            with torch.inference_mode():
                rows = model.encode_image(batch.to(device)).float().cpu().numpy()
        except Exception as error:
            raise StageMisbehaved(f"CLIP could not score a picture: {error}") from error
        if rows.ndim != 2 or len(rows) != len(views) or not np.isfinite(rows).all():
            raise StageMisbehaved("CLIP answered something other than finite embeddings.")
        return np.asarray(rows, dtype=np.float32)

    @cached_property
    def _weights(self) -> Weights:
        settings = self._settings
        return find_weights(settings.model, settings.pretrained, self._models)

    @cached_property
    def _digest(self) -> str:
        with self._weights.checkpoint.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @cached_property
    def _opened(self) -> tuple[Any, Any, str]:
        weights = self._weights
        try:
            return _open(weights)
        except Exception as error:
            raise DetectorUnavailable(
                f"The CLIP checkpoint {weights.checkpoint.name} cannot be opened as "
                f"{self.name}: {error}",
                hint="Check 'model' and 'pretrained' in the policy's clip section; PyTorch files "
                "are opened only when they hold nothing but tensors.",
            ) from error

    @cached_property
    def _tokenizer(self) -> Any:
        import open_clip

        try:
            return open_clip.get_tokenizer(self._weights.architecture)
        except Exception as error:
            raise DetectorUnavailable(
                f"The tokenizer of CLIP {self.name} is not on this machine: {error}",
                hint="Run `guard models pull clip`.",
            ) from error


def _open(weights: Weights) -> tuple[Any, Any, str]:
    import open_clip
    import torch
    from open_clip.transform import PreprocessCfg, image_transform_v2

    device = "cuda" if torch.cuda.is_available() else "cpu"
    local = weights.architecture.startswith("local-dir:")
    with offline():
        model = open_clip.create_model(
            weights.architecture,
            pretrained=None if local else str(weights.checkpoint),
            device=device,
            force_quick_gelu=weights.quick_gelu,
            force_preprocess_cfg=weights.preprocess,
            pretrained_image=False,
            pretrained_text=False,
            require_pretrained=True,
            weights_only=True,
        )
    model.eval()
    config = open_clip.get_model_preprocess_cfg(model)
    transform = image_transform_v2(PreprocessCfg(**config), is_train=False)
    return model, transform, device


class ConceptHead:
    """Zero-shot: a picture against a policy's concepts in words, each against its neutral ones.

    Every prompt is put into each of the concept's templates; the mean of these embeddings, each of
    length 1, stands for the prompt (prompt ensembling: Radford et al., 2021, section 3.1.4).
    """

    def __init__(self, encoder: ClipEncoder, concepts: Sequence[Concept]) -> None:
        self._encoder = encoder
        self._concepts = tuple(concepts)

    @property
    def name(self) -> str:
        """``zero-shot``."""
        return ZERO_SHOT

    @property
    def categories(self) -> tuple[str, ...]:
        """The concepts' names."""
        return tuple(concept.name for concept in self._concepts)

    @property
    def digest(self) -> str:
        """SHA-256 over the concepts' words."""
        words = "\n".join(concept.model_dump_json() for concept in self._concepts)
        return hashlib.sha256(words.encode()).hexdigest()

    def scores(self, embeddings: NDArray[Any]) -> Floats:
        """See :class:`guard.classify.heads.Head`."""
        return self._embedded.scores(embeddings)

    def score(self, embedding: NDArray[Any]) -> Mapping[str, float]:
        """Of one embedding of shape (d,)."""
        return self._embedded.score(embedding)

    @cached_property
    def _embedded(self) -> PromptHead:
        rows = {
            concept.name: (
                self._ensemble(concept, concept.prompts),
                self._ensemble(concept, concept.neutral),
            )
            for concept in self._concepts
        }
        own = {one.name: 1 / one.temperature for one in self._concepts if one.temperature}
        return PromptHead(ZERO_SHOT, self.digest, rows, self._encoder.scale, own)

    def _ensemble(self, concept: Concept, prompts: Sequence[str]) -> Floats:
        texts = [one.replace("{}", prompt) for prompt in prompts for one in concept.templates]
        rows = self._encoder.embed_texts(texts)
        return unit(rows.reshape(len(prompts), len(concept.templates), -1).mean(axis=1))


class ClipDetector:
    """One head on a shared encoder. Of several views of a picture, the highest score counts."""

    def __init__(self, encoder: ClipEncoder, head: Head) -> None:
        self._encoder = encoder
        self._head = head

    @property
    def id(self) -> str:
        """``clip:<encoder>/<head>``."""
        return f"clip:{self._encoder.name}/{self._head.name}"

    @property
    def model_digest(self) -> str:
        """SHA-256 over the digests of checkpoint and head, hex."""
        both = f"{self._encoder.digest}\n{self._head.digest}"
        return hashlib.sha256(both.encode()).hexdigest()

    @property
    def embedder(self) -> ClipEncoder:
        """What embeds a picture, once for all heads that share it."""
        return self._encoder

    def prepare(self) -> None:
        """Open the model now. Raises DetectorUnavailable, also for a head that does not fit it."""
        self._encoder.prepare()
        if isinstance(self._head, AnyHead) and self._head.width != self._encoder.dims:
            raise DetectorUnavailable(
                f"The head '{self._head.name}' reads embeddings of {self._head.width} numbers, and "
                f"CLIP {self._encoder.name} makes {self._encoder.dims}.",
                hint="Use the head that was made for this CLIP model.",
            )

    def score(self, pixels: Pixels) -> Mapping[str, float]:
        """The head's categories for an (h, w, 3) picture.

        Raises DetectorUnavailable without weights, StageMisbehaved when model or head fail.
        """
        return self.score_embedded(self._encoder.embed(pixels))

    def score_embedded(self, rows: NDArray[np.float32]) -> Mapping[str, float]:
        """As :meth:`score`, from what the encoder made of the picture's views: (views, d)."""
        worst = self._head.scores(rows).max(axis=0)
        return dict(zip(self._head.categories, map(float, worst), strict=True))


def clip_detectors(
    settings: ClipSettings, *, models: Path | None = None
) -> tuple[ClipDetector, ...]:
    """The detectors of a policy's clip section: its concepts, if any, then its heads.

    Head paths may be relative to ``models``. Raises DetectorUnavailable when a head cannot be
    loaded or the section names nothing to score.
    """
    encoder = ClipEncoder(settings, models=models)
    heads: list[Head] = [ConceptHead(encoder, settings.concepts)] if settings.concepts else []
    heads += [_fitting_head(settings, _head_path(one, models)) for one in settings.heads]
    if not heads:
        raise DetectorUnavailable(
            "The policy's clip section names neither concepts nor heads.",
            hint="Add 'concepts' or 'heads' to it.",
        )
    return tuple(ClipDetector(encoder, head) for head in heads)


def _fitting_head(settings: ClipSettings, path: Path) -> AnyHead:
    tensors, metadata, digest = read_tensors(path)
    head, card = head_of(path, tensors, metadata, digest), read_card(path, digest)
    check_fit(settings, head, card.encoder if card else stated_encoder(path, metadata, head))
    return head


def _head_path(given: str, models: Path | None) -> Path:
    path = Path(given)
    if path.is_file() or models is None:
        return path
    return models / path
