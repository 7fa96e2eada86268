"""A signing key on a token: a real SoftHSM, and addresses of keys."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import GuardError, KeyInvalid, SettingsInvalid, SigningKeyUnavailable
from guard.provenance import pki
from guard.provenance import token_key as module
from guard.provenance import token_request as requests
from guard.provenance.claim_key import signature_of
from guard.provenance.keys import create_development_keys
from guard.provenance.read import read_manifest
from guard.provenance.request import Applicant
from guard.provenance.sign import C2paSigner
from guard.provenance.token_key import TokenAddress, find_key, open_token_key
from guard.provenance.token_request import create_token_request
from guard.provenance.trust import TrustList, anchors_of

from .kit import sign

MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
MODULE = next((one for one in MODULES if Path(one).exists()), None)
ALGORITHMS = ["es256", "es384", "es512", "ps256", "ed25519"]
PIN = "5678"
ROOT = pki.issue(pki.ROOT)

needs_token = pytest.mark.skipif(
    MODULE is None or shutil.which("softhsm2-util") is None,
    reason="SoftHSM is not installed: apt-get install softhsm2",
)


@dataclass(frozen=True)
class Token:
    folder: Path

    def uri(self, **changed: str) -> str:
        said = {"token": "guard", "object": "es256"} | changed
        path = ";".join(f"{name}={value}" for name, value in said.items())
        return f"pkcs11:{path}?module-path={MODULE}"

    def chain(self, algorithm: str = "es256") -> Path:
        return self.folder / f"{algorithm}.pem"


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Token:
    """One token with a key of every algorithm; its private keys cannot be taken out."""
    folder = tmp_path_factory.mktemp("token")
    (folder / "tokens").mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(settings)  # read once, when the module is first opened
    tool = shutil.which("softhsm2-util") or ""
    init = ["--init-token", "--free", "--label", "guard", "--so-pin", "1234", "--pin", PIN]
    subprocess.run([tool, *init], check=True, capture_output=True)
    for number, algorithm in enumerate(ALGORITHMS):
        held = pki.issue(pki.SIGNER, ROOT, pki.new_key(algorithm))
        (folder / f"{algorithm}.pem").write_bytes(held.pem + ROOT.pem)
        key = folder / "key"
        key.write_bytes(held.key_pem)
        named = ["--label", algorithm, "--id", f"0{number}", "--pin", PIN, "--token", "guard"]
        subprocess.run([tool, "--import", str(key), *named], check=True, capture_output=True)
        key.unlink()
    return Token(folder)


@needs_token
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_signs_on_the_token(token: Token, algorithm: str) -> None:
    key = open_token_key(token.uri(object=algorithm), PIN, token.chain(algorithm))
    assert key.algorithm == algorithm
    data = sign(C2paSigner(key))
    trust = TrustList((anchors_of("test", ROOT.pem, date="", uri="urn:test"),))
    reading = read_manifest(data, "image/png", trust)
    assert reading is not None
    assert reading.state == "trusted"


@needs_token
def test_by_the_settings(token: Token, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from guard.assemble import build_claim_key, build_signer
    from guard.settings import Settings

    monkeypatch.setenv("GUARD_PKCS11_URI", token.uri(id="%02", object="es512"))
    monkeypatch.setenv("GUARD_PKCS11_PIN", PIN)
    monkeypatch.setenv("GUARD_SIGNING_CERTIFICATE", str(token.chain("es512")))
    settings = Settings(home=tmp_path)
    assert PIN not in repr(settings)
    assert build_claim_key(settings).algorithm == "es512"
    assert build_signer(settings).certificate_fingerprint


@needs_token
def test_the_wrong_pin(token: Token) -> None:
    """Asked of a process that is not logged in yet."""
    script = (
        "from pathlib import Path\n"
        "from guard.provenance.token_key import open_token_key\n"
        f"open_token_key({token.uri()!r}, '0000', Path({str(token.chain())!r}))\n"
    )
    import sys

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)  # noqa: PLW1510
    assert "KeyInvalid: The token refuses the PIN (PinIncorrect)" in ended.stderr


@pytest.mark.parametrize("refusal", ["PinIncorrect", "PinLocked", "PinLenRange", "PinInvalid"])
def test_a_refused_pin_is_the_keys_fault(monkeypatch: pytest.MonkeyPatch, refusal: str) -> None:
    pkcs11 = pytest.importorskip("pkcs11")

    def refuse(_: str) -> Any:
        raise getattr(pkcs11, refusal)

    monkeypatch.setattr(pkcs11, "lib", refuse)
    address = TokenAddress("/lib.so", label="x")
    with pytest.raises(KeyInvalid, match=refusal) as caught:
        module._connect(pkcs11, address, PIN)
    assert PIN not in caught.value.diagnostics()


@needs_token
def test_what_is_not_there(token: Token) -> None:
    chain = token.chain()
    with pytest.raises(KeyInvalid, match="no such key"):
        open_token_key(token.uri(object="other"), PIN, chain)
    with pytest.raises(SigningKeyUnavailable, match="NoSuchToken"):
        open_token_key(token.uri(token="other"), PIN, chain)
    with pytest.raises(SigningKeyUnavailable, match="cannot be used"):
        open_token_key("pkcs11:object=x?module-path=/nowhere.so", PIN, chain)
    with pytest.raises(KeyInvalid, match="certificate"):
        open_token_key(token.uri(), PIN, None)
    with pytest.raises(KeyInvalid, match="There is no"):
        open_token_key(token.uri(), PIN, token.folder / "none.pem")


@needs_token
def test_a_certificate_of_another_key(token: Token) -> None:
    key = open_token_key(token.uri(), PIN, token.chain("ed25519"))
    with pytest.raises(GuardError):
        signature_of(key, b"message")


@needs_token
def test_a_session_that_broke_is_opened_anew_once(token: Token) -> None:
    from pkcs11 import SessionHandleInvalid

    key = open_token_key(token.uri(), PIN, token.chain())

    class Broken:
        def sign(self, *_: Any, **__: Any) -> bytes:
            raise SessionHandleInvalid

    key._held["key"] = Broken()
    assert signature_of(key, b"message")
    object.__setattr__(key, "connect", Broken)
    key._held["key"] = Broken()
    with pytest.raises(SigningKeyUnavailable, match="SessionHandleInvalid"):
        signature_of(key, b"message")


@needs_token
def test_without_a_pin_keys_are_hidden_or_the_process_is_logged_in(token: Token) -> None:
    import pkcs11

    key = open_token_key(token.uri(), PIN, token.chain())
    assert key._held
    address = TokenAddress.parse(token.uri())
    assert module._connect(pkcs11, address, None) is not None


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    files = create_development_keys(tmp_path)
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(SigningKeyUnavailable, match="not installed") as caught:
        open_token_key("pkcs11:object=x?module-path=/lib.so", None, files.certificate)
    assert "pkcs11" in caught.value.hint


# -- addresses (RFC 7512) --------------------------------------------------------------------------


def test_an_address_in_full() -> None:
    uri = (
        "pkcs11:token=My%20token;serial=A1;object=key%3B1;id=%00%ff;type=private;"
        "manufacturer=SoftHSM;model=v2?module-path=/usr/lib/my%20lib.so"
    )
    assert TokenAddress.parse(uri) == TokenAddress(
        "/usr/lib/my lib.so", "My token", b"A1", "key;1", b"\x00\xff"
    )


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("", "does not begin"),
        ("file:/x", "does not begin"),
        ("pkcs11:object=x", "module-path"),
        ("pkcs11:object=x?module-path=", "module-path"),
        ("pkcs11:token=x?module-path=/l", "names no key"),
        ("pkcs11:object=x;type=cert?module-path=/l", "'private'"),
        ("pkcs11:object=x;colour=red?module-path=/l", "colour"),
        ("pkcs11:object=x;object=y?module-path=/l", "twice"),
        ("pkcs11:object?module-path=/l", "without a value"),
    ],
)
def test_addresses_that_are_none(uri: str, why: str) -> None:
    with pytest.raises(SettingsInvalid, match=why) as caught:
        TokenAddress.parse(uri)
    assert "module-path" in caught.value.hint


@pytest.mark.parametrize("name", ["pin-value", "pin-source"])
def test_a_pin_does_not_belong_into_an_address(name: str) -> None:
    with pytest.raises(SettingsInvalid, match="PIN") as caught:
        TokenAddress.parse(f"pkcs11:object=x?module-path=/l&{name}=5678")
    assert "5678" not in caught.value.diagnostics()


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_an_error(text: str) -> None:
    for uri in (text, f"pkcs11:{text}"):
        with suppress(SettingsInvalid):
            assert TokenAddress.parse(uri).module


# -- requests for keys on tokens ---------------------------------------------------------------


@needs_token
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_request_for_a_key_that_stays_there(token: Token, tmp_path: Path, algorithm: str) -> None:
    applicant = Applicant("Example Ltd", "CH", "Example Images")
    files = create_token_request(tmp_path, applicant, token.uri(object=algorithm), PIN)
    asked = x509.load_pem_x509_csr(files.request.read_bytes())
    held = x509.load_pem_x509_certificate(token.chain(algorithm).read_bytes())
    assert asked.is_signature_valid
    assert asked.public_key() == held.public_key()
    assert asked.subject.rfc4514_string() == "CN=Example Images,O=Example Ltd,C=CH"
    assert (files.key, files.algorithm) == (None, algorithm)
    assert [path.name for path in tmp_path.iterdir()] == ["signing.csr"]
    assert files.request.stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyInvalid, match="nothing is overwritten"):
        create_token_request(tmp_path, applicant, token.uri(object=algorithm), PIN)


@needs_token
def test_nothing_is_asked_of_the_token_for_an_impossible_request(
    token: Token, tmp_path: Path
) -> None:
    with pytest.raises(GuardError, match="country"):
        create_token_request(tmp_path, Applicant("X", "Chad", "Y"), "pkcs11:no such thing")
    with pytest.raises(KeyInvalid, match="no such key"):
        create_token_request(tmp_path, Applicant("X", "CH", "Y"), token.uri(object="none"), PIN)


@needs_token
def test_a_public_key_that_is_missing_or_another(
    token: Token, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    applicant = Applicant("Example Ltd", "CH", "Example Images")
    monkeypatch.setattr(requests, "find_key", lambda *_: find_key(token.uri(object="es256"), PIN))
    with pytest.raises(SigningKeyUnavailable, match="NoSuchKey"):
        create_token_request(tmp_path, applicant, token.uri(object="elsewhere"), PIN)
    with pytest.raises(SigningKeyUnavailable, match="does not verify"):
        create_token_request(tmp_path, applicant, token.uri(object="es384"), PIN)
    assert not list(tmp_path.iterdir())
