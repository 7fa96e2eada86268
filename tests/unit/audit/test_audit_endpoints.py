"""Who is told what, where to, and how it is signed."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.audit.outbox.endpoints import Subscription, check_url, load_endpoints, load_subscriptions
from guard.audit.outbox.messages import KINDS, Told
from guard.audit.outbox.sender import Answer, post
from guard.audit.outbox.signatures import parse_secrets, sign, verify
from guard.errors import InvalidRequest, SettingsInvalid
from guard.settings import Settings
from guard.store.outbox import Message
from tests.support.hooks import SECRET, hook

MESSAGE = Message("id-1", "hook", "record.blocked", "r", b"{}", 0, 0)

FILE = """
endpoints:
  - name: trust
    url: https://hooks.example.com/guard
    secret: TRUST_SECRET
    kinds: [report.required, "record.*"]
    tenants: [shop]
  - name: reports
    url: https://reports.example.com
    kinds: ["*"]
    categories: [minors-sexual]
"""


def told(kind: str, tenant: str | None = None, *categories: str) -> Told:
    return Told(kind, "r", datetime.now(UTC), tenant=tenant, categories=categories)


def test_nobody_is_told_by_default() -> None:
    assert load_subscriptions(Settings()) == ()


def test_one_address_is_enough() -> None:
    (one,) = load_subscriptions(Settings(webhook_url="https://h.example/x?y=1"))
    assert one.name == "webhook"
    assert one.wants(told("report.required"))
    assert one.wants(told("record.held"))
    assert not one.wants(told("record.released"))


def test_a_file_names_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hooks.yaml"
    path.write_text(FILE)
    monkeypatch.setenv("TRUST_SECRET", SECRET)
    settings = Settings(webhooks=path, webhook_secret=f"{SECRET} {SECRET}")
    trust, reports = load_endpoints(settings)
    assert (trust.name, len(trust.secrets), len(reports.secrets)) == ("trust", 1, 2)
    assert "secret" not in repr(trust)
    wants = trust.subscription.wants
    assert wants(told("record.started", "shop"))
    assert not wants(told("record.started", "other"))
    assert not wants(told("record.started"))
    assert not wants(told("act.viewed", "shop"))
    wants = reports.subscription.wants
    assert wants(told("act.viewed", None, "x", "minors-sexual"))
    assert not wants(told("act.viewed", None, "minors"))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("endpoints: [", "cannot be read"),
        ("- a", "valid dictionary"),
        ("endpoints: [{name: A, url: x, kinds: [a]}]", "endpoints.0.name"),
        ("endpoints: [{name: a, url: 'https://h', kinds: [record.nothing]}]", "no messages of"),
        ("endpoints: [{name: a, url: 'https://h', kinds: []}]", "kinds"),
        ("endpoints: [{name: a, url: 'https://h', kinds: ['*'], colour: x}]", "colour"),
        ("endpoints: [{name: a, url: 'http://h', kinds: ['*']}]", "not https"),
        ("endpoints: [{name: webhook, url: 'https://h', kinds: ['*']}]", "called 'webhook'"),
        (
            "endpoints: [&a {name: a, url: 'https://h', kinds: ['*']}, *a]",
            "two endpoints have the same name",
        ),
    ],
)
def test_a_file_that_says_nonsense_is_refused(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "hooks.yaml"
    path.write_text(text)
    with pytest.raises(SettingsInvalid, match=what):
        load_subscriptions(Settings(webhooks=path, webhook_url="https://h.example"))


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        load_subscriptions(Settings(webhooks=tmp_path / "none.yaml"))
    with pytest.raises(SettingsInvalid, match=r"no messages of the kind 'record\.hold'"):
        load_subscriptions(Settings(webhook_url="https://h", webhook_events="record.hold"))
    with pytest.raises(SettingsInvalid, match="unsigned"):
        load_endpoints(Settings(webhook_url="https://h.example"))


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/a?b=c",
        "https://hooks.example.com:8443",
        "https://[2001:db8::1]/x",
        "https://192.0.2.7/x",
    ],
)
def test_where_messages_may_go(url: str) -> None:
    check_url(url, allow_loopback=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com",
        "ftp://hooks.example.com",
        "file:///etc/passwd",
        "hooks.example.com",
        "https://",
        "https://h:0/",
        "https://h:99999/",
        "https://[::1",
        "https://user@h.example",
        "https://user:hunter2@h.example",
        "https://h.example/#x",
        "https://localhost/x",
        "http://a.localhost/x",
        "https://127.0.0.1/x",
        "http://127.8.9.1/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://0.0.0.0/x",
        "https://169.254.169.254/latest",
        "https://[fe80::1]/x",
    ],
)
def test_where_messages_may_not_go(url: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        check_url(url, allow_loopback=False)
    assert "hunter2" not in caught.value.diagnostics()


def test_this_machine_where_that_is_allowed() -> None:
    for url in ("http://127.0.0.1:9/x", "http://localhost/x", "https://[::1]/x"):
        check_url(url, allow_loopback=True)
    with pytest.raises(SettingsInvalid):
        check_url("http://192.168.0.1/x", allow_loopback=True)


# -- signatures ------------------------------------------------------------------------------------


def test_the_example_of_the_specification() -> None:
    """The vector that the reference libraries of Standard Webhooks test themselves with."""
    secrets = parse_secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "X")
    said = sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', secrets)
    assert said == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "text",
    ["", "whsec_", "secret", "whsec_!!!", "whsec_" + base64.b64encode(b"x" * 23).decode(),
     "whsec_" + base64.b64encode(b"x" * 65).decode(), SECRET.removeprefix("whsec_"),
     f"{SECRET} nonsense"],
)  # fmt: skip
def test_what_is_no_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        parse_secrets(text, "GUARD_X")
    assert "GUARD_X" in caught.value.message
    for part in text.split():
        assert len(part) < 8 or part not in caught.value.diagnostics()


def headers(body: bytes, secret: str = SECRET, at: int = 1_000_000) -> dict[str, str]:
    signature = sign("m", at, body, parse_secrets(secret, "X"))
    return {"webhook-id": "m", "webhook-timestamp": str(at), "webhook-signature": signature}


@given(st.binary(max_size=200))
def test_a_signature_is_of_this_message(body: bytes) -> None:
    secrets = parse_secrets(SECRET, "X")
    good = headers(body)
    verify(good, body, secrets, now=1_000_100)
    other = "whsec_" + base64.b64encode(b"another secret of 24 bytes..").decode()
    for bad, data, now in (
        (good, body + b"x", 1_000_100),
        (good | {"webhook-id": "n"}, body, 1_000_100),
        (good | {"webhook-timestamp": "1000001"}, body, 1_000_100),
        (good | {"webhook-timestamp": "soon"}, body, 1_000_100),
        (good, body, 1_000_301),
        (good, body, 999_699),
        (headers(body, other), body, 1_000_100),
        (good | {"webhook-signature": ""}, body, 1_000_100),
        (good | {"webhook-signature": "v1,ä"}, body, 1_000_100),
        ({}, body, 1_000_100),
    ):
        with pytest.raises(InvalidRequest):
            verify(bad, data, secrets, now=now)


def test_both_secrets_sign_while_one_is_changed() -> None:
    other = "whsec_" + base64.b64encode(b"another secret of 24 bytes..").decode()
    both = headers(b"x", f"{other} {SECRET}")
    for known in (SECRET, other):
        verify(both, b"x", parse_secrets(known, "X"), now=1_000_000)


# -- sending ---------------------------------------------------------------------------------------


def endpoint(url: str) -> object:
    from guard.audit.outbox.endpoints import Endpoint

    chosen = Subscription(name="hook", url=url, kinds=("*",))
    return Endpoint(chosen, parse_secrets(SECRET, "X"))


def test_no_redirect_is_followed() -> None:
    with hook() as elsewhere, hook() as seen:
        seen.answers = [f"move:{elsewhere.url}"]
        assert post(endpoint(seen.url), MESSAGE, 2.0) == Answer(307, "HTTP 307")  # type: ignore[arg-type]
    assert elsewhere.got == []


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with hook() as proxy, hook() as seen:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert post(endpoint(seen.url), MESSAGE, 2.0).accepted  # type: ignore[arg-type]
    assert proxy.got == []


@pytest.mark.parametrize(
    ("asked", "pause"), [("7", 7.0), ("-1", 0.0), ("nan?", 0.0), ("99999999", 24 * 3600.0)]
)
def test_a_pause_that_is_asked_for_is_bounded(asked: str, pause: float) -> None:
    with hook() as seen:
        seen.answers, seen.headers = [429], {"retry-after": asked}
        assert post(endpoint(seen.url), MESSAGE, 2.0).pause == pause  # type: ignore[arg-type]


def test_nobody_there_is_an_answer_too() -> None:
    assert post(endpoint("http://127.0.0.1:9/"), MESSAGE, 1.0) == Answer(0, "ConnectError")  # type: ignore[arg-type]


def test_kinds_are_named_once() -> None:
    assert len(set(KINDS)) == len(KINDS)
