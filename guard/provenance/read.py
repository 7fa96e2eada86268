"""What a picture's manifest says, and how far that can be believed.

``trusted``: hashes, claim and signature hold and the signer is in one of our lists. ``valid``:
they hold, the signer is in none (or its certificate expired or was revoked). ``invalid``:
something does not hold. Everything in a reading was written by whoever signed: treat texts as
foreign input.

:func:`examine_manifest` and :func:`examine_stored` ask two engines, of which the stricter counts;
:func:`read_manifest` and :func:`verify_stored` ask the c2pa library alone, for those who read back
what they just wrote.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np
from cryptography import x509

from guard.image.encode import MEDIA_TYPES, encode
from guard.provenance.chain import Link, chain_of
from guard.provenance.container import (
    extract_manifest_store,
    holds_manifest_store,
    overfull,
)
from guard.provenance.cose import signer_certificate
from guard.provenance.engines import BROKE, FIRST, State, Voice, agree, second_voice, stricter
from guard.provenance.manifest import RECORD_LABEL
from guard.provenance.revocation import REVOKED, revoked_at
from guard.provenance.trust import TrustList, context_for, may_sign_claims

__all__ = [
    "ManifestReading",
    "State",
    "examine_manifest",
    "examine_stored",
    "extract_manifest_store",
    "read_manifest",
    "verify_stored",
]

UNREADABLE = "manifest.unreadable"
"""Our own code: there is a manifest store, and the library cannot make sense of it."""

HARD_BINDINGS = frozenset(
    f"assertion.{kind}.mismatch" for kind in ("dataHash", "bmffHash", "boxesHash")
)
"""The claim holds, but for another picture: C2PA 2.4 section 15.12."""

WRONG_USAGE = "signingCredential.untrusted"
"""What c2pa should have said of a listed certificate that is not meant for claims."""

EXPIRED = "signingCredential.expired"
CREDENTIAL = frozenset(
    {
        WRONG_USAGE,
        EXPIRED,
        REVOKED,
        "signingCredential.revoked",
        "signingCredential.invalid",  # it breaks the profile; its signature is checked all the same
    }
)
"""These say something about the signer, and nothing about the picture."""

SIGNED = "claimSignature.validated"
TRUSTED = "signingCredential.trusted"
STAMPED = "timeStamp.trusted"

MAX_ITEMS = 100
"""Of actions and soft bindings at most so many are shown: a manifest may hold thousands."""

_CARRIER_SIDE = 16


@dataclass(frozen=True, slots=True)
class ManifestReading:
    """One manifest, read and checked.

    ``signer`` is the certificate's common name, ``issuer`` its organisation; ``trust_list`` the
    list that holds it; ``problems`` the validation codes that failed; ``when`` the time-stamp,
    or else the time that the signer says (ISO 8601); ``soft_bindings`` pairs of algorithm and
    value in hex; ``hard_binding_only``: all that failed is that the manifest belongs to another
    picture or an earlier state of this one.
    """

    state: State
    signer: str | None = None
    issuer: str | None = None
    trust_list: str | None = None
    label: str | None = None
    problems: tuple[str, ...] = ()
    claim_generator: str | None = None
    actions: tuple[Mapping[str, Any], ...] = ()
    digital_source_type: str | None = None
    when: str | None = None
    soft_bindings: tuple[tuple[str, str], ...] = ()
    record_id: str | None = None
    hard_binding_only: bool = False
    revoked: str | None = None
    engines: tuple[Voice, ...] = ()
    agreement: bool | None = None
    chain: Link | None = None

    @property
    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        plain["problems"] = list(self.problems)
        plain["actions"] = [dict(action) for action in self.actions]
        plain["soft_bindings"] = [{"alg": alg, "value": value} for alg, value in self.soft_bindings]
        plain["engines"] = {voice.engine: voice.as_dict for voice in self.engines}
        plain["chain"] = self.chain.as_dict if self.chain is not None else None
        return plain


def examine_manifest(data: bytes, media_type: str, trust: TrustList) -> ManifestReading | None:
    """Read the manifest embedded in a file with both engines; None where neither finds one.

    Never raises on hostile bytes. A picture without a manifest costs no more than one look.
    """
    try:
        first = read_manifest(data, media_type, trust)
    except Exception as error:  # noqa: BLE001  # not a refusal: the engine or its report is broken
        return _alone(error, second_voice(data, media_type, trust))
    if first is not None:
        return _weighed(first, second_voice(data, media_type, trust))
    if not holds_manifest_store(data, media_type):
        return None
    second = second_voice(data, media_type, trust)
    return _alone(None, second) if second.state is not None else None


def examine_stored(manifest_store: bytes, media_type: str, trust: TrustList) -> ManifestReading:
    """As :func:`verify_stored`, with both engines."""
    kind, carrier = _carrier(media_type)
    second = second_voice(carrier, kind, trust, manifest_store)
    try:
        first = verify_stored(manifest_store, media_type, trust)
    except Exception as error:  # noqa: BLE001  # as above
        return _alone(error, second)
    return _weighed(first, second)


def _weighed(first: ManifestReading, second: Voice) -> ManifestReading:
    """The first engine's reading under the stricter of two states."""
    voices = (Voice(FIRST, first.state, first.problems), second)
    state = stricter(*voices) or "invalid"
    same = first.state == state
    return replace(
        first,
        state=state,
        trust_list=first.trust_list if state == "trusted" else None,
        problems=first.problems if same else (*first.problems, *_new(second, first)),
        hard_binding_only=first.hard_binding_only
        and (same or set(second.problems) <= HARD_BINDINGS | CREDENTIAL),
        engines=voices,
        agreement=agree(*voices),
    )


