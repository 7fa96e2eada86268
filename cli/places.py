"""Where in its file a policy says what: ``default.yaml:23``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from guard.errors import PolicyInvalid
from guard.policy.load import read_document

LISTS_OF_RULES = (
    "prompt_rules", "semantic_rules", "combinations", "output_rules", "picture_combinations",
)  # fmt: skip


def rule_lines(policy: str | Path) -> dict[str, str]:
    """``file:line`` of each rule of a policy, by id; nothing for a policy that is no file."""
    try:
        document = read_document(policy)
    except PolicyInvalid:
        return {}
    name = Path(document.name).name
    found: dict[str, str] = {}
    for part in LISTS_OF_RULES:
        rules: Any = document.data.get(part)
        for position, rule in enumerate(rules if isinstance(rules, list) else ()):
            if isinstance(rule, dict) and isinstance(rule.get("id"), str):
                found[rule["id"]] = f"{name}:{document.line((part, position))}"
    return found
