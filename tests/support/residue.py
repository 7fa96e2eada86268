"""Looking for what should be gone: every byte of every file, and every value of every table."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import ahocorasick_rs

from guard.audit.vault.vault import Vault
from guard.store.engine import Store
from guard.store.rows import Salts


@dataclass
class Secrets:
    """What was personal or secret about people, by person, gathered while it was written."""

    texts: dict[str, set[bytes]] = field(default_factory=dict)
    salts: dict[str, set[bytes]] = field(default_factory=dict)
    keys: dict[bytes, bytes] = field(default_factory=dict)

    def watch_keys(self, vault: Vault) -> None:
        """Take note of every data key that the vault makes."""
        add = vault.keys._add

        def noted(keys: list[tuple[bytes, bytes]]) -> None:
            self.keys.update(keys)
            add(keys)

        vault.keys._add = noted  # type: ignore[method-assign]

    def say(self, person: str, *texts: str) -> None:
        self.texts.setdefault(person, set()).update(text.encode() for text in texts)

    def salt(self, person: str, salts: Salts) -> None:
        self.salts.setdefault(person, set()).update((salts.prompt, salts.user))

    def of(self, people: Iterable[str]) -> dict[str, list[bytes]]:
        """What must not be found of these people."""
        some = list(people)
        return {
            "plaintext": [one for name in some for one in self.texts[name]],
            "salt": [one for name in some for one in self.salts[name]],
        }


def forms(secret: bytes) -> Iterator[bytes]:
    """The bytes themselves, in hex, and in base64 wherever they begin there."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + secret)
        # Without what the bytes before and after take part in.
        yield text[(4 * shift + 2) // 3 : len(text) // 4 * 4 - 4]


@dataclass(frozen=True)
class Residue:
    """Where something was found that should be gone."""

    what: str
    where: str
    count: int


def look(patterns: dict[str, list[bytes]], places: Iterable[tuple[str, bytes]]) -> list[Residue]:
    """Every pattern, in every form, in every place (name, bytes)."""
    kinds, needles = [], []
    for what, secrets in patterns.items():
        for secret in secrets:
            for one in forms(secret):
                kinds.append(what)
                needles.append(one)
    if not needles:
        raise ValueError("nothing to look for")
    machine = ahocorasick_rs.BytesAhoCorasick(needles)
    found: dict[tuple[str, str], int] = {}
    for where, data in places:
        for index, _, _ in machine.find_matches_as_indexes(data, overlapping=True):
            found[kinds[index], where] = found.get((kinds[index], where), 0) + 1
    return [Residue(what, where, count) for (what, where), count in sorted(found.items())]


def files(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below, by name."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield str(path.relative_to(folder)), path.read_bytes()


def tables(url: str) -> Iterator[tuple[str, bytes]]:
    """Every value of every table of a database, as bytes."""
    from sqlalchemy import MetaData, create_engine, select

    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    metadata = MetaData()
    with engine.connect() as connection:
        metadata.reflect(connection)
        for table in metadata.sorted_tables:
            rows = connection.execute(select(table)).fetchall()
            values = [bytes(v) if isinstance(v, bytes | memoryview) else str(v).encode()
                      for row in rows for v in row]  # fmt: skip
            yield table.name, b"\n".join(values)
    engine.dispose()


def wrapped_keys(vault: Vault, key_ids: Iterable[bytes]) -> list[bytes]:
    """Data keys as they lie in the key database."""
    return list(vault.keys.store.wrapped(list(key_ids))[1].values())


def keys_of(store: Store, vault: Vault, user: str, tenant: str | None) -> list[bytes]:
    """Ids of a person's keys."""
    with store.read() as reader:
        subject = vault.subject(reader.vault, user, tenant)
        return [] if subject is None else reader.vault.keys_of(subject)
