"""A log's publisher, as the settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.audit.checkpoints.background import BackgroundPublisher
from guard.audit.checkpoints.checkpoint_key import key_path, verifier_path
from guard.audit.checkpoints.places import open_place
from guard.audit.checkpoints.publish import Keys, Publisher, Rhythm
from guard.audit.checkpoints.signed_state import StateFile

if TYPE_CHECKING:
    from guard.audit.log import SqlAuditLog
    from guard.settings import Settings
    from guard.store.engine import Store


def build_publisher(settings: Settings, store: Store) -> Publisher:
    """Signs the log's checkpoints and, where GUARD_CHECKPOINTS names a place, publishes them.

    Raises CheckpointUnavailable for a place that cannot be opened, LogTampered when what was
    signed last cannot be read.
    """
    home = settings.home
    private = key_path(home, settings.checkpoint_key)
    keys = Keys(private, verifier_path(home), settings.checkpoint_verifiers)
    rhythm = Rhythm(
        settings.checkpoint_rows, settings.checkpoint_seconds, settings.checkpoint_max_age_seconds
    )
    place = None if settings.checkpoints is None else open_place(settings.checkpoints)
    return Publisher(store, keys, StateFile(home, store.log_id), place, rhythm)


def publish_in_background(log: SqlAuditLog, settings: Settings) -> SqlAuditLog:
    """``log``, whose checkpoints are published from now on where settings name a place.

    Raises as :func:`build_publisher`.
    """
    if settings.checkpoints is not None:
        log.publishing = BackgroundPublisher(build_publisher(settings, log.store))
    return log
