"""What a certificate check answers: findings that a person can act on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

Level = Literal["error", "warning", "note"]
"""error: verifiers refuse what is signed with it. warning: it works now, and not everywhere or not
for long. note: worth knowing."""


LEVELS: tuple[Level, ...] = ("error", "warning", "note")
"""The worst first."""

Found = tuple[str, Level, str]
"""Rule, level and what is wrong, before it is told in full."""


@dataclass(frozen=True, slots=True)
class CertificateFinding:
    """One thing about one certificate. ``certificate``: its place in the chain, signer 0.

    ``what`` is wrong, ``why`` it matters (and to whom), ``mend`` says what to do, and is
    empty where there is nothing to do. ``rule`` is its stable name.
    """

    rule: str
    level: Level
    certificate: int
    what: str
    why: str
    mend: str

    @property
    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def worst_first(findings: Iterable[CertificateFinding]) -> tuple[CertificateFinding, ...]:
    """Errors, then warnings, then notes; each in the order in which they were found."""
    return tuple(sorted(findings, key=lambda one: LEVELS.index(one.level)))


@dataclass(frozen=True, slots=True)
class Member:
    """One certificate of the chain, as it is called and what profile it was held against."""

    subject: str
    issuer: str
    profile: str
    algorithm: str
    fingerprint: str
    expires: datetime
    days_left: int

    @property
    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self) | {"expires": self.expires.isoformat()}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A chain from the signer's certificate on, and everything that was found, worst first.

    ``trusted_by``: the lists, by name, that its signatures are trusted by; they may be none.
    """

    chain: tuple[Member, ...]
    findings: tuple[CertificateFinding, ...] = ()
    trusted_by: tuple[str, ...] = ()
    development: bool = False
    ocsp_url: str | None = field(default=None)

    @property
    def valid(self) -> bool:
        """Whether verifiers accept what it signs: no finding is an error."""
        return not any(one.level == "error" for one in self.findings)

    def with_more(self, findings: Sequence[CertificateFinding]) -> Diagnosis:
        """The same with more findings, worst first again."""
        return replace(self, findings=worst_first((*self.findings, *findings)))

    def of(self, level: Level) -> tuple[CertificateFinding, ...]:
        """The findings of one level."""
        return tuple(one for one in self.findings if one.level == level)
