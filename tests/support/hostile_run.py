"""Looks at every file of a folder as ``guard verify`` does, and says what came of it, as JSON.

Run as a process of its own: a native library that crashes takes only this one down, and the most
memory that was held is its own. The mark is not looked for: it is pixels' business, not files'.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from guard.errors import GuardError
from guard.image.decode import load
from guard.provenance.labels import claimed_labels, read_labels
from guard.provenance.read import examine_manifest
from guard.provenance.trust import TrustList, anchors_of
from guard.types import VerdictName, VerificationReport
from guard.verify.render import page


def look(path: Path, trust: TrustList) -> dict[str, Any]:
    """State or error of one file, and the seconds that it took."""
    start = time.monotonic()
    row: dict[str, Any] = {"name": path.name}
    data = path.read_bytes()
    reading = examine_manifest(data, "image/png", trust)
    labels = (*read_labels(data, "image/png"), *claimed_labels(reading))
    row["state"] = reading.state if reading else None
    row["problems"] = list(reading.problems) if reading else []
    try:
        load(path)
    except GuardError as error:
        row["error"] = error.code
    found = {"source": "embedded", **reading.as_dict} if reading else None
    report = VerificationReport(VerdictName.ALTERED, "x", provenance=found, labels=labels)
    row["page"] = len(page([(path, report)]))
    row["seconds"] = time.monotonic() - start
    return row


def main(folder: Path) -> None:
    """One row a line; the last one holds the memory in MB."""
    ca = folder / "ca.pem"
    lists = (anchors_of("test", ca.read_bytes(), date="", uri="urn:t"),) if ca.exists() else ()
    trust = TrustList(lists)
    out = sys.stdout
    for path in sorted((folder / "files").iterdir()):
        out.write(json.dumps(look(path, trust)) + "\n")
        out.flush()
    out.write(json.dumps({"memory_mb": most_memory()}) + "\n")


def most_memory() -> int:
    """MB that this program has held at most.

    Linux hands on getrusage's figure from the process that started this one: there it is of no use.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return next(int(one.split()[1]) for one in lines if one.startswith("VmHWM")) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
