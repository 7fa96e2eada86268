"""Builds the rooms of a guard from settings, a policy and the installed plug-ins."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from guard.errors import (
    InvalidConfiguration,
    OutputUnwritable,
    PolicyInvalid,
    SettingsInvalid,
    Unavailable,
)
from guard.plugins import Wiring, registry
from guard.policy.load import load_policy
from guard.policy.model import ManifestSettings, Policy, Retention
from guard.settings import Settings

if TYPE_CHECKING:
    from pydantic import SecretStr

    from guard.audit.log import SqlAuditLog
    from guard.audit.review.decisions import HeldPictures
    from guard.audit.vault.kek import KeyEncryptionKey
    from guard.audit.vault.vault import Vault
    from guard.classify.base import Detector
    from guard.classify.screen import Classifier
    from guard.generate.base import Generator
    from guard.prompt.base import PromptScreener
    from guard.provenance.base import Signer
    from guard.provenance.claim_key import ClaimKey
    from guard.provenance.services import Services
    from guard.rooms import Rooms
    from guard.store.engine import Store
    from guard.store.keys import KeyStore
    from guard.verify.suspect import Verifier
    from guard.watermark.base import MarkReader, Watermark


def resolve_policy(policy: str | Path | Policy | None, settings: Settings) -> Policy:
    """A policy by value, name or file; the configured one for None. Raises PolicyInvalid."""
    if isinstance(policy, Policy):
        return policy
    return load_policy(policy if policy is not None else settings.policy)


def build_rooms(
    policy: Policy,
    settings: Settings,
    *,
    signing_key: ClaimKey | None = None,
    key_service: KeyEncryptionKey | None = None,
) -> Rooms:
    """Every room of a guard. Heavy models open at their first use, inside their stage.

    ``signing_key`` signs instead of the key that the settings name: a key service's, for one;
    ``key_service`` wraps the vault's keys.
    Raises InvalidConfiguration, DetectorUnavailable or AuditUnavailable.
    """
    from guard.rooms import Rooms

    return Rooms(
        screener=build_screener(policy, settings),
        open_generator=GeneratorCabinet(settings).open,
        classifier=build_classifier(policy, settings),
        watermark=build_watermark(policy, settings),
        signer=build_signer(settings, policy, signing_key),
        log=build_log(settings, policy=policy, key_service=key_service),
        quarantine=build_quarantine(settings),
    )


def build_screener(policy: Policy, settings: Settings | None = None) -> PromptScreener:
    """The prompt screener of a policy, with the platform's own lists that the policy names.

    ``settings`` (default: the environment's) say where the database with own lists is. Raises
    PolicyInvalid when a list is missing or broken, AuditUnavailable when the database is.
    """
    from guard.prompt.screen import PolicyScreener

    screener = PolicyScreener(policy)
    if not policy.own_lists:
        return screener
    from guard.prompt.own.lists import OwnLists, ScreenerWithOwnLists

    where = settings or Settings.load()
    return ScreenerWithOwnLists(screener, OwnLists(policy, lambda: build_store(where)))


def build_store(settings: Settings, *, create: bool = False) -> Store:
    """The database; ``create`` false: which must be there.

    Raises AuditUnavailable, SettingsInvalid for a bad database URL.
    """
    from guard.store.engine import open_store

    if create and settings.database_url is None:
        make_home(settings.home)
    seconds = settings.audit_seconds
    return open_store(settings.database, create=create, timeout_seconds=seconds)


def build_classifier(policy: Policy, settings: Settings) -> Classifier:
    """Every detector that the policy requires or its rules name, built-in or from a plug-in.

    Raises DetectorUnavailable for a name that nobody offers.
    """
    from guard.classify.screen import Classifier

    offered = registry("guard_detectors")
    detectors: list[Detector] = []
    for family in detector_families(policy):
        if family in offered:
            detectors += offered[family](Wiring(settings, policy))
    return Classifier(policy, detectors)


def detector_families(policy: Policy) -> tuple[str, ...]:
    """What a policy needs, without encoder and head: ``clip`` for ``clip:ViT-B-32/q16``."""
    named = [*policy.required_detectors]
    named += [one for rule in policy.output_rules for one in rule.detectors]
    named += [rule.detector for rule in policy.known_bad]
    return tuple(dict.fromkeys(name.split(":")[0] for name in named))


def build_watermark(policy: Policy, settings: Settings) -> Watermark:
    """The policy's watermark under the home's secret, which is made at first use.

    It also reads under the secrets that were retired.

    Raises KeyInvalid for a malformed secret, PolicyInvalid for an unknown method, and for a
    strength or a damage to survive that the method does not know.
    """
    from guard.provenance.mark_secret import load_mark_secret, load_retired_mark_secrets

    offered = registry("guard_watermarks")
    method = policy.watermark.method
    if method not in offered:
        raise PolicyInvalid(
            f"The policy's watermark method {method!r} is not installed.",
            hint=f"Installed: {', '.join(sorted(offered))}.",
        )
    current = load_mark_secret(settings.home, _revealed(settings.mark_secret))
    retired = load_retired_mark_secrets(settings.home, _revealed(settings.retired_mark_secrets))
    retired = tuple(one for one in retired if one != current)  # a rotation was interrupted
    try:
        watermark: Watermark = offered[method](Wiring(settings, policy, current, retired))
    except SettingsInvalid as error:
        raise PolicyInvalid(f"The policy's watermark: {error}", hint=error.hint) from error
    return watermark


def _revealed(setting: SecretStr | None) -> str | None:
    return setting.get_secret_value() if setting is not None else None


def build_signer(
    settings: Settings, policy: Policy | None = None, signing_key: ClaimKey | None = None
) -> Signer:
    """The C2PA signer, with the services that settings and policy name.

    Raises KeyInvalid when there is no key, SettingsInvalid for a bad address, SigningKeyUnavailable
    when the key's token cannot be opened, RevocationUnavailable when the policy wants word on
    revocation and the certificate does not say who gives it.
    """
    from guard.provenance.sign import C2paSigner
    from guard.provenance.trust import load_trust

    key = signing_key or build_claim_key(settings)
    stated = policy.manifest if policy is not None else ManifestSettings()
    return C2paSigner(key, build_services(settings, stated, key), load_trust(settings.home))


def build_claim_key(settings: Settings) -> ClaimKey:
    """The key that signs claims: on the token that GUARD_PKCS11_URI names, or in a file.

    Raises KeyInvalid, SigningKeyUnavailable.
    """
    from guard.provenance.keys import load_signing_keys

    if settings.pkcs11_uri is not None:
        from guard.provenance.token_key import open_token_key

        pin = _revealed(settings.pkcs11_pin)
        return open_token_key(settings.pkcs11_uri, pin, settings.signing_certificate)
    passphrase = _revealed(settings.signing_key_passphrase)
    return load_signing_keys(
        settings.home, settings.signing_certificate, settings.signing_key, passphrase
    )


def build_services(settings: Settings, stated: ManifestSettings, key: ClaimKey) -> Services:
    """Who is asked for time-stamps and word on revocation. Raises as :func:`build_signer`."""
    from guard.provenance.late_stamps import StampQueue
    from guard.provenance.services import Services
    from guard.provenance.stapling import Stapler
    from guard.provenance.timestamps import PAUSE, TimestampAuthority

    url, queues = settings.tsa_url, stated.timestamp == "queue"
    pause = PAUSE if queues else timedelta(0)
    return Services(
        stamps=TimestampAuthority(url, pause=pause) if url is not None else None,
        queue=StampQueue(settings.home) if queues else None,
        stapler=Stapler(key.chain) if stated.ocsp != "none" else None,
        revocation="required" if stated.ocsp == "required" else "staple",
    )


def build_log(
    settings: Settings,
    *,
    create: bool = True,
    policy: Policy | None = None,
    key_service: KeyEncryptionKey | None = None,
) -> SqlAuditLog:
    """The audit log with its vault; ``create`` false: which must be there.

    ``policy`` says what the vault keeps of new records; ``key_service`` wraps its keys instead of
    a key-encryption key of the settings or the home. Raises AuditUnavailable, SettingsInvalid
    for a bad database URL, KeyInvalid for a malformed key-encryption key.
    """
    from guard.audit.checkpoints.publishing import publish_in_background
    from guard.audit.log import SqlAuditLog
    from guard.audit.outbox.endpoints import load_subscriptions
    from guard.audit.outbox.messenger import Messenger

    store = build_store(settings, create=create)
    vault = build_vault(settings, store, policy, key_service)
    messenger = Messenger(load_subscriptions(settings))
    log = SqlAuditLog(store, settings.home / "index", vault, messenger)
    return publish_in_background(log, settings)


def build_vault(
    settings: Settings,
    store: Store,
    policy: Policy | None = None,
    key_service: KeyEncryptionKey | None = None,
) -> Vault:
    """The vault beside a log. Its keys are opened at their first use.

    Raises SettingsInvalid when the keys would lie in the log's database, KeyInvalid for a
    malformed key-encryption key.
    """
    from guard.audit.vault.kek import Keks
    from guard.audit.vault.vault import Keeps, Vault
    from guard.store.keys import open_key_store
    from guard.store.url import same_place

    if same_place(settings.keys_database, settings.database):
        raise SettingsInvalid(
            "GUARD_KEYS_DATABASE_URL names the log's own database.",
            hint="Keys must lie elsewhere: whoever copies one database must not have both.",
        )
    given, retired = settings.key_encryption_key, settings.retired_key_encryption_key
    keks = Keks(settings.home, _revealed(given), _revealed(retired), key_service)
    keks.check()

    def open_keys() -> KeyStore:
        if settings.keys_database_url is None:
            make_home(settings.home)
        return open_key_store(settings.keys_database, timeout_seconds=settings.audit_seconds)

    kept = policy.retention if policy is not None else Retention()
    return Vault(store, open_keys, keks, Keeps(kept.prompt, kept.user, kept.key_period))


def tidy(policy: Policy, settings: Settings, rooms: Rooms) -> None:
    """End what was cut off before, and reviews that nobody held in time, where settings say so.

    Looks back a week, once an hour for each home: over a million records that takes seconds.
    ``guard audit reap`` looks at everything. A database that cannot be written now is no reason to
    fail here: it will be one at the first request.
    """
    from guard.audit.log import SqlAuditLog
    from guard.audit.reap import AT_START, REAPED, expire, is_fresh, longest_run, reap
    from guard.audit.review.held import HeldPictures

    log, held = rooms.log, rooms.quarantine
    if not (settings.reap_at_start and isinstance(log, SqlAuditLog)):
        return
    with suppress(Unavailable, OutputUnwritable, OSError):
        if is_fresh(settings.home / REAPED):
            return
        reap(log, longest_run(settings), within=AT_START)
        if isinstance(held, HeldPictures):
            expire(log, held, timedelta(days=policy.retention.held_days), within=AT_START)
        (settings.home / REAPED).touch(mode=0o600)


def build_quarantine(settings: Settings) -> HeldPictures:
    """Where held pictures wait for a reviewer."""
    from guard.audit.review.decisions import HeldPictures

    return HeldPictures(settings.home)


def build_verifier(policy: Policy, settings: Settings) -> Verifier:
    """A verifier that knows this home's keys, trust lists and records."""
    from guard.provenance.late_stamps import StampQueue
    from guard.provenance.trust import load_trust
    from guard.verify.suspect import Verifier

    return Verifier(
        load_trust(settings.home),
        build_watermark(policy, settings),
        build_log(settings),
        StampQueue(settings.home).completed,
        build_mark_readers(policy, settings),
    )


def build_mark_readers(policy: Policy, settings: Settings) -> tuple[MarkReader, ...]:
    """Who reads others' marks: the built-ins and every plug-in, but those that are off.

    Raises DetectorUnavailable when a reader that is on lacks its weights.
    """
    wiring = Wiring(settings, policy)
    made = (factory(wiring) for factory in registry("guard_mark_readers").values())
    return tuple(reader for reader in made if reader is not None)


def make_home(home: Path) -> None:
    """The home directory, private to its user. Raises InvalidConfiguration."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise InvalidConfiguration(
            f"Cannot make the home {home}: {error.strerror or error}.",
            hint="Set GUARD_HOME (or --home) to a directory that you may write.",
        ) from error


class GeneratorCabinet:
    """Opens each generator once: loading a model takes longer than drawing with it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: dict[str, Generator] = {}

    def open(self, reference: str | None) -> Generator:
        """The generator behind ``reference`` (None: the configured model).

        Raises ModelUnavailable.
        """
        name = reference or self._settings.model
        if name not in self._opened:
            self._opened[name] = open_by_scheme(name, self._settings)
        return self._opened[name]


def open_by_scheme(reference: str, settings: Settings) -> Generator:
    """``SCHEME:NAME`` or a bare scheme goes to its plug-in, everything else to diffusers."""
    offered = registry("guard_generators")
    scheme = reference.partition(":")[0]
    factory = offered.get(scheme, offered["diffusers"])
    generator: Generator = partial(factory, reference, settings)()
    return generator
