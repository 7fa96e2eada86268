"""A service from settings, and running it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from guard.errors import SettingsInvalid, Unavailable
from guard.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from guard.policy.model import Policy
    from guard.server.options import ServerOptions

SLOW_SECONDS = 20
"""How long a connection may be idle between requests, and a stopping service wait for answers."""


def build_app(policy: Policy, settings: Settings) -> FastAPI:
    """The service of a home. Its log must be there: an empty new one would find nothing.

    Raises Unavailable without the ``server`` extra, SettingsInvalid, KeyInvalid, AuditUnavailable.
    """
    options = options_from(settings)
    try:
        from guard.server.app import create_app
    except ImportError as error:
        raise _not_installed(error) from error
    from guard.assemble import build_log, build_watermark
    from guard.provenance.trust import load_trust
    from guard.server.repository import Repository

    log = build_log(settings, create=False)
    trust, watermark = load_trust(settings.home), build_watermark(policy, settings)
    return create_app(Repository(log, trust, watermark), options)


def options_from(settings: Settings) -> ServerOptions:
    """The service's limits. Raises SettingsInvalid, naming the variable."""
    from guard.server.options import LEAST_TOKEN, ServerOptions

    token = settings.server_token.get_secret_value() if settings.server_token else None
    if token is not None and (len(token) < LEAST_TOKEN or not token.isascii()):
        raise SettingsInvalid(
            f"GUARD_SERVER_TOKEN has fewer than {LEAST_TOKEN} characters, or some beyond ASCII.",
            hint="Make one with: openssl rand -hex 32",
        )
    url = settings.server_url.rstrip("/")
    if url and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
        raise SettingsInvalid(
            f"GUARD_SERVER_URL: {url!r} is not an http(s) address.",
            hint="Say where clients reach the service, or unset it.",
        )
    hosts = [one.strip().lower() for one in settings.server_reference_hosts.split(",")]
    return ServerOptions(
        token=token,
        public_url=url,
        reference_hosts=frozenset(filter(None, hosts)),
        max_bytes=settings.server_max_bytes,
        requests_per_minute=settings.server_requests_per_minute,
    )


def serve(app: FastAPI, host: str, port: int) -> None:
    """Answer requests until the process is told to stop.

    No request is logged: an address is personal data. Behind a proxy on the same machine the
    client's address is taken from its header. Raises Unavailable when the port cannot be had.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise _not_installed(error) from error
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=SLOW_SECONDS,
        timeout_graceful_shutdown=SLOW_SECONDS,
        h11_max_incomplete_event_size=16 * 1024,
    )
    try:
        uvicorn.Server(config).run()
    except SystemExit as stopped:  # how uvicorn says that it could not start
        raise Unavailable(
            f"The service cannot listen on {host}:{port}.",
            hint="Another process has the port, or this user may not; choose another --port.",
        ) from stopped


def _not_installed(error: ImportError) -> Unavailable:
    return Unavailable(
        f"The HTTP service is not installed: {error.name or error} is missing.",
        hint="Install it with: pip install 'genguard[server]'",
    )
