"""Every error that genguard raises on purpose.

::

    GuardError
    ├── InvalidInput            what was handed in cannot be used
    │   ├── InvalidRequest      prompt, size, count, seed … out of range
    │   ├── InvalidImage        not an image, truncated, or larger than the limits
    │   ├── OutputUnwritable    the place to write to cannot be written
    │   ├── DuplicateRequest    this idempotency key was used before
    │   └── RecordNotFound      no record of that id
    ├── InvalidConfiguration    a policy, setting or key is wrong
    │   ├── PolicyInvalid
    │   ├── SettingsInvalid
    │   └── KeyInvalid
    ├── Unavailable             a needed part is missing or broken: the guard fails closed
    │   ├── ModelUnavailable
    │   ├── DetectorUnavailable
    │   ├── StageTimeout        a stage ran past its limit
    │   ├── StageMisbehaved     a stage raised, or answered something that cannot be true
    │   ├── SigningKeyUnavailable   the signing key's holder gave no valid signature
    │   ├── TimestampUnavailable    the time-stamping authority gave no time-stamp
    │   ├── RevocationUnavailable   nobody says that the signing certificate is not revoked
    │   └── AuditUnavailable    nothing could be recorded, so nothing may leave
    │       ├── CheckpointUnavailable   a checkpoint could not be published or read
    │       └── VaultUnavailable    personal data cannot be put away or read: keys are missing
    ├── LegalHold               what somebody holds for a case cannot be erased
    ├── MarkRejected            this picture cannot carry a reliable mark
    └── LogTampered             the audit log is not what was written
        └── ProofInvalid        a checkpoint or a proof does not show what it should

A *block* is not an error: it is the value :class:`guard.types.Blocked`.

Each error has a stable ``code`` for scripts, a message that says what is wrong, and a
``hint`` that says what to do next.
"""

from __future__ import annotations

from typing import Any, ClassVar


class GuardError(Exception):
    """Root of the tree. ``message`` says what is wrong, ``hint`` what to do about it."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def diagnostics(self) -> str:
        """The message with its hint, for a person."""
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class InvalidInput(GuardError):
    """What was handed in cannot be used."""

    code = "invalid_input"


class InvalidRequest(InvalidInput):
    """A field of a request is missing or out of range."""

    code = "invalid_request"


class InvalidImage(InvalidInput):
    """Not an image, truncated, or larger than the decoding limits."""

    code = "invalid_image"


class OutputUnwritable(InvalidInput):
    """The place to write to does not exist, is read-only, or is full."""

    code = "output_unwritable"


class DuplicateRequest(InvalidInput):
    """A request with this idempotency key has been made before.

    ``record_id`` is the record that it began, ``outcome`` that record's last event by now.
    """

    code = "duplicate_request"

    def __init__(
        self, message: str, *, hint: str = "", record_id: str = "", outcome: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.record_id = record_id
        self.outcome = outcome


class RecordNotFound(InvalidInput):
    """The log holds no record of that id."""

    code = "record_not_found"


class InvalidConfiguration(GuardError):
    """A policy, a setting or a key is wrong; nothing can be done before it is mended."""

    code = "invalid_configuration"


class PolicyInvalid(InvalidConfiguration):
    """A policy file cannot be read or breaks its schema. The message names line and field."""

    code = "policy_invalid"


class SettingsInvalid(InvalidConfiguration):
    """A ``GUARD_…`` setting or a command-line option has an impossible value."""

    code = "settings_invalid"


class KeyInvalid(InvalidConfiguration):
    """A signing key, certificate or watermark secret is missing or unusable."""

    code = "key_invalid"


class Unavailable(GuardError):
    """A needed part is missing, broken or slow. The guard fails closed."""

    code = "stage_unavailable"


class ModelUnavailable(Unavailable):
    """The generator's model cannot be opened."""

    code = "model_unavailable"


class DetectorUnavailable(Unavailable):
    """A detector that the policy requires has no weights or cannot run."""

    code = "detector_unavailable"


class StageTimeout(Unavailable):
    """A stage ran past its time limit; its late result is discarded."""

    code = "stage_timeout"


class StageMisbehaved(Unavailable):
    """A stage raised, or answered None, NaN or a wrong shape."""

    code = "stage_misbehaved"


class SigningKeyUnavailable(Unavailable):
    """The holder of the signing key (token, key service, callback) gave no valid signature."""

    code = "signing_key_unavailable"


class TimestampUnavailable(Unavailable):
    """The time-stamping authority gave no time-stamp, or one of something else."""

    code = "timestamp_unavailable"


class RevocationUnavailable(Unavailable):
    """The policy wants word that the signing certificate is not revoked, and there is none."""

    code = "revocation_unavailable"


class AuditUnavailable(Unavailable):
    """The record could not be written, so nothing may leave.

    ``outcomes``: of several pictures asked for, those that were recorded before, in order.
    """

    code = "audit_unavailable"
    outcomes: tuple[Any, ...] = ()


class CheckpointUnavailable(AuditUnavailable):
    """A checkpoint of the log could not be published, or what was published could not be read."""

    code = "checkpoint_unavailable"


class VaultUnavailable(AuditUnavailable):
    """The vault's keys are missing or do not open: personal data can be neither kept nor read."""

    code = "vault_unavailable"


class LegalHold(GuardError):
    """What is to be erased is held for a case. The message names the case."""

    code = "legal_hold"


class MarkRejected(GuardError):
    """The picture is too small or too flat for a mark that reads back reliably."""

    code = "mark_rejected"


class LogTampered(GuardError):
    """The audit log is not what was written."""

    code = "log_tampered"


class ProofInvalid(LogTampered):
    """A checkpoint or a proof is malformed, or does not show what it should."""

    code = "proof_invalid"
