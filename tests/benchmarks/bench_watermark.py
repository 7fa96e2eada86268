"""Measure the mark: false positives, robustness, quality, speed, beside dwtDctSvd in the same run.

    python tests/benchmarks/bench_watermark.py [--quick] [--json]

Pictures: photographs of the C2PA test files in ``../shared`` (or GENGUARD_SHARED), cropped and
scaled; without them, drawn pictures alone, and the report says so. Exits 1 when a floor is missed:
no false positive; JPEG 75 and every scaling read in at least 99 %; mean PSNR at least 40 dB.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from guard.errors import MarkRejected  # noqa: E402  # the path must be set first
from guard.types import Pixels  # noqa: E402
from guard.watermark.pilot_watermark import PilotWatermark, recoded  # noqa: E402
from tests.support.mark_pictures import KINDS, flat_art, line_art, scene  # noqa: E402

SECRET = b"the benchmark's secret, 32 bytes"
STRANGER = b"another secret, to mark and not read"
PAYLOAD = bytes.fromhex("0123456789abcdef")
LEGACY_BITS = "01101001100101100110100110010110"
FLOOR_READS = 0.99
FLOOR_PSNR = 40.0

T = TypeVar("T")
Attack = Callable[[Pixels], Pixels]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    unmarked_drawn: int
    strangers: int
    marked_drawn: int
    photo_crops: int
    timed: int


FULL = Size(unmarked_drawn=180, strangers=60, marked_drawn=12, photo_crops=24, timed=9)
QUICK = Size(unmarked_drawn=24, strangers=6, marked_drawn=3, photo_crops=4, timed=3)


def progress(label: str, items: Sequence[T]) -> Iterator[T]:
    """``items``, with a bar on stderr when somebody is watching."""
    for done, item in enumerate(items):
        if sys.stderr.isatty():
            filled = 30 * done // max(len(items), 1)
            bar = "█" * filled + "·" * (30 - filled)
            sys.stderr.write(f"\r{label:<28} {bar} {done}/{len(items)} ")
        yield item
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{label:<28} {'█' * 30} {len(items)}/{len(items)}\n")


def photographs() -> list[Pixels]:
    """The photographs at hand; none, and a word on stderr, where they are absent."""
    shared = Path(os.environ.get("GENGUARD_SHARED", ROOT.parent / "shared"))
    files = sorted((shared / "data/c2pa/public-testfiles").glob("*.jpg"))
    if not files:
        sys.stderr.write(f"SKIPPED photographs: none under {shared}; drawn pictures only\n")
    return [cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB) for file in files]


def variants(photos: Sequence[Pixels], count: int, seed: int) -> list[Pixels]:
    """``count`` crops of 256–768 px at scale 0.4–1.2, mirrored or toned by chance."""
    rng = np.random.default_rng(seed)
    made: list[Pixels] = []
    while photos and len(made) < count:
        photo = photos[len(made) % len(photos)]
        factor = rng.uniform(0.4, 1.2)
        photo = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        height, width = (int(min(side, rng.integers(256, 769))) for side in photo.shape[:2])
        top, left = (
            int(rng.integers(0, have - want + 1))
            for have, want in zip(photo.shape[:2], (height, width), strict=True)
        )
        crop = photo[top : top + height, left : left + width]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        toned = np.clip(crop * rng.uniform(0.7, 1.2) + rng.uniform(-10, 10), 0, 255)
        made.append(toned.astype(np.uint8))
    return made


def unmarked(size: Size, photos: Sequence[Pixels]) -> list[tuple[str, Pixels]]:
    """Pictures that no key has marked, with their kind."""
    crops = variants(photos, size.unmarked_drawn * 2, seed=1)
    drawn = [
        (kind, draw(seed, *shape))
        for number, (kind, draw) in enumerate(KINDS.items())
        for seed, shape in zip(
            range(1000 * number, 1000 * number + size.unmarked_drawn // len(KINDS)),
            ((256, 256), (512, 512), (300, 480), (640, 384)) * size.unmarked_drawn,
            strict=False,
        )
    ]
    return [*(("photograph", crop) for crop in crops), *drawn]


def false_positives(size: Size, photos: Sequence[Pixels]) -> dict[str, Any]:
    """(a) What is found where nothing is, or where only a stranger's mark is."""
    reader, stranger = PilotWatermark(SECRET), PilotWatermark(STRANGER)
    pictures = unmarked(size, photos)
    found = [reader.detect(one) for _, one in progress("unmarked pictures", pictures)]
    foreign = [
        reader.detect(stranger.embed(one, PAYLOAD).pixels)
        for one in progress("strangers' marks", hosts(size.strangers, photos, seed=2))
    ]
    values = np.array([one.p_value for one in found + foreign])
    return {
        "unmarked": len(found),
        "unmarked_by_kind": {
            kind: sum(k == kind for k, _ in pictures) for kind in sorted({k for k, _ in pictures})
        },
        "strangers": len(foreign),
        "false_positives": sum(one.detected for one in found + foreign),
        "payloads_read": sum(one.payload is not None for one in found + foreign),
        "least_p_value": float(values.min()),
        "share_p_below_0.1": float((values < 0.1).mean()),
    }


