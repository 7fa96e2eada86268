"""genguard: content safety and provenance around image generation.

::

    from guard import Guard, GenerationRequest, verify_image

    guard = Guard.from_settings(policy="default")
    result = guard.generate(GenerationRequest(prompt="a lighthouse in a storm"))
    report = verify_image("suspect.jpg")

Everything public is imported when it is first asked for: ``import guard`` itself loads neither
torch nor any model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guard.version import __version__

if TYPE_CHECKING:
    from guard.api import verify_image
    from guard.delivery import Delivery
    from guard.pipeline import Guard
    from guard.policy.load import load_policy
    from guard.policy.model import Policy
    from guard.settings import Settings
    from guard.types import (
        Blocked,
        Failed,
        GenerationRequest,
        Held,
        Origin,
        Outcome,
        Released,
        VerdictName,
        VerificationReport,
    )
    from guard.wrapper import wrap

_HOMES = {
    "Blocked": "guard.types",
    "Delivery": "guard.delivery",
    "Failed": "guard.types",
    "GenerationRequest": "guard.types",
    "Guard": "guard.pipeline",
    "Held": "guard.types",
    "Origin": "guard.types",
    "Outcome": "guard.types",
    "Policy": "guard.policy.model",
    "Released": "guard.types",
    "Settings": "guard.settings",
    "VerdictName": "guard.types",
    "VerificationReport": "guard.types",
    "load_policy": "guard.policy.load",
    "verify_image": "guard.api",
    "wrap": "guard.wrapper",
}

__all__ = [
    "Blocked",
    "Delivery",
    "Failed",
    "GenerationRequest",
    "Guard",
    "Held",
    "Origin",
    "Outcome",
    "Policy",
    "Released",
    "Settings",
    "VerdictName",
    "VerificationReport",
    "__version__",
    "load_policy",
    "verify_image",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'guard' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
