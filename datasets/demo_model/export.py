"""Put the trained parts together as the packaged pipeline.

python -m datasets.demo_model.export --work DIR --out guard/generate/demo/weights
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from datasets.demo_model import attributes, model, tokens, train_vae


def trained_parts(work: Path) -> dict[str, Any]:
    """The parts of a StableDiffusionPipeline from the checkpoints in ``work``.

    Raises FileNotFoundError where ``train_unet`` or ``train_vae`` has not run yet.
    """
    import torch

    tokenizer = tokens.build_tokenizer(work / "tokenizer")
    joint = torch.nn.ModuleDict(
        {
            "unet": model.build_unet(),
            "text_encoder": model.build_text_encoder(tokenizer),
            "heads": attributes.build_heads(model.TEXT_WIDTH),  # only training needs them
        }
    )
    joint.load_state_dict(torch.load(work / "unet.pt", weights_only=True)["average"])
    vae = model.build_vae()
    state = torch.load(work / "vae.pt", weights_only=True)["model"]
    vae.load_state_dict(
        {name.removeprefix("vae."): value for name, value in state.items() if "vae." in name[:4]}
    )
    train_vae.silence_variance(vae)
    return {
        "tokenizer": tokenizer,
        "text_encoder": joint["text_encoder"].eval(),
        "unet": joint["unet"].eval(),
        "vae": vae.eval(),
        "scheduler": model.build_scheduler(),
    }


def main() -> None:
    """Write the pipeline folder, replacing what was there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="the trainings' work folder")
    parser.add_argument("--out", type=Path, required=True, help="the pipeline folder to write")
    given = parser.parse_args()
    parts = trained_parts(given.work)
    shutil.rmtree(given.out, ignore_errors=True)
    model.save_pipeline(given.out, parts)
    # transformers 4 opens these two, transformers 5 the tokenizer.json that it wrote itself.
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(given.work / "tokenizer" / name, given.out / "tokenizer" / name)
    total = sum(path.stat().st_size for path in given.out.rglob("*") if path.is_file())
    print(f"{given.out}: {total / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
