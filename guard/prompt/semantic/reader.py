"""What a prompt means, whatever its words: probabilities by category, findings by rule.

Two stages: hashed n-grams always; a sentence encoder where they do not say "clearly harmless".
Both are read window by window, and the worst window counts.
"""

from __future__ import annotations

import functools
from typing import Final, Literal, NamedTuple

import numpy as np

from guard.policy.model import Policy, SemanticRule
from guard.prompt.semantic.encoder import Encoder
from guard.prompt.semantic.hashed import Floats
from guard.prompt.semantic.language import is_english
from guard.prompt.semantic.pins import VERSION
from guard.prompt.semantic.weights import Weights, open_weights
from guard.prompt.semantic.windows import Window, clauses, windows
from guard.types import Finding

Kind = Literal["embedding", "hashed"]

HEADS: Final = ("sexual", "violence", "hate", "harassment", "self-harm", "shocking", "illegal")
"""What the model tells apart; rules name these. I2P's seven categories."""

SOURCE: Final = f"semantic/{VERSION}"
EMBEDDED_WINDOWS: Final = 4
"""Of a long text the encoder reads the windows that the first stage finds worst."""
CLAUSES: Final = 64
"""More clauses than this in one window are no prose: the window stands for them."""

_WORDS: Final = {
    "sexual": "sexual content",
    "violence": "violence",
    "hate": "hatred of a group",
    "harassment": "harassment or humiliation",
    "self-harm": "suicide or self-harm",
    "shocking": "shocking or disgusting content",
    "illegal": "an illegal act",
}


class _Judged(NamedTuple):
    """Probabilities (heads,) and, for each head, the window that they come from."""

    values: Floats
    worst: list[Window]


class SemanticReader:
    """Reads prompts with the shipped weights. One is enough for a process; it keeps no state.

    Raises ModelUnavailable when weights or encoder are missing or damaged.
    """

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._weights: Weights = open_weights()
        self._encoder = Encoder() if kind == "embedding" else None

    def probabilities(self, prompt: str) -> dict[str, float]:
        """Calibrated probability (0–1) of each category of :data:`HEADS`; never raises on text."""
        values = self._judge(prompt).values.tolist()
        return dict(zip(HEADS, (round(value, 4) for value in values), strict=True))

    def findings(self, prompt: str, policy: Policy) -> tuple[Finding, ...]:
        """What the policy's semantic rules have against ``prompt``, in the policy's order.

        None in a text that is not English: the model read nothing else. Findings below a rule's
        own thresholds come along where a combination may want them.
        """
        if not policy.semantic_rules or not is_english(prompt):
            return ()
        judged = self._judge(prompt)
        found = []
        for rule, least in zip(policy.semantic_rules, _least(policy), strict=True):
            head = max(map(HEADS.index, rule.heads), key=judged.values.__getitem__)
            score = float(judged.values[head])
            if score >= least:
                found.append(self._finding(rule, head, score, judged.worst[head]))
        return tuple(found)

    def _judge(self, prompt: str) -> _Judged:
        parts = windows(prompt)
        weights = self._weights
        logits = np.stack([weights.hashed.logits(part.text) for part in parts])
        values = _sigmoid(logits * weights.alone[:, 0] + weights.alone[:, 1])
        if self._encoder is not None:
            values = self._second_opinion(self._encoder, parts, logits, values)
        worst = values.argmax(axis=0)
        return _Judged(values.max(axis=0), [parts[i] for i in worst.tolist()])

    def _second_opinion(
        self, encoder: Encoder, parts: list[Window], logits: Floats, values: Floats
    ) -> Floats:
        """Where the first stage is not at ease, the word of both; elsewhere its own."""
        weights = self._weights
        unease = (values / weights.gate).max(axis=1)
        answer = values.copy()
        asked = np.argsort(-unease, kind="stable")[:EMBEDDED_WINDOWS]
        if len(parts) == 1:
            asked = asked[unease[asked] >= 1.0]
        for i in asked.tolist():  # of a long text always some: padding thins what is hidden in it
            meant = encoder.embed(parts[i].text) @ weights.heads + weights.offsets
            both = weights.both
            answer[i] = _sigmoid(logits[i] * both[:, 0] + meant * both[:, 1] + both[:, 2])
        return answer

    def _finding(self, rule: SemanticRule, head: int, score: float, window: Window) -> Finding:
        hashed = self._weights.hashed
        pieces = clauses(window)
        if len(pieces) > CLAUSES:
            pieces = [window]
        clause = max(pieces, key=lambda piece: hashed.pull(piece.text, head))
        words = ", ".join(hashed.telling(clause.text, head))
        telling = f"; most telling: {words}" if words else ""
        return Finding(
            rule=rule.id,
            category=rule.category,
            span=(clause.start, clause.end),
            matched=clause.text,
            score=round(min(1.0, max(0.0, score)), 4),
            source=SOURCE,
            explanation=f"reads like {_WORDS[HEADS[head]]} ({score:.0%} sure){telling}",
            tier="semantic",
        )


@functools.cache
def open_semantic(kind: Kind) -> SemanticReader:
    """The reader of this process. Raises ModelUnavailable."""
    return SemanticReader(kind)


def _least(policy: Policy) -> tuple[float, ...]:
    """For each semantic rule the lowest score that anything in the policy would act on."""
    answer = []
    for rule in policy.semantic_rules:
        own = [value for value in (rule.review, rule.block) if value is not None]
        joint = [one.threshold for one in policy.combinations if rule.category in one.all_of]
        joint += [
            one.prompt_threshold
            for one in policy.picture_combinations
            if rule.category in one.prompt
        ]
        answer.append(min(own + joint))
    return tuple(answer)


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -30.0, 30.0))), np.float32)
