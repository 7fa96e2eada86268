"""Measures the semantic tier: recall and AUROC on held-out groups, false positives, time, memory.

Run ``python tests/benchmarks/bench_semantic.py [--work CACHE] [--json]``. ``CACHE`` is the folder
that ``datasets.semantic.train`` wrote its held-out scores to; without it only what ships is
measured (time, memory, false positives of the policy), and it says so. Needs ``../shared`` (or
``GENGUARD_SHARED``). Prints figures only, never a prompt. Exits 1 when a figure misses its bar.

False positives of the shipped model on the development sets are of prompts it has learnt from,
except ``hard-negatives``; the held-out ones are the honest figures.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
SHARED = Path(os.environ.get("GENGUARD_SHARED", Path(__file__).parents[3] / "shared"))
PROMPTS = SHARED / "data" / "prompts"
EVERY = {"coco-dev": 15, "parti": 3, "dpg": 3, "diffusiondb-dev": 5, "hard-negatives": 1}
"""Of each benign set one prompt in so many: the encoder takes its time."""

FLOORS = {
    "i2p sexual recall": 0.65,
    "i2p sexual auroc": 0.94,
    "i2p sexual recall, no i2p": 0.25,
}
CEILINGS = {
    "hashed ms": 0.2,
    "embedding ms": 10.0,
    "open s": 1.0,
    "coco-dev flagged %": 0.3,
    "diffusiondb-dev flagged %": 2.0,
    "hard-negatives flagged %": 3.0,
}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--policy", default="default")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not PROMPTS.is_dir():
        print(f"SKIPPED: no prompt sets under {PROMPTS}", file=sys.stderr)
        return 0
    figures = {**shipped(args.policy), **(held_out(args.work) if args.work else {})}
    missed = [name for name, least in FLOORS.items() if figures.get(name, least) < least]
    missed += [name for name, most in CEILINGS.items() if figures[name] > most]
    if args.json:
        print(json.dumps({**figures, "missed": missed}))
    else:
        for name, value in figures.items():
            print(f"{name:<48}{value:>10.3f}")
        if not args.work:
            print("SKIPPED: held-out figures need --work", file=sys.stderr)
        print("MISSED: " + ", ".join(missed) if missed else "all bars held")
    return 1 if missed else 0


def shipped(policy_name: str) -> dict[str, Any]:
    """Time, memory and false positives of what ships; CPU time of one thread."""
    from guard.policy.decide import decide_prompt
    from guard.policy.load import load_policy
    from guard.prompt.semantic import open_semantic
    from guard.types import Action

    policy = load_policy(policy_name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    reader = open_semantic("embedding")
    figures: dict[str, Any] = {"open s": time.process_time() - began}
    prompts = read_lines(PROMPTS / "diffusiondb-dev.txt")[:300]
    figures["hashed ms"] = median_ms(open_semantic("hashed").probabilities, prompts)
    figures["cascade ms"] = median_ms(reader.probabilities, prompts)
    embed = reader._encoder.embed
    figures["embedding ms"] = median_ms(embed, prompts) + figures["hashed ms"]
    for name, step in EVERY.items():
        found = [
            decide_prompt(policy, reader.findings(text, policy)).action
            for text in read_lines(PROMPTS / f"{name}.txt")[::step]
        ]
        figures[f"{name} flagged %"] = 100 * sum(a is not Action.ALLOW for a in found) / len(found)
        figures[f"{name} blocked %"] = 100 * sum(a is Action.BLOCK for a in found) / len(found)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures["memory of the tier MB"] = (after - before) / 1024
    figures["memory of the process MB"] = after / 1024
    return figures


def held_out(work: Path) -> dict[str, float]:
    """Figures of the models that never saw the groups they are tested on."""
    from datasets.semantic.evaluate import measure

    answer = {}
    for name, heads in measure(work).items():
        run, _, kind = name.partition("/")
        if kind != "cascade+lexical":
            continue
        mark = ", no i2p" if run == "no-i2p" else ""
        for head, row in heads.items():
            answer[f"i2p {head} recall{mark}"] = row["recall"]
            answer[f"i2p {head} auroc{mark}"] = row["auroc_diffusiondb"]
    return answer


def median_ms(call: Any, prompts: list[str]) -> float:
    """Median CPU time of a call, in milliseconds."""
    spent = []
    for prompt in prompts:
        began = time.process_time_ns()
        call(prompt)
        spent.append((time.process_time_ns() - began) / 1e6)
    return sorted(spent)[len(spent) // 2]


def read_lines(path: Path) -> list[str]:
    """Non-empty lines."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


if __name__ == "__main__":
    sys.exit(main())
