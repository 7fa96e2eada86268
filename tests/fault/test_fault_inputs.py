"""Inputs that cannot be used: one clear typed error each, with a hint, and no record."""

from __future__ import annotations

import errno
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from guard.cli.exits import Exit, of_error, of_outcome
from PIL import Image

from guard.assemble import GeneratorCabinet
from guard.delivery import Delivery, PendingFile
from guard.errors import InvalidImage, InvalidRequest, OutputUnwritable
from guard.settings import Settings
from guard.types import Event, Failed, GenerationRequest, Released
from tests.support.house import FORBIDDEN, PROMPT, House, picture

BAD_REQUESTS: dict[str, dict[str, Any]] = {
    "an empty prompt": {"prompt": ""},
    "a blank prompt": {"prompt": " \n\t "},
    "a prompt of 1 MB": {"prompt": "a" * 1_000_000},
    "a negative prompt of 1 MB": {"negative_prompt": "a" * 1_000_000},
    "a NUL byte": {"prompt": "a\0b"},
    "a NUL byte in the negative prompt": {"negative_prompt": "\0"},
    "a lone high surrogate": {"prompt": "a \ud83d boat"},
    "a lone low surrogate": {"prompt": "\udcff"},
    "bytes": {"prompt": b"a boat"},
    "no prompt": {"prompt": None},
    "no pictures": {"count": 0},
    "too many pictures": {"count": 65},
    "half a picture": {"count": 0.5},
    "a truth for a count": {"count": True},
    "no steps": {"steps": 0},
    "endless steps": {"steps": 1001},
    "a negative seed": {"seed": -1},
    "a seed of 65 bits": {"seed": 2**64},
    "a tiny size": {"size": (8, 512)},
    "a huge size": {"size": (512, 65536)},
    "an odd size": {"size": (513, 512)},
    "a negative size": {"size": (-64, 512)},
    "one side": {"size": (512,)},
    "three sides": {"size": (512, 512, 3)},
    "a user of two lines": {"user": "mallory\nadmin"},
    "a tenant that is no text": {"tenant": 7},
    "a tenant in broken Unicode": {"tenant": "\udcff"},
    "an endless idempotency key": {"idempotency_key": "k" * 401},
}


