"""How a service is set up."""

from __future__ import annotations

import os
from dataclasses import dataclass

LEAST_TOKEN = 16
"""Characters of the operator's token: fewer can be guessed."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Limits and switches. ``token`` None: nothing can be handed in, changed or withdrawn.

    ``public_url`` is where clients reach the service, for receipts; ``reference_hosts`` (none: off)
    those that pictures may be fetched from; ``threads`` work on pictures, ``waiting`` requests at
    most wait for one of them.
    """

    token: str | None = None
    public_url: str = ""
    reference_hosts: frozenset[str] = frozenset()
    max_bytes: int = 32 * 1024 * 1024
    requests_per_minute: int = 120
    threads: int = max(1, (os.cpu_count() or 2) // 2)
    waiting: int = 32