def hosts(count: int, photos: Sequence[Pixels], seed: int) -> list[Pixels]:
    """Pictures that can be marked: photographs where there are some, else drawn scenes."""
    rng = np.random.default_rng(seed)
    crops = [one for one in variants(photos, 3 * count, seed) if min(one.shape[:2]) >= 384]
    return crops[:count] or [scene(int(rng.integers(1e6))) for _ in range(count)]


def resized(factor: float) -> Attack:
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return lambda p: cv2.resize(p, None, fx=factor, fy=factor, interpolation=method)


def codec(name: str, quality: int) -> Attack:
    return lambda p: recoded(p, name, quality)  # type: ignore[arg-type]


def grain(deviation: float) -> Attack:
    def attack(pixels: Pixels) -> Pixels:
        added = np.random.default_rng(7).normal(0, deviation, pixels.shape)
        return np.clip(np.rint(pixels + added), 0, 255).astype(np.uint8)

    return attack


def toned(gain: float, offset: float) -> Attack:
    return lambda p: np.clip(p * gain + offset, 0, 255).astype(np.uint8)


ATTACKS: dict[str, Attack] = {
    "none": lambda p: p,
    **{f"JPEG {quality}": codec("jpeg", quality) for quality in (90, 75, 50, 30)},
    **{f"WebP {quality}": codec("webp", quality) for quality in (75, 50)},
    **{f"resize {factor:g}": resized(factor) for factor in (0.5, 0.75, 1.5, 2.0)},
    "brightness 80 %": toned(0.8, 0),
    "brightness 110 %": toned(1.1, 0),
    "contrast 70 %": toned(0.7, 38),
    "noise 5": grain(5),
    "noise 10": grain(10),
    "blur 1": lambda p: cv2.GaussianBlur(p, (0, 0), 1.0),
    "blur 2": lambda p: cv2.GaussianBlur(p, (0, 0), 2.0),
    "mirrored": lambda p: p[:, ::-1],
    "upside down": lambda p: p[::-1, ::-1],
    "quarter turn": lambda p: np.rot90(p),  # noqa: PLW0108  # a name for the table
    "crop 80 %": lambda p: p[31 : 31 + p.shape[0] * 4 // 5, 17 : 17 + p.shape[1] * 4 // 5],
}


def robustness(size: Size, photos: Sequence[Pixels]) -> dict[str, Any]:
    """(b) Share of payloads read after each attack; (c) what the mark costs."""
    mark = PilotWatermark(SECRET)
    shapes = [(512, 512), (512, 512), (512, 768), (768, 512)]
    groups = {
        "photographs": hosts(size.photo_crops, photos, seed=3),
        "flat art": [flat_art(n, *shapes[n % 4]) for n in range(2 * size.marked_drawn)],
        "drawn scenes": [scene(n, *shapes[n % 4]) for n in range(size.marked_drawn)],
        "line art": [line_art(n, *shapes[n % 4]) for n in range(size.marked_drawn)],
    }
    return {name: survival(mark, name, pictures) for name, pictures in groups.items()}


def survival(mark: PilotWatermark, name: str, pictures: Sequence[Pixels]) -> dict[str, Any]:
    reads = dict.fromkeys(ATTACKS, 0)
    costs, wrong, rejected = [], 0, 0
    for pixels in progress(name, pictures):
        try:
            marked = mark.embed(pixels, PAYLOAD)
        except MarkRejected:
            rejected += 1
            continue
        costs.append(marked.mark.psnr_db)
        for attack, damage in ATTACKS.items():
            payload = mark.detect(damage(marked.pixels)).payload
            reads[attack] += payload == PAYLOAD.hex()
            wrong += payload not in {None, PAYLOAD.hex()}
    return {
        "pictures": len(pictures),
        "rejected": rejected,
        "wrong_payloads": wrong,
        "psnr_mean": float(np.mean(costs)) if costs else None,
        "psnr_min": float(np.min(costs)) if costs else None,
        "read": {attack: count / len(costs) for attack, count in reads.items()} if costs else {},
    }


def quality(size: Size, photos: Sequence[Pixels]) -> dict[str, Any]:
    """(c) SSIMULACRA2 on a few pictures: 90 is invisible, 70 is high quality."""
    from tempfile import TemporaryDirectory

    try:
        from ssimulacra2.ssimulacra2 import compute_ssimulacra2
    except ImportError:
        sys.stderr.write("SKIPPED SSIMULACRA2: pip install ssimulacra2\n")
        return {}
    mark = PilotWatermark(SECRET)
    samples = {
        "photographs": hosts(size.timed, photos, seed=5),
        "flat art": [flat_art(100 + n) for n in range(size.timed)],
    }
    scores: dict[str, list[float]] = {}
    with TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.png", Path(folder) / "after.png"
        for name, pictures in samples.items():
            for pixels in progress(f"SSIMULACRA2, {name}", pictures):
                cv2.imwrite(str(before), pixels[..., ::-1])
                cv2.imwrite(str(after), mark.embed(pixels, PAYLOAD).pixels[..., ::-1])
                scores.setdefault(name, []).append(compute_ssimulacra2(str(before), str(after)))
    return {
        name: {"mean": float(np.mean(values)), "min": float(np.min(values))}
        for name, values in scores.items()
    }


def speed(size: Size) -> dict[str, Any]:
    """(d) Median milliseconds of processor time: other work on the machine does not count."""
    mark = PilotWatermark(SECRET)
    times: dict[str, float] = {}
    for side in progress("speed", (512, 1024)):
        pixels = scene(side, side, side)
        marked = mark.embed(pixels, PAYLOAD).pixels
        work: dict[str, Callable[[], object]] = {
            "embed, checked": lambda p=pixels: mark.embed(p, PAYLOAD),
            "embed alone": lambda p=pixels: mark._embedder.embed(p, PAYLOAD),
            "detect, same frame": lambda p=marked: mark.detect(p),
            "detect, unmarked": lambda p=pixels: mark.detect(p),
        }
        times |= {f"{name}, {side} px": median_ms(do, size.timed) for name, do in work.items()}
    return times


def median_ms(work: Callable[[], object], count: int) -> float:
    work()
    spent = []
    for _ in range(count):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return float(np.median(spent) * 1000)


def beside_dwt_dct_svd(size: Size, photos: Sequence[Pixels]) -> dict[str, Any] | None:
    """(e) invisible-watermark's dwtDctSvd, 32 bits, on the same photographs and flat art."""
    try:
        from imwatermark import WatermarkDecoder, WatermarkEncoder
    except ImportError:
        sys.stderr.write("SKIPPED dwtDctSvd: pip install --no-deps invisible-watermark\n")
        return None
    from guard.watermark.embed import psnr

    encoder, decoder = WatermarkEncoder(), WatermarkDecoder("bits", len(LEGACY_BITS))
    encoder.set_watermark("bits", [int(bit) for bit in LEGACY_BITS])
    attacks = {n: ATTACKS[n] for n in ("none", "JPEG 75", "JPEG 50", "resize 0.75", "mirrored")}
    pictures = hosts(size.photo_crops, photos, seed=3) + [flat_art(n) for n in range(size.timed)]
    reads, costs, spent = dict.fromkeys(attacks, 0), [], {"embed": [], "detect": []}
    for pixels in progress("dwtDctSvd", pictures):
        blue_first = np.ascontiguousarray(pixels[..., ::-1])
        start = time.process_time()
        marked = np.asarray(encoder.encode(blue_first, "dwtDctSvd"), dtype=np.uint8)
        spent["embed"].append(time.process_time() - start)
        costs.append(psnr(blue_first, marked))
        for name, damage in attacks.items():
            damaged = np.ascontiguousarray(damage(marked))
            start = time.process_time()
            bits = decoder.decode(damaged, "dwtDctSvd")
            spent["detect"].append(time.process_time() - start)
            reads[name] += "".join(str(int(bit)) for bit in bits) == LEGACY_BITS
    return {
        "pictures": len(pictures),
        "psnr_mean": float(np.mean(costs)),
        "read": {name: count / len(pictures) for name, count in reads.items()},
        "ms": {name: float(np.median(values) * 1000) for name, values in spent.items()},
    }


def missed(report: dict[str, Any]) -> list[str]:
    """The floors that do not hold, in words."""
    groups, wrong = report["robustness"], report["false_positives"]["false_positives"]
    faults = [f"{wrong} false positives"] if wrong else []
    for name in ("photographs", "flat art"):
        group = groups[name]
        if group["rejected"] or group["wrong_payloads"]:
            faults.append(f"{name}: {group['rejected']} rejected, {group['wrong_payloads']} wrong")
        faults += [
            f"{name}: {attack} read in {group['read'].get(attack, 0):.1%}"
            for attack in ATTACKS
            if attack == "JPEG 75" or attack.startswith("resize")
            if group["read"].get(attack, 0) < FLOOR_READS
        ]
    costs = [group["psnr_mean"] for group in groups.values() if group["psnr_mean"] is not None]
    if not costs or np.mean(costs) < FLOOR_PSNR:
        faults.append(f"mean PSNR {np.mean(costs) if costs else 0:.1f} dB")
    return faults


def table(report: dict[str, Any]) -> str:
    """The report for a person."""
    null, lines = report["false_positives"], []
    lines.append(
        f"false positives: {null['false_positives']} of {null['unmarked']} unmarked and "
        f"{null['strangers']} marked by a stranger; least p {null['least_p_value']:.2g}; "
        f"p < .1 in {null['share_p_below_0.1']:.1%}"
    )
    groups = report["robustness"]
    lines.append(f"{'':<18}" + "".join(f"{name:>15}" for name in groups) + f"{'dwtDctSvd':>15}")
    other = report["dwtDctSvd"] or {"psnr_mean": float("nan"), "read": {}, "ms": {}}
    row = [f"{group['psnr_mean'] or 0:.1f}" for group in groups.values()]
    lines.append(
        f"{'PSNR, dB':<18}" + "".join(f"{x:>15}" for x in [*row, f"{other['psnr_mean']:.1f}"])
    )
    for attack in ATTACKS:
        shares = [group["read"].get(attack) for group in groups.values()]
        cells = ["–" if s is None else f"{s:.0%}" for s in [*shares, other["read"].get(attack)]]
        lines.append(f"{attack:<18}" + "".join(f"{cell:>15}" for cell in cells))
    for name, score in report["ssimulacra2"].items():
        lines.append(f"SSIMULACRA2, {name}: mean {score['mean']:.1f}, min {score['min']:.1f}")
    lines += [f"{name}: {ms:.1f} CPU-ms" for name, ms in report["ms"].items()]
    lines.append("dwtDctSvd: " + ", ".join(f"{n} {ms:.1f} CPU-ms" for n, ms in other["ms"].items()))
    lines += [f"MISSED: {fault}" for fault in report["missed"]] or ["all floors hold"]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small sample, about a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    photos = photographs()
    report: dict[str, Any] = {
        "photographs": len(photos),
        "false_positives": false_positives(size, photos),
        "robustness": robustness(size, photos),
        "ssimulacra2": quality(size, photos),
        "ms": speed(size),
        "dwtDctSvd": beside_dwt_dct_svd(size, photos),
    }
    report["missed"] = missed(report)
    sys.stdout.write((json.dumps(report) if options.json else table(report)) + "\n")
    return 1 if report["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
