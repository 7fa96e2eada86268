"""Trust lists: nothing comes into force that nobody pinned, and nothing is lost."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from guard.errors import KeyInvalid, SettingsInvalid, Unavailable
from guard.provenance import pki, trust_update
from guard.provenance.trust import CLOCKS_NAME, OFFICIAL_NAME, OFFICIAL_SIGNERS, load_trust, shipped
from guard.provenance.trust_update import keep, offer, remove

from .authority import Authority


class Shelf(BaseHTTPRequestHandler):
    files: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        data = self.files.get(self.path)
        self.send_response(200 if data is not None else 404)
        self.end_headers()
        self.wfile.write(data or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def pem() -> bytes:
    return Authority("One").pem


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_list_from_a_file(tmp_path: Path, pem: bytes) -> None:
    file = tmp_path / "given.pem"
    file.write_bytes(b"# ours\n" + pem)
    home = tmp_path / "home"
    offered = offer(home, "partners", str(file))
    assert (offered.gained, offered.lost, offered.known) == (("One",), (), False)
    assert not home.exists(), "an offer changes nothing"

    keep(home, offered, offered.sha256, of=date(2026, 10, 1))
    (_, kept) = load_trust(home).lists
    assert (kept.name, kept.date, kept.source) == ("partners", "2026-10-01", str(file))
    assert kept.sha256 == sha(file.read_bytes())
    assert offer(home, "partners", None).known


def test_a_list_from_a_server_and_its_update(tmp_path: Path, base: str, pem: bytes) -> None:
    Shelf.files = {"/list": pem}
    first = offer(tmp_path, "partners", f"{base}/list")
    keep(tmp_path, first, f"SHA256:{first.sha256}".replace("SHA256:", "sha256:").upper().lower())
    newer = Authority("Two").pem
    Shelf.files = {"/list": newer}
    second = offer(tmp_path, "partners", None)
    assert second.source == f"{base}/list"
    assert (second.gained, second.lost, second.known) == (("Two",), ("One",), False)
    assert load_trust(tmp_path).lists[1].pem.encode() == pem, "not before it is kept"

    keep(tmp_path, second, second.sha256)
    (_, kept) = load_trust(tmp_path).lists
    assert kept.pem.encode() == newer
    assert kept.date == datetime.now(UTC).date().isoformat()
    (earlier,) = (tmp_path / "trust" / "earlier").iterdir()
    assert earlier.read_bytes() == pem
    assert sha(pem)[:8] in earlier.name


def test_another_sha256_changes_nothing(tmp_path: Path, base: str, pem: bytes) -> None:
    Shelf.files = {"/list": pem}
    offered = offer(tmp_path, "partners", f"{base}/list")
    with pytest.raises(KeyInvalid, match=offered.sha256) as raised:
        keep(tmp_path, offered, "0" * 64)
    assert raised.value.hint
    assert not (tmp_path / "trust").exists()


def test_the_official_list_is_refreshed_by_its_name(
    tmp_path: Path, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust_update, "_UPSTREAM", f"{base}/")
    old = shipped(OFFICIAL_SIGNERS)
    newer = old + Authority("Newcomer").pem
    Shelf.files = {"/C2PA-TRUST-LIST.pem": old}
    assert offer(tmp_path, "c2pa", None).known
    Shelf.files = {"/C2PA-TRUST-LIST.pem": newer}
    offered = offer(tmp_path, "c2pa", None)
    assert (offered.gained, offered.lost, offered.certificates) == (("Newcomer",), (), 31)
    keep(tmp_path, offered, offered.sha256)
    (official,) = load_trust(tmp_path).lists
    assert official.name == OFFICIAL_NAME
    assert len(official.certificates) == 31

    remove(tmp_path, "c2pa")
    (official,) = load_trust(tmp_path).lists
    assert (official.source, len(official.certificates)) == ("shipped", 30)


def test_clocks_are_kept_apart(tmp_path: Path, pem: bytes) -> None:
    root = pki.issue(pki.TSA_ROOT)
    files = {"clock": root.pem, "stamper": pki.issue(pki.TSA, root).pem}
    for name, data in files.items():
        file = tmp_path / f"{name}.given"
        file.write_bytes(data)
    home = tmp_path / "home"
    offered = offer(home, "clock", str(tmp_path / "clock.given"), clocks=True)
    keep(home, offered, offered.sha256)
    trust = load_trust(home)
    assert [one.name for one in trust.lists] == [OFFICIAL_NAME]
    assert [one.name for one in trust.clocks] == [CLOCKS_NAME, "clock"]
    with pytest.raises(KeyInvalid, match="time-stamps alone") as raised:
        offer(home, "x", str(tmp_path / "stamper.given"))
    assert "--timestamps" in raised.value.hint
    remove(home, "clock", clocks=True)
    assert len(load_trust(home).clocks) == 1


def test_expired_certificates_are_named(tmp_path: Path) -> None:
    old = pki.issue(pki.ROOT.but(start=datetime(2020, 1, 1, tzinfo=UTC), valid_days=10))
    (tmp_path / "x").write_bytes(old.pem)
    assert len(offer(tmp_path, "x", str(tmp_path / "x")).expired) == 1


@pytest.mark.parametrize("name", ["", "../x", "A", "a/b", ".hidden", "x" * 64, "ü"])
def test_impossible_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsInvalid):
        offer(tmp_path, name, "x")
    with pytest.raises(SettingsInvalid):
        remove(tmp_path, name)


def test_a_list_without_a_known_source(tmp_path: Path, pem: bytes) -> None:
    (tmp_path / "trust").mkdir()
    (tmp_path / "trust" / "hand.pem").write_bytes(pem)
    with pytest.raises(SettingsInvalid, match="Nobody noted"):
        offer(tmp_path, "hand", None)
    remove(tmp_path, "hand")
    assert len(load_trust(tmp_path).lists) == 1
    with pytest.raises(KeyInvalid, match="no trust list"):
        remove(tmp_path, "hand")


@pytest.mark.parametrize("content", [b"", b"<html>", b"\0" * 99])
def test_what_is_no_list(tmp_path: Path, base: str, content: bytes) -> None:
    Shelf.files = {"/list": content}
    with pytest.raises(KeyInvalid, match="no PEM certificates"):
        offer(tmp_path, "x", f"{base}/list")


def test_what_is_too_long(
    tmp_path: Path, base: str, pem: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust_update, "MOST_BYTES", 100)
    Shelf.files = {"/list": pem}
    with pytest.raises(KeyInvalid, match="more than 100 bytes"):
        offer(tmp_path, "x", f"{base}/list")
    (tmp_path / "x").write_bytes(pem)
    with pytest.raises(KeyInvalid, match="more than 100 bytes"):
        offer(tmp_path, "x", str(tmp_path / "x"))


def test_no_network(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as raised:
        offer(tmp_path, "x", "http://127.0.0.1:9/list")
    assert "--from FILE" in raised.value.hint


@pytest.mark.parametrize("url", ["http://[bad/list", "https://"])
def test_what_is_no_address(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsInvalid, match="no web address"):
        offer(tmp_path, "x", url)


def test_a_server_that_does_not_have_it(tmp_path: Path, base: str) -> None:
    Shelf.files = {}
    with pytest.raises(Unavailable, match="404"):
        offer(tmp_path, "x", f"{base}/gone")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeyInvalid, match="cannot be read"):
        offer(tmp_path, "x", str(tmp_path / "gone"))
