"""Train the autoencoder towards the latent code that is already fixed.

    python -m datasets.demo_model.train_vae --work DIR --minutes 90

Four phases, by share of the planned time: the decoder's lower blocks at 128 px, its upper
blocks at 512 px, the whole decoder at 512 px, and at last the encoder. The U-Net does not
need any of it, so both may run side by side.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from datasets.demo_model import latents, loop, model, shapes, style, world
from datasets.demo_model.train_unet import open_codec

#: (name, share of the planned time at which the phase ends, peak learning rate, batch).
PHASES: Final = (
    ("low", 0.24, 2e-3, 8),
    ("top", 0.38, 2e-3, 2),
    ("whole", 0.95, 1e-3, 2),
    ("encoder", 1.0, 1e-3, 2),
)
#: After how many upward blocks the lower part ends, at 128 px.
_LOW_BLOCKS: Final = 3
#: Latents of a trained U-Net are a little off; the decoder learns to forgive up to this.
_LATENT_NOISE: Final = 0.15
#: How much outlines count beside flat areas.
_EDGE_WEIGHT: Final = 0.5


class Pictures:
    """Endless pairs of latents and styled pictures."""

    def __init__(self, codec: latents.Codec, seed: int) -> None:
        self._codec = codec
        self._rng = np.random.default_rng(seed)
        self._grids = {size: shapes.pixel_grid(size) for size in (latents.PIXELS, 512)}

    def take(self, count: int, size: int) -> tuple[Any, Any]:
        """Latents (count, 12, 16, 16) and pictures (count, 3, size, size)."""
        import torch

        codes, images = [], []
        for _ in range(count):
            scene = world.random_scene(self._rng, test=False)
            spots = style.spots_of(scene, self._rng)
            codes.append(self._codec.encode(style.flat(scene, spots, self._grids[latents.PIXELS])))
            images.append(style.styled(scene, spots, self._grids[size]))
        return torch.from_numpy(np.stack(codes)), torch.from_numpy(np.stack(images))


def picture_loss(guess: Any, target: Any) -> Any:
    """Mean absolute error of pixels and of neighbour differences."""
    loss = (guess - target).abs().mean()
    for axis in (-1, -2):
        step = guess.diff(dim=axis) - target.diff(dim=axis)
        loss = loss + _EDGE_WEIGHT * step.abs().mean()
    return loss


class Trainer:
    """The autoencoder and a throw-away head that shows the lower blocks' picture."""

    def __init__(self, pictures: Pictures, clock: loop.Clock) -> None:
        import torch

        vae = model.build_vae()
        width = model.VAE_CHANNELS[::-1][_LOW_BLOCKS - 1]
        head = torch.nn.Conv2d(width, 3, 1)
        self.module = torch.nn.ModuleDict({"vae": vae, "head": head}).train()
        self.optimiser = torch.optim.AdamW(
            self.module.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0
        )
        self._pictures, self._clock = pictures, clock

    def take_step(self) -> float:
        """One step of the phase that the clock says."""
        import torch

        name, rate, batch = self._phase()
        z, target = self._pictures.take(batch, latents.PIXELS if name == "low" else 512)
        if name == "encoder":
            loss = torch.nn.functional.mse_loss(self._encode(target), z)
        else:
            noise = torch.randn_like(z) * torch.rand(len(z), 1, 1, 1) * _LATENT_NOISE
            loss = picture_loss(self._draw(z + noise, name), target)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimiser.step()
        return float(loss.detach())

    def _phase(self) -> tuple[str, float, int]:
        ends = [end for _, end, _, _ in PHASES]
        index = sum(self._clock.share >= end for end in ends[:-1])
        name, end, peak, batch = PHASES[index]
        start = ends[index - 1] if index else 0.0
        local = min(1.0, (self._clock.share - start) / (end - start))
        warm = min(1.0, (self._clock.step + 1) / 50)
        return name, peak * warm * (0.02 + 0.49 * (1.0 + math.cos(math.pi * local))), batch

    def _draw(self, z: Any, phase: str) -> Any:
        import torch

        decoder = self.module["vae"].decoder
        with torch.set_grad_enabled(phase != "top"):
            x = decoder.mid_block(decoder.conv_in(z))
            for block in decoder.up_blocks[:_LOW_BLOCKS]:
                x = block(x)
        if phase == "low":
            return self.module["head"](x)
        for block in decoder.up_blocks[_LOW_BLOCKS:]:
            x = block(x)
        return decoder.conv_out(decoder.conv_act(decoder.conv_norm_out(x)))

    def _encode(self, image: Any) -> Any:
        return self.module["vae"].encoder(image)[:, : latents.CHANNELS]


def silence_variance(vae: Any) -> None:
    """Make the encoder's log-variance its lowest value everywhere: encoding is certain."""
    import torch

    with torch.no_grad():
        vae.encoder.conv_out.weight[latents.CHANNELS :] = 0.0
        vae.encoder.conv_out.bias[latents.CHANNELS :] = -30.0


def main() -> None:
    """Train for the planned minutes, or go on with a run that was stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="checkpoints")
    parser.add_argument("--minutes", type=float, default=90.0, help="planned CPU time a thread")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    import torch

    torch.set_num_threads(given.threads)
    given.work.mkdir(parents=True, exist_ok=True)
    clock = loop.Clock(given.minutes * 60.0 * given.threads, now=time.process_time)
    torch.manual_seed(given.seed)
    pictures = Pictures(open_codec(given.work), given.seed)
    trainer = Trainer(pictures, clock)
    parts = {"model": trainer.module, "optimiser": trainer.optimiser}
    saved = loop.Checkpoint(given.work / "vae.pt", parts)
    if saved.load(clock):
        torch.manual_seed(given.seed + clock.step)
    loop.run("Autoencoder", clock, trainer.take_step, saved, given.work / "vae.jsonl")


if __name__ == "__main__":
    main()
