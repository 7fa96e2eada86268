from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from datasets.demo_model import captions, tokens, world
from guard.generate.demo import KNOWN_WORDS


def spell(word: str, ranks: dict[tuple[str, str], int]) -> list[str]:
    """Byte pair encoding as its inventors describe it: the earliest merge first."""
    pieces = [*word[:-1], word[-1] + "</w>"]
    while True:
        pairs = [pair for pair in pairwise(pieces) if pair in ranks]
        if not pairs:
            return pieces
        best = min(pairs, key=ranks.__getitem__)
        joined: list[str] = []
        rest: Iterator[str] = iter(pieces)
        for piece in rest:
            if joined and (joined[-1], piece) == best:
                joined[-1] += piece
            else:
                joined.append(piece)
        pieces = joined


def test_every_known_word_is_one_token() -> None:
    learned = tokens.merges()
    ranks = {pair: i for i, pair in enumerate(learned)}
    table = tokens.vocabulary(learned)
    for word in sorted(KNOWN_WORDS):
        assert spell(word, ranks) == [word + "</w>"]
        assert word + "</w>" in table


def test_token_ids_are_dense_and_the_end_mark_is_last() -> None:
    table = tokens.vocabulary(tokens.merges())
    assert sorted(table.values()) == list(range(len(table)))
    assert table["<|endoftext|>"] == len(table) - 1


def test_captions_fit_the_text_model() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        text = captions.plain_caption(world.random_scene(rng, test=False))
        assert len(text.replace(",", " ,").split()) + 2 <= tokens.MAX_TOKENS
