"""The verifier's bars: are its verdicts right, and what does a picture without a manifest cost?

    python tests/benchmarks/bench_provenance_verify.py [--quick] [--part public|matrix|…]…

``public``: the 15 files of c2pa-org/public-testfiles, whose README says what they are (skipped
where ``../shared`` is not there). ``matrix``: everything that can be done to a signed file, in five
formats. ``signers``: every state of a certificate: revoked, expired, anchored in a clock's root,
self-signed, of a wrong purpose … ``cost``: verification of an unsigned picture against the search
for its mark alone, and of a signed one against plain c2pa, each pair in one run, in seconds of the
processor: the least of several rounds, as other programs only ever add to it. Prints one JSON
object; exit status 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from guard.assemble import build_verifier, build_watermark, make_home, resolve_policy
from guard.image.decode import decode
from guard.image.encode import encode
from guard.provenance.base import ManifestFacts
from guard.provenance.engines import FIRST, SECOND
from guard.provenance.keys import create_development_keys, load_signing_keys
from guard.provenance.read import examine_manifest
from guard.provenance.sign import C2paSigner
from guard.provenance.trust import TrustList, anchors_of, context_for, load_trust
from guard.settings import Settings
from guard.types import Mark, Origin, Pixels, VerdictName
from tests.support.certificates import CASES, Lab
from tests.support.hostile_files import FORMATS, MATRIX, Signed

SHARED = Path(os.environ.get("GENGUARD_SHARED", Path(__file__).parents[3] / "shared"))
PUBLIC = SHARED / "data" / "c2pa" / "public-testfiles"

COST_CEILING = 1.5
"""Verification of an unsigned picture, in units of the search for its mark alone."""

V = VerdictName
NOTHING = {V.NOTHING_FOUND, V.LABEL_ONLY}
EXPECTED = {
    "A": NOTHING,
    "I": NOTHING,
    "C": {V.UNKNOWN_SIGNER},
    "CA": {V.UNKNOWN_SIGNER},
    "CACA": {V.UNKNOWN_SIGNER},
    "CAI": {V.UNKNOWN_SIGNER},
    "CI": {V.UNKNOWN_SIGNER},
    "CICA": {V.UNKNOWN_SIGNER},
    "CIE-sig-CA": {V.UNKNOWN_SIGNER},
    "XCA": {V.ALTERED},
    "XCI": {V.ALTERED},
    "E-dat-CA": {V.ALTERED},
    "E-sig-CA": {V.ALTERED},
    "E-uri-CA": {V.ALTERED},
    "E-clm-CAICAI": {V.ALTERED},
}


class Bench:
    """A home with keys and an empty log, and what came of each part."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        self.quick = quick
        self.settings = Settings(home=folder / "home")
        make_home(self.settings.home)
        create_development_keys(self.settings.home)
        self.policy = resolve_policy("default", self.settings)
        self.signer = C2paSigner(load_signing_keys(self.settings.home))
        self.trust = load_trust(self.settings.home)
        self.verifier = build_verifier(self.policy, self.settings)
        self.missed: list[str] = []

    def public(self) -> dict[str, Any]:
        """Verdicts of pictures that others signed."""
        if not PUBLIC.is_dir():
            print(f"SKIPPED public: there is no {PUBLIC}", file=sys.stderr)
            return {"skipped": str(PUBLIC)}
        wrong, disagree = {}, []
        for name, expected in EXPECTED.items():
            report = self.verifier.examine(PUBLIC / f"adobe-20220124-{name}.jpg")
            if report.verdict not in expected:
                wrong[name] = report.verdict.value
            if report.provenance and report.provenance["agreement"] is not True:
                disagree.append(name)
        self._bar("public", not wrong)
        return {"files": len(EXPECTED), "wrong": wrong, "engines_disagree": disagree}

    def matrix(self) -> dict[str, Any]:
        """The tamper matrix in five formats."""
        wrong, alone, count = [], [], 0
        for kind in FORMATS:
            signed = Signed(self._signed(kind, 1), kind, self._signed(kind, 2))
            for name, row in MATRIX.items():
                reading = examine_manifest(row.make(signed), kind, self.trust)
                count += 1
                right = (reading.state if reading else None) == row.state
                if reading is not None:
                    right &= reading.hard_binding_only is row.hard_binding_only
                    right &= not row.code or bool(set(row.code) & set(reading.problems))
                    if reading.agreement is not True:
                        alone.append(f"{kind}: {name}")
                if not right:
                    wrong.append(f"{kind}: {name}")
        self._bar("matrix", not wrong)
        return {"cases": count, "wrong": wrong, "not_both_engines": alone}

    def signers(self) -> dict[str, Any]:
        """Certificates in every state; beside it, what each engine says by itself."""
        lab = Lab()
        signers = anchors_of("signers", lab.claim_anchors, date="", uri="urn:signers")
        clocks = anchors_of("clocks", lab.tsa_anchors, date="", uri="urn:clocks")
        trust = TrustList((signers,), (clocks,))
        wrong: dict[str, list[str]] = {"genguard": [], FIRST: [], SECOND: []}
        judged = {name: case for name, case in CASES.items() if case.trusted is not None}
        for name, case in judged.items():
            data = case.file(lab)
            reading = examine_manifest(data, "image/png", trust)
            assert reading is not None
            if (reading.state == "trusted") is not case.trusted or reading.state == "invalid":
                wrong["genguard"].append(name)
            if _plain(data, TrustList(trust.lists + trust.clocks)) is not case.trusted:
                wrong[FIRST].append(name)
            second = next(one for one in reading.engines if one.engine == SECOND)
            if (second.state == "trusted") is not case.trusted:
                wrong[SECOND].append(name)
        self._bar("signers", not wrong["genguard"])
        return {"cases": len(judged), "wrong": wrong}

    def cost(self) -> dict[str, Any]:
        """Ratios, both sides in one run, their runs in turn."""
        watermark = build_watermark(self.policy, self.settings)
        rounds = 5 if self.quick else 15
        found: dict[str, Any] = {}
        for side in (512, 1024):
            for kind in ("image/png", "image/jpeg"):
                data = encode(scene(side), kind)
                pixels = decode(data).pixels
                whole, mark = _in_turn(
                    lambda data=data: self.verifier.examine(data),
                    lambda pixels=pixels: watermark.detect(pixels),
                    rounds,
                )
                ratio = min(whole) / min(mark)
                found[f"unsigned_{side}_{kind[6:]}"] = {
                    "verify_ms": round(1000 * min(whole), 1),
                    "mark_ms": round(1000 * min(mark), 1),
                    "ratio": round(ratio, 2),
                }
                self._bar(f"cost {side} {kind}", ratio < COST_CEILING)
        found["signed_512_png"] = self._signed_cost(8 * rounds)
        return found

    def _signed_cost(self, rounds: int) -> dict[str, float]:
        data = self._signed("image/png", 1, 512)
        both, plain = _in_turn(
            lambda: examine_manifest(data, "image/png", self.trust),
            lambda: _plain(data, self.trust),
            rounds,
        )
        ours, theirs = min(both), min(plain)
        return {
            "two_engines_ms": round(1000 * ours, 2),
            "plain_c2pa_ms": round(1000 * theirs, 2),
            "ratio": round(ours / theirs, 2),
        }

    def _signed(self, kind: str, seed: int, side: int = 96) -> bytes:
        facts = ManifestFacts(
            record_id=f"01934a7e-0000-7000-8000-{seed:012d}",
            origin=Origin.GENERATED,
            when=datetime.now(UTC),
            model="demo@1",
            mark=Mark("genguard-pilot-1", "0123456789abcdef", 42.0),
            fingerprint=None,
            provider="Example Images",
        )
        return self.signer.sign(encode(scene(side, seed), kind), kind, facts).bytes

    def _bar(self, name: str, met: bool) -> None:
        if not met:
            self.missed.append(name)


