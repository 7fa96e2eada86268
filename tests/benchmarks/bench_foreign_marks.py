"""Measure what readers of public marks say of unmarked and of marked pictures.

    python tests/benchmarks/bench_foreign_marks.py [--fetch] [--each N] [--rivagan N] [--write]
    python tests/benchmarks/bench_foreign_marks.py --trustmark DIR [--each N]

*Null*: bits decoded from crops of unmarked pictures (``mark_gallery.py`` and drawings). ``--write``
puts them into ``guard/watermark/foreign_null.npz``, on which the labels of ``verify`` stand.
*False labels*: new crops, each judged by the crops of the other pictures alone. *Told*: the same
pictures marked at 512 px and recoded. *Coins*: what a binomial would have said.

``--trustmark DIR``: only TrustMark with the models in DIR: labels on unmarked crops, how near to
fair its bits are there, and our keyed marks of the method ``trustmark`` read after damage.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402  # one thread must be set before NumPy is imported
import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from guard.errors import MarkRejected  # noqa: E402
from guard.types import Pixels  # noqa: E402
from guard.watermark import legacy, rivagan  # noqa: E402
from guard.watermark.assurance import recoded  # noqa: E402
from guard.watermark.foreign import NULLS, EmpiricalNull, pack  # noqa: E402
from guard.watermark.invisible import InvisibleWatermark, write_bits  # noqa: E402
from guard.watermark.trustmark import TrustMarkReader  # noqa: E402
from guard.watermark.trustmark_models import TrustMarkModels, available  # noqa: E402
from guard.watermark.trustmark_watermark import TrustMarkWatermark  # noqa: E402
from tests.benchmarks import mark_gallery  # noqa: E402
from tests.support.mark_pictures import KINDS  # noqa: E402

Bits = NDArray[np.uint8]

WANTED: Final = (
    ("dwtDct", 32),
    ("dwtDct", 46),
    ("dwtDct", 48),
    ("dwtDct", 136),
    ("dwtDctSvd", 32),
    ("dwtDctSvd", 48),
)
SIDE: Final = 1024
"""Pixels of the short side at which pictures are held; crops are taken of these."""

LEAST: Final = 256
OWN: Final = bytes.fromhex("69966996")
DAMAGES: Final = {"untouched": None, "JPEG 95": 95, "JPEG 90": 90, "JPEG 75": 75}


def hosts() -> list[Pixels]:
    """Every picture of the gallery but its drawings, and 8 drawings of each kind by formula."""
    found = [pixels for kind, pixels in mark_gallery.gallery(SIDE) if kind != "drawn"]
    drawn = [draw(seed, SIDE, SIDE) for draw in KINDS.values() for seed in range(8)]
    return [*found, *drawn]


def crop(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """A piece of a picture, scaled and mirrored by chance; two in three were a JPEG file."""
    share = rng.uniform(0.4, 1.0)
    height, width = (int(side * share) for side in pixels.shape[:2])
    top, left = (
        int(rng.integers(0, have - want + 1))
        for have, want in zip(pixels.shape[:2], (height, width), strict=True)
    )
    part = pixels[top : top + height, left : left + width]
    factor = float(np.exp(rng.uniform(np.log(LEAST), np.log(SIDE)))) / min(part.shape[:2])
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    part = np.asarray(cv2.resize(part, None, fx=factor, fy=factor, interpolation=method))
    part = np.ascontiguousarray(part[:, ::-1] if rng.random() < 0.5 else part)
    if rng.random() < 2 / 3:
        part = recoded(part, "jpeg", int(rng.integers(60, 98)))
    return part.astype(np.uint8)


def decoded(pixels: Pixels) -> dict[str, Bits]:
    """What every reader of :data:`WANTED` says."""
    raw = {name: legacy.raw_bits(pixels, name) for name in ("dwtDct", "dwtDctSvd")}
    return {f"{name}-{length}": legacy.vote(raw[name], length) for name, length in WANTED}


def read_crops(pictures: list[Pixels], each: int, seed: int) -> dict[str, Bits]:
    """Bits of ``each`` crops of every picture, in the order of the pictures."""
    rng, rows = np.random.default_rng(seed), []
    for number, pixels in enumerate(pictures):
        sys.stderr.write(f"\rpicture {number + 1} of {len(pictures)} ")
        rows += [decoded(crop(rng, pixels)) for _ in range(each)]
    sys.stderr.write("\n")
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def read_rivagan(pictures: list[Pixels], count: int, seed: int) -> Bits:
    """Bits that rivaGan reads from one crop of 256 pixels each of ``count`` pictures in turn."""
    rng, rows = np.random.default_rng(seed), []
    for number in range(count):
        sys.stderr.write(f"\rrivaGan {number + 1} of {count} ")
        part = crop(rng, pictures[number % len(pictures)])
        side = min(part.shape[:2])
        rows.append(rivagan.read_bits(cv2.resize(part[:side, :side], (LEAST, LEAST))))
    sys.stderr.write("\n")
    return np.array(rows)


def false_labels(old: dict[str, Bits], new: dict[str, Bits], each: int) -> dict[str, Any]:
    """How often a known message is told of crops, judged without their own picture's crops."""
    report = {}
    for known in legacy.KNOWN_MESSAGES:
        name = f"dwtDct-{len(known.bits)}"
        message = np.array([int(bit) for bit in known.bits], np.uint8)
        agree = (new[name] == message).sum(axis=1)
        told = 0
        for number in range(len(new[name]) // each):
            own = np.arange(len(old[name])) // each == number
            null = EmpiricalNull(old[name][~own])
            told += sum(
                legacy.is_told(null.p_value(message, int(one)), int(one), message.size)
                for one in agree[number * each : (number + 1) * each]
            )
        report[known.name] = {
            "bits": message.size,
            "crops": len(agree),
            "most agreeing": int(agree.max()),
            "at which coins say": coins(message.size, int(agree.max())),
            "told": told,
        }
    return report


def coins(length: int, matching: int) -> float:
    """The binomial tail: what somebody would say who took the bits for fair coins."""
    return sum(math.comb(length, k) for k in range(matching, length + 1)) / 2**length


def recall(pictures: list[Pixels], seed: int) -> dict[str, dict[str, float]]:
    """Share of marked pictures that are told, by message and damage, in percent."""
    told: dict[str, dict[str, float]] = {}
    rng = np.random.default_rng(seed)
    parts = [cv2.resize(pixels, (512, 512), interpolation=cv2.INTER_AREA) for pixels in pictures]
    rng.shuffle(parts)
    for known in legacy.KNOWN_MESSAGES:
        bits = np.array([int(bit) for bit in known.bits], np.uint8)
        marked = [write_bits(np.asarray(part, np.uint8), "dwtDct", bits) for part in parts]
        told[known.name] = {
            name: 100 * float(np.mean([_is_named(one, known.name) for one in copies]))
            for name, copies in _damaged(marked)
        }
    return told


def _damaged(marked: list[Pixels]) -> Iterator[tuple[str, list[Pixels]]]:
    for name, quality in DAMAGES.items():
        yield name, [recoded(one, "jpeg", quality) if quality else one for one in marked]


def _is_named(pixels: Pixels, name: str) -> bool:
    return any(label["name"] == name for label in legacy.read_known_labels(pixels))


def recall_by_method(pictures: list[Pixels]) -> dict[str, dict[str, float]]:
    """The same of a message of 32 bits, of one's own, under the methods that need no network."""
    told = {}
    for method in ("dwtDct", "dwtDctSvd"):
        mark, bits = InvisibleWatermark(method, [OWN]), np.unpackbits(np.frombuffer(OWN, np.uint8))
        parts = [np.asarray(cv2.resize(one, (512, 512)), np.uint8) for one in pictures]
        marked = [write_bits(part, method, bits) for part in parts]
        told[method] = {
            name: 100 * float(np.mean([mark.detect(one).detected for one in copies]))
            for name, copies in _damaged(marked)
        }
    return told


def write_null(measured: dict[str, Bits]) -> None:
    """Puts what was measured into the file that ships, and leaves the rest there as it is."""
    file = ROOT / "guard" / "watermark" / NULLS
    packed: dict[str, Bits] = {}
    if file.exists():
        with np.load(file, allow_pickle=False) as before:
            packed = {name: before[name] for name in before}
    packed |= {name: pack(bits) for name, bits in measured.items()}
    np.savez_compressed(file, **packed)  # type: ignore[arg-type]  # numpy's own stub is too narrow


def trustmark(pictures: list[Pixels], folder: Path, each: int) -> dict[str, Any]:
    """What these models say of unmarked crops, and read of pictures marked with them."""
    models, reader = TrustMarkModels(folder, available(folder)[0]), TrustMarkReader(folder)
    rng, bits, told = np.random.default_rng(5), [], 0
    for pixels in pictures:
        for part in (crop(rng, pixels) for _ in range(each)):
            bits.append(models.logits(part) > 0)
            told += len(reader.read(part))
    mark = TrustMarkWatermark(folder, b"the benchmark's secret, 32 bytes")
    loss: list[float] = []
    read: dict[str, list[bool]] = {name: [] for name in DAMAGES}
    for pixels in pictures:
        payload = rng.bytes(8)
        try:
            marked = mark.embed(np.asarray(cv2.resize(pixels, (512, 512)), np.uint8), payload)
        except MarkRejected:
            continue
        loss.append(marked.mark.psnr_db)
        for name, copies in _damaged([marked.pixels]):
            read[name].append(mark.detect(copies[0]).payload == payload.hex())
    ones = np.mean(bits, axis=0)
    return {
        "unmarked crops": len(bits),
        "labels on them": told,
        "share of ones, least and most of 100 bits": [float(ones.min()), float(ones.max())],
        "marked": f"{len(loss)} of {len(pictures)}",
        "PSNR, mean dB": float(np.mean(loss)) if loss else None,
        "read, %": {name: 100 * float(np.mean(one)) if one else None for name, one in read.items()},
    }


def main() -> int:
    """Measure, print one JSON object, and write the null where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fetch", action="store_true")
    parser.add_argument("--each", type=int, default=24, help="crops of each picture; 0: none")
    parser.add_argument("--rivagan", type=int, default=0, help="crops that rivaGan reads")
    parser.add_argument("--write", action="store_true", help="put the null where labels use it")
    parser.add_argument("--trustmark", type=Path, help="folder with TrustMark's ONNX models")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.fetch:
        mark_gallery.fetch()
    pictures = hosts()
    if options.trustmark:
        found = trustmark(pictures, options.trustmark, max(1, options.each // 10))
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return 0
    report: dict[str, Any] = {"pictures": len(pictures)}
    null: dict[str, Bits] = {}
    if options.each:
        null = read_crops(pictures, options.each, seed=1)
        again = max(1, options.each // 4)
        new = read_crops(pictures, again, seed=2)
        report["false labels"] = false_labels(null, new, again)
    if options.rivagan:
        null[f"rivaGan-{rivagan.LENGTH}"] = read_rivagan(pictures, options.rivagan, seed=3)
    report["null crops"] = {name: len(bits) for name, bits in null.items()}
    if options.write:
        write_null(null)
    if options.each:
        report["told, %"] = recall(pictures, seed=4)
        report["32 bits told, %"] = recall_by_method(pictures)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
