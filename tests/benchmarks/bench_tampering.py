"""Is every tampering found, and no false proof accepted? The full counts; CI does a tenth.

    python tests/benchmarks/bench_tampering.py [--edits 1000] [--rows 600] [--trees 256]
        [--mutations 1000]

Edits are made by someone with full write access to the database who hashes everything anew; the
log is then compared with the checkpoints and tiles that were published before. Prints one JSON
object, and ends with 1 when anything went unnoticed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from guard.audit.verify import verify_log
from guard.store.engine import open_store
from tests.support.proof_reference import (
    Forger,
    Reference,
    check_all_proofs,
    false_growth,
    false_inclusions,
)
from tests.support.publishing import publisher
from tests.support.tampering import attacks, new_leaves, rebuild


def tampering(folder: Path, rows: int, edits: int) -> dict[str, Any]:
    """Of each kind of edit: tried, found, found with the first bad row, unseen without."""
    database = folder / "audit.sqlite3"
    store = open_store(f"sqlite:///{database}")
    leaves = new_leaves(store.log_id, rows, random.Random(1))  # noqa: S311
    rebuild(database, leaves)
    ours = publisher(store, folder / "home", str(folder / "outside"))
    ours.publish()
    known = ours.known_roots()
    if not verify_log(store, known=known).ok:
        raise AssertionError("the untouched log is not good")
    tried: Counter[str] = Counter()
    found: Counter[str] = Counter()
    exact: Counter[str] = Counter()
    for attack in attacks(leaves, edits, seed=2):
        rebuild(database, attack.leaves)
        check = verify_log(store, known=known)
        tried[attack.name] += 1
        found[attack.name] += not check.ok
        exact[attack.name] += check.first_bad == attack.first_bad
        if sum(tried.values()) % 100 == 0:
            print(f"{sum(tried.values())} of {edits}", file=sys.stderr)
    store.close()
    return {
        "edits": sum(tried.values()),
        "found": sum(found.values()),
        "with_first_bad_row": sum(exact.values()),
        "by_kind": dict(tried),
    }


def false_proofs(count: int) -> dict[str, Any]:
    """How many classes and proofs, and how many of them were accepted."""
    forger = Forger(Reference(400), random.Random(3))  # noqa: S311
    answer: dict[str, Any] = {}
    for name, spoilt in (("inclusion", false_inclusions), ("consistency", false_growth)):
        tried: Counter[str] = Counter()
        accepted: Counter[str] = Counter()
        for kind, was in spoilt(forger, count):
            tried[kind] += 1
            accepted[kind] += was
        answer[name] = {
            "classes": len(tried),
            "proofs": sum(tried.values()),
            "accepted": sum(accepted.values()),
        }
    return answer


def main() -> int:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--trees", type=int, default=256)
    parser.add_argument("--mutations", type=int, default=1000)
    given = parser.parse_args()
    begin = time.perf_counter()
    figures: dict[str, Any] = {"proofs_checked": check_all_proofs(given.trees)}
    figures["false_proofs"] = false_proofs(given.mutations)
    with tempfile.TemporaryDirectory() as folder:
        figures["tampering"] = tampering(Path(folder), given.rows, given.edits)
    figures["seconds"] = round(time.perf_counter() - begin, 1)
    print(json.dumps(figures, indent=1))
    seen = figures["tampering"]
    good = seen["edits"] == seen["found"] == seen["with_first_bad_row"]
    return 0 if good and not any(one["accepted"] for one in figures["false_proofs"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
