"""YAML with line numbers: one safe way to read policy and test files.

Stricter than ``yaml.safe_load``: duplicate keys, aliases (a small file that unfolds into a
large one) and oversized files are refused, and every value can be traced to its line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from guard.errors import PolicyInvalid

MAX_BYTES = 1_000_000
"""No hand-written policy comes near; a larger file is a mistake or an attack."""

MAX_DEPTH = 32
"""Policies nest four levels deep; the YAML composer recurses."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C where PyYAML has it: reading the policy is a tenth of what starting costs."""

Model = TypeVar("Model", bound=BaseModel)
_Path = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """Parsed YAML: ``data`` is plain Python, ``lines`` maps a path in it to a 1-based line."""

    name: str
    data: dict[str, Any]
    lines: dict[_Path, int]

    def line(self, path: _Path) -> int:
        """The line of ``path``, or of the nearest enclosing value that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def validate(self, model: type[Model]) -> Model:
        """``data`` as ``model``. Raises PolicyInvalid naming file, line and field."""
        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            raise self._invalid(error) from error

    def _invalid(self, error: ValidationError) -> PolicyInvalid:
        found = error.errors(include_url=False, include_context=False)
        first = found[0]
        path = tuple(part for part in first["loc"] if part != "[key]")
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        hint = (
            "Unknown fields are refused: look for a misspelling."
            if first["type"] == "extra_forbidden"
            else "Correct the field; docs/reference/policy.md lists them all."
        )
        where = f"{self.name}:{self.line(path)}: {field_name(path)}"
        return PolicyInvalid(f"{where}: {_plain_words(first)}{more}.", hint=hint)


def _plain_words(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "there is no such field"
    return str(error["msg"]).removeprefix("Value error, ").rstrip(".")


def field_name(path: _Path) -> str:
    """A path as people write it: ``prompt_rules[2].threshold``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the policy"


def parse(text: str, name: str) -> Document:
    """``text`` as a mapping. Raises PolicyInvalid for anything that is not plain, small YAML."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise PolicyInvalid(
            f"{name}: larger than {MAX_BYTES:,} bytes.", hint="Move long lists into lexicon files."
        )
    try:
        _refuse_tricks(text, name)
        node = yaml.compose(text, Loader=_LOADER)
        lines: dict[_Path, int] = {}
        if node is not None:
            _index(node, (), lines, name)
        data = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe one
    except yaml.YAMLError as error:
        raise _not_yaml(error, name) from error
    except ValueError as error:  # an impossible date, say 2026-02-31
        raise PolicyInvalid(f"{name}: {error}.", hint="Quote values that are text.") from error
    if not isinstance(data, dict):
        raise PolicyInvalid(
            f"{name}:1: a mapping is expected, not {type(data).__name__}.",
            hint="Begin with 'name:'; `guard policy show default` prints an example.",
        )
    return Document(name, data, lines)


def _not_yaml(error: yaml.YAMLError, name: str) -> PolicyInvalid:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return PolicyInvalid(
        f"{name}:{_line(mark)}: not valid YAML: {problem}.", hint="Check indentation."
    )


def _refuse_tricks(text: str, name: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            where = f"{name}:{_line(event.start_mark)}"
            raise PolicyInvalid(f"{where}: aliases are not allowed.", hint="Write it out.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            where = f"{name}:{_line(event.start_mark)}"
            raise PolicyInvalid(f"{where}: nested too deeply.", hint="Flatten it.")


def _line(mark: Any) -> int:
    return int(mark.line) + 1 if mark is not None else 1


def _index(node: yaml.Node, path: _Path, lines: dict[_Path, int], name: str) -> None:
    lines[path] = _line(node.start_mark)
    if isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            _index(item, (*path, position), lines, name)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = _line(key.start_mark)
            if not isinstance(key, yaml.ScalarNode) or key.value in seen:
                what = getattr(key, "value", "")
                raise PolicyInvalid(
                    f"{name}:{line}: the key {what!r} is there twice or is no plain text.",
                    hint="Keep one of the two.",
                )
            seen.add(key.value)
            _index(value, (*path, key.value), lines, name)
            lines[(*path, key.value)] = line
