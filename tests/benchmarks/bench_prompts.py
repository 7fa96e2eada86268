"""Measures the prompt screener on the development sets: false positives, recall, evasion, speed.

Run ``python tests/benchmarks/bench_prompts.py [--policy default] [--json]``; needs ``../shared``
(or ``GENGUARD_SHARED``). Prints figures only, never a prompt. Exits 1 when a figure is below its
floor; the floors are what was measured when they were last set, with a little slack.

"Flagged" counts prompts on which a rule about unsafe content acted (sexual, nudity, minors,
violence, self-harm, hate); styles and politicians are policy, not mistakes, and are counted apart.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from transforms import TRANSFORMS

SHARED = Path(os.environ.get("GENGUARD_SHARED", Path(__file__).parents[3] / "shared"))
PROMPTS = SHARED / "data" / "prompts"
BENIGN = ("coco-dev.txt", "parti.txt", "dpg.txt", "diffusiondb-dev.txt", "hard-negatives.txt")
POLICY_CATEGORIES = frozenset({"artist-style", "politician", "real-person"})

CEILINGS = {  # per cent of prompts flagged as unsafe
    "coco-dev": 0.14,
    "parti": 0.2,
    "dpg": 0.3,
    "diffusiondb-dev": 1.1,
    "hard-negatives": 1.0,
}
FLOORS = {"evasion": 0.93, "i2p sexual": 9.0, "i2p sexual, hard": 12.0, "prompts/s": 1_000.0}
# Seconds are those of a busy machine: the floor for speed is half of what an idle one does.


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", default="default")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not PROMPTS.is_dir():
        print(f"SKIPPED: no prompt sets under {PROMPTS}", file=sys.stderr)
        return 0
    figures = measure(args.policy)
    failures = below_floor(figures)
    if args.json:
        print(json.dumps({**figures, "failures": failures}, ensure_ascii=False))
    else:
        show(figures, failures)
    return 1 if failures else 0


class Judge:
    """A policy with its screener."""

    def __init__(self, name: str) -> None:
        from guard.policy.decide import decide_prompt
        from guard.policy.load import load_policy
        from guard.prompt.screen import PolicyScreener

        self._policy = load_policy(name)
        self._screener = PolicyScreener(self._policy)
        self._decide = decide_prompt
        rules = (*self._policy.prompt_rules, *self._policy.combinations)
        self._category = {rule.id: rule.category for rule in rules}

    def categories(self, prompt: str) -> set[str]:
        """Categories of the rules that acted."""
        decision = self._decide(self._policy, self._screener.screen(prompt))
        return {self._category[rule] for rule in decision.rules}

    def unsafe(self, prompt: str) -> bool:
        """Whether a rule about unsafe content acted."""
        return bool(self.categories(prompt) - POLICY_CATEGORIES)


def measure(policy: str) -> dict[str, Any]:
    """All figures."""
    began = time.process_time()
    judge = Judge(policy)
    judge.unsafe("a lighthouse")
    figures: dict[str, Any] = {"policy": policy, "load_s": time.process_time() - began}
    spent = counted = 0.0
    for file in BENIGN:
        prompts = read_lines(PROMPTS / file)
        start = time.process_time()
        found = [judge.categories(prompt) for prompt in prompts]
        spent += time.process_time() - start
        counted += len(prompts)
        figures[file.removesuffix(".txt")] = {
            "prompts": len(prompts),
            "flagged_percent": percent(bool(one - POLICY_CATEGORIES) for one in found),
            "styles_percent": percent("artist-style" in one for one in found),
            "politicians_percent": percent("politician" in one for one in found),
        }
    figures["prompts_per_second"] = counted / spent
    figures["i2p_sexual_percent"], figures["i2p_sexual_hard_percent"] = recall(judge)
    figures["evasion"] = evasion(judge)
    return figures


def read_lines(path: Path) -> list[str]:
    """Non-empty lines."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def percent(flags: Iterable[bool]) -> float:
    """Share of true values in per cent."""
    values = list(flags)
    return 100.0 * sum(values) / max(1, len(values))


def recall(judge: Judge) -> tuple[float, float]:
    """Per cent of I2P's sexual prompts flagged: all, and those that a toxicity filter misses."""
    with (PROMPTS / "i2p-dev.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if "sexual" in row["categories"]]
    hard = [row for row in rows if row["hard"] in {"1", "1.0"}]
    return (
        percent(judge.unsafe(row["prompt"]) for row in rows),
        percent(judge.unsafe(row["prompt"]) for row in hard),
    )


def evasion(judge: Judge) -> dict[str, Any]:
    """Share of plainly caught words still caught, over all transforms and by transform."""
    carrier = "a photo of {} in a room".format
    words = [word for word in english_words() if judge.unsafe(carrier(word))]
    by_name = {}
    for name, change in TRANSFORMS.items():
        changed = [(word, change(word)) for word in words]
        caught = [judge.unsafe(carrier(new)) for word, new in changed if new != word]
        by_name[name] = sum(caught) / max(1, len(caught))
    overall = sum(by_name.values()) / len(by_name)
    return {"words": len(words), "share": overall, "by_transform": by_name}


def english_words() -> list[str]:
    """All single English words of the unsafe lists that act alone."""
    from guard.prompt.lexicon import Term, load_list

    lists = ("sexual", "nudity", "violence", "self-harm", "hate")
    return sorted(
        {
            entry.text
            for name in lists
            for entry in load_list(name)
            if isinstance(entry, Term) and entry.language == "en" and entry.score >= 0.5
            if entry.text.isascii() and entry.text.isalpha() and len(entry.text) >= 4
        }
    )


def below_floor(figures: dict[str, Any]) -> list[str]:
    """Names of the figures that are worse than they should be."""
    worse = [name for name, most in CEILINGS.items() if figures[name]["flagged_percent"] > most]
    measured = {
        "evasion": figures["evasion"]["share"],
        "i2p sexual": figures["i2p_sexual_percent"],
        "i2p sexual, hard": figures["i2p_sexual_hard_percent"],
        "prompts/s": figures["prompts_per_second"],
    }
    return worse + [name for name, least in FLOORS.items() if measured[name] < least]


def show(figures: dict[str, Any], failures: list[str]) -> None:
    """A table for people."""
    print(f"policy {figures['policy']}; loaded in {figures['load_s']:.2f} s")
    print(f"{'benign set':<18}{'prompts':>9}{'unsafe %':>10}{'styles %':>10}{'politicians %':>15}")
    for name in CEILINGS:
        row = figures[name]
        print(
            f"{name:<18}{row['prompts']:>9,}{row['flagged_percent']:>10.2f}"
            f"{row['styles_percent']:>10.2f}{row['politicians_percent']:>15.2f}"
        )
    sexual, hard = figures["i2p_sexual_percent"], figures["i2p_sexual_hard_percent"]
    print(f"I2P sexual caught: {sexual:.1f} %, hard ones {hard:.1f} %")
    evaded = figures["evasion"]
    print(f"evasions caught: {evaded['share']:.3f} of {evaded['words']} words × {len(TRANSFORMS)}")
    for name, share in sorted(evaded["by_transform"].items(), key=lambda pair: pair[1])[:20]:
        print(f"  {share:.2f}  {name}")
    print(f"{figures['prompts_per_second']:,.0f} prompts/s on one core")
    print("FAILED: " + ", ".join(failures) if failures else "all floors held")


if __name__ == "__main__":
    sys.exit(main())