def _new(second: Voice, first: ManifestReading) -> tuple[str, ...]:
    return tuple(code for code in second.problems if code not in first.problems)


def _alone(error: Exception | None, second: Voice) -> ManifestReading:
    """What is left when the first engine broke or saw nothing: no list can be named then."""
    note = f"{BROKE}: {type(error).__name__}." if error else "The engine found no manifest."
    state: State = "valid" if second.state in {"trusted", "valid"} else "invalid"
    return ManifestReading(
        state,
        problems=second.problems or (() if state == "valid" else (UNREADABLE,)),
        engines=(Voice(FIRST, None, note=note), second),
    )


def read_manifest(data: bytes, media_type: str, trust: TrustList) -> ManifestReading | None:
    """Read the manifest embedded in a file with the c2pa library; None where there is none.

    Never raises on hostile bytes: a store that cannot be read is ``invalid``.
    """
    from c2pa import C2paError, Reader

    def report(*, clocks: bool) -> dict[str, Any] | None:
        context = context_for(trust, clocks=clocks)
        return _report(Reader.try_create(media_type, BytesIO(data), context=context))

    try:
        if not overfull(data):
            return _read(report, extract_manifest_store(data, media_type), trust, detached=False)
        there = holds_manifest_store(data, media_type)
    except C2paError:
        there = holds_manifest_store(data, media_type)
    return ManifestReading("invalid", problems=(UNREADABLE,)) if there else None


def verify_stored(manifest_store: bytes, media_type: str, trust: TrustList) -> ManifestReading:
    """Check a manifest store that was kept apart from its picture.

    Claim, signature and assertions are checked; the hard binding cannot be, because the picture
    that is looked at has other bytes: ``hard_binding_only`` is then set and does not lower the
    state. Whether the manifest belongs to the picture is for mark and fingerprint to say.
    """
    from c2pa import C2paError, Reader

    kind, carrier = _carrier(media_type)

    def report(*, clocks: bool) -> dict[str, Any] | None:
        context = context_for(trust, clocks=clocks)
        return _report(Reader(kind, BytesIO(carrier), manifest_store, context=context))

    reading = None
    with suppress(C2paError):
        reading = _read(report, manifest_store, trust, detached=True)
    return reading or ManifestReading("invalid", problems=(UNREADABLE,))


def _carrier(media_type: str) -> tuple[str, bytes]:
    kind = media_type if media_type in MEDIA_TYPES.values() else "image/png"
    return kind, _blank(kind)


@lru_cache(maxsize=8)
def _blank(kind: str) -> bytes:
    return encode(np.zeros((_CARRIER_SIDE, _CARRIER_SIDE, 3), np.uint8), kind)


def _read(
    ask: Callable[..., dict[str, Any] | None],
    store: bytes | None,
    trust: TrustList,
    *,
    detached: bool,
) -> ManifestReading | None:
    """A reading by a context without clocks; if all that ails it is its age, by one with them."""
    report = ask(clocks=False)
    if report is None:
        return None
    reading = _reading(report, store, trust, detached=detached)
    if reading.state != "valid" or EXPIRED not in reading.problems or not trust.clocks:
        return reading
    dated = ask(clocks=True)
    if dated is None or STAMPED not in _codes(_active(dated), "success"):
        return reading
    in_force = _reading(dated, store, trust, detached=detached)
    return in_force if in_force.state == "trusted" else reading


def _report(reader: Any) -> dict[str, Any] | None:
    if reader is None:
        return None
    with reader:
        report: dict[str, Any] = json.loads(reader.json())
        return report


