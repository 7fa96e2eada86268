"""Train the U-Net and the text encoder together.

    python -m datasets.demo_model.train_unet --work DIR --minutes 90

Stop it at any time; the same command goes on. Every ten minutes a contact sheet appears
in the work folder.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np

from datasets.demo_model import attributes, captions, latents, loop, model, tokens, world
from guard.generate.demo import vocabulary as words

_PEAK_RATE: Final = 1e-3
_EMPTY_CAPTIONS: Final = 0.1
#: Weight of what the text encoder is asked about captions.
_ATTRIBUTES: Final = 0.2
_SHEET_EVERY_S: Final = 600.0
_SHEET_CAPTIONS: Final = 24


class Batches:
    """Endless latents and token ids of training scenes."""

    def __init__(self, codec: latents.Codec, tokenizer: Any, seed: int) -> None:
        self._pool = latents.LatentPool(codec)
        self._tokenizer = tokenizer
        self._rng = np.random.default_rng(seed)

    def reseed(self, seed: int) -> None:
        """Go on with other scenes than before, after a resume."""
        self._rng = np.random.default_rng(seed)

    def take(self, count: int) -> tuple[Any, Any, Any]:
        """Latents (count, 12, 16, 16), token ids (count, 32), classes (see ``attributes``)."""
        import torch

        scenes = [world.random_scene(self._rng, test=False) for _ in range(count)]
        z = np.stack([self._pool.latent(scene, self._rng) for scene in scenes])
        texts = [
            "" if self._rng.random() < _EMPTY_CAPTIONS else captions.caption(scene, self._rng)
            for scene in scenes
        ]
        truth = [
            attributes.classes(scene) if told(text) else [attributes.IGNORED] * attributes.COLUMNS
            for scene, text in zip(scenes, texts, strict=True)
        ]
        return torch.from_numpy(z), tokenize(self._tokenizer, texts), torch.tensor(truth)


def told(text: str) -> bool:
    """Whether a caption says everything about its scene: some leave the background out."""
    return any(noun in text for noun in words.BACKGROUND_NOUNS)


def tokenize(tokenizer: Any, texts: list[str]) -> Any:
    """Token ids (n, 32), padded and cut as the pipeline does it."""
    return tokenizer(
        texts,
        padding="max_length",
        truncation=True,
        max_length=tokens.MAX_TOKENS,
        return_tensors="pt",
    ).input_ids


class Trainer:
    """One joint model of U-Net and text encoder, its average, optimiser and noise schedule.

    Each core works alone on its share of the batch with a replica that shares the weights:
    on two busy cores that is a third faster than both cores inside every operation.
    """

    def __init__(self, batches: Batches, clock: loop.Clock, tokenizer: Any, cores: int) -> None:
        import torch

        self._batches, self._clock = batches, clock
        self.module = torch.nn.ModuleDict(
            {
                "unet": model.build_unet(),
                "text_encoder": model.build_text_encoder(tokenizer),
                "heads": attributes.build_heads(model.TEXT_WIDTH),
            }
        ).train()
        self.module["unet"].to(memory_format=torch.channels_last)
        self.average = loop.Average(self.module)
        self.optimiser = torch.optim.AdamW(
            self.module.parameters(),
            lr=_PEAK_RATE,
            betas=(0.9, 0.99),
            weight_decay=0.01,
            fused=True,
        )
        self._signal = model.build_scheduler().alphas_cumprod
        self._replicas = [self.module, *(_replica(self.module) for _ in range(cores - 1))]
        self._workers = ThreadPoolExecutor(cores)

    def start_from(self, path: Path) -> None:
        """Take over the averaged weights of an earlier run, whatever it had of today's parts."""
        import torch

        earlier = torch.load(path, weights_only=True)["average"]
        self.module.load_state_dict(earlier, strict=False)
        if "unet.add_embedding.proj.weight" not in earlier:
            # The new path starts silent: what was learned stays as it was.
            torch.nn.init.zeros_(self.module["unet"].add_embedding.norm2.weight)
            torch.nn.init.zeros_(self.module["unet"].add_embedding.norm2.bias)
        self.average.module.load_state_dict(self.module.state_dict())

    def take_step(self, batch: int) -> float:
        """One optimiser step on a fresh batch; the mean squared error of v."""
        import torch

        z, ids, truth = self._batches.take(batch)
        # One timestep in each of ``batch`` strata: less noise in the loss than chance. The root
        # favours noisy steps, where it is decided what stands where.
        t = ((torch.arange(len(z)) + torch.rand(len(z))) / len(z)).sqrt() * len(self._signal)
        noise = torch.randn_like(z)
        cores = len(self._replicas)
        shares = zip(*(part.chunk(cores) for part in (z, ids, t.long(), noise, truth)), strict=True)
        losses = list(self._workers.map(self._gradients, self._replicas, shares))
        self._descend()
        return sum(losses) / cores

    def _gradients(self, replica: Any, share: tuple[Any, ...]) -> float:
        import torch

        z, ids, t, noise, truth = share
        kept = self._signal[t].view(-1, 1, 1, 1)
        noisy = kept.sqrt() * z + (1 - kept).sqrt() * noise
        target = kept.sqrt() * noise - (1 - kept).sqrt() * z
        said = replica["text_encoder"](ids).last_hidden_state
        noisy = noisy.contiguous(memory_format=torch.channels_last)
        guess = replica["unet"](noisy, t, encoder_hidden_states=said).sample
        loss = torch.nn.functional.mse_loss(guess, target)
        asked = _ATTRIBUTES * attributes.loss(replica["heads"], said, truth)
        ((loss + asked) / len(self._replicas)).backward()
        return float(loss.detach())

    def _descend(self) -> None:
        import torch

        for other in self._replicas[1:]:
            for mine, theirs in zip(self.module.parameters(), other.parameters(), strict=True):
                if mine.grad is not None:
                    mine.grad += theirs.grad
                theirs.grad = None
        for group in self.optimiser.param_groups:
            group["lr"] = self._clock.rate(_PEAK_RATE)
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.average.update(self.module)


