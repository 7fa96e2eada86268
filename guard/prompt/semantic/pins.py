"""Which weights ship: written by datasets/semantic/ship.py."""

from typing import Final

VERSION: Final = "2"
SHA256: Final = "90a9ec85e47401faa8b6605afe403f015a0a373dd593bc0cb2e0c0d0f9c0d68b"
ENCODER_SHA256: Final = "eb4d52a349d2ab2c0077f60c767e741a1ce60f1b5fbb913d1975a1170bbd0a26"
TOKENIZER_SHA256: Final = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