def _reading(
    report: dict[str, Any], store: bytes | None, trust: TrustList, *, detached: bool
) -> ManifestReading:
    label = str(report.get("active_manifest") or "")
    manifest = _mapping(_mapping(report.get("manifests")).get(label))
    results = _mapping(report.get("validation_results"))
    active = _active(report)
    passed, failed = _codes(active, "success"), _codes(active, "failure")
    failed |= _ingredient_failures(results)
    listed = trust.name_of(results.get("trustListUri")) if TRUSTED in passed else None
    if listed and not may_sign_claims(signer_certificate(store or b"", label)):
        failed, listed = failed | {WRONG_USAGE}, None
    revoked = revoked_at(store or b"", label, _anchors(trust))
    if revoked is not None:
        failed, listed = failed | {REVOKED}, None
    ignored = CREDENTIAL | HARD_BINDINGS if detached else CREDENTIAL
    listed = None if failed & CREDENTIAL else listed
    explained = report.get("validation_state") in {"Trusted", "Valid"} or bool(failed)
    intact = SIGNED in passed and failed <= ignored and explained
    bound = failed & HARD_BINDINGS
    signature = _mapping(manifest.get("signature_info"))
    actions = tuple(_actions(manifest))
    return ManifestReading(
        state=("trusted" if listed else "valid") if intact else "invalid",
        signer=_text(signature.get("common_name")) or _text(signature.get("issuer")),
        issuer=_text(signature.get("issuer")),
        trust_list=listed if intact else None,
        label=label or None,
        problems=tuple(sorted(failed)),
        claim_generator=_generator(manifest),
        actions=actions,
        digital_source_type=next(
            (a["digital_source_type"] for a in actions if a["digital_source_type"]), None
        ),
        when=_text(signature.get("time")) or next((a["when"] for a in actions if a["when"]), None),
        soft_bindings=tuple(_soft_bindings(manifest)),
        record_id=_record_id(manifest),
        hard_binding_only=bool(bound) and SIGNED in passed and failed <= HARD_BINDINGS | CREDENTIAL,
        revoked=revoked.isoformat() if revoked is not None else None,
        chain=chain_of(report),
    )


def _active(report: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(_mapping(report.get("validation_results")).get("activeManifest"))


@lru_cache(maxsize=8)
def _anchors(trust: TrustList) -> tuple[x509.Certificate, ...]:
    return tuple(certificate for one in trust.lists for certificate in one.certificates)


def _codes(results: Mapping[str, Any], key: str) -> set[str]:
    return {str(_mapping(one).get("code")) for one in _list(results.get(key))}


def _ingredient_failures(results: Mapping[str, Any]) -> set[str]:
    """Failures of ingredients that were not there yet when the manifest was signed."""
    deltas = (
        _mapping(one).get("validationDeltas") for one in _list(results.get("ingredientDeltas"))
    )
    return {code for one in deltas for code in _codes(_mapping(one), "failure")}


def _assertions(manifest: Mapping[str, Any], label: str) -> Iterator[Mapping[str, Any]]:
    for one in _list(manifest.get("assertions")):
        if str(_mapping(one).get("label")).startswith(label):
            yield _mapping(_mapping(one).get("data"))


def _actions(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    stated = [
        a for data in _assertions(manifest, "c2pa.actions") for a in _list(data.get("actions"))
    ]
    for action in map(_mapping, stated[:MAX_ITEMS]):
        agent = action.get("softwareAgent")
        yield {
            "action": _text(action.get("action")),
            "when": _text(action.get("when")),
            "software": _text(agent) or _text(_mapping(agent).get("name")),
            "digital_source_type": _text(action.get("digitalSourceType")),
        }


def _soft_bindings(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for data in list(_assertions(manifest, "c2pa.soft-binding"))[:MAX_ITEMS]:
        for block in _list(data.get("blocks"))[:MAX_ITEMS]:
            value = _hex(_mapping(block).get("value"))
            if value is not None:
                yield str(data.get("alg")), value


def _hex(value: Any) -> str | None:
    """A soft binding's value: base64 text, or bytes that the library shows as a list of ints."""
    try:
        if isinstance(value, list):
            return bytes(value).hex()
        return base64.b64decode(value, validate=True).hex()
    except (binascii.Error, TypeError, ValueError):
        return None


def _record_id(manifest: Mapping[str, Any]) -> str | None:
    return next(
        (_text(data.get("record_id")) for data in _assertions(manifest, RECORD_LABEL)), None
    )


def _generator(manifest: Mapping[str, Any]) -> str | None:
    info = next((_mapping(one) for one in _list(manifest.get("claim_generator_info"))), {})
    parts = [_text(info.get("name")), _text(info.get("version"))]
    return " ".join(part for part in parts if part) or _text(manifest.get("claim_generator"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
