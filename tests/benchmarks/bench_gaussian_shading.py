"""Measure Gaussian Shading on a diffusion model: how much of the noise an inversion brings back.

    python tests/benchmarks/bench_gaussian_shading.py [--model DIR] [--count N] [--steps 20 50]

``--model``: a folder with a diffusers ``StableDiffusionPipeline``; the embedded model by default.
For each number of steps, ``count`` pictures are drawn from marked noise, without guidance, and
inverted with the same prompt. *latents*: what the U-Net drew, before the autoencoder. *pictures*: 8
bit pixels, encoded again. *JPEG 75*: those recoded. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402  # one thread must be set before NumPy is imported

from guard.types import Pixels  # noqa: E402
from guard.watermark.gaussian_shading import (  # noqa: E402
    GaussianShading,
    Latents,
    sign_error_rate,
)

SECRET: Final = b"the benchmark's secret, 32 bytes"
PROMPT: Final = "a red heart on a yellow background"
NOISES: Final = (0.5, 1.0, 2.0, 4.0)


class Model:
    """A pipeline that draws from given noise, and DDIM inversion with its parts."""

    def __init__(self, folder: Path) -> None:
        import torch
        from diffusers import DDIMInverseScheduler, StableDiffusionPipeline

        self.torch = torch
        torch.set_num_threads(1)
        self.pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
        self.pipeline.set_progress_bar_config(disable=True)
        self.inverse = DDIMInverseScheduler.from_config(self.pipeline.scheduler.config)
        config = self.pipeline.unet.config
        self.shape = (config.in_channels, config.sample_size, config.sample_size)

    def draw(self, noise: Latents, steps: int) -> Any:
        """The final latents."""
        return self.pipeline(
            PROMPT,
            latents=self.torch.from_numpy(noise)[None].to(self.pipeline.dtype),
            num_inference_steps=steps,
            guidance_scale=1.0,
            output_type="latent",
        ).images

    def decode(self, latents: Any) -> Pixels:
        """The picture that they stand for."""
        with self.torch.no_grad():
            scale = self.pipeline.vae.config.scaling_factor
            picture = self.pipeline.vae.decode(latents / scale).sample[0].float()
        levels = ((picture.clamp(-1, 1) + 1) * 127.5).round().byte()
        return np.asarray(levels.permute(1, 2, 0).numpy())

    def encode(self, pixels: Pixels) -> Any:
        """The latents that a picture may have been decoded from."""
        scaled = self.torch.from_numpy(pixels.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)
        with self.torch.no_grad():
            found = self.pipeline.vae.encode(
                scaled[None].to(self.pipeline.dtype)
            ).latent_dist.mode()
        return found * self.pipeline.vae.config.scaling_factor

    def invert(self, latents: Any, steps: int) -> Latents:
        """About the noise that ``latents`` were drawn from."""
        with self.torch.no_grad():
            text = self.pipeline.encode_prompt(PROMPT, "cpu", 1, False)[0]  # noqa: FBT003
            self.inverse.set_timesteps(steps)
            for step in self.inverse.timesteps:
                guess = self.pipeline.unet(latents, step, encoder_hidden_states=text).sample
                latents = self.inverse.step(guess, step, latents).prev_sample
        return np.asarray(latents[0].float().numpy())


def copies(model: Model, latents: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What is inverted: the latents themselves, and what is left after the picture was stored."""
    from guard.watermark.assurance import recoded

    pixels = model.decode(latents)
    yield "latents", lambda: latents
    yield "pictures", lambda: model.encode(pixels)
    yield "JPEG 75", lambda: model.encode(recoded(pixels, "jpeg", 75))


def measure(model: Model, mark: GaussianShading, steps: int, count: int) -> dict[str, Any]:
    """Shares over ``count`` pictures."""
    rows: dict[str, list[tuple[float, bool, float]]] = {}
    for seed in range(count):
        payload = np.random.default_rng(seed).bytes(8)
        noise = mark.sample(payload, slot=0, seed=seed)
        for name, copy in copies(model, model.draw(noise, steps)):
            found = model.invert(copy(), steps)
            reading = mark.read(found)
            right = reading.holds and reading.payload == payload and reading.p_value <= 1e-9
            signs = float(np.mean(np.signbit(found) == np.signbit(noise)))
            rows.setdefault(name, []).append((signs, right, reading.p_value))
        sys.stderr.write(f"\r{steps} steps: {seed + 1} of {count} ")
    sys.stderr.write("\n")
    return {
        name: {
            "signs right, %": round(100 * float(np.mean([one[0] for one in found])), 1),
            "payload read, %": round(100 * float(np.mean([one[1] for one in found])), 1),
            "largest p": max(one[2] for one in found),
        }
        for name, found in rows.items()
    }


def noisy(count: int) -> dict[str, Any]:
    """The same for (4, 64, 64) with normal noise in the place of an inversion, beside theory."""
    mark, report = GaussianShading(SECRET), {}
    for deviation in NOISES:
        rng, signs, right = np.random.default_rng(1), [], []
        for seed in range(count):
            payload = rng.bytes(8)
            noise = mark.sample(payload, slot=0, seed=seed)
            found = noise + deviation * rng.standard_normal(noise.shape)
            reading = mark.read(found.astype(np.float32))
            signs.append(float(np.mean(np.signbit(found) == np.signbit(noise))))
            right.append(reading.holds and reading.payload == payload)
        report[f"noise {deviation:g}"] = {
            "signs right, %": round(100 * float(np.mean(signs)), 2),
            "theory, %": round(100 * (1 - sign_error_rate(deviation)), 2),
            "payload read, %": round(100 * float(np.mean(right)), 1),
        }
    return report


def main() -> int:
    """Measure and print."""
    from guard.generate.demo import weights_dir

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=weights_dir())
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 50])
    options = parser.parse_args()
    model = Model(options.model)
    mark = GaussianShading(SECRET, model.shape, slots=4)
    report: dict[str, Any] = {"shape": model.shape, "pictures": options.count}
    for steps in options.steps:
        report[f"{steps} steps"] = measure(model, mark, steps, options.count)
    report["normal noise on (4, 64, 64)"] = noisy(10 * options.count)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
