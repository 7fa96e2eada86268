"""``guard generate``, ``protect``, ``classify``, ``verify`` and ``review``."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from guard.cli.exits import Exit

from guard.errors import AuditUnavailable, ModelUnavailable
from guard.provenance.engines import SECOND, Voice
from tests.support.desk import Desk
from tests.support.house import FLAGGED, FORBIDDEN, PROMPT

pytestmark = pytest.mark.usefixtures("furnished")

FIELDS = {"status", "record_id", "path", "sha256", "stage", "reasons", "receipt"}


def _generate(desk: Desk, *args: object) -> Any:
    return desk.json("generate", *args, "--out", desk.out)


def test_released(desk: Desk) -> None:
    answer = _generate(desk, PROMPT, "--seed", 3, "--user", "u", "--tenant", "t")

    row = answer.row
    assert answer.code == 0
    assert set(row) >= FIELDS
    assert row["status"] == "released"
    assert hashlib.sha256(Path(row["path"]).read_bytes()).hexdigest() == row["sha256"]
    assert set(row["receipt"]) == {"log_id", "index", "leaf_hash"}
    assert row["stage"] is None
    assert row["reasons"] == []
    assert desk.generator.requests[0].seed == 3


def test_options_reach_the_generator(desk: Desk) -> None:
    _generate(
        desk, PROMPT, "--size", "512x768", "--steps", 4, "--count", 2, "--negative-prompt", "fog",
        "--model", "m", "--input", desk.picture(),
    )  # fmt: skip

    (request,) = desk.generator.requests
    assert (request.size, request.steps, request.count) == ((512, 768), 4, 2)
    assert (request.negative_prompt, request.model) == ("fog", "m")
    assert request.input_image is not None


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_format(desk: Desk, form: str) -> None:
    row = _generate(desk, PROMPT, "--format", form).row

    assert Path(row["path"]).suffix == {"jpeg": ".jpg"}.get(form, f".{form}")


@pytest.mark.parametrize(
    ("prompt", "value", "ending", "code"),
    [
        (FORBIDDEN, 0.01, "blocked at prompt", Exit.FINDING),
        (PROMPT, 0.9, "blocked at classify", Exit.FINDING),
        (FLAGGED, 0.01, "held at prompt", Exit.REVIEW),
        (PROMPT, 0.6, "held at classify", Exit.REVIEW),
        (PROMPT, float("nan"), "failed at classify", Exit.UNAVAILABLE),
    ],
)
def test_other_outcomes(desk: Desk, prompt: str, value: float, ending: str, code: Exit) -> None:
    status, _, stage = ending.split()
    desk.detector.value = value

    answer = _generate(desk, prompt)

    assert answer.code == code
    assert (answer.row["status"], answer.row["stage"]) == (status, stage)
    assert set(answer.row) >= FIELDS
    assert answer.row["path"] is None
    assert all(set(reason) == {"code", "message"} for reason in answer.row["reasons"])
    assert answer.row["reasons"]
    shown = desk("generate", prompt, "--out", desk.out)
    assert shown.code == code
    assert status in shown.stdout
    assert list(desk.out.iterdir()) == []


def test_several_prompts_and_pictures(desk: Desk) -> None:
    answer = _generate(desk, PROMPT, FORBIDDEN, "a boat", "--count", 2)

    statuses = [row["status"] for row in answer.rows]
    assert statuses == ["released"] * 2 + ["blocked"] + ["released"] * 2
    assert answer.code == Exit.FINDING


def test_missing_model_fails_closed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise ModelUnavailable("There is no model 'x'.", hint="Pull it.")

    monkeypatch.setattr("guard.assemble.GeneratorCabinet.open", gone)

    answer = _generate(desk, PROMPT)

    assert answer.code == Exit.UNAVAILABLE
    assert answer.row["hint"] == "Pull it."
    assert "Pull it." in desk("generate", PROMPT, "--out", desk.out).stdout


BAD = {
    "an empty prompt": ("",),
    "a bad size": (PROMPT, "--size", "big"),
    "an odd size": (PROMPT, "--size", "513x512"),
    "no pictures": (PROMPT, "--count", "0"),
    "an unreadable input": (PROMPT, "--input", "gone.png"),
    "an impossible place": (PROMPT, "--out", "/proc/genguard"),
}


@pytest.mark.parametrize("args", BAD.values(), ids=BAD)
def test_unusable_request(desk: Desk, args: tuple[str, ...]) -> None:
    answer = desk.json("generate", *args)

    assert answer.code == Exit.USAGE
    assert answer.row["error"]["hint"]
    assert desk.generator.requests == []


def test_used_idempotency_key(desk: Desk) -> None:
    _generate(desk, PROMPT, "--idempotency-key", "k")

    answer = _generate(desk, PROMPT, "--idempotency-key", "k")

    assert answer.code == Exit.USAGE
    assert answer.row["error"]["code"] == "duplicate_request"


def test_several_prompts_share_a_key(desk: Desk) -> None:
    answer = _generate(desk, PROMPT, "a boat", "--idempotency-key", "k")

    assert answer.code == 0
    assert len(answer.rows) == 2


# -- protect and classify ---------------------------------------------------------------------


def test_protect_has_a_row_for_every_picture(desk: Desk) -> None:
    desk.picture("folder/a.png", 1)
    desk.picture("folder/deep/b.png", 2)

    answer = desk.json(
        "protect", desk.picture(), "folder", desk.broken_picture(), "gone.png", "--out", desk.out
    )

    rows = answer.rows
    assert [row["status"] for row in rows] == ["released"] * 3 + ["failed"] * 2
    assert [Path(row["source"]).name for row in rows] == [
        "in.png", "a.png", "b.png", "broken.png", "gone.png",
    ]  # fmt: skip
    assert all(row["error"]["code"] == "invalid_image" for row in rows[3:])
    assert answer.code == Exit.FINDING
    assert len(list(desk.out.iterdir())) == 3


def test_protect_stops_when_nothing_can_be_recorded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise AuditUnavailable("The log is gone.", hint="Bring it back.")

    monkeypatch.setattr("guard.audit.log.SqlAuditLog.start", broken)

    answer = desk.json("protect", desk.picture(), desk.picture("b.png"), "--out", desk.out)

    assert answer.code == Exit.UNAVAILABLE
    assert answer.row["error"]["code"] == "audit_unavailable"
    assert list(desk.out.iterdir()) == []


@pytest.mark.parametrize("origin", ["generated", "edited", "unknown"])
def test_protect_records_the_origin(desk: Desk, origin: str) -> None:
    desk("protect", desk.picture(), "--out", desk.out, "--origin", origin)

    assert {row["origin"] for row in desk.json("audit", "list").rows} == {origin}


def test_protect_without_a_place_is_a_usage_error(desk: Desk) -> None:
    assert desk("protect", desk.picture()).code == Exit.USAGE


@pytest.mark.parametrize(
    ("value", "action", "code"), [(0.1, "allow", 0), (0.6, "flag", 3), (0.9, "block", 1)]
)
def test_classify(desk: Desk, value: float, action: str, code: int) -> None:
    desk.detector.value = value

    answer = desk.json("classify", desk.picture())

    assert (answer.row["action"], answer.code) == (action, code)
    (score,) = answer.row["scores"]
    assert set(score) >= {"category", "value", "threshold", "detector"}
    assert action in desk("classify", desk.picture()).stdout


def test_classify_has_a_row_for_every_picture(desk: Desk) -> None:
    answer = desk.json("classify", desk.picture(), desk.broken_picture())

    assert [("error" in row) for row in answer.rows] == [False, True]
    assert answer.code == Exit.FINDING
    assert desk("classify").code == Exit.USAGE


def test_classify_evaluates_a_folder(desk: Desk) -> None:
    for kind in ("safe", "unsafe"):
        desk.picture(f"labelled/{kind}/a.png")

    answer = desk.json("classify", "--evaluate", "labelled")

    assert answer.code == 0
    assert (answer.row["safe"], answer.row["unsafe"]) == (1, 1)
    assert "1 safe" in desk("classify", "--evaluate", "labelled").stdout


# -- verify -----------------------------------------------------------------------------------


def test_verify(desk: Desk) -> None:
    path = _generate(desk, PROMPT).row["path"]

    answer = desk.json(
        "verify", path, desk.picture("plain.png", 40), "gone.png", desk.broken_picture()
    )

    assert [row.get("verdict") for row in answer.rows] == ["trusted", "nothing_found", None, None]
    first = answer.rows[0]
    assert set(first) >= {"path", "provenance", "watermark", "fingerprint", "record", "explanation"}
    assert all("hint" in row["error"] for row in answer.rows[2:])
    assert answer.code == Exit.FINDING
    assert desk("verify", path).code == 0
    assert "trusted" in desk("verify", path).stdout


def test_verify_of_a_stranger_needs_review(desk: Desk, tmp_path: Path) -> None:
    path = _generate(desk, PROMPT).row["path"]

    answer = desk.json("verify", path, "--home", tmp_path / "other")

    assert (answer.row["verdict"], answer.code) == ("unknown_signer", Exit.REVIEW)


def test_verify_writes_a_page(desk: Desk) -> None:
    answer = desk("verify", desk.picture(), "--html", "report.html")

    assert answer.code == 0
    assert "report.html" in answer.stderr
    html = Path("report.html").read_text()
    assert "nothing_found" in html
    assert html.count("data:image/jpeg;base64,") == 1
    bare = desk("verify", desk.picture(), "--html", "report.html", "--without-picture")
    assert bare.code == 0
    assert "<img" not in Path("report.html").read_text()
    assert desk("verify", desk.picture(), "--html", "/proc/x/report.html").code == Exit.USAGE


def test_verify_says_where_two_engines_disagree(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _generate(desk, PROMPT).row["path"]
    strict = Voice(SECOND, "valid", ("signingCredential.invalid",))
    monkeypatch.setattr("guard.provenance.read.second_voice", lambda *_: strict)

    answer = desk("verify", path)

    assert answer.code == Exit.REVIEW
    assert "c2pa says trusted, encypher-c2pa says valid" in answer.stdout
    told = desk.json("verify", path).row["provenance"]
    assert (told["agreement"], told["engines"][SECOND]["state"]) == (False, "valid")


# -- review -----------------------------------------------------------------------------------


def _held(desk: Desk) -> str:
    return str(_generate(desk, FLAGGED).row["record_id"])


def test_review_approves(desk: Desk) -> None:
    record = _held(desk)
    waiting = desk.json("review", "list")
    assert (waiting.code, waiting.row["record_id"]) == (Exit.REVIEW, record)

    answer = desk.json("review", "approve", record, "--out", desk.out, "--reviewer", "dana")

    assert (answer.code, answer.row["status"]) == (0, "released")
    assert Path(answer.row["path"]).is_file()
    assert desk.json("verify", answer.row["path"]).row["verdict"] == "trusted"
    assert desk.json("review", "list").code == 0
    events = [row["event"] for row in desk.json("audit", "show", record).rows]
    assert events == ["started", "held", "released"]


def test_review_rejects(desk: Desk) -> None:
    record = _held(desk)

    answer = desk.json("review", "reject", record, "--reviewer", "dana")

    assert (answer.code, answer.row["status"]) == (0, "blocked")
    assert desk.json("review", "list").rows == []
    again = desk.json("review", "approve", record, "--out", desk.out, "--reviewer", "dana")
    assert again.code == Exit.USAGE
    assert again.row["error"]["hint"]


def test_review_that_cannot_be_delivered_can_be_repeated(desk: Desk) -> None:
    record = _held(desk)

    failed = desk.json("review", "approve", record, "--out", "/proc/x", "--reviewer", "dana")
    answer = desk.json("review", "approve", record, "--out", desk.out, "--reviewer", "dana")

    assert failed.code == Exit.USAGE
    assert answer.code == 0


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_review_of_what_does_not_wait(desk: Desk, verb: str) -> None:
    released = _generate(desk, PROMPT).row["record_id"]

    for record in (released, "01934a7e-0000-7000-8000-000000000001", "nonsense"):
        answer = desk.json("review", verb, record, "--reviewer", "dana")
        assert answer.code == Exit.USAGE
        assert answer.row["error"]["hint"]