def scene(side: int, seed: int = 0) -> Pixels:
    """Shapes and grain: neither flat nor noise."""
    chance = np.random.default_rng(seed)
    coarse = chance.integers(0, 256, (12, 12, 3)).astype(np.uint8)
    soft = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    grain = chance.integers(-6, 7, (side, side, 1))
    pixels: Pixels = np.clip(soft + grain, 0, 255).astype(np.uint8)
    return pixels


def _plain(data: bytes, trust: TrustList) -> bool:
    """What plain c2pa says with these anchors, clocks among them: trusted or not."""
    from c2pa import C2paError, Reader

    try:
        with Reader("image/png", BytesIO(data), context=context_for(trust)) as reader:
            reader.json()
            return bool(reader.get_validation_state() == "Trusted")
    except C2paError:
        return False


def _in_turn(
    first: Callable[[], object], second: Callable[[], object], rounds: int
) -> tuple[list[float], list[float]]:
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for work, kept in zip((first, second), times, strict=True):
            start = time.process_time()
            work()
            if number:  # the first round warms up
                kept.append(time.process_time() - start)
    return times


def main() -> int:
    """Run the parts asked for; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parts = ("public", "matrix", "signers", "cost")
    parser.add_argument("--part", action="append", choices=parts)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), quick=asked.quick)
        done = {part: getattr(bench, part)() for part in asked.part or parts}
    print(json.dumps({**done, "missed": bench.missed}, indent=1))
    return 1 if bench.missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
