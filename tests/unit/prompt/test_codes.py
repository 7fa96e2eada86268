"""Escapes and codes: what they say is read, where they say nothing they are left alone."""

from __future__ import annotations

import base64
import codecs
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.prompt.codes import hidden
from guard.prompt.decode import MAX_READINGS, decoded
from guard.prompt.escapes import unescaped
from guard.types import Finding

WORD = "porn"


@pytest.mark.parametrize(
    "text",
    [
        "&#112;&#111;&#114;&#110;",
        "&#x70;&#x6f;&#x72;&#x6e",
        "&amp;#112;&amp;#111;&amp;#114;&amp;#110;",
        "%70%6f%72%6e",
        "%2570%256f%2572%256e",
        "%u0070%u006f%u0072%u006e",
        "=70=6F=72=6E",
        r"\x70\x6f\x72\x6e",
        r"\x{70}\x{6f}\x{72}\x{6e}",
        r"\u0070\u006f\u0072\u006e",
        r"\u{70}\u{6f}\u{72}\u{6e}",
        r"\U00000070\U0000006f\U00000072\U0000006e",
        r"\160\157\162\156",
        r"\N{LATIN SMALL LETTER P}orn",
        "U+0070 U+006F U+0072 U+006E",
        "+AHAAbwByAG4-",
    ],
)
def test_escapes_are_read(text: str) -> None:
    view = unescaped(f"a {text} z")
    assert view is not None
    assert view.text.replace(" ", "") == f"a{WORD}z"
    at = view.text.index("n" if " " in text else WORD)
    start, end = view.origin(at, at + 1)
    assert 2 <= start < end <= 2 + len(text)


@pytest.mark.parametrize(
    "text",
    ["", "100% wool", "R&D", "C:\\temp", "a & b", r"\N{NO SUCH NAME HERE}", "x=10", r"\ud800"],
)
def test_what_is_no_escape_stays(text: str) -> None:
    view = unescaped(text)
    assert view is None or "temp" in text


CODES = {
    "base64": base64.b64encode(b"some porn here").decode(),
    "base64 of base64": base64.b64encode(base64.b64encode(b"some porn here")).decode(),
    "base32": base64.b32encode(b"porn here").decode(),
    "hex": b"porn".hex(),
    "hex with prefixes": " ".join(f"0x{byte:02x}" for byte in b"porn"),
    "binary": " ".join(f"{byte:08b}" for byte in b"porn"),
    "decimal": " ".join(map(str, b"porn")),
    "places": "16-15-18-14",
    "Morse": ".--. --- .-. -.",
    "Braille": "⠏⠕⠗⠝",
    "tags": "".join(chr(0xE0000 + ord(char)) for char in WORD),
    "radio alphabet": "papa oscar romeo november",
    "named rot13": "rot13: " + codecs.encode(WORD, "rot13"),
}


@pytest.mark.parametrize("text", CODES.values(), ids=CODES.keys())
def test_codes_are_read(text: str, find: Callable[..., tuple[Finding, ...]]) -> None:
    prompt = f"a picture, {text}, please"
    assert any(WORD in view.text for view in decoded(prompt))
    found = [one for one in find(prompt, "sexual") if one.term == WORD]
    assert found
    start, end = found[0].span
    assert 11 <= start < end <= 11 + len(text)
    assert "behind" in found[0].explanation


@pytest.mark.parametrize(
    "text",
    ["deadbeef cafe", "1920 1080", "AAAAAAAAAAAAAAAA", "12345678901", "=A=", "ABCDEFGHIJKLMNO="],
)
def test_numbers_and_names_say_nothing(text: str, find: Callable[..., tuple[Finding, ...]]) -> None:
    assert not find(f"a picture, {text}", "sexual")


@given(st.text(max_size=60))
def test_any_text_is_read_within_bounds(text: str) -> None:
    views = list(decoded(text))
    assert len(views) <= MAX_READINGS
    for view in [*views, *hidden(text)]:
        assert len(view.text) == len(view.starts) == len(view.ends)
        assert all(0 <= a < b <= len(text) for a, b in zip(view.starts, view.ends, strict=True))
