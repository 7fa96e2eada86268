"""What validation codes of C2PA mean, in words that a moderator can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guard.provenance.read import ManifestReading

LONGEST = 120
"""Characters of a signer's name in a sentence: it was written by whoever made the certificate."""

MEANINGS = {
    "manifest.unreadable": "it cannot be read",
    "assertion.hashedURI.mismatch": "one of its statements was changed after it was signed",
    "assertion.dataHash.mismatch": "the picture was changed after it was signed",
    "assertion.bmffHash.mismatch": "the picture was changed after it was signed",
    "assertion.boxesHash.mismatch": "the picture was changed after it was signed",
    "assertion.missing": "one of its statements is missing",
    "assertion.undeclared": "there is a statement in it that was not signed",
    "claimSignature.mismatch": "its signature does not fit what it claims",
    "claimSignature.missing": "it has no signature",
    "claim.missing": "it has no claim",
    "claim.malformed": "its claim cannot be read",
    "claim.multiple": "it has more than one claim",
    "ingredient.manifest.missing": "the manifest of a picture that it was made from is missing",
    "ingredient.manifest.mismatch": "the manifest of a picture that it was made from was changed",
    "ingredient.claimSignature.mismatch": "the signature of a picture that it was made from fails",
    "signingCredential.untrusted": "the signer is in no trust list",
    "signingCredential.expired": "the signer's certificate is outside its time",
    "signingCredential.revoked": "the signer's certificate was revoked",
    "signingCredential.ocsp.revoked": "the signer's certificate was revoked",
    "signingCredential.invalid": "the signer's certificate may not sign pictures",
    "timeStamp.mismatch": "the time-stamp belongs to another signature",
    "timeStamp.untrusted": "the time-stamp is of an unknown authority",
    "general.error": "it breaks the standard",
}
"""Validation codes (C2PA 2.4 section 15.2) → what they mean."""


LABELS = {
    "digital_source_type": "a source type that names an algorithm",
    "ai_system": "the name of an AI system",
    "aigc_label": "the Chinese AI label",
    "generator_text": "the notes of a generator",
    "remote_manifest": "a link to a manifest elsewhere, which was not followed",
    "c2pa_claim": "a manifest's claim",
    "watermark": "another maker's watermark",
}
"""Kinds of unproven labels → what they are."""


def label_kind(label: Mapping[str, Any]) -> str:
    """The kind of a label in words."""
    kind = str(label.get("kind", "label"))
    return LABELS.get(kind, kind)


def meaning(code: str) -> str:
    """A code in words; the code itself where it has none."""
    return MEANINGS.get(code, code)


def because(reading: ManifestReading) -> str:
    """Why a manifest does not verify: what fails in words, its codes in brackets."""
    problems = reading.problems or ("invalid",)
    about_picture = [code for code in problems if not code.startswith("signingCredential.")]
    shown = about_picture or list(problems)
    words = list(dict.fromkeys(meaning(code) for code in shown))
    codes = [code for code in shown if code in MEANINGS]
    return ", and ".join(words) + (f" ({', '.join(codes)})" if codes else "")


def who(reading: ManifestReading) -> str:
    """The signer's name, cut; it may be anything."""
    name = " ".join((reading.signer or "").split())
    if not name:
        return "an unnamed signer"
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}…"


def since(reading: ManifestReading) -> str:
    """`` on 2026-11-24`` where a time is stated."""
    day = (reading.when or "")[:10]
    return f" on {day}" if len(day) == 10 and day[4] == day[7] == "-" else ""


def revoked_on(reading: ManifestReading) -> str:
    """The day of revocation."""
    return (reading.revoked or "")[:10]
