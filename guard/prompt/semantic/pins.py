"""Which weights ship: written by datasets/semantic/ship.py."""

from typing import Final

VERSION: Final = "1"
SHA256: Final = "6582f5aa9366900021ba675282905f4e9f06b883d1aa423cddc2989d6eeb3c7b"
ENCODER_SHA256: Final = "bcd8c3d93f1cc0e6c6ff38c4b9b975a7fa331af8514e6d601909d3db39955b04"
TOKENIZER_SHA256: Final = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
