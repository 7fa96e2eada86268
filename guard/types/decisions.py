"""What stages find and policies decide."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What a policy says. Ordered by severity: see :func:`worst`."""

    ALLOW = "allow"
    FLAG = "flag"
    BLOCK = "block"


def worst(actions: list[Action]) -> Action:
    """The severest of ``actions``; ``allow`` when there is none."""
    order = list(Action)
    return max(actions, key=order.index, default=Action.ALLOW)


class Stage(StrEnum):
    """The rooms of the hallway, in the order a request passes them."""

    PROMPT = "prompt"
    GENERATE = "generate"
    CLASSIFY = "classify"
    WATERMARK = "watermark"
    SIGN = "sign"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a text was found fault with.

    ``span`` is (start, end) in code points of what the user typed, ``matched`` that very text;
    ``score`` in 0–1; ``source`` names the lexicon or model that said so. For operators, never for
    users: ``term`` is the entry behind it ("" where there is none) and ``tier`` which kind of
    reader found it (``lexical``, ``semantic``, ``own`` for a platform's own lists).
    """

    rule: str
    category: str
    span: tuple[int, int]
    matched: str
    score: float
    source: str
    explanation: str
    term: str = ""
    tier: str = "lexical"


@dataclass(frozen=True, slots=True)
class Score:
    """One detector's opinion of a picture: ``value`` in 0–1, over ``threshold`` the rule acts."""

    category: str
    value: float
    threshold: float
    detector: str
    model_digest: str


@dataclass(frozen=True, slots=True)
class Reason:
    """What a user is told: a stable code and a sentence, never the term that matched."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy made of findings or scores: ``rules`` are the ids that acted.

    ``sensitive``: one of them is of a category of which nothing may be kept but hashes.
    """

    action: Action
    rules: tuple[str, ...]
    policy_digest: str
    reasons: tuple[Reason, ...] = ()
    sensitive: bool = False