@pytest.mark.parametrize("fields", BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_impossible_request(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        GenerationRequest(**{"prompt": PROMPT, **fields})

    assert raised.value.hint
    assert len(raised.value.message) < 200
    assert of_error(raised.value) is Exit.USAGE


@pytest.mark.parametrize(
    "fields",
    [{"prompt": "a" * 20_000}, {"prompt": "👩‍🚀 🜁"}, {"size": (64, 8192)}, {"seed": 2**63 - 1}],
)
def test_just_possible_request(fields: dict[str, Any]) -> None:
    assert GenerationRequest(**{"prompt": PROMPT, **fields})


def _png(pixels: Any = None) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture() if pixels is None else pixels).save(out, "PNG")
    return out.getvalue()


def _bomb(side: int = 60_000) -> bytes:
    """A PNG of a few bytes that declares ``side`` × ``side`` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(100_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


BAD_IMAGES: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "text": lambda: b"<svg onload='alert(1)'/>",
    "half a picture": lambda: _png()[:4000],
    "a header alone": lambda: _png()[:33],
    "a bomb": _bomb,
    "a script": lambda: b"%!PS-Adobe-3.0\n(x) show",
}


@pytest.mark.parametrize("make", BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_unusable_picture(house: House, make: Callable[[], bytes]) -> None:
    guard, data = house.guard(), make()
    request = GenerationRequest(prompt=PROMPT, input_image=data)

    for use in (lambda: guard.generate(request), lambda: guard.protect(data)):
        with pytest.raises(InvalidImage) as raised:
            use()
        assert raised.value.hint
        assert of_error(raised.value) is Exit.USAGE

    assert house.records() == []
    assert house.generator.requests == []


@pytest.mark.parametrize("path", ["gone.png", "."], ids=["no file", "a folder"])
def test_unreadable_path(house: House, tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidImage) as raised:
        house.guard().protect(tmp_path / path)

    assert raised.value.hint
    assert house.records() == []


def _below_a_file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("not a folder")
    return tmp_path / "file" / "out"


UNWRITABLE: dict[str, Callable[[Path], Path]] = {
    "below a file": _below_a_file,
    "a file": lambda tmp_path: _below_a_file(tmp_path).parent,
    "a kernel's folder": lambda _: Path("/proc/genguard"),
    "a long name": lambda tmp_path: tmp_path / ("x" * 300),
}


@pytest.mark.parametrize("place", UNWRITABLE.values(), ids=UNWRITABLE)
def test_unwritable_directory_is_noticed_before_anything_is_drawn(
    house: House, tmp_path: Path, place: Callable[[Path], Path]
) -> None:
    delivery = Delivery(place(tmp_path))

    with pytest.raises(OutputUnwritable) as raised:
        house.guard().generate(GenerationRequest(prompt=PROMPT), delivery=delivery)

    assert raised.value.hint
    assert of_error(raised.value) is Exit.USAGE
    assert house.records() == []
    assert house.generator.requests == []


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_disk_that_fills_up_while_writing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = house.generate(FORBIDDEN)  # what the log and its vault keep is there already
    monkeypatch.setattr("guard.delivery.os.fsync", _full)

    outcome = house.generate()

    assert isinstance(outcome, Failed)
    assert "No space left" in outcome.cause
    assert outcome.hint
    assert of_outcome(outcome) is Exit.UNAVAILABLE
    assert house.files() == []
    assert opened.status == "blocked"
    assert house.events()[2:] == [Event.STARTED, Event.FAILED]


def test_disk_that_fills_up_before_anything_is_drawn(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guard.delivery.tempfile.TemporaryFile", lambda **_: _full())

    with pytest.raises(OutputUnwritable, match="No space left"):
        house.generate()

    assert house.records() == []


def test_quarantine_on_a_full_disk(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = house.generate(FORBIDDEN)  # what the log and its vault keep is there already
    monkeypatch.setattr("guard.audit.files.os.fsync", _full)

    outcome = house.generate("a nude woman in a charcoal drawing")

    assert opened.status == "blocked"
    assert isinstance(outcome, Failed)
    assert house.events()[2:] == [Event.STARTED, Event.FAILED]
    assert list(house.rooms.quarantine.list()) == []


def test_rename_that_fails_leaves_a_release_without_delivery(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the record says is durable by then; the error says that no file came of it."""
    monkeypatch.setattr(Path, "replace", _full)

    with pytest.raises(OutputUnwritable):
        house.generate()

    assert house.events() == [Event.STARTED, Event.RELEASED]
    assert not [one for one in house.files() if one.suffix != ".part"]


def test_pending_file_is_no_picture_to_a_file_browser(tmp_path: Path) -> None:
    pending = PendingFile(tmp_path / ".x.png.part", tmp_path / "x.png")
    pending.write(b"data")

    assert [one.suffix for one in tmp_path.iterdir()] == [".part"]
    pending.discard()
    pending.discard()
    assert list(tmp_path.iterdir()) == []


MODELS = {
    "a folder that is not there": "./nowhere",
    "a folder without a model": "{tmp}",
    "a hub id that is not cached": "nobody/nothing",
    "no model's name": "openai:",
    "nonsense": "no such model!",
}


@pytest.mark.slow  # one of them imports diffusers
@pytest.mark.parametrize("reference", MODELS.values(), ids=MODELS)
def test_unknown_model_is_a_recorded_failure_that_says_what_to_do(
    house: House, reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    cabinet = GeneratorCabinet(Settings(home=house.home))
    name = reference.format(tmp=tmp_path)

    outcome = house.generate(guard=house.guard(open_generator=cabinet.open), model=name)

    assert isinstance(outcome, Failed), outcome
    assert outcome.reasons[-1].code == "model_unavailable"
    assert outcome.hint
    assert house.events() == [Event.STARTED, Event.FAILED]
    assert house.files() == []


def test_good_picture_passes_where_bad_ones_do_not(house: House) -> None:
    request = GenerationRequest(prompt=PROMPT, input_image=_png())

    assert isinstance(house.guard().generate(request), Released)
