"""How a scene looks at full size: flat colours with a bevelled rim and a soft shadow.

Everything here is a function of the outline nearby, so a convolutional decoder can learn
it from latents that know nothing but flat colours.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from datasets.demo_model import latents, shapes, world

Array = NDArray[np.float32]
Spots = tuple[tuple[float, float, float], ...]

#: In frame widths: how far the shadow falls, how soft it is; and how dark.
_SHADOW_X: Final = 0.006
_SHADOW_Y: Final = 0.010
_SHADOW_BLUR: Final = 0.022
_SHADOW_DEPTH: Final = 0.30
#: In frame widths: how far the rim's light reaches inwards; and how strong it is.
_RIM: Final = 0.010
_RIM_LIGHT: Final = 0.30
#: Direction to the light: up and a little left.
_LIGHT: Final = (-0.5, -0.87)


def spots_of(scene: world.Scene, rng: np.random.Generator) -> Spots:
    """A jittered spot for each thing of the scene."""
    return tuple(world.spot(slot, rng) for slot in scene.slots)


def flat(scene: world.Scene, spots: Spots, grid: Any) -> Array:
    """The picture that the latent code describes, (3, 128, 128) in -1..1."""
    size = latents.PIXELS
    image = np.broadcast_to(latents.colour(scene.background)[:, None, None], (3, size, size))
    for thing, place in zip(scene.things, spots, strict=True):
        mask = shapes.coverage(shapes.distance(thing.shape, place, grid), size)
        image = image + mask * (latents.colour(thing.colour)[:, None, None] - image)
    return image.astype(np.float32)


def styled(scene: world.Scene, spots: Spots, grid: Any) -> Array:
    """The picture for the eye, (3, n, n) in -1..1, on an n×n ``grid``."""
    size = grid[0].shape[0]
    image = np.broadcast_to(latents.colour(scene.background)[:, None, None], (3, size, size))
    for thing, (x, y, radius) in zip(scene.things, spots, strict=True):
        far = shapes.distance(thing.shape, (x + _SHADOW_X, y + _SHADOW_Y, radius), grid)
        fall = np.clip(0.5 - far / np.float32(2 * _SHADOW_BLUR), 0.0, 1.0)
        shade = fall * fall * (3.0 - 2.0 * fall) * np.float32(_SHADOW_DEPTH)
        image = image + shade * (-1.0 - image)
        dist = shapes.distance(thing.shape, (x, y, radius), grid)
        lit = _lit(latents.colour(thing.colour), dist)
        image = image + shapes.coverage(dist, size) * (lit - image)
    return image.astype(np.float32)


def _lit(colour: Array, dist: Array) -> Array:
    """The colour, lighter where the rim faces the light and darker where it turns away."""
    down, right = np.gradient(dist)
    length = np.maximum(np.hypot(down, right), 1e-6)
    facing = (right * _LIGHT[0] + down * _LIGHT[1]) / length
    amount = facing * np.exp(np.minimum(dist, 0.0) / np.float32(_RIM)) * np.float32(_RIM_LIGHT)
    base = colour[:, None, None]
    return base + np.maximum(amount, 0.0) * (1.0 - base) + np.minimum(amount, 0.0) * (base + 1.0)
