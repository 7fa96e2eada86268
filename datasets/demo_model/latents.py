"""The latent code: a scene at 128 pixels, cut into 8×8 patches, each in 12 principal components.

The code is fixed by arithmetic before anything is trained, so the U-Net need not wait for
the autoencoder, whose encoder and decoder later learn the same code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from datasets.demo_model import shapes, world

#: Side of the picture that the code describes, of a patch, and of the latent grid.
PIXELS: Final = 128
PATCH: Final = 8
GRID: Final = PIXELS // PATCH
CHANNELS: Final = 12
#: Components are scaled to std^TAPER: 0 would whiten them, and spend the U-Net's effort
#: on the faintest ones; 1 would drown the edges in the flat areas.
TAPER: Final = 0.5
_PCA_SCENES: Final = 1500

Array = NDArray[np.float32]


def patches(planes: Array) -> Array:
    """(…, 128, 128) planes as (…, 256, 64) patches, row by row."""
    lead = planes.shape[:-2]
    cut = planes.reshape(*lead, GRID, PATCH, GRID, PATCH)
    return cut.swapaxes(-3, -2).reshape(*lead, GRID * GRID, PATCH * PATCH)


def colour(word: str) -> Array:
    """A palette colour in -1..1."""
    return np.asarray(world.PALETTE[word], np.float32) / 127.5 - 1.0


@dataclass(frozen=True)
class Codec:
    """A linear patch code. ``basis``: (12, 64, 3); ``mean``: (64, 3)."""

    basis: Array
    mean: Array

    def encode(self, image: Array) -> Array:
        """(3, 128, 128) in -1..1 to a latent (12, 16, 16)."""
        centred = patches(image) - self.mean.T[:, None, :]
        z = np.einsum("kpc,cnp->kn", self.basis, centred, optimize=True)
        return np.ascontiguousarray(z.reshape(CHANNELS, GRID, GRID))

    def decode(self, z: Array) -> Array:
        """The least-squares picture (3, 128, 128) of a latent (12, 16, 16), for quick looks."""
        inverse = np.linalg.pinv(self.basis.reshape(CHANNELS, -1))
        cut = (inverse @ z.reshape(CHANNELS, -1)).reshape(PATCH * PATCH, 3, GRID * GRID)
        cut = cut.transpose(1, 2, 0) + self.mean.T[:, None, :]
        grid = cut.reshape(3, GRID, GRID, PATCH, PATCH).swapaxes(2, 3)
        return np.ascontiguousarray(grid.reshape(3, PIXELS, PIXELS).astype(np.float32))

    def flat(self, colour_word: str) -> Array:
        """The latent (12,) of a patch of one colour."""
        centred = colour(colour_word)[None, :] - self.mean
        return np.asarray(np.einsum("kpc,pc->k", self.basis, centred), np.float32)

    def save(self, path: Path) -> None:
        """Write the code as .npz."""
        np.savez(path, basis=self.basis, mean=self.mean)

    @classmethod
    def load(cls, path: Path) -> Codec:
        """Read what ``save`` wrote."""
        with np.load(path) as data:
            return cls(data["basis"], data["mean"])

    @classmethod
    def fit(cls, seed: int = 0) -> Codec:
        """Principal components of 1,500 random training scenes."""
        rng = np.random.default_rng(seed)
        grid = shapes.pixel_grid(PIXELS)
        rows = []
        for _ in range(_PCA_SCENES):
            scene = world.random_scene(rng, test=False)
            cut = patches(flat_image(scene, rng, grid))
            rows.append(cut.transpose(1, 2, 0).reshape(GRID * GRID, -1))
        data = np.concatenate(rows)
        mean = data.mean(0)
        values, vectors = np.linalg.eigh(np.cov((data - mean).T))
        top = np.argsort(values)[::-1][:CHANNELS]
        scale = values[top] ** ((TAPER - 1.0) / 2.0)
        overall = np.sqrt(np.mean(values[top] * scale**2))
        basis = (vectors[:, top] * scale / overall).T
        shape = (CHANNELS, PATCH * PATCH, 3)
        return cls(basis.reshape(shape).astype(np.float32), mean.reshape(-1, 3).astype(np.float32))


def flat_image(scene: world.Scene, rng: np.random.Generator, grid: Any) -> Array:
    """The scene in flat colours, (3, 128, 128) in -1..1."""
    image = np.broadcast_to(colour(scene.background)[:, None, None], (3, PIXELS, PIXELS)).copy()
    for thing, slot in zip(scene.things, scene.slots, strict=True):
        dist = shapes.distance(thing.shape, world.spot(slot, rng), grid)
        mask = shapes.coverage(dist, PIXELS)
        image += mask * (colour(thing.colour)[:, None, None] - image)
    return image


class LatentPool:
    """Latents of random scenes without rendering.

    Shapes never overlap, so a scene's latent is the background's plus, per shape, a
    precomputed plane times the colour difference.
    """

    def __init__(self, codec: Codec, variants: int = 48, seed: int = 1) -> None:
        self._codec = codec
        self._variants = variants
        rng = np.random.default_rng(seed)
        grid = shapes.pixel_grid(PIXELS)
        basis = codec.basis.transpose(1, 0, 2).reshape(PATCH * PATCH, -1)
        self._planes: dict[tuple[str, str], NDArray[np.float16]] = {}
        for shape in shapes.SHAPES:
            for slot in world.SLOTS:
                masks = np.stack(
                    [
                        shapes.coverage(shapes.distance(shape, world.spot(slot, rng), grid), PIXELS)
                        for _ in range(variants)
                    ]
                )
                planes = (patches(masks) @ basis).astype(np.float16)
                self._planes[shape, slot] = planes.reshape(variants, GRID * GRID, CHANNELS, 3)
        self._flat = {word: codec.flat(word) for word in world.COLOURS}

    def latent(self, scene: world.Scene, rng: np.random.Generator) -> Array:
        """A latent (12, 16, 16) of ``scene`` with random jitter."""
        z = np.broadcast_to(self._flat[scene.background], (GRID * GRID, CHANNELS)).copy()
        for thing, slot in zip(scene.things, scene.slots, strict=True):
            plane = self._planes[thing.shape, slot][rng.integers(self._variants)]
            z += plane.astype(np.float32) @ (colour(thing.colour) - colour(scene.background))
        return np.ascontiguousarray(z.T.reshape(CHANNELS, GRID, GRID))
