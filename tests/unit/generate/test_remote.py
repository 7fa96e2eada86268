from __future__ import annotations

import base64
import logging
import time
from email.utils import formatdate
from typing import Any

import numpy as np
import pytest

from guard.errors import (
    GuardError,
    InvalidImage,
    InvalidRequest,
    ModelUnavailable,
    StageMisbehaved,
)
from guard.generate import remote
from guard.generate.remote import OpenAIImagesGenerator
from guard.types import GenerationRequest

from .server import Answer, ImagesServer, complaint, pictures, png

KEY = "sk-very-secret-key"


def generator(server: ImagesServer, **options: Any) -> OpenAIImagesGenerator:
    name = options.pop("name", "drawer-2")
    return OpenAIImagesGenerator(
        name, server.base, KEY, **{"timeout": 5.0, "first_wait": 0.01, **options}
    )


def ask(**fields: Any) -> GenerationRequest:
    return GenerationRequest(**{"prompt": "a lighthouse", **fields})


def test_the_request_is_openai_shaped_and_the_answer_becomes_pixels(server: ImagesServer) -> None:
    server.script = [pictures(png(colour=(9, 8, 7)), png(colour=(1, 1, 1)))]
    images = generator(server).generate(ask(count=2, size=(1024, 512)))
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/v1/images/generations")
    assert seen.headers["Authorization"] == f"Bearer {KEY}"
    assert seen.json() == {
        "model": "drawer-2",
        "prompt": "a lighthouse",
        "n": 2,
        "response_format": "b64_json",
        "size": "1024x512",
    }
    assert [one.pixels.shape for one in images] == [(48, 64, 3)] * 2
    assert (images[0].pixels == np.array([9, 8, 7], np.uint8)).all()
    assert {(one.seed, one.model) for one in images} == {(None, "openai:drawer-2")}


def test_models_that_draw_one_at_a_time_are_asked_again(server: ImagesServer) -> None:
    server.script = [pictures(png(colour=(1, 1, 1))), pictures(png(colour=(2, 2, 2)))]
    images = generator(server, name="dall-e-3").generate(ask(count=2))
    assert [int(one.pixels[0, 0, 0]) for one in images] == [1, 2]
    assert [seen.json()["n"] for seen in server.seen] == [1, 1]


def test_models_that_know_base64_only_are_not_asked_for_it(server: ImagesServer) -> None:
    server.script = [pictures(png())]
    OpenAIImagesGenerator("gpt-image-1", server.base, KEY).generate(ask())
    assert "response_format" not in server.seen[0].json()


def test_an_input_image_goes_to_edits_as_multipart(server: ImagesServer) -> None:
    server.script = [pictures(png())]
    source = png(32, 32, (200, 0, 0))
    generator(server).generate(ask(input_image=source))
    (seen,) = server.seen
    assert seen.path == "/v1/images/edits"
    assert seen.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert source in seen.body
    assert b'filename="image.png"' in seen.body
    assert b"Content-Type: image/png" in seen.body
    assert b'name="prompt"\r\n\r\na lighthouse' in seen.body


def test_a_broken_input_image_never_leaves(server: ImagesServer) -> None:
    server.script = [pictures(png())]
    with pytest.raises(InvalidImage):
        generator(server).generate(ask(input_image=b"not a picture"))
    assert server.seen == []


def test_what_the_api_cannot_honour_is_said() -> None:
    drawer = OpenAIImagesGenerator("m", "http://127.0.0.1:9/v1", KEY)
    assert drawer.notices(ask()) == ()
    (line,) = drawer.notices(ask(seed=1, steps=3, negative_prompt="x"))
    assert line == "openai:m takes no seed and no steps and no negative prompt; it was left out."
    assert KEY not in repr(drawer)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_failure_is_tried_again(server: ImagesServer, status: int) -> None:
    server.script = [complaint(status, None, "busy"), pictures(png())]
    assert len(generator(server).generate(ask())) == 1
    assert len(server.seen) == 2


def test_retries_end(server: ImagesServer) -> None:
    server.script = [complaint(503, None, "still\n  busy")]
    with pytest.raises(ModelUnavailable, match=r"HTTP 503: still busy"):
        generator(server).generate(ask())
    assert len(server.seen) == remote.ATTEMPTS


