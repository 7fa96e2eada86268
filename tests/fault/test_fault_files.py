"""Hostile picture files: no crash, no hang, little memory, one typed answer each.

What parses manifests is native code, so the files are looked at in a process of its own: if one
kills it, the test fails and names the file. A sample is looked at; with GUARD_TEST_FILES=all (`make
nightly`) 20,000 changed files and a cut at every byte that matters, which takes minutes.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from guard.errors import InvalidImage
from guard.image.decode import decode
from guard.image.encode import encode
from guard.provenance.base import ManifestFacts
from guard.provenance.keys import create_development_keys, load_signing_keys
from guard.provenance.read import examine_manifest
from guard.provenance.sign import C2paSigner
from guard.provenance.trust import TrustList, anchors_of, load_trust
from guard.provenance.xmp import xmp_packet
from guard.types import Detection, Mark, Origin, Pixels, VerdictName
from guard.verify.render import page
from guard.verify.suspect import Verifier
from tests.support.hostile_files import (
    FORMATS,
    MATRIX,
    SCRIPT,
    Signed,
    bad_boxes,
    bad_containers,
    bad_contents,
    chunk,
    flipped,
    polyglots,
    rings,
    signed_with_texts,
    with_store,
    with_title,
)
from tests.support.house import picture

ROOT = Path(__file__).parents[2]
MOST_SECONDS = 5.0
MOST_MEMORY = 512
SAMPLE = 40
"""Truncations, and as many changes, of one file of each format."""

EVERYTHING = os.environ.get("GUARD_TEST_FILES") == "all"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    create_development_keys(home)
    return home


@pytest.fixture(scope="module")
def trust(home: Path) -> TrustList:
    return load_trust(home)


@pytest.fixture(scope="module")
def signed(home: Path) -> Mapping[str, Signed]:
    """Media type → a small signed file, and another by the same signer."""
    signer = C2paSigner(load_signing_keys(home))
    return {kind: Signed(_sign(signer, kind, 1), kind, _sign(signer, kind, 2)) for kind in FORMATS}


def _sign(signer: C2paSigner, kind: str, seed: int, parent: bytes | None = None) -> bytes:
    facts = ManifestFacts(
        record_id=f"01934a7e-0000-7000-8000-00000000000{seed}",
        origin=Origin.EDITED if parent else Origin.GENERATED,
        when=_now(),
        model="demo@1",
        mark=Mark("genguard-pilot-1", "0123456789abcdef", 42.0),
        fingerprint=None,
        provider="Example Images",
        parent=parent,
        parent_media_type="image/png" if parent else None,
    )
    encoded = encode(picture(seed, 96), kind, xmp=xmp_packet(facts))
    return signer.sign(encoded, kind, facts).bytes


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


Named = Iterable[tuple[str, bytes]]


def looked_at(folder: Path, files: Named, anchors: bytes = b"") -> dict[str, dict[str, Any]]:
    """Every file through a verifier in a process of its own; rows by name.

    Fails when it dies, hangs or holds too much memory.
    """
    (folder / "files").mkdir(parents=True)
    (folder / "ca.pem").write_bytes(anchors) if anchors else None
    names = {}
    for number, (name, data) in enumerate(files):
        names[f"{number:05d}"] = name
        (folder / "files" / f"{number:05d}").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.hostile_run", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    *rows, last = [json.loads(line) for line in done.stdout.splitlines()] or [{}]
    if done.returncode:
        died_at = names.get(f"{len(rows) + bool(last):05d}")
        pytest.fail(f"died with {done.returncode} at {died_at!r}: {done.stderr[-2000:]}")
    assert len(rows) == len(names)
    slow = [(names[row["name"]], row["seconds"]) for row in rows if row["seconds"] > MOST_SECONDS]
    assert not slow
    assert last["memory_mb"] < MOST_MEMORY
    return {names[row["name"]]: row for row in rows}


# -- the tamper matrix -----------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", FORMATS)
@pytest.mark.parametrize("name", list(MATRIX))
def test_tampering(
    signed: Mapping[str, Signed], trust: TrustList, media_type: str, name: str
) -> None:
    row = MATRIX[name]
    reading = examine_manifest(row.make(signed[media_type]), media_type, trust)
    if row.state is None:
        assert reading is None
        return
    assert reading is not None
    assert reading.state == row.state
    assert reading.hard_binding_only is row.hard_binding_only
    assert not row.code or set(row.code) & set(reading.problems)
    assert reading.agreement is not False, "no engine says otherwise"


# -- cut, changed and impossible files -------------------------------------------------------------


@pytest.mark.parametrize("media_type", FORMATS)
def test_truncated(signed: Mapping[str, Signed], tmp_path: Path, media_type: str) -> None:
    one = signed[media_type]
    ends = _ends(one) if EVERYTHING else range(0, len(one.data), len(one.data) // SAMPLE)
    files = ((f"cut at {end}", one.data[:end]) for end in ends)
    for name, row in looked_at(tmp_path, files).items():
        assert row["state"] != "trusted", name
        assert row.get("error") in {None, "invalid_image"}
        assert row["state"] in {None, "invalid"} or "error" not in row


def _ends(one: Signed) -> list[int]:
    """Every byte of the store and around it; every 16th of the pixels."""
    start = one.data.find(one.store[:60])
    around = range(max(0, start - 200), min(len(one.data), start + len(one.store) + 200))
    return sorted({*around, *range(0, len(one.data), 16)})


@pytest.mark.parametrize("media_type", FORMATS)
def test_changed_bytes(signed: Mapping[str, Signed], tmp_path: Path, media_type: str) -> None:
    rows = looked_at(tmp_path, _changed(signed[media_type], 4000 if EVERYTHING else SAMPLE))
    assert {row["state"] for row in rows.values()} <= {None, "valid", "invalid"}
    assert {row.get("error") for row in rows.values()} <= {None, "invalid_image"}


def _changed(one: Signed, count: int) -> Iterator[tuple[str, bytes]]:
    """Runs of random bytes, half of them in the manifest store."""
    chance = random.Random(one.media_type)  # noqa: S311  # the same files each time
    start = one.data.find(one.store[:60])
    for number in range(count):
        low, high = (start, start + len(one.store)) if number % 2 else (0, len(one.data))
        at, length = chance.randrange(low, high - 8), chance.choice((1, 2, 4, 8))
        junk = chance.choice((b"\0", b"\xff", chance.randbytes(1))) * length
        yield f"{number}: {length} at {at}", one.data[:at] + junk + one.data[at + length :]


def test_boxes_of_impossible_lengths(signed: Mapping[str, Signed], tmp_path: Path) -> None:
    """Alone in a bare picture, and in the place of a good store."""
    one = signed["image/png"]
    at = one.data.index(b"caBX") - 4
    head, tail = one.data[:at], one.data[at + 12 + len(one.store) :]
    files: dict[str, bytes] = {}
    for name, store in bad_boxes(one):
        files[f"bare: {name}"] = with_store(store)
        files[name] = head + chunk(b"caBX", store) + tail
    rows = looked_at(tmp_path, files.items())
    assert {row["state"] for row in rows.values()} == {"invalid"}
    assert len(rows) > 100


def test_boxes_in_other_formats(signed: Mapping[str, Signed], tmp_path: Path) -> None:
    files = {
        f"{kind}: {name}": with_store(store, kind)
        for kind in ("image/jpeg", "image/webp")
        for number, (name, store) in enumerate(bad_boxes(signed["image/png"]))
        if number % 4 == 0 or "nested" in name
    }
    rows = looked_at(tmp_path, files.items())
    assert {row["state"] for row in rows.values()} <= {"invalid", None}


def test_contents_that_exhaust_a_stack(signed: Mapping[str, Signed], tmp_path: Path) -> None:
    rows = looked_at(tmp_path, bad_contents(signed["image/png"]))
    assert {row["state"] for row in rows.values()} == {"invalid"}
    assert len(rows) == 26


def test_manifests_in_rings_and_in_thousands(home: Path, tmp_path: Path) -> None:
    """Pictures that are made from themselves, and a store of very many manifests."""
    signer = C2paSigner(load_signing_keys(home))
    parent = _sign(signer, "image/png", 1)
    child = _sign(signer, "image/png", 2, parent)
    files = dict(rings(Signed(_sign(signer, "image/png", 3, child), "image/png", b"")))
    rows = looked_at(tmp_path, files.items())
    assert {row["state"] for row in rows.values()} == {"invalid"}
    assert len(rows) == 5


def test_containers_that_lead_nowhere(signed: Mapping[str, Signed], tmp_path: Path) -> None:
    rows = looked_at(tmp_path, bad_containers(signed))
    assert {row["state"] for row in rows.values()} <= {"invalid", None}
    assert {row.get("error") for row in rows.values()} <= {None, "invalid_image"}
    assert rows["AVIF of empty boxes"]["problems"] == ["manifest.unreadable"]


def test_polyglots(signed: Mapping[str, Signed], tmp_path: Path) -> None:
    files = {kind: one.data for kind, one in signed.items()}
    rows = looked_at(tmp_path, polyglots(files))
    for name, row in rows.items():
        if name in {"a script in front", "a signature alone"}:
            assert row["state"] is None
            assert row["error"] == "invalid_image"
        else:
            assert row["state"] == "invalid", name


def test_a_manifest_that_was_never_signed_for_this_format(
    signed: Mapping[str, Signed], trust: TrustList
) -> None:
    """Its bytes say what a file is, whatever the caller says."""
    for one in signed.values():
        reading = examine_manifest(one.data, "image/gif", trust)
        assert reading is not None
        assert reading.state == "trusted"


# -- texts ---------------------------------------------------------------------------------------


class NoMark:
    """A watermark that finds nothing, at once."""

    method = "none"

    def detect(self, pixels: Pixels) -> Detection:
        return Detection(detected=False, payload=None, method="none", p_value=1.0)


def test_a_title_of_ten_million_characters(signed: Mapping[str, Signed], tmp_path: Path) -> None:
    files = [("title", with_title(signed["image/png"], "A" * 10_000_000))]
    long_text = b"<x:xmpmeta><dc:title>" + b"A" * 10_000_000 + b"</dc:title></x:xmpmeta>"
    bare = encode(picture(1, 96), "image/png")
    late = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + long_text)
    files.append(("text", bare[:33] + late + bare[33:]))
    rows = looked_at(tmp_path, files)
    assert rows["title"]["state"] == "invalid"
    assert rows["text"]["state"] is None
    assert max(row["page"] for row in rows.values()) < 60_000


@pytest.mark.parametrize("text", [SCRIPT, "\0\x1b[31m\u2028" * 9, "\ud7ff\U0010ffff" * 20])
def test_texts_that_command(text: str, tmp_path: Path) -> None:
    data, anchor = signed_with_texts(text)
    trust = TrustList((anchors_of("test", anchor, date="", uri="urn:t"),))
    report = Verifier(trust, NoMark(), None).examine(data)  # type: ignore[arg-type]
    assert report.verdict is VerdictName.TRUSTED
    html = page([(tmp_path / "x.png", report)])
    body = html.partition("<body>")[2]
    assert "<script" not in body
    assert "<img" not in body
    assert "49" not in body.partition("Its history")[2]
    json.dumps(report.provenance)
    assert len(html) < 80_000


def test_good_files_pass_where_bad_ones_do_not(
    signed: Mapping[str, Signed], trust: TrustList
) -> None:
    for kind, one in signed.items():
        reading = examine_manifest(one.data, kind, trust)
        assert reading is not None
        assert (reading.state, reading.agreement) == ("trusted", True)
        assert decode(one.data).media_type == kind
        with pytest.raises(InvalidImage):
            decode(flipped(one.data, 3)[:2000])
