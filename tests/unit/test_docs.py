"""What the documentation says is what the program does: help, links, commands, code, JSON rows."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click
import pytest
import typer.main
import yaml
from guard.cli.main import app
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from PIL import Image
from typer.testing import CliRunner

from guard.policy.load import load_policy
from guard.policy.model import ManifestSettings, Policy
from guard.settings import Settings

if TYPE_CHECKING:
    from tests.support.house import House

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SCHEMAS = DOCS / "reference" / "json"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "datasets" / "README.md"])
NOT_RUN = "<!-- not run:"

START = "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/guard demo"
TEST = (
    "python3 -m venv .venv && .venv/bin/pip install -e '.[dev,postgres]' "
    "&& .venv/bin/python -m pytest"
)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> Iterator[tuple[str, bool]]:
    """Each fenced block in ``language``, and whether the page lets it be run."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(
        rf"^([^\n]*)\n```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    ):
        yield match[2], not match[1].startswith(NOT_RUN)


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_reference", DOCS / "build_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- README --------------------------------------------------------------------------------------


def test_readme_has_exactly_two_set_up_commands_of_one_line_each() -> None:
    found = [text for text, _ in blocks(ROOT / "README.md", "sh")]
    assert found == [START + "\n", TEST + "\n"]


def test_readme_shows_the_tour_that_the_demo_gives() -> None:
    from guard.cli.demo import FORBIDDEN, PROMPT

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Generate “{PROMPT}”" in text
    assert f"policy forbids: “{FORBIDDEN}”" in text


