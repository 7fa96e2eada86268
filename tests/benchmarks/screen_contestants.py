"""One screener in a process of its own: reads a sample, says what it flagged, and what it cost.

    python screen_contestants.py NAME SAMPLE.json BUDGET_SECONDS

Started by ``bench_screen.py``. The sample maps the names of sets to prompts; each set is judged in
order until it ends or its budget of processor seconds is spent, so that slow screeners see the
first ones of the same prompts. Writes one JSON object to stdout: figures and marks, no prompt.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Judge = Callable[[str], int]

UNSAFE, STYLE, POLITICIAN, BLOCK, FLAG, DISGUISE = 1, 2, 4, 8, 16, 32
"""Marks of a prompt: which rules acted, the action, and whether only a disguise brought it about.

Peers know UNSAFE alone.
"""

CATEGORIES = {"artist-style": STYLE, "politician": POLITICIAN, "real-person": 0}


def genguard(policy_name: str, *, lexical_only: bool) -> tuple[Judge, Callable[[str], object]]:
    """Ours: marks of a prompt, and the screening alone, which is what is timed."""
    from guard.policy.decide import decide_prompt
    from guard.policy.load import load_policy
    from guard.prompt.screen import PolicyScreener

    policy = load_policy(policy_name)
    if lexical_only and getattr(policy, "semantic_rules", ()):
        policy = policy.model_copy(update={"semantic_rules": ()})
    screener = _whole_screener(policy) if not lexical_only else PolicyScreener(policy)
    rules = (*policy.prompt_rules, *policy.combinations, *getattr(policy, "semantic_rules", ()))
    marks = {rule.id: CATEGORIES.get(rule.category, UNSAFE) for rule in rules}

    def judge(prompt: str) -> int:
        findings = screener.screen(prompt)
        decision = decide_prompt(policy, findings)
        mark = {"allow": 0, "flag": FLAG, "block": BLOCK}[decision.action]
        for rule in decision.rules:
            mark |= marks[rule]
        if mark & UNSAFE:
            plain = [one for one in findings if ", behind " not in one.explanation]
            acted = decide_prompt(policy, plain).rules if len(plain) < len(findings) else ()
            if len(plain) < len(findings) and not any(marks[rule] & UNSAFE for rule in acted):
                mark |= DISGUISE
        return mark

    return judge, screener.screen


def _whole_screener(policy: Any) -> Any:
    """The screener with every tier that the policy names."""
    from guard.assemble import build_screener

    return build_screener(policy)


def word_list(path: str) -> Judge:
    """Whole words of a list, found by Aho-Corasick."""
    import ahocorasick_rs

    words = [f" {line.strip().lower()} " for line in _lines(path)]
    engine = ahocorasick_rs.AhoCorasick(words)
    apart = re.compile(r"[\W_]+")
    return lambda text: int(
        bool(engine.find_matches_as_indexes(f" {apart.sub(' ', text.lower())} "))
    )


def ban_substrings(path: str) -> Judge:
    """A list searched word by word with one expression each, as llm-guard's BanSubstrings does."""
    words = [re.compile(rf"\b{re.escape(line.strip().lower())}\b") for line in _lines(path)]
    return lambda text: int(any(word.search(text.lower()) for word in words))


def _lines(path: str) -> list[str]:
    return [line for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]


def better_profanity() -> Judge:
    """As its README says."""
    from better_profanity import profanity  # type: ignore[import-not-found,unused-ignore]

    profanity.load_censor_words()
    return lambda text: int(profanity.contains_profanity(text))


def better_profanity_fast() -> Judge:
    """The same interface in Rust."""
    from better_profanity_fast import profanity  # type: ignore[import-not-found,unused-ignore]

    profanity.load_censor_words()
    return lambda text: int(profanity.contains_profanity(text))


def glin_profanity() -> Judge:
    """Its filter at its defaults."""
    from glin_profanity import Filter  # type: ignore[import-not-found,unused-ignore]

    found = Filter()
    return lambda text: int(found.is_profane(text))


def alt_profanity_check() -> Judge:
    """A linear model over words."""
    from profanity_check import predict  # type: ignore[import-not-found,unused-ignore]

    return lambda text: int(predict([text])[0])


def contestant(name: str, words: str) -> tuple[Judge, Callable[[str], object]]:
    """The judge called ``name``, and what of it is timed."""
    if name.startswith("genguard"):
        _, policy, tiers = name.split(":")
        return genguard(policy, lexical_only=tiers == "lexical")
    if name in {"word list", "BanSubstrings"}:
        judge = {"word list": word_list, "BanSubstrings": ban_substrings}[name](words)
    else:
        judge = {
            "better-profanity": better_profanity,
            "better-profanity-fast": better_profanity_fast,
            "glin-profanity": glin_profanity,
            "alt-profanity-check": alt_profanity_check,
        }[name]()
    return judge, judge


def megabytes() -> float:
    """The most memory this process ever had resident, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def judged(judge: Judge, prompts: list[str], budget: float) -> list[int]:
    """Marks of the first prompts: as many as ``budget`` processor seconds allow."""
    marks: list[int] = []
    end = time.process_time() + budget
    for prompt in prompts:
        marks.append(judge(prompt))
        if len(marks) % 16 == 0 and time.process_time() > end:
            break
    return marks


def speed(
    screen: Callable[[str], object], sets: dict[str, list[str]], budget: float
) -> dict[str, Any]:
    """Prompts per processor second, by set and over all, and the median and 99th percentile in ms.

    The fastest of three parts of a set counts: other processes disturb, none speeds up.
    """
    by_set = {key: max(_rates(screen, prompts, budget)) for key, prompts in sets.items()}
    times = []
    for prompt in [prompt for prompts in sets.values() for prompt in prompts[-300:]]:
        began = time.perf_counter()
        screen(prompt)
        times.append(1e3 * (time.perf_counter() - began))
    times.sort()
    return {
        "prompts_per_second": len(by_set) / sum(1.0 / rate for rate in by_set.values()),
        "by_set": by_set,
        "p50_ms": times[len(times) // 2],
        "p99_ms": times[int(len(times) * 0.99)],
    }


def _rates(screen: Callable[[str], object], prompts: list[str], budget: float) -> Iterator[float]:
    third = max(1, len(prompts) // 3)
    for first in range(0, third * 3, third):
        began, count = time.process_time(), 0
        for prompt in prompts[first : first + third]:
            screen(prompt)
            count += 1
            if count % 16 == 0 and time.process_time() - began > budget / 6:
                break
        yield count / max(1e-9, time.process_time() - began)


def main() -> int:
    """Command line."""
    name, sample, budget = sys.argv[1], sys.argv[2], float(sys.argv[3])
    # Memory and start are taken before the sample is read, and without this module's own parts.
    before, wall, cpu = megabytes(), time.perf_counter(), time.process_time()
    judge, screen = contestant(name, sys.argv[4] if len(sys.argv) > 4 else "")
    judge("a lighthouse in a storm")
    started = {"start_s": time.process_time() - cpu, "start_wall_s": time.perf_counter() - wall}
    loaded = megabytes() - before
    sets = json.loads(Path(sample).read_text(encoding="utf-8"))
    held = megabytes()
    speeds = speed(
        screen, {key: sets.pop(key) for key in list(sets) if key.startswith("speed")}, budget
    )
    marks = {key: judged(judge, prompts, budget) for key, prompts in sets.items()}
    grown = max(0.0, megabytes() - held)
    print(json.dumps({**started, **speeds, "rss_mb": loaded + grown, "marks": marks}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
