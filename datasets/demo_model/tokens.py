"""A CLIP tokenizer whose byte pairs merge every known word into one token."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from guard.generate.demo.vocabulary import KNOWN_WORDS, PUNCTUATION

#: Longest caption in tokens, both end marks included.
MAX_TOKENS: Final = 32
_START, _END = "<|startoftext|>", "<|endoftext|>"
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


def merges() -> list[tuple[str, str]]:
    """Byte pair merges, most frequent first, until each known word is a single piece."""
    spelled = {word: [*word[:-1], word[-1] + "</w>"] for word in sorted(KNOWN_WORDS)}
    learned: list[tuple[str, str]] = []
    while pairs := Counter(p for s in spelled.values() for p in pairwise(s)):
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        learned.append(best)
        for word, pieces in spelled.items():
            spelled[word] = _merge(pieces, best)
    return learned


def _merge(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    for piece in pieces:
        if out and (out[-1], piece) == pair:
            out[-1] += piece
        else:
            out.append(piece)
    return out


def vocabulary(learned: list[tuple[str, str]]) -> dict[str, int]:
    """Token ids: letters, letters that end a word, punctuation, merged pieces, end marks."""
    singles = [*_LETTERS, *PUNCTUATION, "'", "-"]
    tokens = [*singles, *(single + "</w>" for single in singles)]
    tokens += [a + b for a, b in learned]
    return {token: i for i, token in enumerate([*dict.fromkeys(tokens), _START, _END])}


def build_tokenizer(folder: Path) -> Any:
    """Write vocab.json and merges.txt into ``folder`` and open them as a CLIPTokenizer."""
    from transformers import CLIPTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    learned = merges()
    table = vocabulary(learned)
    (folder / "vocab.json").write_text(json.dumps(table, ensure_ascii=False))
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in learned)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "CLIPTokenizer", "model_max_length": MAX_TOKENS})
    )
    return CLIPTokenizer.from_pretrained(folder)
