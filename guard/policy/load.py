"""Where policies come from: the three that ship, or a file of the user's."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from guard.errors import PolicyInvalid
from guard.policy.document import Document, parse
from guard.policy.model import Policy

PACKAGE = "guard.policies"
SUFFIX = ".yaml"
TEST_SUFFIX = ".test.yaml"


def available_policies() -> tuple[str, ...]:
    """Names of the policies that ship, sorted."""
    names = (entry.name for entry in resources.files(PACKAGE).iterdir())
    return tuple(
        sorted(
            name.removesuffix(SUFFIX)
            for name in names
            if name.endswith(SUFFIX) and not name.endswith(TEST_SUFFIX)
        )
    )


def load_policy(name_or_path: str | Path) -> Policy:
    """The policy of that built-in name, or of that file.

    A text without a path separator and without ``.yaml`` is a built-in name first. Raises
    PolicyInvalid naming file, line and field.
    """
    document = read_document(name_or_path)
    policy = document.validate(Policy).at(Path(document.name).parent)
    if not (policy.prompt_rules or policy.semantic_rules or policy.output_rules):
        raise PolicyInvalid(
            f"{name_or_path}:1: the policy has no rules, so it would allow everything.",
            hint="Add 'prompt_rules' or 'output_rules', or start from the 'permissive' policy.",
        )
    return policy


def read_document(name_or_path: str | Path, *, tests: bool = False) -> Document:
    """The policy file, or the test file beside it, parsed but not validated.

    Raises PolicyInvalid when it is not there or is no YAML.
    """
    suffix = TEST_SUFFIX if tests else SUFFIX
    if isinstance(name_or_path, str) and name_or_path in available_policies():
        name = name_or_path + suffix
        return parse((resources.files(PACKAGE) / name).read_text(encoding="utf-8"), name)
    path = Path(name_or_path)
    if tests and not path.name.endswith(TEST_SUFFIX):
        path = path.with_name(path.name.removesuffix(SUFFIX) + TEST_SUFFIX)
    return parse(_read(path), str(path))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        known = ", ".join(available_policies())
        raise PolicyInvalid(
            f"There is no policy or file '{path}'.",
            hint=f"Give a path to a YAML file or one of: {known}.",
        ) from error
    except (OSError, ValueError) as error:  # unreadable, a directory, not UTF-8, NUL in the name
        raise PolicyInvalid(
            f"The policy file '{path}' cannot be read: {error}.",
            hint="It must be a readable UTF-8 text file.",
        ) from error
