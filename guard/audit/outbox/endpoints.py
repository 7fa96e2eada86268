"""Who is told what: subscriptions of webhook endpoints, from settings or a file.

Whoever writes to the log needs names and filters only; addresses and secrets are looked at where
messages are sent.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from guard.audit.outbox.messages import KINDS, Told
from guard.audit.outbox.signatures import parse_secrets
from guard.errors import SettingsInvalid
from guard.settings import Settings

DEFAULT_NAME = "webhook"
"""Of the endpoint that GUARD_WEBHOOK_URL names."""

LONGEST_FILE = 1024 * 1024


class Subscription(BaseModel):
    """What one endpoint wants to hear. ``kinds`` may end in ``*``; empty filters let all pass.

    ``secret`` names the environment variable that holds the endpoint's signing secret.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")
    url: str
    secret: str = Field(default="GUARD_WEBHOOK_SECRET", pattern=r"^[A-Z][A-Z0-9_]*$")
    kinds: tuple[str, ...] = Field(min_length=1)
    tenants: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> Self:
        for kind in self.kinds:
            if not fnmatch.filter(KINDS, kind):
                raise ValueError(f"there are no messages of the kind {kind!r}")
        return self

    def wants(self, told: Told) -> bool:
        """Whether this endpoint is told."""
        return (
            any(fnmatch.fnmatchcase(told.kind, kind) for kind in self.kinds)
            and (not self.tenants or told.tenant in self.tenants)
            and (not self.categories or not set(self.categories).isdisjoint(told.categories))
        )


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoints: tuple[Subscription, ...]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [one.name for one in self.endpoints]
        if len(set(names)) < len(names):
            raise ValueError("two endpoints have the same name")
        return self


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where messages go, with the keys that sign them; the first is the current one."""

    subscription: Subscription
    secrets: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Endpoint({self.subscription.name!r})"

    @property
    def name(self) -> str:
        """Its name in the outbox."""
        return self.subscription.name

    @property
    def url(self) -> str:
        """Its address."""
        return self.subscription.url


def load_subscriptions(settings: Settings) -> tuple[Subscription, ...]:
    """Who wants to be told what. Raises SettingsInvalid."""
    found = [*_of_file(settings.webhooks)] if settings.webhooks is not None else []
    if settings.webhook_url is not None:
        kinds = settings.webhook_events.replace(",", " ").split()
        given = {"name": DEFAULT_NAME, "url": settings.webhook_url, "kinds": kinds}
        found += _checked({"endpoints": [given]}, "GUARD_WEBHOOK_EVENTS")
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise SettingsInvalid(
            f"An endpoint in {settings.webhooks} is called {DEFAULT_NAME!r}, as that of "
            "GUARD_WEBHOOK_URL is.",
            hint="Rename it, or unset GUARD_WEBHOOK_URL.",
        )
    for one in found:
        check_url(one.url, allow_loopback=settings.webhook_allow_loopback)
    return tuple(found)


def load_endpoints(settings: Settings) -> tuple[Endpoint, ...]:
    """Where to send, with secrets. Raises SettingsInvalid when one is missing or malformed."""
    return tuple(
        Endpoint(one, parse_secrets(_secret(one.secret, settings), one.secret))
        for one in load_subscriptions(settings)
    )


def _secret(variable: str, settings: Settings) -> str:
    if variable == "GUARD_WEBHOOK_SECRET" and settings.webhook_secret is not None:
        return settings.webhook_secret.get_secret_value()
    return os.environ.get(variable, "")


def _of_file(path: Path) -> tuple[Subscription, ...]:
    try:
        with path.open("rb") as file:
            data = yaml.safe_load(file.read(LONGEST_FILE))
    except (OSError, yaml.YAMLError) as error:
        raise SettingsInvalid(
            f"The webhooks file {path} cannot be read: {type(error).__name__}.",
            hint="Check GUARD_WEBHOOKS; docs/how-to/webhooks.md has an example.",
        ) from error
    return _checked(data, str(path))


def _checked(data: Any, source: str) -> tuple[Subscription, ...]:
    try:
        return _File.model_validate(data).endpoints
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsInvalid(
            f"{source}: {where + ': ' if where else ''}{first['msg']}.",
            hint=f"Kinds of messages are: {', '.join(KINDS)}.",
        ) from error


def check_url(url: str, *, allow_loopback: bool) -> None:
    """That messages may be sent there: HTTPS, or plain HTTP to this host where that is allowed.

    Raises SettingsInvalid, without user and password that may stand in the address.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = None, None, 0
    if parts is None or not host or port == 0:
        raise SettingsInvalid("A webhook's address is no URL.", hint="Write https://HOST/PATH.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise SettingsInvalid(
            f"The webhook address of {host} holds a user, a password or a fragment.",
            hint="Messages are signed instead; leave them out.",
        )
    here = _is_here(host)
    if here and not allow_loopback:
        raise SettingsInvalid(
            f"The webhook address of {host} is this very machine.",
            hint="Set GUARD_WEBHOOK_ALLOW_LOOPBACK=true if that is meant.",
        )
    if parts.scheme != "https" and not (here and parts.scheme == "http"):
        raise SettingsInvalid(
            f"The webhook address of {host} is not https.",
            hint="Plain http is for the loopback address only.",
        )


def _is_here(host: str) -> bool:
    """Loopback, unspecified and link-local addresses, which lead to this host or its keeper."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified or mapped.is_link_local)
