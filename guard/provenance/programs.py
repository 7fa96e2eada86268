"""How image generators name themselves in the files they write: a table, and a look-up in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from re import Pattern

from guard.provenance.foreign_texts import ForeignText

WEB_UI = "Stable Diffusion web UI"


@dataclass(frozen=True, slots=True)
class Trace:
    """What a program leaves: under one of ``keys`` a text in which all ``patterns`` are found.

    ``keys`` in lower case. ``prompt``: the prompt stands in that text. Patterns are short and
    bounded: the texts are hostile, and a megabyte long.
    """

    program: str
    keys: tuple[str, ...]
    patterns: tuple[Pattern[str], ...]
    prompt: bool = True


def _trace(program: str, keys: str, *patterns: str, prompt: bool = True) -> Trace:
    return Trace(program, tuple(keys.split()), tuple(map(re.compile, patterns)), prompt)


_NOTES = "usercomment comment imagedescription description parameters xpcomment"
_CLASS = r'"class_type"\s{0,9}:'

TRACES = (
    _trace("SwarmUI", _NOTES, r'"sui_image_params"'),
    _trace("Fooocus", "fooocus_scheme"),
    _trace("Fooocus", _NOTES, r'"fooocus_version"|Version: Fooocus v'),
    _trace(WEB_UI, _NOTES, r"\bSteps: \d", r"\b(?:Sampler|CFG scale): \S"),
    _trace("ComfyUI", "prompt", _CLASS),
    _trace("ComfyUI", "workflow", rf'"nodes"\s{{0,9}}:|{_CLASS}'),
    _trace("ComfyUI", "make model imagedescription", r"^(?:prompt|workflow):\s?\{"),
    _trace("InvokeAI", "invokeai_metadata invokeai_graph invokeai_workflow sd-metadata dream"),
    _trace("NovelAI", "software source title", r"\bNovelAI\b", prompt=False),
    _trace("NovelAI", "comment", r'"request_type"\s{0,9}:', r'"signed_hash"\s{0,9}:'),
    _trace("Easy Diffusion", "use_stable_diffusion_model", prompt=False),
    _trace("Draw Things", _NOTES, r'"v2"\s{0,9}:', r'"sampler"\s{0,9}:', r'"seed"\s{0,9}:'),
    _trace("Midjourney", _NOTES, r"\bJob ID: [0-9a-f]{8}-[0-9a-f-]{27}"),
)

SELF_NAMED = re.compile(
    r"\b(Adobe Firefly|ComfyUI|DALL[-·. ]?E|Draw Things|DreamStudio|Fooocus|FLUX\.\d|Gemini|"
    r"Google AI|GPT-4o|gpt-image|Grok|Ideogram|Imagen|InvokeAI|Leonardo\.?[Aa][Ii]|Meta AI|"
    r"Midjourney|NovelAI|OpenAI|Recraft|Seedream|Stability AI|Stable ?Diffusion|SwarmUI|"
    r"Made with AI|AI[- ]generated)\b",
    re.IGNORECASE,
)
"""Names that stand for a generator wherever a program says what it is."""

_SPEAKS_FOR_ITSELF = frozenset({"software", "source", "creatortool", "credit", "make"})
LONGEST_NAME = 200
"""A program's name is no longer: in more text such words stand by chance."""


def traces_of(texts: tuple[ForeignText, ...]) -> Iterator[tuple[ForeignText, str, bool]]:
    """(text, program, whether a prompt stands there), for each program that shows itself."""
    for text in texts:
        program = _program(text)
        if program is not None:
            yield text, *program


def _program(text: ForeignText) -> tuple[str, bool] | None:
    key = text.key.lower()
    for trace in TRACES:
        if key in trace.keys and all(one.search(text.text) for one in trace.patterns):
            return trace.program, trace.prompt
    if key in _SPEAKS_FOR_ITSELF:
        named = self_named(text.text)
        return (named, False) if named else None
    return None


def self_named(text: str) -> str | None:
    """The generator that a short text names, in its own spelling."""
    if len(text) > LONGEST_NAME:
        return None
    found = SELF_NAMED.search(text)
    return found.group(1) if found else None
