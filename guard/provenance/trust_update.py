"""Trust lists of a home: fetched by a person's command, pinned by SHA-256, kept with their date.

Nothing here runs while a picture is looked at. A list is first *looked at* (:func:`offer`): what
it holds and what that changes. It is kept only by whoever names its SHA-256, so that a changed
server cannot change whom a home trusts. Earlier versions stay in ``trust/earlier``, unread.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from guard.errors import KeyInvalid, SettingsInvalid, Unavailable
from guard.provenance.certificates import common_name, fingerprint_of
from guard.provenance.private import locked, private_directory, write_private
from guard.provenance.trust import (
    CLOCKS_FOLDER,
    MOST_BYTES,
    OFFICIAL,
    OFFICIAL_CLOCKS,
    OFFICIAL_SIGNERS,
    anchors_of,
    note_of,
    read_note,
    shipped,
)

SECONDS = 30.0
"""A server that is slower than this is down."""

_UPSTREAM = "https://raw.githubusercontent.com/c2pa-org/conformance-public/main/trust-list/"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_EARLIER = "earlier"


@dataclass(frozen=True, slots=True)
class Offer:
    """A list as it was fetched, not kept yet.

    ``gained`` and ``lost``: common names of the certificates that keeping it would add and take
    away; ``expired``: of those that are past their time. ``known``: it is what is in force.
    """

    name: str
    clocks: bool
    source: str
    sha256: str
    data: bytes
    certificates: int
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    expired: tuple[str, ...]
    known: bool


def offer(home: Path, name: str, source: str | None, *, clocks: bool = False) -> Offer:
    """Fetch a list and say what it would change.

    ``source``: a URL, a file, or None for where it came from before. Raises SettingsInvalid for
    an impossible name or a list without a known source, Unavailable when the server does not
    answer, KeyInvalid for what is no list or not one of this kind.
    """
    path = place(home, name, clocks=clocks)
    source = source or known_source(home, name, clocks=clocks)
    data = fetch(source)
    _check_kind(new := _certificates(name, data), clocks=clocks)
    before = _before(path, name, clocks=clocks)
    old = _certificates(name, before) if before else {}
    now = datetime.now(UTC)
    return Offer(
        name=name,
        clocks=clocks,
        source=source,
        sha256=hashlib.sha256(data).hexdigest(),
        data=data,
        certificates=len(new),
        gained=_names(new, without=old),
        lost=_names(old, without=new),
        expired=tuple(
            common_name(one.subject) for one in new.values() if one.not_valid_after_utc < now
        ),
        known=data == before,
    )


def keep(home: Path, offered: Offer, sha256: str, *, of: date | None = None) -> Path:
    """Put an offered list in force; ``of``: its date (default: today).

    Raises KeyInvalid when it is not the list that ``sha256`` names, OutputUnwritable.
    """
    if sha256.lower().removeprefix("sha256:") != offered.sha256:
        raise KeyInvalid(
            f"The list at {offered.source} has another SHA-256 than the one given: "
            f"{offered.sha256}.",
            hint="Compare it with what its publisher says, and look at the list before you "
            "accept it.",
        )
    path = place(home, offered.name, clocks=offered.clocks)
    private_directory(home)
    private_directory(home / "trust")
    folder = private_directory(path.parent)
    today = datetime.now(UTC).date()
    note = {
        "source": offered.source,
        "sha256": offered.sha256,
        "date": (of or today).isoformat(),
        "added": today.isoformat(),
    }
    with locked(folder):
        _set_aside(path)
        # The note first: a list without its note would be trusted unpinned.
        write_private(note_of(path), json.dumps(note, indent=1).encode(), replace=True)
        write_private(path, offered.data, replace=True)
    return path


def remove(home: Path, name: str, *, clocks: bool = False) -> Path:
    """Set a list aside; an official one that ships takes its place again. Raises KeyInvalid."""
    path = place(home, name, clocks=clocks)
    if not path.exists():
        raise KeyInvalid(
            f"There is no trust list {name!r} in {path.parent}.",
            hint="See them with `guard trust list`.",
        )
    with locked(path.parent):
        _set_aside(path)
        path.unlink()
        note_of(path).unlink(missing_ok=True)
    return path


def place(home: Path, name: str, *, clocks: bool) -> Path:
    """Where a list of that name lies. Raises SettingsInvalid for an impossible name."""
    if not _NAME.fullmatch(name):
        raise SettingsInvalid(
            f"A trust list cannot be called {name!r}.",
            hint="Use lower-case letters, digits, dots and hyphens.",
        )
    folder = home / "trust" / CLOCKS_FOLDER if clocks else home / "trust"
    return folder / f"{name}.pem"


def known_source(home: Path, name: str, *, clocks: bool) -> str:
    """Where a list came from. Raises SettingsInvalid when nobody noted it."""
    noted = read_note(place(home, name, clocks=clocks)).get("source")
    if noted:
        return str(noted)
    if name == OFFICIAL:
        official = OFFICIAL_CLOCKS if clocks else OFFICIAL_SIGNERS
        return _UPSTREAM + official.source
    raise SettingsInvalid(
        f"Nobody noted where the trust list {name!r} came from.",
        hint="Say it with --from.",
    )


def fetch(source: str) -> bytes:
    """The bytes at a URL or in a file, bounded. Raises Unavailable, KeyInvalid, SettingsInvalid."""
    if source.lower().startswith(("http://", "https://")):
        return _download(source)
    path = Path(source).expanduser()
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise KeyInvalid(
            f"The trust list {path} cannot be read: {error.strerror}.", hint="Check its name."
        ) from error
    return _bounded(data, source)


def _download(url: str) -> bytes:
    import httpx

    data, host = b"", _host(url)
    try:
        with httpx.stream("GET", url, timeout=SECONDS, follow_redirects=True) as answer:
            answer.raise_for_status()
            for part in answer.iter_bytes():
                data += part
                if len(data) > MOST_BYTES:
                    break
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(
            f"The trust list cannot be fetched from {host}: {error or type(error).__name__}.",
            hint="Nothing was changed; the lists that are here stay in force. On a machine "
            "without a network, fetch the file elsewhere and name it with --from FILE.",
        ) from error
    return _bounded(data, url)


def _host(url: str) -> str:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if not host:
        raise SettingsInvalid(f"{url!r} is no web address.", hint="Correct it, or name a file.")
    return host


def _bounded(data: bytes, source: str) -> bytes:
    if len(data) > MOST_BYTES:
        raise KeyInvalid(
            f"{source} is no trust list: it has more than {MOST_BYTES:,} bytes.",
            hint="Name a PEM file of certificates.",
        )
    return data


def _certificates(name: str, data: bytes) -> dict[str, x509.Certificate]:
    """The certificates of a list by fingerprint. Raises KeyInvalid."""
    read = anchors_of(f"The trust list {name!r}", data, date="", uri="")
    return {fingerprint_of(one): one for one in read.certificates}


def _check_kind(found: dict[str, x509.Certificate], *, clocks: bool) -> None:
    """Refuse what is for time-stamps alone among signers: the library would trust it."""
    for one in found.values():
        try:
            usages = one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except (x509.ExtensionNotFound, ValueError):
            continue
        if not clocks and list(usages) == [ExtendedKeyUsageOID.TIME_STAMPING]:
            raise KeyInvalid(
                f"{common_name(one.subject)} is for time-stamps alone: it may not say whose "
                "signatures are trusted.",
                hint="Add the list with --timestamps.",
            )


def _before(path: Path, name: str, *, clocks: bool) -> bytes:
    """The list that is in force under that name; empty where there is none."""
    if path.exists():
        return fetch(str(path))
    if name == OFFICIAL:
        return shipped(OFFICIAL_CLOCKS if clocks else OFFICIAL_SIGNERS)
    return b""


def _names(
    found: dict[str, x509.Certificate], *, without: dict[str, x509.Certificate]
) -> tuple[str, ...]:
    return tuple(common_name(one.subject) for digest, one in found.items() if digest not in without)


def _set_aside(path: Path) -> None:
    """Keep the version that was in force, named by its date and content."""
    if not path.exists():
        return
    data = path.read_bytes()
    dated = str(read_note(path).get("date") or "undated")
    digest = hashlib.sha256(data).hexdigest()[:8]
    folder = private_directory(path.parent / _EARLIER)
    write_private(folder / f"{path.stem}-{dated}-{digest}.pem", data)