def test_retry_after_is_honoured(server: ImagesServer, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(remote.time, "sleep", waits.append)
    server.script = [
        complaint(429, None, "slow down", **{"Retry-After": "7"}),
        complaint(429, None, "slow down", **{"Retry-After": formatdate(time.time() + 9)}),
        complaint(429, None, "slow down", **{"Retry-After": "soon"}),
        pictures(png()),
    ]
    generator(server, first_wait=0.5).generate(ask())
    assert waits[0] == 7
    assert 5 < waits[1] <= 9
    assert waits[2] == 2.0


def test_a_long_retry_after_is_not_waited_for(server: ImagesServer) -> None:
    server.script = [complaint(429, None, "quota", **{"Retry-After": "3600"})]
    with pytest.raises(ModelUnavailable) as caught:
        generator(server).generate(ask())
    assert "3600 s" in caught.value.hint
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (complaint(401, "invalid_api_key", f"Incorrect API key: {KEY}"), ModelUnavailable, "key"),
        (complaint(403, None, "no"), ModelUnavailable, "API key"),
        (complaint(404, "model_not_found", "no"), ModelUnavailable, "no such model"),
        (complaint(400, "invalid_size", f"bad size {KEY}"), InvalidRequest, "bad size …"),
        (
            complaint(400, "content_policy_violation", "Your request was rejected"),
            ModelUnavailable,
            "its own content filter",
        ),
        (complaint(403, "moderation_blocked", "no"), ModelUnavailable, "content filter"),
        (Answer(b"<html>", 418), ModelUnavailable, "HTTP 418: no reason given"),
        (Answer([1], 418), ModelUnavailable, "no reason given"),
    ],
    ids=lambda value: str(getattr(value, "status", value))[:20],
)
def test_a_lasting_failure_is_told_once_and_without_the_key(
    server: ImagesServer,
    answer: Answer,
    error: type[GuardError],
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.script = [answer]
    with caplog.at_level(logging.DEBUG), pytest.raises(error, match=words) as caught:
        generator(server).generate(ask())
    assert len(server.seen) == 1
    assert caught.value.hint
    assert KEY not in caught.value.diagnostics() + caplog.text
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[" * 100_000,
        [],
        {},
        {"data": None},
        {"data": []},
        {"data": ["x"]},
        {"data": [{}]},
        {"data": [{"b64_json": 7}]},
        {"data": [{"b64_json": "%%%"}]},
        {"data": [{"b64_json": base64.b64encode(b"no picture").decode()}]},
        {"data": [{"b64_json": base64.b64encode(png()).decode()}] * 2},
        {"data": [{"url": "file:///etc/passwd"}]},
        {"data": [{"url": "http://169.254.169.254/latest"}]},
        {"data": [{"url": "http://[::1"}]},
    ],
    ids=lambda body: str(body)[:40],
)
def test_a_nonsense_answer_releases_nothing(server: ImagesServer, body: Any) -> None:
    server.script = [Answer(body)]
    with pytest.raises((StageMisbehaved, InvalidImage)):
        generator(server).generate(ask())
    assert len(server.seen) == 1


def test_an_answer_without_end_is_cut_off(
    server: ImagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "MAX_RESPONSE_BYTES", 1000)
    server.script = [Answer(b"x" * 1001)]
    with pytest.raises(StageMisbehaved, match="larger"):
        generator(server).generate(ask())


def test_a_url_on_the_same_host_is_fetched_without_the_key(server: ImagesServer) -> None:
    url = server.base.removesuffix("/v1") + "/files/1.png"
    server.script = [Answer({"data": [{"url": url}]}), Answer(png())]
    assert generator(server).generate(ask())[0].pixels.shape == (48, 64, 3)
    assert server.seen[1].path == "/files/1.png"
    assert "Authorization" not in server.seen[1].headers


@pytest.mark.parametrize("status", [302, 404])
def test_a_url_that_does_not_answer_the_picture_fails(server: ImagesServer, status: int) -> None:
    url = server.base.removesuffix("/v1") + "/files/1.png"
    server.script = [
        Answer({"data": [{"url": url}]}),
        Answer(b"", status, {"location": "http://127.0.0.1:1/"}),
    ]
    with pytest.raises(ModelUnavailable, match=str(status)):
        generator(server).generate(ask())


def test_a_url_that_cannot_be_reached_fails(server: ImagesServer) -> None:
    server.script = [Answer({"data": [{"url": "https://127.0.0.1:1/x.png"}]})]
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        generator(server).generate(ask())


def test_a_slow_server_is_not_asked_twice(server: ImagesServer) -> None:
    server.script = [Answer(b"", delay=30)]
    with pytest.raises(ModelUnavailable, match="did not answer within"):
        generator(server, timeout=0.2).generate(ask())
    assert len(server.seen) == 1


@pytest.mark.parametrize("base", ["http://127.0.0.1:1/v1", "nonsense", "http://[::1", "ftp://x/v1"])
def test_a_server_that_is_not_there_is_a_clear_error(base: str) -> None:
    drawer = OpenAIImagesGenerator("m", base, KEY, first_wait=0.001)
    with pytest.raises(ModelUnavailable) as caught:
        drawer.generate(ask())
    assert "GUARD_OPENAI_BASE_URL" in caught.value.hint
