from __future__ import annotations

import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from guard.errors import KeyInvalid, OutputUnwritable
from guard.provenance import private as private_module
from guard.provenance.certificates import DEVELOPMENT_ONLY, common_name
from guard.provenance.keys import (
    certificate_fingerprint,
    create_development_keys,
    load_signing_keys,
)

from .authority import Authority, ec, ed25519, rsa


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_development_keys_are_private(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    files = create_development_keys(home)
    assert mode(home) == mode(home / "keys") == 0o700
    assert {path.name for path in (home / "keys").iterdir()} == {
        "ca.pem",
        "signing.pem",
        "signing.key",
    }
    assert {mode(path) for path in (files.ca, files.certificate, files.key)} == {0o600}


def test_an_open_directory_is_closed(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o755)
    create_development_keys(tmp_path)
    assert mode(tmp_path / "keys") == 0o700


def test_the_certificates_say_what_they_are(tmp_path: Path) -> None:
    files = create_development_keys(tmp_path)
    leaf, issuing = x509.load_pem_x509_certificates(files.certificate.read_bytes())
    (root,) = x509.load_pem_x509_certificates(files.ca.read_bytes())
    for certificate in (leaf, issuing, root):
        for attribute in certificate.subject:
            if attribute.oid != x509.NameOID.COUNTRY_NAME:
                assert DEVELOPMENT_ONLY in str(attribute.value)
    leaf.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(root)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=366)
    assert leaf.not_valid_before_utc < datetime.now(UTC)
    assert files.expires == leaf.not_valid_after_utc
    assert files.fingerprint == certificate_fingerprint(files.certificate.read_bytes())


def test_the_leaf_follows_the_profile(tmp_path: Path) -> None:
    """C2PA 2.4, 14.5.1: v3, no CA, critical key usage, claim-signing usage, SKI and AKI."""
    pem = create_development_keys(tmp_path).certificate.read_bytes()
    extensions = x509.load_pem_x509_certificates(pem)[0].extensions
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    ekus = {
        one.dotted_string for one in extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    }
    assert ekus == {"1.3.6.1.5.5.7.3.4", "1.3.6.1.4.1.62558.2.1"}
    assert extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    assert extensions.get_extension_for_class(x509.SubjectKeyIdentifier)


def test_the_authoritys_key_is_not_kept(tmp_path: Path) -> None:
    files = create_development_keys(tmp_path)
    ca = x509.load_pem_x509_certificates(files.ca.read_bytes())[0]
    kept = load_pem_private_key(files.key.read_bytes(), None)
    assert kept.public_key() != ca.public_key()
    assert sum(b"PRIVATE KEY" in path.read_bytes() for path in (tmp_path / "keys").iterdir()) == 1


def test_keys_are_not_overwritten_unless_asked(tmp_path: Path) -> None:
    first = create_development_keys(tmp_path)
    key = first.key.read_bytes()
    with pytest.raises(KeyInvalid, match="already") as caught:
        create_development_keys(tmp_path)
    assert "--replace" in caught.value.hint
    assert first.key.read_bytes() == key
    second = create_development_keys(tmp_path, replace=True)
    assert second.key.read_bytes() != key
    assert second.fingerprint != first.fingerprint
    assert load_signing_keys(tmp_path).certificate_fingerprint == second.fingerprint
    anchors = x509.load_pem_x509_certificates(second.ca.read_bytes())
    assert len(anchors) == 2, "what was signed before still verifies"


def test_a_single_file_left_over_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "signing.key").write_text("precious")
    with pytest.raises(KeyInvalid, match=r"signing\.key"):
        create_development_keys(tmp_path)
    assert (tmp_path / "keys" / "signing.key").read_text() == "precious"


def test_of_two_at_once_one_wins(tmp_path: Path) -> None:
    refused: list[KeyInvalid] = []

    def work() -> None:
        try:
            create_development_keys(tmp_path)
        except KeyInvalid as error:
            refused.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 5
    assert load_signing_keys(tmp_path).development


def test_a_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputUnwritable, match="cannot be made"):
        create_development_keys(tmp_path / "file")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(private_module.os, "fsync", full)
    with pytest.raises(OutputUnwritable, match="No space left"):
        create_development_keys(tmp_path / "home")
    assert not list((tmp_path / "home" / "keys").iterdir()), "nothing half-written stays"


def test_loading(tmp_path: Path) -> None:
    files = create_development_keys(tmp_path)
    keys = load_signing_keys(tmp_path)
    assert keys.algorithm == "es256"
    assert keys.development
    assert keys.certificate_fingerprint == files.fingerprint
    assert keys.chain_pem.count(b"BEGIN CERTIFICATE") == 2
    again = load_signing_keys(tmp_path / "elsewhere", files.certificate, files.key)
    assert (again.chain, again.private.private_numbers()) == (  # type: ignore[union-attr]
        keys.chain,
        keys.private.private_numbers(),  # type: ignore[union-attr]
    )


