"""What a caption says, as classes: teaches the text encoder directly, beside the pictures.

The U-Net's gradient alone teaches a small text encoder slowly which colour belongs to which
shape. These heads read that off its last token; they are thrown away after training.
"""

from __future__ import annotations

from typing import Any, Final

from datasets.demo_model.shapes import SHAPES
from datasets.demo_model.world import COLOURS, SLOTS, Scene

NOTHING: Final = 0
#: Classes of a slot: nothing there, or a colour and a shape.
_SHAPE_CLASSES: Final = len(SHAPES) + 1
_COLOUR_CLASSES: Final = len(COLOURS) + 1
_SLOT_CLASSES: Final = _SHAPE_CLASSES + _COLOUR_CLASSES
IGNORED: Final = -100
#: Length of :func:`classes`.
COLUMNS: Final = 2 * len(SLOTS) + 1


def build_heads(width: int) -> Any:
    """Linear heads over a text vector (n, width): every slot's shape and colour, background."""
    import torch

    return torch.nn.Linear(width, len(SLOTS) * _SLOT_CLASSES + len(COLOURS))


def classes(scene: Scene) -> list[int]:
    """(shape, colour) of every slot, 0 where nothing is, then the background."""
    stood = dict(zip(scene.slots, scene.things, strict=True))
    found: list[int] = []
    for slot in SLOTS:
        thing = stood.get(slot)
        if thing is None:
            found += [NOTHING, NOTHING]
        else:
            found += [list(SHAPES).index(thing.shape) + 1, COLOURS.index(thing.colour) + 1]
    return [*found, COLOURS.index(scene.background)]


def loss(heads: Any, said: Any, truth: Any) -> Any:
    """Mean cross-entropy of what the last token of ``said`` (n, tokens, width) tells.

    ``truth``: (n, 2 · slots + 1) of :func:`classes`; rows of ``IGNORED`` have no caption. Slots
    that hold something count as much together as all the empty ones.
    """
    from torch.nn.functional import cross_entropy

    told = heads(said[:, -1])
    slots = told[:, : len(SLOTS) * _SLOT_CLASSES].reshape(len(told), len(SLOTS), _SLOT_CLASSES)
    shape, colour = slots[..., :_SHAPE_CLASSES], slots[..., _SHAPE_CLASSES:]
    background = told[:, len(SLOTS) * _SLOT_CLASSES :]
    known = truth[:, -1] != IGNORED
    if not bool(known.any()):
        return told.sum() * 0.0
    filled = truth[known][:, 1:-1:2] > NOTHING
    total = cross_entropy(background[known], truth[known, -1])
    for guess, column in ((shape[known], truth[known][:, 0:-1:2]),
                          (colour[known], truth[known][:, 1:-1:2])):  # fmt: skip
        total = total + cross_entropy(guess[filled], column[filled])
        total = total + cross_entropy(guess[~filled], column[~filled])
    return total / 5.0
