"""Puts the weights of a run into the package and pins their digests.

``python -m datasets.semantic.ship --work CACHE [--run all]``.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from pathlib import Path
from typing import Final

from datasets.semantic.data import HEADS

PACKAGE: Final = Path(__file__).parents[2] / "guard" / "prompt" / "semantic"
VERSION: Final = "1"
_PINS: Final = '''"""Which weights ship: written by datasets/semantic/ship.py."""

from typing import Final

VERSION: Final = "{version}"
SHA256: Final = "{model}"
TOKENIZER_SHA256: Final = "{tokenizer}"
'''


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--run", default="all")
    args = parser.parse_args()
    target = PACKAGE / "weights" / "model.npz"
    shutil.copyfile(args.work / args.run / "model.npz", target)
    digests = {
        name: hashlib.sha256((PACKAGE / "weights" / file).read_bytes()).hexdigest()
        for name, file in (("model", "model.npz"), ("tokenizer", "tokenizer.json"))
    }
    (PACKAGE / "pins.py").write_text(_PINS.format(version=VERSION, **digests), encoding="utf-8")
    print(f"{target.stat().st_size:,} bytes, {len(HEADS)} heads, {digests['model']}")


if __name__ == "__main__":
    main()
