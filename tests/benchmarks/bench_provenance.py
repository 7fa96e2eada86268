"""Signing, beside plain c2pa-python on the same pictures, both sides in one run.

    python tests/benchmarks/bench_provenance.py [--runs N] [--json]

*Ours*: all that the signer does for a picture: the manifest with byte bindings, the claim signed
apart, the file read back and verified, the picture compared. *Plain*: c2pa-python's Builder and a
key in memory, with its defaults (they make a thumbnail); and beside it with thumbnails off, which
few know to set: that row is for information. Calls of the sides alternate, so that a busy machine
slows them alike; the ratio is that of the medians. Also counted: the official rubric's rules on
five formats, the second reader's strict verdict, keys on a token and behind a callback, and how
long a time-stamp takes. Exit status 1 when a ratio to the defaults is below 1 or a count is not 0.

The rest of ``make bench-provenance`` is in bench_provenance_verify.py and bench_recovery.py.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # tests.support, when run as a script

import numpy as np
from rich.console import Console
from rich.table import Table

from guard.image.encode import EXTENSIONS, encode
from guard.image.fingerprint import fingerprint
from guard.provenance.base import ManifestFacts
from guard.provenance.claim_key import CallbackKey, ClaimKey
from guard.provenance.loopback import DevelopmentServices
from guard.provenance.manifest import CREATED_LABELS, definition
from guard.provenance.pki import Credential
from guard.provenance.read import read_manifest
from guard.provenance.services import Services
from guard.provenance.sign import C2paSigner
from guard.provenance.signatures import sign_raw
from guard.provenance.stapling import Stapler
from guard.provenance.timestamps import TimestampAuthority
from guard.provenance.trust import TrustList, anchors_of, context_for
from guard.provenance.xmp import xmp_packet
from guard.types import Mark, Origin, Pixels
from tests.support.rubric import RULES, breaches

SIDES = (512, 1024)
KINDS = ("image/png", "image/jpeg")
BAR = 1.0
"""Ours must take no longer than plain c2pa-python with its defaults."""

MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
)


@dataclass(frozen=True)
class Row:
    """Medians in milliseconds of one size and format."""

    side: int
    kind: str
    ours: float
    plain: float
    without_thumbnail: float

    @property
    def ratio(self) -> float:
        return self.plain / self.ours


def textured(side: int) -> Pixels:
    """Smooth shapes with grain on them, as a photograph has."""
    from PIL import Image

    rng = np.random.default_rng(side)
    coarse = rng.normal(128, 45, (side // 32, side // 32, 3)).clip(0, 255).astype(np.uint8)
    smooth = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    grain = rng.normal(0, 5, (side, side, 3))
    return (np.asarray(smooth) + grain).clip(0, 255).astype(np.uint8)


def facts(pixels: Pixels, **changed: Any) -> ManifestFacts:
    given: dict[str, Any] = {
        "record_id": "01934a7e-0000-7000-8000-000000000001",
        "origin": Origin.GENERATED,
        "when": datetime.now(UTC),
        "model": "demo@1f2e3d",
        "mark": Mark("genguard-pilot-3", "0123456789abcdef", 42.0),
        "fingerprint": fingerprint(pixels),
        "provider": "Example Images",
    }
    return ManifestFacts(**(given | changed))


def callback(held: Credential) -> CallbackKey:
    return CallbackKey.of(held.chain_pem, lambda message: sign_raw(held.key, message))


def timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def medians(runs: int, *sides: Callable[[], Any]) -> list[float]:
    """Milliseconds of each side; they take turns, after one call each that warms up."""
    for side in sides:
        side()
    taken = [[timed(side) for side in sides] for _ in range(runs)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def speed(held: Credential, runs: int) -> list[Row]:
    from c2pa import Builder, C2paSignerInfo, Context, Signer

    ours = C2paSigner(callback(held))
    info = C2paSignerInfo(b"es256", held.chain_pem, held.key_pem, None)
    theirs = Signer.from_info(info)
    off = Context.from_dict(
        {
            "builder": {
                "thumbnail": {"enabled": False},
                "created_assertion_labels": list(CREATED_LABELS),
            }
        }
    )
    rows = []
    for side in SIDES:
        pixels = textured(side)
        stated = facts(pixels)
        for kind in KINDS:
            data = encode(pixels, kind, xmp=xmp_packet(stated))

            def plain(context: Context | None = None, kind: str = kind, data: bytes = data) -> None:
                said = definition(stated, kind)  # noqa: B023  # called before the next picture
                more = {"context": context} if context is not None else {}
                with Builder(said, **more) as builder:
                    builder.sign(theirs, kind, BytesIO(data), BytesIO())

            rows.append(
                Row(
                    side,
                    kind,
                    *medians(
                        runs,
                        lambda: ours.sign(data, kind, stated),  # noqa: B023
                        plain,
                        lambda: plain(off),
                    ),
                )
            )
    return rows


def conformance(services: DevelopmentServices) -> dict[str, Any]:
    """Breaches of the rubric, and verdicts that are not *Trusted*, over formats and origins."""
    import encypher_c2pa
    from c2pa import Reader

    key = callback(services.pki.signer)
    full = Services(TimestampAuthority(services.tsa_url), stapler=Stapler(key.chain))
    signer = C2paSigner(key, full)
    pixels = textured(256)
    root = services.pki.root.pem
    trust = TrustList((anchors_of("root", root, date="", uri="urn:bench"),))
    broken, first, second, files = 0, 0, 0, 0
    original = signer.sign(encode(pixels, "image/webp"), "image/webp", facts(pixels)).bytes
    for kind in EXTENSIONS:
        for origin in Origin:
            parent = None if origin is Origin.GENERATED else original
            stated = facts(pixels, origin=origin, parent=parent)
            encoded = encode(pixels, kind, xmp=xmp_packet(stated))
            data = signer.sign(encoded, kind, stated).bytes
            with Reader(kind, BytesIO(data), context=context_for(trust)) as reader:
                broken += len(breaches(json.loads(reader.crjson())))
            reading = read_manifest(data, kind, trust)
            first += reading is None or reading.state != "trusted"
            report = encypher_c2pa.verify(
                data,
                kind,
                trust_pem=root.decode(),
                tsa_trust_pem=services.pki.tsa_root.pem.decode(),
                telemetry=False,
                online=False,
                strict_conformance=True,
            )
            second += report["validation_state"] != "Trusted"
            files += 1
    return {
        "files": files,
        "rules": len(RULES),
        "rules_broken": broken,
        "not_trusted_by_c2pa": first,
        "not_trusted_by_second_reader_strictly": second,
    }


def on_a_token(held: Credential, folder: Path) -> ClaimKey | None:
    """The key on a SoftHSM token; None where there is no SoftHSM."""
    from guard.provenance.token_key import open_token_key

    module = next((one for one in MODULES if Path(one).exists()), None)
    if module is None:
        return None
    (folder / "tokens").mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {folder}/tokens\n")
    os.environ["SOFTHSM2_CONF"] = str(settings)
    key, chain = folder / "key.pem", folder / "chain.pem"
    key.write_bytes(held.key_pem)
    chain.write_bytes(held.chain_pem)
    named = ["--token", "bench", "--label", "k", "--id", "01", "--pin", "5678"]
    fresh = ["--free", "--label", "bench", "--so-pin", "1234", "--pin", "5678"]
    for arguments in (["--init-token", *fresh], ["--import", str(key), *named]):
        subprocess.run(["softhsm2-util", *arguments], check=True, capture_output=True)
    uri = f"pkcs11:token=bench;object=k?module-path={module}"
    return open_token_key(uri, "5678", chain)


def keys_and_services(services: DevelopmentServices, runs: int) -> dict[str, float | None]:
    """Milliseconds a 256 px PNG, by where the key is and by what is asked of others."""
    held = services.pki.signer
    pixels = textured(256)
    stated, data = facts(pixels), encode(pixels, "image/png")
    bare = C2paSigner(callback(held))
    stamped = C2paSigner(callback(held), Services(TimestampAuthority(services.tsa_url)))
    key = callback(held)
    stapled = C2paSigner(key, Services(stapler=Stapler(key.chain)))
    signers = {"callback": bare, "with time-stamp": stamped, "with stapled OCSP": stapled}
    with tempfile.TemporaryDirectory() as folder:
        token = on_a_token(held, Path(folder))
        if token is not None:
            signers["key on a token"] = C2paSigner(token)
        works = [
            lambda one=one: one.sign(data, "image/png", stated)  # type: ignore[misc]
            for one in signers.values()
        ]
        taken: dict[str, float | None] = dict(zip(signers, medians(runs, *works), strict=True))
    return taken if token is not None else taken | {"key on a token": None}


def show(rows: Sequence[Row], counts: dict[str, Any], others: dict[str, float | None]) -> None:
    table = Table(title="Signing one picture, milliseconds (medians)")
    for head in ("picture", "ours", "plain, defaults", "ratio", "plain, no thumbnail", "ratio"):
        table.add_column(head, justify="left" if head == "picture" else "right")
    for row in rows:
        table.add_row(
            f"{row.side} px {row.kind.removeprefix('image/').upper()}",
            f"{row.ours:.1f}",
            f"{row.plain:.1f}",
            f"[{'green' if row.ratio >= BAR else 'red'}]{row.ratio:.1f}[/]",
            f"{row.without_thumbnail:.1f}",
            f"[dim]{row.without_thumbnail / row.ours:.2f}[/]",
        )
    console = Console()
    console.print(table)
    for name, milliseconds in others.items():
        shown = "no SoftHSM here" if milliseconds is None else f"{milliseconds:.1f} ms"
        console.print(f"256 px PNG, {name}: {shown}")
    for what, count in counts.items():
        console.print(f"{what.replace('_', ' ')}: {count}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with DevelopmentServices() as services:
        rows = speed(services.pki.signer, asked.runs)
        others = keys_and_services(services, asked.runs)
        counts = conformance(services)
    if asked.json:
        speeds = [vars(row) | {"ratio": row.ratio} for row in rows]
        print(json.dumps({"speed": speeds, "others_ms": others, "counts": counts}))
    else:
        show(rows, counts, others)
    wrong = [value for name, value in counts.items() if name not in {"files", "rules"} and value]
    return 1 if wrong or any(row.ratio < BAR for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
