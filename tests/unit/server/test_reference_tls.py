"""The connection that pictures are fetched over: it proves to be the host that was asked for."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from guard.server import reference
from guard.server.problems import Problem
from guard.server.reference import ReferenceFetcher, connect

HOST = "pictures.example"


class Picture(BaseHTTPRequestHandler):
    """Answers each request with its path, as a picture."""

    def do_GET(self) -> None:
        body = f"{self.headers['Host']}{self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def certificate(folder: Path) -> Path:
    """A key and a certificate for :data:`HOST`, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "host.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + made.public_bytes(Encoding.PEM))
    return file


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``HOST`` on loopback, trusted, in place of the port that https has."""
    file = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = HTTPServer(("127.0.0.1", 0), Picture)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(reference, "HTTPS", server.server_port)
    trusting = ssl.create_default_context(cafile=file)
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
    yield
    server.shutdown()
    server.server_close()


def fetcher(host: str) -> ReferenceFetcher:
    return ReferenceFetcher(
        frozenset({host}), 1000, resolve=lambda _: ["93.184.216.34"], connect=to_loopback
    )


def to_loopback(host: str, _address: str) -> object:
    return connect(host, "127.0.0.1")


@pytest.mark.usefixtures("host")
def test_the_host_that_was_asked_for() -> None:
    assert fetcher(HOST).fetch(f"https://{HOST}/a.png?b").endswith(b"/a.png?b")


@pytest.mark.usefixtures("host")
def test_another_host_at_that_address() -> None:
    with pytest.raises(Problem) as refused:
        fetcher("other.example").fetch("https://other.example/a.png")
    assert refused.value.status == 502
