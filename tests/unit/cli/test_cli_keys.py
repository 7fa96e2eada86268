"""``guard keys dev``, ``check`` and ``request``."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from guard.cli import doctor as doctor_module
from guard.cli import keys as keys_module
from guard.cli.command import Run
from guard.cli.exits import Exit
from guard.cli.output import Output

from guard.errors import KeyInvalid
from guard.provenance import pki
from guard.provenance.development import DevelopmentPki
from guard.provenance.loopback import DevelopmentServices
from guard.provenance.request import RequestFiles
from tests.support.desk import Answer, Desk

ASK = ("--organization", "Example Ltd", "--country", "CH", "--common-name", "Example Images")


@pytest.fixture
def home() -> Path:
    return Path(os.environ["GUARD_HOME"])


# -- check ------------------------------------------------------------------------------------


def test_the_keys_in_force(desk: Desk, home: Path) -> None:
    desk("keys", "dev")
    answer = desk.json("keys", "check")
    row = answer.row

    assert answer.code == Exit.DONE
    assert row.keys() >= {
        "subject",
        "algorithm",
        "fingerprint",
        "expires",
        "development",
        "warning",
    }
    assert (row["valid"], row["development"], row["warning"]) == (True, True, "")
    assert row["path"] == str(home / "keys" / "signing.pem")
    assert row["trusted_by"] == ["this home's own development CA"]
    assert [one["algorithm"] for one in row["chain"]] == ["es256", "es384"]
    assert {one["rule"] for one in row["findings"]} == {"ocsp", "development"}
    assert all(one["what"] and one["why"] and one["mend"] for one in row["findings"])


def test_what_a_person_reads(desk: Desk) -> None:
    desk("keys", "dev")
    shown = desk("keys", "check").stdout

    assert "claim signer, assurance level 1, es256" in shown
    assert "! warning certificates 1, 2: It names no OCSP responder" in shown
    assert "why" in shown
    assert "guard keys dev --serve --replace" in shown
    assert shown.splitlines()[-1] == "usable: 2 warnings"
    assert all(len(line) <= 100 for line in shown.splitlines() if not line.startswith("/"))


def test_an_invalid_certificate_ends_in_4(desk: Desk, tmp_path: Path) -> None:
    made = DevelopmentPki.create()
    expired = made.issue(
        pki.SIGNER.but(start=pki.datetime.now(pki.UTC) - 400 * pki.timedelta(days=1))
    )
    (tmp_path / "old.pem").write_bytes(expired.chain_pem)
    (tmp_path / "other.key").write_bytes(made.signer.key_pem)

    answer = desk.json("keys", "check", "old.pem", "--key", "other.key")
    shown = desk("keys", "check", "old.pem").stdout

    assert answer.code == Exit.CONFIGURATION
    assert not answer.row["valid"]
    assert [one["rule"] for one in answer.row["findings"][:2]] == ["key_match", "expired"]
    assert "✗ error" in shown
    assert "not usable: 1 error" in shown


def test_a_certificate_that_expires_soon(desk: Desk, tmp_path: Path) -> None:
    soon = DevelopmentPki.create().issue(pki.SIGNER.but(valid_days=10))
    (tmp_path / "soon.pem").write_bytes(soon.chain_pem)

    answer = desk.json("keys", "check", "soon.pem")

    assert answer.code == Exit.DONE
    assert answer.row["warning"] == "Expires in 9 days: renew it."


def test_nothing_to_find(desk: Desk, tmp_path: Path) -> None:
    made = DevelopmentPki.create(ocsp_url="http://127.0.0.1:1/ocsp")
    template = pki.OCSP_RESPONDER.but(common_name="[bold]a[/] responder", organization="x")
    (tmp_path / "one.pem").write_bytes(made.issue(template).pem)

    shown = desk("keys", "check", "one.pem").stdout

    assert "[bold]a[/] responder" in shown, "names are shown as they are"
    assert shown.splitlines()[-1] == "usable: nothing is wrong with it"


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("missing.pem",), Exit.CONFIGURATION),
        (("in.png",), Exit.CONFIGURATION),
        (("--key", "in.png"), Exit.USAGE),
    ],
)
def test_what_cannot_be_checked(desk: Desk, args: tuple[str, ...], code: Exit) -> None:
    desk.picture()
    answer = desk.json("keys", "check", *args)

    assert answer.code == code
    assert answer.row["error"]["hint"]


def test_settings_name_the_keys(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = DevelopmentPki.create()
    (tmp_path / "chain.pem").write_bytes(made.signer.chain_pem)
    (tmp_path / "wrong.key").write_bytes(made.tsa.key_pem)
    monkeypatch.setenv("GUARD_SIGNING_CERTIFICATE", "chain.pem")
    alone = desk.json("keys", "check")
    monkeypatch.setenv("GUARD_SIGNING_KEY", "wrong.key")
    wrong = desk.json("keys", "check")

    assert alone.row["error"]["message"].startswith("Of signing certificate and signing key")
    assert (alone.code, wrong.code) == (Exit.CONFIGURATION, Exit.CONFIGURATION)
    assert wrong.row["findings"][0]["rule"] == "key_match"


def test_a_token_in_force(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chain.pem").write_bytes(DevelopmentPki.create().signer.chain_pem)
    monkeypatch.setenv("GUARD_SIGNING_CERTIFICATE", "chain.pem")
    monkeypatch.setenv("GUARD_PKCS11_URI", "pkcs11:object=key?module-path=/nowhere/lib.so")
    monkeypatch.setenv("GUARD_PKCS11_PIN", "1234")

    answer = desk.json("keys", "check")

    assert answer.code == Exit.UNAVAILABLE
    assert "1234" not in answer.stdout + answer.stderr


def test_nobody_is_asked_unless_told(desk: Desk, tmp_path: Path) -> None:
    with DevelopmentServices() as services:
        (tmp_path / "chain.pem").write_bytes(services.pki.signer.chain_pem)
        services.answers.ocsp = "revoked"
        offline = desk.json("keys", "check", "chain.pem")
        assert not services.served
        online = desk.json("keys", "check", "chain.pem", "--online")

    assert (offline.code, online.code) == (Exit.DONE, Exit.CONFIGURATION)
    assert online.row["findings"][0]["rule"] == "revoked"


def test_the_machines_doctor_asks_this_one(desk: Desk, home: Path) -> None:
    desk("keys", "dev")
    fine = doctor_module._keys(Run(Output(as_json=True)))
    (home / "keys" / "signing.key").write_bytes(DevelopmentPki.create().signer.key_pem)

    assert fine.startswith("development only, expires ")
    assert fine.endswith("; warnings: 2, see guard keys check")
    with pytest.raises(KeyInvalid, match="not the one that this certificate") as caught:
        doctor_module._keys(Run(Output(as_json=True)))
    assert caught.value.hint.endswith("guard keys check")


# -- request ----------------------------------------------------------------------------------


def test_a_request_and_what_to_do_next(desk: Desk, tmp_path: Path) -> None:
    answer = desk("keys", "request", "--out", "real keys", *ASK)
    folder = tmp_path / "real keys"

    assert answer.code == Exit.DONE
    assert x509.load_pem_x509_csr((folder / "signing.csr").read_bytes()).is_signature_valid
    assert (folder / "signing.key").stat().st_mode & 0o777 == 0o600
    assert "guard keys check 'real keys/chain.pem' --key 'real keys/signing.key'" in answer.stdout
    assert "conforming products list" in answer.stdout
    assert "PRIVATE" not in answer.stdout + answer.stderr

    again = desk.json("keys", "request", "--out", "real keys", *ASK)
    assert again.code == Exit.CONFIGURATION
    assert "nothing is overwritten" in again.row["error"]["message"]


def test_algorithm_record_and_passphrase(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUARD_SIGNING_KEY_PASSPHRASE", "open sesame")
    record = "6f1a2b3c-4d5e-4f60-8a7b-9c0d1e2f3a4b"
    options = ("--algorithm", "ed25519", "--product-record", record, "--encrypt")
    answer = desk.json("keys", "request", "--out", "new", *ASK, *options)

    assert answer.row == {
        "request": "new/signing.csr",
        "key": "new/signing.key",
        "algorithm": "ed25519",
        "encrypted": True,
    }
    assert load_pem_private_key((tmp_path / "new/signing.key").read_bytes(), b"open sesame")
    asked = x509.load_pem_x509_csr((tmp_path / "new/signing.csr").read_bytes())
    assert record.encode() in asked.extensions.get_extension_for_oid(pki.CPL_RECORD).value.value


def test_steps_with_record_and_lock(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARD_SIGNING_KEY_PASSPHRASE", "open sesame")
    record = "6f1a2b3c-4d5e-4f60-8a7b-9c0d1e2f3a4b"
    shown = desk(
        "keys", "request", "--out", "new", *ASK, "--product-record", record, "--encrypt"
    ).stdout

    assert "conforming products list" not in shown
    assert "GUARD_SIGNING_KEY_PASSPHRASE" in shown
    assert "open sesame" not in shown


def test_a_passphrase_is_asked_for_where_somebody_can_answer(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = desk.json("keys", "request", "--out", "new", *ASK, "--encrypt")
    assert nobody.code == Exit.USAGE
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr("guard.cli.certificates.somebody_looks_on", lambda _: True)
    asked = desk("keys", "request", "--out", "new", *ASK, "--encrypt", stdin="sesame\nsesame\n")
    assert asked.code == Exit.DONE
    assert load_pem_private_key((tmp_path / "new/signing.key").read_bytes(), b"sesame")


@pytest.mark.parametrize("options", [("--country", "Chad"), ("--product-record", "none")])
def test_what_cannot_be_asked_for(desk: Desk, options: tuple[str, ...]) -> None:
    answer = desk.json("keys", "request", "--out", "new", *ASK, *options)
    assert answer.code == Exit.USAGE
    assert answer.row["error"]["hint"]


def test_a_request_for_a_key_on_a_token(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset = desk.json("keys", "request", "--out", "new", *ASK, "--token")
    monkeypatch.setenv("GUARD_PKCS11_URI", "pkcs11:object=key?module-path=/nowhere/lib.so")
    away = desk.json("keys", "request", "--out", "new", *ASK, "--token")
    files = RequestFiles(Path("new/signing.csr"), None, "es384", encrypted=False)
    made = "guard.provenance.token_request.create_token_request"
    monkeypatch.setattr(made, lambda *_: files)
    answer = desk.json("keys", "request", "--out", "new", *ASK, "--token")
    shown = desk("keys", "request", "--out", "new", *ASK, "--token").stdout

    assert (unset.code, away.code) == (Exit.USAGE, Exit.UNAVAILABLE)
    assert "GUARD_PKCS11_URI" in unset.row["error"]["hint"]
    assert (answer.row["key"], answer.row["algorithm"]) == (None, "es384")
    assert "GUARD_SIGNING_KEY" not in shown
    assert "export GUARD_SIGNING_CERTIFICATE=new/chain.pem" in shown


# -- dev --serve ------------------------------------------------------------------------------


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stopped:
    """Stands in for the wait: looks at the services while they run, then stops them."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen: list[int] = []

    def __call__(self) -> None:
        base = f"http://127.0.0.1:{self.port}"
        self.seen += [
            httpx.get(f"{base}/issuer.cer", trust_env=False).status_code,
            httpx.post(f"{base}/tsa", content=b"x", trust_env=False).status_code,
        ]


