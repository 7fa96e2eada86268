"""What the service bears: sizes, paces, slow clients, nonsense, and addresses that lead inside."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from urllib.parse import urlsplit

import httpx
import pytest

from guard.errors import AuditUnavailable, InvalidImage, LogTampered, RecordNotFound
from guard.image.encode import encode
from guard.provenance.manifest import mark_algorithm
from guard.server import limits
from guard.server.desk import who
from guard.server.limits import RateLimit, Workers, read_body
from guard.server.problems import Problem, problem_of
from guard.server.reference import ReferenceFetcher, connect, resolve
from guard.watermark.pilot_watermark import METHOD
from tests.support.house import picture

from .conftest import Home

PNG = {"Content-Type": "image/png"}


# -- what stands beside the matches ----------------------------------------------------------


def test_services_and_discovery(client: httpx.Client) -> None:
    assert client.get("/v1/services/supportedAlgorithms").json() == {
        "watermarks": [{"alg": mark_algorithm(METHOD)}],
        "fingerprints": [{"alg": "io.iscc.v0"}, {"alg": "org.genguard.pdq.v0"}],
    }
    assert client.get("/v1/services/capabilities").json() == {
        "c2paSpecificationVersion": "2.4.0",
        "supportedCapabilities": ["queryByContent", "storeManifests", "storeBindings"],
    }
    assert client.get("/.well-known/c2pa-soft-binding-resolution").json() == {
        "apiEndpoint": "https://c2pa.example/v1",
        "c2paSpecificationVersion": "2.4.0",
        "capabilitiesEndpoint": "https://c2pa.example/v1/services/capabilities",
        "statusEndpoint": "https://c2pa.example/v1/services/status",
    }
    assert client.get("/v1/services/status").json()["status"] == "ok"


def test_status_is_down_without_the_database(
    client: httpx.Client, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise AuditUnavailable("The audit database /secret/place failed.")

    monkeypatch.setattr(type(home.log.store), "read", lambda _: broken())
    assert client.get("/v1/services/status").json()["status"] == "down"
    answer = client.get("/v1/manifests/urn:c2pa:x")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "audit_unavailable")
    assert "secret" not in answer.text


def test_the_openapi_document(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    paths = {path: sorted(methods) for path, methods in document["paths"].items()}
    assert paths == {
        "/v1/matches/byBinding": ["get", "post"],
        "/v1/matches/byContent": ["post"],
        "/v1/matches/byReference": ["post"],
        "/v1/manifests/{manifest_id}": ["delete", "get"],
        "/v1/manifests/{manifest_id}/receipts": ["get", "post"],
        "/v1/manifests": ["post"],
        "/v1/bindings": ["post", "put"],
        "/v1/services/supportedAlgorithms": ["get"],
        "/v1/services/capabilities": ["get"],
        "/v1/services/status": ["get"],
        "/.well-known/c2pa-soft-binding-resolution": ["get"],
    }
    assert document["info"]["version"] == "2.4.0"
    named = document["components"]["schemas"]
    refs = {one.split('"')[0] for one in str(document).replace("'", '"').split("schemas/")[1:]}
    assert refs <= set(named)


# -- nonsense --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/matches/byBinding", 400),
        ("GET", "/v1/matches/byBinding?alg=x", 400),
        ("GET", "/v1/matches/byBinding?alg=x&value=***", 400),
        ("GET", "/v1/matches/byBinding?alg=x&value=%20", 400),
        ("GET", "/v1/matches/byBinding?alg=x&value=eA&maxResults=0", 400),
        ("GET", "/v1/matches/byBinding?alg=x&value==", 400),
        ("GET", "/v1/matches/byBinding?alg=x&value=eA&maxResults=1000000", 400),
        ("GET", "/v1/matches/byBinding?alg=x&value=" + "A" * 3000, 414),
        ("GET", "/v1/matches/byBinding?alg=%00&value=eA", 400),
        ("GET", "/v1/matches/byContent", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/docs", 404),
        ("POST", "/v1/matches/byBinding", 400),
        ("POST", "/v1/matches/byContent", 400),
        ("POST", "/v1/matches/byReference", 400),
    ],
)
def test_nonsense(client: httpx.Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"code", "message", "hint"}


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"null", b'{"alg": 7}', b"\xff\xfe", b"[" * 50_000, b'{"alg":"a","value":""}'],
)
def test_bodies_that_are_no_query(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/v1/matches/byBinding", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("body", [b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 99])
def test_bodies_that_are_no_picture(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/v1/matches/byContent", content=body, headers=PNG)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_image")


def test_long_bodies_are_cut_off(client: httpx.Client) -> None:
    """Declared, or sent in pieces without saying how many there will be."""

    def pieces() -> object:
        for _ in range(40):
            yield b"x" * (1 << 16)

    whole = client.post("/v1/matches/byContent", content=b"x" * ((1 << 20) + 1), headers=PNG)
    assert (whole.status_code, whole.json()["error"]["code"]) == (413, "too_large")
    try:
        answer = client.post("/v1/matches/byContent", content=pieces(), headers=PNG)
    except httpx.WriteError:  # the connection was closed on us: just as well
        return
    assert answer.status_code == 413
    assert client.post("/v1/matches/byBinding", content=b" " * 70_000).status_code == 413


# -- pace ------------------------------------------------------------------------------------


def test_too_many_requests(served: Callable[..., httpx.Client]) -> None:
    client = served(requests_per_minute=40)
    answers = [client.get("/v1/services/status") for _ in range(12)]
    assert [one.status_code for one in answers][:10] == [200] * 10
    refused = answers[-1]
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_requests")
    assert int(refused.headers["retry-after"]) >= 1


def test_tokens_come_back_and_clients_are_apart() -> None:
    now = [0.0]
    rate = RateLimit(60, clock=lambda: now[0])
    for _ in range(15):
        rate.take("a")
    with pytest.raises(Problem) as refused:
        rate.take("a")
    assert refused.value.headers == {"Retry-After": "1"}
    rate.take("b")
    now[0] += 1.01
    rate.take("a")
    now[0] += 1e6
    rate.take("a", 100.0)  # what costs more than a full bucket takes it all
    with pytest.raises(Problem):
        rate.take("a")


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_whom_an_address_counts_for(address: str, counted: str) -> None:
    assert who(address) == counted


def test_clients_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_CLIENTS", 3)
    rate = RateLimit(60, clock=lambda: 0.0)
    for name in "abcde":
        rate.take(name)
    assert list(rate._buckets) == ["c", "d", "e"]


def test_slow_clients_do_not_hold_others_up(client: httpx.Client) -> None:
    where = urlsplit(str(client.base_url))
    slow = []
    try:
        for _ in range(30):
            one = socket.create_connection((where.hostname or "", where.port or 0), timeout=5)
            one.sendall(
                b"POST /v1/matches/byContent HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
                b"Content-Length: 1000\r\n\r\nx"
            )
            slow.append(one)
        start = time.monotonic()
        assert client.get("/v1/services/supportedAlgorithms").status_code == 200
        assert time.monotonic() - start < 2
    finally:
        for one in slow:
            one.close()


def test_bodies_that_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UPLOAD_SECONDS", 0.05)

    async def dripping() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    with pytest.raises(Problem) as refused:
        asyncio.run(read_body(dripping(), None, 10_000))
    assert refused.value.status == 408


def test_whoever_would_wait_too_long_is_sent_away() -> None:
    async def crowd() -> list[object]:
        workers, gate = Workers(1, 1), threading.Event()
        try:
            tasks = [asyncio.create_task(workers.run(gate.wait)) for _ in range(3)]
            await asyncio.sleep(0.05)
            gate.set()
            return await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            workers.close()

    first, second, third = asyncio.run(crowd())
    assert (first, second) == (True, True)
    assert isinstance(third, Problem)
    assert (third.status, third.headers) == (503, {"Retry-After": "5"})


def test_statuses_of_errors() -> None:
    cases = {400: InvalidImage("a"), 404: RecordNotFound("b"), 503: AuditUnavailable("c")}
    assert {problem_of(error).status for error in cases.values()} == set(cases)
    assert problem_of(LogTampered("at /secret")).status == 500
    assert "secret" not in problem_of(LogTampered("at /secret")).message


# -- by reference ----------------------------------------------------------------------------


class Answer(http.client.HTTPConnection):
    """A connection that answers without a network."""

    def __init__(self, said: bytes) -> None:
        super().__init__("pictures.example")
        self.sent = b""
        self._said = said
        self.sock = self  # type: ignore[assignment]

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self._said)

    def close(self) -> None:
        pass


def says(body: bytes, status: str = "200 OK", kind: str = "image/png", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def fetcher(said: bytes = b"", addresses: tuple[str, ...] = ("93.184.216.34",)) -> ReferenceFetcher:
    asked: list[str] = []

    def to(host: str, address: str) -> Answer:
        asked.append(address)
        assert (host, address) == ("pictures.example", addresses[0])
        return Answer(said)

    hosts = frozenset({"pictures.example"})
    return ReferenceFetcher(hosts, 1000, resolve=lambda _: addresses, connect=to)


URL = "https://pictures.example/a.png?size=1"


def test_a_picture_by_reference() -> None:
    assert fetcher(says(b"picture")).fetch(URL) == b"picture"


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://pictures.example/a.png", 400),
        ("ftp://pictures.example/a.png", 400),
        ("file:///etc/passwd", 400),
        ("https://pictures.example/a b", 400),
        ("https://pictures.example/\r\nX: y", 400),
        ("https://pictures.example:bad/", 400),
        ("https://[pictures.example/", 400),
        ("https://pictures.example:8443/a.png", 403),
        ("https://user@pictures.example/a.png", 403),
        ("https://pictures.example@127.0.0.1/", 403),
        ("https://127.0.0.1/a.png", 403),
        ("https://localhost/a.png", 403),
        ("https://pictures.example.evil.example/a.png", 403),
        ("https://169.254.169.254/latest/meta-data", 403),
        ("https:///a.png", 403),
    ],
)
def test_addresses_that_are_not_followed(url: str, status: int) -> None:
    with pytest.raises(Problem) as refused:
        fetcher().fetch(url)
    assert refused.value.status == status


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - nothing listens
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:127.0.0.1",
        "::ffff:93.184.216.34",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
    ],
)
@pytest.mark.parametrize("beside", [(), ("93.184.216.34",)])
def test_names_that_lead_inside(address: str, beside: tuple[str, ...]) -> None:
    with pytest.raises(Problem) as refused:
        fetcher(says(b"secret"), (*beside, address)).fetch(URL)
    assert refused.value.status == 403


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (says(b"", "302 Found", more="Location: https://127.0.0.1/\r\n"), 502),
        (says(b"<html>", kind="text/html"), 502),
        (says(b"x", "500 Oops"), 502),
        (says(b"x" * 1001), 413),
        (b"nonsense", 502),
        (b"", 502),
    ],
)
def test_answers_that_are_no_picture(said: bytes, status: int) -> None:
    with pytest.raises(Problem) as refused:
        fetcher(said).fetch(URL)
    assert refused.value.status == status


def test_hosts_that_do_not_answer() -> None:
    def nowhere(_host: str) -> list[str]:
        raise socket.gaierror("unknown")

    lost = ReferenceFetcher(frozenset({"pictures.example"}), 1000, resolve=nowhere)
    with pytest.raises(Problem) as refused:
        lost.fetch(URL)
    assert refused.value.status == 502
    assert resolve("127.0.0.1") == ["127.0.0.1"]
    with pytest.raises(OSError, match=r"refused|denied"):
        connect("localhost", "127.0.0.1")  # nothing listens on 443 here


def test_by_reference_is_off_by_default(client: httpx.Client) -> None:
    answer = client.post("/v1/matches/byReference", json={"referenceUrl": URL})
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "not_supported")


def test_by_reference_when_it_is_on(
    home: Home, served: Callable[..., httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = home.released[0]
    monkeypatch.setattr(ReferenceFetcher, "fetch", lambda _self, url: kept.data if url else b"")
    client = served(reference_hosts=frozenset({"pictures.example"}))
    answer = client.post("/v1/matches/byReference", json={"referenceUrl": URL, "assetLength": 9})
    assert [one["manifestId"] for one in answer.json()["matches"]] == [kept.manifest_id]
    told = client.get("/v1/services/capabilities").json()["supportedCapabilities"]
    assert "queryByReference" in told
    large = {"referenceUrl": URL, "assetLength": 1 << 30}
    assert client.post("/v1/matches/byReference", json=large).status_code == 413


def test_a_bug_says_nothing_of_itself(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guard.server.repository import Repository

    def buggy(*_: object) -> None:
        raise ZeroDivisionError("at /secret/place")

    monkeypatch.setattr(Repository, "by_content", buggy)
    data = encode(picture(1), "image/png")
    answer = client.post("/v1/matches/byContent", content=data, headers=PNG)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "error")
    assert "secret" not in answer.text
