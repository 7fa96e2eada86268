"""Puts the trained weights into the package and pins their digests.

``python -m datasets.semantic.ship --work CACHE``.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from pathlib import Path
from typing import Final

from datasets.semantic.data import HEADS

PACKAGE: Final = Path(__file__).parents[2] / "guard" / "prompt" / "semantic"
VERSION: Final = "2"
_PINS: Final = '''"""Which weights ship: written by datasets/semantic/ship.py."""

from typing import Final

VERSION: Final = "{version}"
SHA256: Final = "{model}"
ENCODER_SHA256: Final = "{encoder}"
TOKENIZER_SHA256: Final = "{tokenizer}"
'''


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    target = PACKAGE / "weights" / "model.npz"
    shutil.copyfile(args.work / "model.npz", target)
    digests = {
        name: hashlib.sha256((PACKAGE / "weights" / file).read_bytes()).hexdigest()
        for name, file in (
            ("model", "model.npz"),
            ("encoder", "minilm.onnx"),
            ("tokenizer", "tokenizer.json"),
        )
    }
    (PACKAGE / "pins.py").write_text(_PINS.format(version=VERSION, **digests), encoding="utf-8")
    print(f"{target.stat().st_size:,} bytes, {len(HEADS)} heads, {digests['model']}")


if __name__ == "__main__":
    main()
