"""The second engine, and what counts when two engines have looked at one manifest.

``encypher-c2pa`` shares no code with the c2pa library. It is used offline, without telemetry, and
knows no anchors but ours. Only pictures that hold a manifest are shown to it.

**The stricter answer counts**: ``invalid`` before ``valid`` before ``trusted``. An engine that
breaks has no voice, and the report says so; then the other one's answer stands, with one limit:
only the c2pa library can name the list that trusts a signer, so without its voice nobody is
trusted. Where neither has a voice the manifest is ``invalid``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from guard.provenance.container import sniffed
from guard.provenance.trust import TrustList

State = Literal["trusted", "valid", "invalid"]

FIRST = "c2pa"
SECOND = "encypher-c2pa"
_PACKAGES = {FIRST: "c2pa-python", SECOND: "encypher-c2pa"}

STRICTNESS: Mapping[State, int] = {"trusted": 0, "valid": 1, "invalid": 2}

BROKE = "The engine broke on this input"
REFUSED = "The engine cannot read this input"
SAW_NONE = "The engine found no manifest"

OF_THE_CREDENTIAL = ("signingCredential.", "claimSignature.outsideValidity")
ABOUT_THE_SIGNER = (*OF_THE_CREDENTIAL, "timeStamp.", "cawg.")
"""Codes that say something about the signer, and nothing about the picture."""

_LONGEST = 160
"""Characters of an engine's complaint that are shown."""

_HARD_BINDING = re.compile(r"assertion\.\w+Hash\.mismatch")


@dataclass(frozen=True, slots=True)
class Voice:
    """What one engine says; ``state`` None: it has no voice, and ``note`` says why."""

    engine: str
    state: State | None
    problems: tuple[str, ...] = ()
    note: str = ""

    @property
    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, without the engine's name."""
        return {
            "state": self.state,
            "version": engine_version(self.engine),
            "problems": list(self.problems),
            **({"note": self.note} if self.note else {}),
        }


def stricter(*voices: Voice) -> State | None:
    """The strictest state that was said; None when nobody has a voice."""
    said = [voice.state for voice in voices if voice.state is not None]
    return max(said, key=lambda state: STRICTNESS[state], default=None)


def agree(*voices: Voice) -> bool | None:
    """Whether all who have a voice say the same; None when fewer than two have one."""
    said = [voice.state for voice in voices if voice.state is not None]
    return len(set(said)) == 1 if len(said) > 1 else None


def second_voice(
    data: bytes, media_type: str, trust: TrustList, store: bytes | None = None
) -> Voice:
    """What the second engine says of a file, or of a ``store`` kept apart from it. Never raises.

    With ``store`` the hard binding does not count: the picture at hand is another one.
    """
    kind = sniffed(data) or media_type
    detached = store is not None
    try:
        report = _report(data, kind, trust, store)
    except BaseException as error:
        # A panic of the engine is no Exception in Python; what ends the program must pass.
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        refused = isinstance(error, ValueError)
        return Voice(SECOND, None, note=f"{REFUSED if refused else BROKE}: {_said(error)}.")
    return _voice(report, detached=detached)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST].rstrip(".")


def _report(data: bytes, kind: str, trust: TrustList, store: bytes | None) -> Mapping[str, Any]:
    from encypher_c2pa import _native

    options = json.dumps(
        {
            "trust_pem": "".join(one.pem for one in trust.lists) or None,
            "tsa_trust_pem": "".join(one.pem for one in trust.clocks) or None,
            "no_default_trust": True,
            "online": False,
            # Said here and not to the package's verify(), which writes it into the user's settings.
            "telemetry": {"enabled": False, "endpoint": None, "sdk_name": "python"},
        }
    )
    text = (
        _native.verify_bytes(data, kind, options)
        if store is None
        else _native.verify_detached_bytes(data, store, kind, options)
    )
    report = json.loads(text)
    if not isinstance(report, Mapping):
        raise TypeError("not a report")
    return report


def _voice(report: Mapping[str, Any], *, detached: bool) -> Voice:
    if report.get("present") is not True:
        return Voice(SECOND, None, note=f"{SAW_NONE}.")
    results = report.get("validation_results")
    failures = results.get("failure") if isinstance(results, Mapping) else None
    codes = {str(one.get("code")) for one in failures or () if isinstance(one, Mapping)}
    of_the_picture = {code for code in codes if not code.startswith(ABOUT_THE_SIGNER)}
    if detached:
        of_the_picture = {code for code in of_the_picture if not _HARD_BINDING.fullmatch(code)}
    bound = detached or report.get("hard_binding") == "match"
    intact = report.get("signature") == "valid" and bound and not of_the_picture
    trust = report.get("trust")
    status = trust.get("status") if isinstance(trust, Mapping) else None
    doubted = any(code.startswith(OF_THE_CREDENTIAL) for code in codes)
    trusted = status == "valid_for_supplied_material" and not doubted
    state: State = ("trusted" if trusted else "valid") if intact else "invalid"
    return Voice(SECOND, state, tuple(sorted(codes)))


@lru_cache(maxsize=4)
def engine_version(engine: str) -> str:
    """The installed version of an engine; empty when it is not installed."""
    try:
        return version(_PACKAGES[engine])
    except PackageNotFoundError:
        return ""
