"""Many people who ask for pictures, some of whom are erased: what the erasure bar is about."""

from __future__ import annotations

import logging
import secrets as random
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from guard.assemble import build_log
from guard.audit import append
from guard.audit.commitments import new_salts
from guard.audit.export import export_csv, export_jsonl
from guard.audit.log import SqlAuditLog
from guard.audit.vault.erasure import Erased, Person, erase
from guard.audit.vault.reveal import reveal
from guard.settings import Settings
from guard.store.rows import Salts
from guard.store.vault_rows import SEALED
from guard.types import Event
from tests.support.auditing import pictured, started
from tests.support.residue import Secrets, keys_of, wrapped_keys


@dataclass
class People:
    """A log in a home of its own, and all that was ever said in it."""

    settings: Settings
    secrets: Secrets = field(default_factory=Secrets)
    records: dict[str, list[str]] = field(default_factory=dict)
    asked: dict[str, tuple[str, str]] = field(default_factory=dict)
    key_ids: dict[str, list[bytes]] = field(default_factory=dict)
    wrapped: dict[str, list[bytes]] = field(default_factory=dict)
    sealed: dict[str, list[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.log: SqlAuditLog = build_log(self.settings)
        assert self.log.vault is not None
        self.vault = self.log.vault
        self.secrets.watch_keys(self.vault)

    def close(self) -> None:
        self.log.store.close()
        self.vault.keys.store.close()

    def ask(self, count: int, times: int = 1, threads: int = 16) -> list[str]:
        """So many new people, each of whom asks so often; answers their user ids."""
        people = [f"user-{random.token_hex(8)}@example.org" for _ in range(count)]
        with salts_noted(self.secrets), ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(self._ask, people * times):
                pass
        return people

    def _ask(self, user: str) -> None:
        prompt = f"a portrait of {random.token_hex(12)} by the sea"
        negative = f"no {random.token_hex(12)} please"
        record = started(tenant="shop")
        _WHO[record.record_id] = user
        self.secrets.say(user, user, prompt, negative)
        self.asked[record.record_id] = prompt, negative
        self.records.setdefault(user, []).append(record.record_id)
        self.log.start(record, prompt=prompt, user=user, negative_prompt=negative)
        self.log.finish(pictured(record.record_id, Event.RELEASED, tenant="shop"))

    def note(self, people: Iterable[str]) -> None:
        """What keys and ciphertext these people have, before they are erased."""
        for user in people:
            self.key_ids[user] = keys_of(self.log.store, self.vault, user, "shop")
            self.wrapped[user] = wrapped_keys(self.vault, self.key_ids[user])
            with self.log.store.read() as reader:
                entries = [reader.vault.entry(one) for one in self.records[user]]
            blobs = [getattr(one, name) for one in entries if one for name in SEALED]
            self.sealed[user] = [blob for blob in blobs if blob]

    def forbidden(self, people: Iterable[str]) -> dict[str, list[bytes]]:
        """What must be nowhere once these people are erased."""
        some = list(people)
        ids = [one for user in some for one in self.key_ids[user]]
        found = self.secrets.of(some)
        found["data key"] = [self.secrets.keys[one] for one in ids]
        found["wrapped key"] = [one for user in some for one in self.wrapped[user]]
        found["ciphertext"] = [one for user in some for one in self.sealed[user]]
        return found

    def erase(
        self, people: Iterable[str], told: Callable[[int], None] | None = None
    ) -> list[Erased]:
        """Each by an erasure of their own."""
        done = []
        for number, user in enumerate(people, 1):
            reason = f"request-{number}"
            done.append(erase(self.log, Person(user, "shop"), who="dana", reason=reason))
            if told is not None:
                told(number)
        return done

    def export(self) -> None:
        """What auditors get, into the home."""
        folder = self.settings.home / "exports"
        folder.mkdir(exist_ok=True)
        for name, write in (("log.jsonl", export_jsonl), ("log.csv", export_csv)):
            with (folder / name).open("w", encoding="utf-8", newline="") as file:
                write(self.log, file)

    def readable(self, people: Iterable[str], threads: int = 16) -> int:
        """How many of these people's records are revealed as they were asked for."""

        def check(record_id: str) -> bool:
            shown = reveal(self.log, record_id, who="eve", reason="audit-1")
            same = (shown.prompt, shown.negative_prompt) == self.asked[record_id]
            return same and shown.user == _WHO[record_id]

        records = [one for user in people for one in self.records[user]]
        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(check, records))


_WHO: dict[str, str] = {}
"""Who asked for a record."""


@contextmanager
def salts_noted(secrets: Secrets) -> Iterator[None]:
    """Every salt that is made is noted; they are told apart when commitments are made."""
    made: list[Salts] = []

    def noted() -> Salts:
        salts = new_salts()
        made.append(salts)
        return salts

    apply = append.Start.apply

    def applied(start: append.Start, tree: append.Tree) -> object:
        made.clear()
        answer = apply(start, tree)
        secrets.salt(str(start.user), made[-1])
        return answer

    with patch.object(append, "new_salts", noted), patch.object(append.Start, "apply", applied):
        yield


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """Everything that anything logs, statements of the databases included, goes to a file."""
    handler = logging.FileHandler(path)
    root, engine = logging.getLogger(), logging.getLogger("sqlalchemy.engine")
    before = root.level, engine.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    engine.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before[0])
        engine.setLevel(before[1])
        handler.close()
