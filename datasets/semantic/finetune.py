"""Fine-tunes the sentence encoder: all-MiniLM-L6-v2 with one linear head a category on top.

``python -m datasets.semantic.finetune --work CACHE --base FOLDER --run GROUP|no-i2p|all`` starts
from the model in ``FOLDER`` (sentence-transformers/all-MiniLM-L6-v2, Apache-2.0, as Transformers
stores it) and writes to ``CACHE``:

* ``GROUP`` (``01`` or ``23``): ``tuned-GROUP.npz``, logits of the rows in those folds and of
  the hard negatives, by a model that never saw their near-duplicate groups;
* ``no-i2p``: the same for every row, by a model that saw no I2P prompt and neither fold 0 nor 1;
* ``all``: ``tuned-all`` (the encoder that ships) and its heads in ``tuned-all.npz``.

The word embeddings stay as they are: a few thousand prompts would only bend the words they use.
What ships is a mean of the tuned and the original weights (Wortsman et al., *Robust fine-tuning of
zero-shot models*, 2022), which loses nothing here and keeps more of what the original knew.

Needs torch and transformers; about a quarter of an hour a run on one core. Seeded; prints figures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from datasets.semantic.data import HEADS
from datasets.semantic.embedding import WIDTH, embed, fit_heads
from datasets.semantic.splits import NEVER
from datasets.semantic.train import (
    EMBEDDED_COPRO,
    GROUPS,
    Prepared,
    prepare,
    teaching,
    weights_of,
)

Array = np.ndarray[Any, Any]

EPOCHS: Final = 2
BATCH: Final = 32
LONGEST: Final = 64
"""Tokens read of a prompt in training."""

RATE, HEAD_RATE, WARM_UP, DECAY, DROPOUT = 5e-5, 5e-3, 0.06, 0.01, 0.1
MIXED: Final = 0.8
"""Share of the tuned weights in the mean."""

AN_EPOCH: Final = {"copro": 3500, "copro-safe": 3500, "coco": 1500, "parti": 600, "dpg": 300}
"""Rows of the many-rowed sources that an epoch sees, drawn anew each time."""

TWICE: Final = "i2p"
SOURCE_WEIGHT: Final = {"copro": 0.5, "copro-safe": 0.5, "coco": 0.7}
OTHER_I2P: Final = 0.05
"""An I2P prompt of other categories is a weak negative: annotators chose one of several."""

SEED: Final = 1


class Tuner:
    """The encoder, its heads and the rows that teach them."""

    def __init__(self, data: Prepared, rows: Array, base: Path, work: Path) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer

        torch.manual_seed(SEED)
        torch.set_num_threads(1)
        self.torch, self.data, self.rows = torch, data, rows
        self.chance = np.random.default_rng(SEED)
        tokenizer = AutoTokenizer.from_pretrained(base)
        self.tokens = [
            tokenizer(text, truncation=True, max_length=LONGEST)["input_ids"]
            for text in data.corpus.texts
        ]
        self.length = np.array([len(one) for one in self.tokens])
        self.model = AutoModel.from_pretrained(base)
        for one in self.model.embeddings.parameters():
            one.requires_grad = False
        self.head = torch.nn.Linear(WIDTH, len(HEADS))
        self._start_head(work)
        self.before = [
            {name: value.clone() for name, value in part.state_dict().items()}
            for part in (self.model, self.head)
        ]

    def _start_head(self, work: Path) -> None:
        """Heads over the untouched encoder: the tuning need not find them first."""
        corpus, rows = self.data.corpus, self.rows
        weights = weights_of(self.data)[rows]
        copro = np.isin(corpus.source[rows], ["copro", "copro-safe"])
        weights = weights * np.where(copro, EMBEDDED_COPRO, 1.0)[:, None]
        meaning = embed(corpus.texts, work)[rows]
        heads, offsets = fit_heads(meaning, corpus.labels[rows], weights.astype(np.float32))
        self.head.weight.data = self.torch.tensor(heads.T.copy(), dtype=self.torch.float32)
        self.head.bias.data = self.torch.tensor(offsets, dtype=self.torch.float32)

    def embed(self, rows: Array) -> Any:
        """(rows, WIDTH) unit embeddings: the mean over tokens."""
        torch, longest = self.torch, int(self.length[rows].max())
        tokens = torch.zeros(len(rows), longest, dtype=torch.long)
        mask = torch.zeros(len(rows), longest)
        for place, row in enumerate(rows):
            tokens[place, : self.length[row]] = torch.tensor(self.tokens[row])
            mask[place, : self.length[row]] = 1
        hidden = self.model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return torch.nn.functional.normalize(mean, dim=1)

    def tune(self) -> None:
        """All epochs, then the mean with the original weights."""
        torch, functional = self.torch, self.torch.nn.functional
        plan = [batch for _ in range(EPOCHS) for batch in self._batches(self._an_epoch())]
        tuned = [one for one in self.model.parameters() if one.requires_grad]
        optimiser = torch.optim.AdamW(
            [
                {"params": tuned, "lr": RATE, "weight_decay": DECAY},
                {"params": self.head.parameters(), "lr": HEAD_RATE, "weight_decay": 0.0},
            ]
        )
        steps = len(plan)
        pace = torch.optim.lr_scheduler.LambdaLR(
            optimiser,
            lambda step: min(1, (step + 1) / (WARM_UP * steps)) * max(0.02, 1 - step / steps),
        )
        self.model.train()
        began, loss_sum = time.monotonic(), 0.0
        for step, batch in enumerate(plan, 1):
            logits = self.head(functional.dropout(self.embed(batch), DROPOUT))
            labels = torch.tensor(self.data.corpus.labels[batch])
            each = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
            loss = (each * torch.tensor(self._weights(batch))).sum() / BATCH
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimiser.step()
            pace.step()
            loss_sum += loss.item()
            if step % 100 == 0:
                print(f"{step}/{steps} loss {loss_sum / 100:.3f}, {time.monotonic() - began:.0f} s")
                loss_sum = 0.0
        self._mix()

    def logits(self, rows: Array) -> Array:
        """(rows, heads) logits."""
        self.model.eval()
        answer = np.zeros((len(rows), len(HEADS)), np.float32)
        order = np.argsort(self.length[rows])
        with self.torch.no_grad():
            for start in range(0, len(order), 64):
                part = order[start : start + 64]
                answer[part] = self.head(self.embed(rows[part])).numpy()
        return answer

    def _mix(self) -> None:
        for part, before in zip((self.model, self.head), self.before, strict=True):
            now = part.state_dict()
            part.load_state_dict(
                {
                    name: MIXED * value + (1 - MIXED) * before[name]
                    if value.is_floating_point()
                    else value
                    for name, value in now.items()
                }
            )

    def _an_epoch(self) -> Array:
        source = self.data.corpus.source[self.rows]
        drawn = []
        for one in np.unique(source):
            rows = self.rows[source == one]
            most = AN_EPOCH.get(str(one), len(rows))
            if len(rows) > most:
                rows = self.chance.choice(rows, most, replace=False)
            drawn.append(np.concatenate([rows, rows]) if one == TWICE else rows)
        return np.concatenate(drawn)

    def _batches(self, rows: Array) -> Iterator[Array]:
        """Batches of rows of like length, in random order."""
        rows = self.chance.permutation(rows)
        batches = []
        for start in range(0, len(rows), BATCH * 50):
            part = rows[start : start + BATCH * 50]
            part = part[np.argsort(self.length[part], kind="stable")]
            batches += [part[at : at + BATCH] for at in range(0, len(part), BATCH)]
        return (batches[one] for one in self.chance.permutation(len(batches)))

    def _weights(self, rows: Array) -> Array:
        corpus = self.data.corpus
        source = corpus.source[rows]
        scale = np.array([SOURCE_WEIGHT.get(str(one), 1.0) for one in source], np.float32)
        weights = corpus.weights[rows] * scale[:, None]
        weights[(source == "i2p")[:, None] & (corpus.labels[rows] == 0)] *= OTHER_I2P
        return np.asarray(weights, np.float32)


def run(name: str, work: Path, base: Path) -> None:
    """One run: tune and write."""
    data = prepare(work)
    every, i2p = np.arange(len(data.fold)), data.corpus.source == "i2p"
    held = GROUPS.get(name, (0, 1) if name == "no-i2p" else ())
    teaches = teaching(data) & ~np.isin(data.fold, held) & ~(i2p & (name == "no-i2p"))
    tuner = Tuner(data, every[teaches], base, work)
    tuner.tune()
    if name == "all":
        tuner.model.save_pretrained(work / "tuned-all")
        heads, offsets = tuner.head.weight.detach().numpy().T, tuner.head.bias.detach().numpy()
        np.savez(work / "tuned-all.npz", heads=heads, offsets=offsets)
        return
    asked = np.isin(data.fold, held) | (data.fold == NEVER) | (i2p & (name == "no-i2p"))
    np.savez(work / f"tuned-{name}.npz", rows=every[asked], logits=tuner.logits(every[asked]))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--run", nargs="+", choices=[*GROUPS, "no-i2p", "all"], required=True)
    args = parser.parse_args()
    for name in args.run:
        run(name, args.work, args.base)
        print(f"done: {name}", flush=True)


if __name__ == "__main__":
    main()