def test_the_key_is_in_no_repr(tmp_path: Path) -> None:
    create_development_keys(tmp_path)
    keys = load_signing_keys(tmp_path)
    files = tmp_path / "keys" / "signing.key"
    secret = files.read_text().splitlines()[1]
    assert secret not in repr(keys)
    assert secret not in f"{keys!s} {keys}"


def test_without_keys_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(KeyInvalid) as caught:
        load_signing_keys(tmp_path)
    assert "guard keys dev" in caught.value.hint
    assert "GUARD_SIGNING_CERTIFICATE" in caught.value.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", ["certificate", "key"])
def test_one_of_two_settings_is_not_enough(tmp_path: Path, given: str) -> None:
    with pytest.raises(KeyInvalid, match="only one"):
        load_signing_keys(tmp_path, **{given: tmp_path / "x"})


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP384R1()), "es384"),
        (ec.generate_private_key(ec.SECP521R1()), "es512"),
        (rsa.generate_private_key(65537, 2048), "ps256"),
        (ed25519.Ed25519PrivateKey.generate(), "ed25519"),
    ],
)
def test_algorithms_of_c2pa(
    tmp_path: Path, key: ec.EllipticCurvePrivateKey, algorithm: str
) -> None:
    keys = load_signing_keys(tmp_path, *Authority().issue(tmp_path, key))
    assert keys.algorithm == algorithm
    assert not keys.development


def test_other_algorithms_are_refused(tmp_path: Path) -> None:
    odd = ec.generate_private_key(ec.SECP256K1())
    with pytest.raises(KeyInvalid, match="secp256k1"):
        load_signing_keys(tmp_path, *Authority().issue(tmp_path, odd))
    chain, key = Authority().issue(tmp_path)
    foreign = dsa.generate_private_key(2048)
    key.write_bytes(foreign.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(KeyInvalid, match="knows no signatures"):
        load_signing_keys(tmp_path, chain, key)


def test_a_key_of_another_certificate(tmp_path: Path) -> None:
    chain, key = Authority().issue(tmp_path)
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    key.write_bytes(pem)
    with pytest.raises(KeyInvalid, match="does not belong"):
        load_signing_keys(tmp_path, chain, key)


def test_a_chain_in_the_wrong_order(tmp_path: Path) -> None:
    chain, key = Authority().issue(tmp_path)
    leaf, root = x509.load_pem_x509_certificates(chain.read_bytes())
    chain.write_bytes(root.public_bytes(Encoding.PEM) + leaf.public_bytes(Encoding.PEM))
    with pytest.raises(KeyInvalid, match="first certificate"):
        load_signing_keys(tmp_path, chain, key)


@pytest.mark.parametrize(
    ("start", "end", "message"), [(-20, -1, "expired"), (1, 9, "valid only from")]
)
def test_out_of_its_time(tmp_path: Path, start: int, end: int, message: str) -> None:
    validity = (timedelta(days=start), timedelta(days=end))
    with pytest.raises(KeyInvalid, match=message) as caught:
        load_signing_keys(tmp_path, *Authority().issue(tmp_path, validity=validity))
    assert caught.value.hint


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_locked_key(tmp_path: Path, form: PrivateFormat) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    chain, key = Authority().issue(tmp_path, private)
    key.write_bytes(private.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"pw")))
    for passphrase in (None, ""):
        with pytest.raises(KeyInvalid, match="locked by a passphrase") as caught:
            load_signing_keys(tmp_path, chain, key, passphrase)
        assert "GUARD_SIGNING_KEY_PASSPHRASE" in caught.value.hint
    with pytest.raises(KeyInvalid, match="does not open") as caught:
        load_signing_keys(tmp_path, chain, key, "wrong")
    assert "wrong" not in caught.value.diagnostics()
    keys = load_signing_keys(tmp_path, chain, key, "pw")
    assert keys.private.public_key() == private.public_key()


def test_a_passphrase_for_a_key_that_needs_none(tmp_path: Path) -> None:
    chain, key = Authority().issue(tmp_path)
    assert load_signing_keys(tmp_path, chain, key, "spare").algorithm == "es256"


@pytest.mark.parametrize("content", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_garbage(tmp_path: Path, content: bytes) -> None:
    chain, key = Authority().issue(tmp_path)
    good = key.read_bytes()
    key.write_bytes(content)
    with pytest.raises(KeyInvalid, match="not a PEM private key"):
        load_signing_keys(tmp_path, chain, key)
    key.write_bytes(good)
    chain.write_bytes(content)
    with pytest.raises(KeyInvalid, match="not a PEM certificate"):
        load_signing_keys(tmp_path, chain, key)
    with pytest.raises(KeyInvalid):
        certificate_fingerprint(content)


def test_an_unreadable_file(tmp_path: Path) -> None:
    chain, _ = Authority().issue(tmp_path)
    with pytest.raises(KeyInvalid, match="cannot be read"):
        load_signing_keys(tmp_path, chain, tmp_path)


def test_a_name_without_a_common_name() -> None:
    country = x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "CH")
    assert common_name(x509.Name([country])) == "C=CH"