def test_readme_names_every_command_and_exit_code() -> None:
    from guard.cli.exits import URGENCY, Exit

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `guard ([a-z]+)", text, re.MULTILINE)
    root = typer.main.get_command(app)
    assert isinstance(root, click.Group) or hasattr(root, "commands")
    assert set(rows) == set(root.commands)
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)] == sorted(Exit)
    assert f"in the order {', '.join(str(int(one)) for one in URGENCY)}." in text


# -- generated pages -----------------------------------------------------------------------------


def test_generated_pages_are_up_to_date(
    builder: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("COLUMNS", "TERMINAL_WIDTH", "TERM", "NO_COLOR"):
        monkeypatch.setenv(key, builder.STABLE[key])
    stale = [name(path) for path, text in builder.pages() if not builder.same(path, text)]
    assert stale == [], "run: python docs/build_reference.py"


def test_a_changed_word_is_noticed_and_a_moved_line_break_is_not(
    builder: ModuleType, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text("│ --json  <bool>  One JSON object per │\n│ result. │\n", encoding="utf-8")
    assert builder.same(page, "--json One JSON object per result.")
    assert not builder.same(page, "--json One JSON object each result.")
    assert not builder.same(page, "--yaml One JSON object per result.")
    assert not builder.same(tmp_path / "missing.md", "")


def test_every_command_and_setting_and_error_is_documented(builder: ModuleType) -> None:
    import guard.errors

    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    for command in builder.commands():
        assert f"## `{' '.join(('guard', *command))}`" in page
    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    assert {f"`GUARD_{one.upper()}`" for one in Settings.model_fields} <= set(
        re.findall(r"`GUARD_[A-Z0-9_]+`", page)
    )
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    drawn = re.findall(r"[├└]── (\w+)", guard.errors.__doc__ or "")
    assert len(drawn) > 10
    for error in drawn:
        assert f"`{error}` | `{getattr(guard.errors, error).code}`" in page


def test_every_command_shows_an_example(builder: ModuleType) -> None:
    for command in builder.commands():
        text = builder.help_of(command)
        assert "Example" in text or "Commands" in text, command


# -- links and shell examples --------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:|#", target):
            assert (page.parent / target.partition("#")[0]).exists(), target


def test_every_page_can_be_found_from_the_index() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    missing = [
        name(page)
        for page in DOCS.rglob("*.md")
        if page != DOCS / "README.md" and f"({page.relative_to(DOCS)})" not in index
    ]
    assert missing == []


def shell_lines() -> list[tuple[str, str]]:
    lines = []
    for page in PAGES:
        for text, _ in blocks(page, "sh"):
            for line in text.splitlines():
                for part in re.split(r"\s*(?:&&|\||>)\s+", line):
                    if part.startswith("guard "):
                        lines.append((name(page), part))  # noqa: PERF401
    return lines


@pytest.mark.parametrize(("page", "line"), shell_lines())
def test_shell_examples_name_commands_and_options_that_exist(page: str, line: str) -> None:
    words = shlex.split(line.partition("#")[0])[1:]
    command: Any = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"{page}: {line}"
        command = command.commands[words.pop(0)]
    known = {option for one in command.params for option in one.opts}
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert given <= known, f"{page}: {line}"


# -- code in the pages ---------------------------------------------------------------------------

PYTHON = [
    pytest.param(code, run, id=f"{name(page)}-{index}")
    for page in PAGES
    for index, (code, run) in enumerate(blocks(page, "python"))
]


@pytest.mark.parametrize(("code", "run"), PYTHON)
def test_python_examples_run(
    code: str, run: bool, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = compile(code, "example", "exec")
    if not run:
        return
    house.out.mkdir()
    monkeypatch.chdir(house.out)
    for file in ("picture.jpg", "suspect.jpg"):
        Image.fromarray(house.generator.draw(1)).save(file)
    monkeypatch.setattr("guard.pipeline.Guard.from_settings", lambda **_: house.guard())
    space: dict[str, Any] = {}
    exec(compiled, space)  # noqa: S102  # our own documentation
    if "result" in space:
        assert space["result"].status == "released"


def test_the_policy_example_is_a_policy(tmp_path: Path) -> None:
    examples = [text for text, _ in blocks(DOCS / "how-to" / "write-a-policy.md", "yaml")]
    assert len(examples) == 3
    (tmp_path / "house.yaml").write_text(examples[0], encoding="utf-8")
    policy = load_policy(tmp_path / "house.yaml")
    assert policy.name == "house"
    more = yaml.safe_load(examples[1])
    whole = load_policy("default").model_dump(mode="json") | more
    assert Policy.model_validate(whole).sensitive.categories == ("minors-sexual",)
    told = yaml.safe_load(examples[2])["manifest"]
    assert set(told) == set(ManifestSettings.model_fields)
    assert ManifestSettings(**told) == ManifestSettings(provider=told["provider"])
    assert [rule.id for rule in policy.output_rules] == ["nsfw"]


def test_the_plug_in_example_keeps_the_contract(house: House) -> None:
    from guard.plugins import Wiring

    space: dict[str, Any] = {}
    for code, _ in blocks(DOCS / "how-to" / "write-a-plugin.md", "python"):
        exec(code, space)  # noqa: S102  # our own documentation
    factory = space["guard_detectors"]()["darkness"]
    (detector,) = factory(Wiring(Settings(home=house.home), house.policy))
    assert detector.score(house.generator.draw(1) * 0) == {"darkness": 1.0}
    contract = space["TestDarkness"]()
    tests = [one for one in dir(contract) if one.startswith("test_")]
    assert tests
    for one in tests:
        getattr(contract, one)()


# -- JSON rows -----------------------------------------------------------------------------------


def schema(which: str) -> Draft202012Validator:
    plain = json.loads((SCHEMAS / f"{which}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(plain)
    return Draft202012Validator(plain, format_checker=FormatChecker())


def rows(*arguments: str) -> list[dict[str, Any]]:
    """What ``guard ARGUMENTS --json`` prints on stdout."""
    result = CliRunner().invoke(app, [*arguments, "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return [json.loads(line) for line in result.stdout.splitlines()]


def checked(which: str, *arguments: str) -> list[dict[str, Any]]:
    found = rows(*arguments)
    for row in found:
        schema(which).validate(row)
    return found


@pytest.fixture
def drawing(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """The command line in a furnished home, with a generator that draws at once."""
    monkeypatch.setattr("guard.assemble.open_by_scheme", lambda *_: house.generator)
    house.log.store.close()
    return house


def test_rows_of_screen_keep_their_schema(furnished: Path) -> None:
    from tests.support.house import FORBIDDEN, PROMPT

    good, bad, empty = checked("screen", "screen", PROMPT, FORBIDDEN, " ")
    assert (good["action"], bad["action"]) == ("allow", "block")
    assert bad["findings"]
    assert empty["error"]["code"] == "invalid_request"


def test_rows_of_pictures_keep_their_schemas(drawing: House) -> None:
    from tests.support.house import FLAGGED, FORBIDDEN, PROMPT

    out = str(drawing.out)
    made = checked("outcome", "generate", PROMPT, FORBIDDEN, FLAGGED, "--out", out)
    assert [row["status"] for row in made] == ["released", "blocked", "held"]
    path = made[0]["path"]
    copy = drawing.out / "copy.jpg"
    with Image.open(path) as picture:
        picture.convert("RGB").save(copy, quality=80)
    missing = str(drawing.out / "missing.png")
    names = [path, str(copy), missing]

    protected = checked("outcome", "protect", str(copy), "--out", out)
    assert protected[0]["status"] == "released"
    assert len(checked("classify", "classify", *names)) == 3
    marks = checked("watermark-detect", "watermark", "detect", *names)
    assert marks[0]["payload"] == marks[1]["payload"]
    embed = ("watermark", "embed", *names[1:], "--out", f"{out}/marked", "--resume")
    checked("watermark-embed", *embed)
    kept = checked("watermark-embed", *embed)
    assert [row["status"] for row in kept] == ["kept", "failed"]
    seen = checked("verify", "verify", *names)
    assert [row.get("verdict") for row in seen] == ["trusted", "recovered", None]
    (log,) = checked("audit-verify", "audit", "verify")
    assert log["ok"]
    assert log["records"] == 8  # four records, started and ended


def test_rows_of_the_log_keep_their_schemas(drawing: House) -> None:
    from tests.support.house import FORBIDDEN, PROMPT

    rows("generate", PROMPT, FORBIDDEN, "--out", str(drawing.out), "--tenant", "acme")
    listed = checked("audit-entry", "audit", "list")
    assert len(listed) == 4
    blocked = next(row["record_id"] for row in listed if row["event"] == "blocked")
    who = ("--who", "dana", "--reason", "art")
    checked("review-appeal", "review", "appeal", blocked, *who)
    checked("review-appeal", "review", "appeal", blocked, *who)  # the error's row
    assert len(checked("review-appeals", "review", "appeals")) == 1
    checked("review-appeal", "review", "grant", blocked, *who)
    assert len(checked("audit-entry", "audit", "show", blocked)) == 4
    assert checked("audit-stats", "audit", "stats")[0]["by_tenant"]["acme"]["released"] == 1
    (report,) = checked("audit-report", "audit", "report", "--tenants")
    assert report["by_tenant"]["acme"]["released"] == "<5"


def test_rows_of_keys_keep_their_schemas(furnished: Path, tmp_path: Path) -> None:
    (row,) = checked("keys-check", "keys", "check")
    assert row["findings"]
    checked("keys-check", "keys", "check", str(tmp_path / "missing.pem"))
    asked = ("--organization", "Example Ltd", "--country", "CH", "--common-name", "Example")
    (row,) = checked("keys-request", "keys", "request", "--out", str(tmp_path / "new"), *asked)
    assert row["key"] is not None


def test_a_failed_stage_keeps_the_schema(drawing: House, monkeypatch: pytest.MonkeyPatch) -> None:
    drawing.generator.draw = lambda _: None  # type: ignore[assignment,return-value]
    (row,) = checked("outcome", "generate", "a lighthouse", "--out", str(drawing.out))
    assert row["status"] == "failed"
    assert row["reasons"][0]["code"] == "stage_unavailable"


UUID, TIME = "0199b2c4-9d3a-7c11-8a52-3f0d6c1e2b90", "2026-11-24T12:00:00+00:00"
RECEIPT = {"log_id": "x", "index": 0, "leaf_hash": "ab" * 32}
COUNTS = {
    "log": {"log_id": "x", "size": 0, "root": "ab" * 32}, "since": None, "until": TIME,
    "tenant": None, "events": 0, "records": 0, "by_event": {"started": 1}, "block_rate": None,
    "step": "day", "over_time": [{"begin": TIME, "started": 1}], "by_stage": {}, "by_model": {},
    "by_tenant": {"a": {"blocked": 1}}, "by_policy": [], "by_rule": [], "by_category": [],
    "acts": {"viewed": 1}, "appeals": {"made": 0, "granted": 0, "denied": 0, "open": 0},
    "reviews": {
        "approved": 0, "rejected": 0, "waiting": 0, "median_s": None, "p90_s": None,
        "longest_s": None,
    },
}  # fmt: skip
GOOD = {
    "outcome": {
        "status": "released", "record_id": "0199", "path": None, "sha256": "0" * 64, "stage": None,
        "reasons": [], "receipt": {"log_id": "x", "index": 1, "leaf_hash": "0" * 64},
    },
    "screen": {
        "prompt": "p", "action": "allow", "findings": [],
        "policy": {"name": "default", "digest": "0" * 64},
    },
    "classify": {"path": "a.png", "action": "allow", "scores": []},
    "watermark-detect": {
        "path": "a.png", "detected": False, "payload": None, "method": "m", "p_value": 0.5,
        "confidence": 0.5,
    },
    "watermark-embed": {
        "path": "out/a.png", "source": "a.png", "status": "marked", "signed": False,
        "recorded": False, "payload": "00" * 8, "method": "m", "key_id": "k", "p_value": 0.0,
        "geometry": "same frame", "psnr_db": 42.0, "survived": ["jpeg75"], "changed": [],
    },
    "verify": {
        "path": "a.png", "verdict": "nothing_found", "provenance": None, "watermark": None,
        "fingerprint": None, "record": None, "explanation": "Nothing.",
    },
    "audit-verify": {"ok": True, "records": 0, "root": "00", "first_bad": None, "problems": []},
    "audit-entry": {
        "record_id": UUID, "event": "started", "at": TIME, "origin": "generated", "tenant": None,
        "policy": "default", "policy_digest": "ab" * 32, "action": None, "stage": None, "rules": [],
        "reasons": [], "scores": [], "model": None, "seed": None, "mark": None,
        "fingerprint": None, "asset_sha256": None, "media_type": None, "reviewer": None,
        "software": "", "index": 0, "receipt": RECEIPT,
    },
    "audit-stats": COUNTS,
    "audit-report": {
        "path": None, "title": "Report", "made": TIME, "fewest": 5, "checkpoint": None, **COUNTS,
        "by_tenant": {"a": {"blocked": "<5", "released": "≥5", "failed": 7}},
    },
    "review-appeal": {"status": "appealed", "record_id": UUID, "receipt": RECEIPT},
    "review-appeals": {
        "record_id": UUID, "by": "user",
        "appeal": {
            "act_id": UUID, "act": "appealed", "at": TIME, "who": "dana", "reason": "art",
            "about": UUID, "subject": None, "details": {"by": "user"}, "index": 0,
            "receipt": RECEIPT,
        },
        "block": {
            "at": TIME, "tenant": None, "stage": "prompt", "rules": ["gore"], "reasons": [],
            "policy": "default", "policy_digest": "ab" * 32, "reviewer": None,
        },
    },
    "keys-check": {
        "subject": "x", "algorithm": "es256", "fingerprint": "ab" * 32, "expires": TIME,
        "development": True, "warning": "", "path": "x.pem", "valid": True, "trusted_by": [],
        "ocsp_url": None, "findings": [],
        "chain": [{
            "subject": "x", "issuer": "y", "profile": "p", "algorithm": "es256",
            "fingerprint": "ab" * 32, "expires": TIME, "days_left": 3,
        }],
    },
    "keys-request": {"request": "r.csr", "key": None, "algorithm": "es256", "encrypted": False},
}  # fmt: skip
WRONG = [
    ("audit-entry", {"event": "deleted"}),
    ("audit-entry", {"record_id": "0199"}),
    ("audit-entry", {"at": "yesterday"}),
    ("audit-entry", {"index": -1}),
    ("audit-entry", {"receipt": None}),
    ("audit-stats", {"block_rate": 2}),
    ("audit-stats", {"step": "year"}),
    ("audit-stats", {"acts": {"looked": 1}}),
    ("audit-stats", {"by_rule": [{"name": "gore"}]}),
    ("audit-stats", {"by_tenant": {"a": {"blocked": "<5"}}}),
    ("audit-report", {"by_tenant": {"a": {"blocked": "few"}}}),
    ("review-appeal", {"status": "granted"}),
    ("review-appeals", {"by": "nobody"}),
    ("review-appeals", {"appeal": None}),
    ("keys-check", {"chain": []}),
    ("keys-check", {"findings": [{"rule": "ocsp", "level": "fatal"}]}),
    ("keys-request", {"encrypted": None}),
    ("outcome", {"status": "maybe"}),
    ("outcome", {"stage": "prompt"}),
    ("outcome", {"sha256": None}),
    ("outcome", {"status": "blocked"}),
    ("outcome", {"receipt": None}),
    ("screen", {"action": "deny"}),
    ("screen", {"findings": [{"rule": "r"}]}),
    ("classify", {"scores": [{"category": "nsfw", "value": 1.5}]}),
    ("watermark-detect", {"detected": True}),
    ("watermark-detect", {"payload": "00" * 8}),
    ("watermark-embed", {"signed": True}),
    ("watermark-embed", {"recorded": True}),
    ("watermark-embed", {"status": "failed"}),
    ("watermark-embed", {"path": None}),
    ("watermark-embed", {"payload": None}),
    ("verify", {"verdict": "not_ai"}),
    ("verify", {"explanation": ""}),
    ("audit-verify", {"ok": False}),
    ("audit-verify", {"first_bad": 3}),
]


def test_there_is_a_schema_for_every_documented_row() -> None:
    files = {path.name.partition(".")[0] for path in SCHEMAS.glob("*.schema.json")}
    assert files == set(GOOD)
    index = (SCHEMAS / "README.md").read_text(encoding="utf-8")
    assert all(f"{one}.schema.json" in index for one in files)


@pytest.mark.parametrize("which", GOOD)
def test_schemas_let_fields_be_added_and_none_be_missing(which: str) -> None:
    row: dict[str, Any] = GOOD[which]
    schema(which).validate({**row, "new_field": 1})
    for field in row:
        with pytest.raises(ValidationError):
            schema(which).validate({key: value for key, value in row.items() if key != field})


@pytest.mark.parametrize(("which", "change"), WRONG)
def test_schemas_refuse_near_misses(which: str, change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        schema(which).validate({**GOOD[which], **change})
