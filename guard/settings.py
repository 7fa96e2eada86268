"""What an operator sets, from ``GUARD_…`` environment variables (see docs/reference)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from guard.errors import SettingsInvalid


class Settings(BaseSettings):
    """Every setting has a working default; secrets never appear in a repr."""

    model_config = SettingsConfigDict(env_prefix="GUARD_", extra="ignore", frozen=True)

    home: Path = Field(default_factory=lambda: Path.home() / ".genguard")
    database_url: str | None = None
    keys_database_url: str | None = None
    key_encryption_key: SecretStr | None = None
    retired_key_encryption_key: SecretStr | None = None
    policy: str = "default"
    model: str = "demo"

    openai_base_url: str = "https://api.openai.com/v1"
    openai_api_key: SecretStr | None = None

    signing_certificate: Path | None = None
    signing_key: Path | None = None
    signing_key_passphrase: SecretStr | None = None
    pkcs11_uri: str | None = None
    pkcs11_pin: SecretStr | None = None
    tsa_url: str | None = None
    mark_secret: SecretStr | None = None
    retired_mark_secrets: SecretStr | None = None
    trustmark_models: Path | None = None

    server_token: SecretStr | None = None
    server_url: str = ""
    server_reference_hosts: str = ""
    server_max_bytes: int = Field(default=32 * 1024 * 1024, ge=1024)
    server_requests_per_minute: int = Field(default=120, ge=1)

    webhook_url: str | None = None
    webhook_events: str = "report.required signal.raised record.blocked record.held"
    webhook_secret: SecretStr | None = None
    webhooks: Path | None = None
    webhook_allow_loopback: bool = False
    webhook_seconds: float = Field(default=10.0, gt=0, le=300)
    webhook_attempts: int = Field(default=12, ge=1, le=100)

    reap_at_start: bool = True
    reap_seconds: float | None = Field(default=None, gt=0)

    checkpoints: str | None = None
    checkpoint_key: Path | None = None
    checkpoint_verifiers: str | None = None
    checkpoint_rows: int = Field(default=1_000, ge=1)
    checkpoint_seconds: float = Field(default=60.0, gt=0)
    checkpoint_max_age_seconds: float | None = Field(default=None, gt=0)

    prompt_seconds: float = Field(default=10.0, gt=0)
    generate_seconds: float = Field(default=600.0, gt=0)
    classify_seconds: float = Field(default=120.0, gt=0)
    watermark_seconds: float = Field(default=120.0, gt=0)
    sign_seconds: float = Field(default=60.0, gt=0)
    audit_seconds: float = Field(default=30.0, gt=0)

    @property
    def database(self) -> str:
        """The database URL; a SQLite file in the home by default."""
        return self.database_url or f"sqlite:///{self.home / 'audit.sqlite3'}"

    @property
    def keys_database(self) -> str:
        """The key database's URL; a SQLite file in the home by default."""
        return self.keys_database_url or f"sqlite:///{self.home / 'keys.sqlite3'}"

    @classmethod
    def load(cls, **overrides: object) -> Settings:
        """From the environment, ``overrides`` (those that are not None) first.

        Raises SettingsInvalid, naming the variable.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        try:
            return cls(**given)  # type: ignore[arg-type]  # pydantic validates the types
        except ValidationError as error:
            first = error.errors()[0]
            name = "_".join(str(part) for part in first["loc"]).upper()
            raise SettingsInvalid(
                f"GUARD_{name}: {first['msg']}.",
                hint=f"Correct or unset GUARD_{name} (see docs/reference/settings.md).",
            ) from error