def _replica(module: Any) -> Any:
    """A copy that shares the weights and has gradients of its own."""
    twin = copy.deepcopy(module)
    for mine, theirs in zip(module.parameters(), twin.parameters(), strict=True):
        theirs.data = mine.data
    return twin


def sample_latents(parts: Any, tokenizer: Any, texts: list[str], *, guidance: float = 3.5) -> Any:
    """Latents (n, 12, 16, 16) drawn in 20 DDIM steps."""
    import torch

    scheduler = model.build_scheduler()
    scheduler.set_timesteps(20)
    z = torch.randn(
        (len(texts), latents.CHANNELS, latents.GRID, latents.GRID),
        generator=torch.Generator().manual_seed(0),
    )
    with torch.no_grad():
        ids = tokenize(tokenizer, [""] * len(texts) + texts)
        said = parts["text_encoder"](ids).last_hidden_state
        for t in scheduler.timesteps:
            guess = parts["unet"](torch.cat([z, z]), t, encoder_hidden_states=said).sample
            plain, told = guess.chunk(2)
            z = scheduler.step(plain + guidance * (told - plain), t, z).prev_sample
    return z


def contact_sheet(parts: Any, tokenizer: Any, codec: latents.Codec, path: Path) -> None:
    """Draw 24 captions that training never saw, and write them side by side."""
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(99)
    texts = [
        captions.plain_caption(world.random_scene(rng, test=True)) for _ in range(_SHEET_CAPTIONS)
    ]
    side = latents.PIXELS + 16
    sheet = Image.new("RGB", (6 * 2 * side, 4 * side), "white")
    pen = ImageDraw.Draw(sheet)
    for i, z in enumerate(sample_latents(parts, tokenizer, texts).numpy()):
        pixels = ((codec.decode(z) + 1.0) * 127.5).clip(0, 255).astype(np.uint8)
        x, y = i % 6 * 2 * side, i // 6 * side
        sheet.paste(Image.fromarray(pixels.transpose(1, 2, 0)), (x, y + 12))
        pen.text((x, y), texts[i], fill="black")
    sheet.save(path)


def main() -> None:
    """Train for the planned minutes, or go on with a run that was stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="checkpoints and sheets")
    parser.add_argument("--minutes", type=float, default=90.0, help="planned training time")
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--start-from", type=Path, help="weights of an earlier run's unet.pt")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    import torch

    torch.set_num_threads(1)
    given.work.mkdir(parents=True, exist_ok=True)
    codec = open_codec(given.work)
    tokenizer = tokens.build_tokenizer(given.work / "tokenizer")
    clock = loop.Clock(given.minutes * 60.0)
    torch.manual_seed(given.seed)
    batches = Batches(codec, tokenizer, given.seed)
    trainer = Trainer(batches, clock, tokenizer, given.cores)
    parts = {
        "model": trainer.module,
        "average": trainer.average.module,
        "optimiser": trainer.optimiser,
    }
    saved = loop.Checkpoint(given.work / "unet.pt", parts)
    if given.start_from is not None and not (given.work / "unet.pt").is_file():
        trainer.start_from(given.start_from)
    if saved.load(clock):
        torch.manual_seed(given.seed + clock.step)
        trainer.optimiser.param_groups[0]["fused"] = True
        batches.reseed(given.seed + clock.step)

    def draw_sheet(path: Path) -> None:
        contact_sheet(trainer.average.module, tokenizer, codec, path)

    sheets = Sheets(given.work, draw_sheet)

    def step() -> float:
        sheets.draw_if_due()
        return trainer.take_step(given.batch)

    loop.run("U-Net", clock, step, saved, given.work / "unet.jsonl")
    draw_sheet(given.work / "sheet-final.png")


def open_codec(work: Path) -> latents.Codec:
    """The latent code of this work folder, fitted at first use."""
    path = work / "codec.npz"
    if not path.is_file():
        latents.Codec.fit().save(path)
    return latents.Codec.load(path)


class Sheets:
    """A contact sheet every ten minutes."""

    def __init__(self, work: Path, draw: Callable[[Path], None]) -> None:
        self._work, self._draw = work, draw
        self._last = time.monotonic()

    def draw_if_due(self) -> None:
        """Draw one if the last is ten minutes old."""
        if time.monotonic() - self._last > _SHEET_EVERY_S:
            self._draw(self._work / f"sheet-{time.strftime('%H%M')}.png")
            self._last = time.monotonic()


if __name__ == "__main__":
    main()