@pytest.fixture
def stopped(port: int, monkeypatch: pytest.MonkeyPatch) -> Stopped:
    one = Stopped(port)
    monkeypatch.setattr(keys_module, "_wait", one)
    return one


def serve(desk: Desk, *args: object) -> Answer:
    return desk.json("keys", "dev", "--serve", *args)


def test_services_run_until_stopped_and_start_again(
    desk: Desk, home: Path, port: int, stopped: Stopped
) -> None:
    first = serve(desk, "--port", port)
    again = serve(desk, "--answer", "revoked")
    people = desk("keys", "dev", "--serve")
    checked = desk.json("keys", "check")

    assert (first.code, again.code, people.code) == (0, 0, 0)
    assert stopped.seen == [200, 400] * 3
    assert first.row["tsa_url"] == again.row["tsa_url"] == f"http://127.0.0.1:{port}/tsa"
    assert again.row["ocsp_answer"] == "revoked"
    assert Path(first.row["tsa_ca"]).is_file()
    assert f"export GUARD_TSA_URL=http://127.0.0.1:{port}/tsa" in people.stdout
    assert [one["rule"] for one in checked.row["findings"]] == ["development"]
    assert checked.row["ocsp_url"] == f"http://127.0.0.1:{port}/ocsp"


def test_keys_without_services_are_not_replaced_unasked(
    desk: Desk, port: int, stopped: Stopped
) -> None:
    made = desk.json("keys", "dev")
    refused = serve(desk, "--port", port)
    replaced = serve(desk, "--port", port, "--replace")

    assert refused.code == Exit.CONFIGURATION
    assert "--replace" in refused.row["error"]["hint"]
    assert replaced.code == 0
    assert desk.json("keys", "check").row["fingerprint"] != made.row["fingerprint"]


def test_a_port_that_is_taken(desk: Desk, port: int, stopped: Stopped) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        answer = serve(desk, "--port", port)

    assert answer.code == Exit.USAGE
    assert str(port) in answer.row["error"]["message"]
    assert stopped.seen == []


def test_an_answer_that_ocsp_does_not_know(desk: Desk) -> None:
    assert desk("keys", "dev", "--serve", "--answer", "maybe").code == Exit.USAGE


def test_a_signal_ends_the_wait() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def end() -> None:
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end).start()
    keys_module._wait()
    assert signal.getsignal(signal.SIGTERM) is before
