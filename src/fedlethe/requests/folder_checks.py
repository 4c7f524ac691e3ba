# SPDX-License-Identifier: MIT
"""What is amiss in a run folder: files and keys that are not as they were entered, and those that nobody entered."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from fedlethe.errors import FedletheError, IntegrityError
from fedlethe.files import sha256_of
from fedlethe.history import checkpoint
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import Artefact
from fedlethe.history.keyring import LOST, Keyring
from fedlethe.history.paths import CERTIFICATES, kind_of
from fedlethe.history.sealing import is_sealed, key_id
from fedlethe.requests import signing
from fedlethe.types import ClientId

OWN = ("ledger.db", "ledger.head", "ledger.db-shm", "ledger.db-wal", ".lock")
"""What lies in a run folder and is not entered in its ledger: the ledger itself, and the lock."""

_LOG = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
"""How SQLite's write-ahead log begins (https://www.sqlite.org/fileformat.html#the_write_ahead_log)."""

_PAGE = re.compile(r"report/([0-9]{4}/)?(index\.html|[a-z][A-Za-z0-9._-]*\.(png|svg|csv))")
_FIRST = {".png": b"\x89PNG\r\n\x1a\n", ".svg": b"<?xml", ".html": b"<!"}


def entries(folder: Path) -> Iterator[Path]:
    """Everything below a folder that is no folder: files, links (which are not followed), and special files."""
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink():
            yield from entries(entry)
        else:
            yield entry


def strays(history: RunFolder) -> Iterator[str]:
    """Each entry of a run folder, keys and pages apart, that the ledger does not name, in words."""
    known, keys = history.ledger.artefacts(), _key_folders(history)
    for path in entries(history.path):
        name = path.relative_to(history.path).as_posix()
        if not keys.isdisjoint(parent.resolve() for parent in path.parents):
            continue  # `stray_keys` looks there
        if path.is_symlink():
            yield f"{path}: is a link, which fedlethe does not make"
        elif not path.is_file():
            yield f"{path}: is no plain file"
        elif name not in known and not _is_own(name, path) and not _is_page(name, path):
            yield f"{path}: is there, though the ledger does not name it"


def pages(history: RunFolder) -> list[str]:
    """The names of what looks, by name and first bytes, like the pages and pictures of `report`."""
    known = history.ledger.artefacts()
    names = [path.relative_to(history.path).as_posix() for path in entries(history.path / "report")]
    return [name for name in names if name not in known and _PAGE.fullmatch(name)]


def _key_folders(history: RunFolder) -> set[Path]:
    return {place.folder.resolve() for place in history.store.keys.places}


def stray_keys(history: RunFolder) -> Iterator[str]:
    """Each file among the keys, in whichever of the folders that hold some, that is none of them, in words."""
    keys, folders = history.store.keys, _key_folders(history)
    made = {event.body["client"] for event in history.ledger.events("key")}
    expected = {f"{client}.{id}.key" for client in made for id in keys.living(client)}
    gone = {f"{client}.{id}.key" for client, ids in keys.destroyed().items() for id in ids}
    for path in (path for place in keys.places for path in entries(place.folder)):
        if path.is_symlink():
            yield f"{path}: is a link, which fedlethe does not make"
        elif not path.is_file():
            yield f"{path}: is no plain file"
        elif path.name in gone:
            yield f"{path}: is there, though the ledger says that it was destroyed"
        elif path.parent.resolve() not in folders or path.name not in expected:
            yield f"{path}: is there, though the ledger knows no such key"


def key_problems(history: RunFolder) -> Iterator[str]:
    """Each key that is not there, cannot be read, has a copy, or does not open what it sealed, in words."""
    keys = history.store.keys
    for client in sorted({event.body["client"] for event in history.ledger.events("key")}):
        for id in keys.living(client):
            if (problem := _problem(keys, client, id)) is not None:
                yield problem
    yield from _unopened(history)


def _problem(keys: Keyring, client: ClientId, id: str) -> str | None:
    try:
        holder = keys.holder(client, id)
        holder.read(client, id)
        return holder.copied(client, id)
    except FedletheError as error:
        return str(error)


def _unopened(history: RunFolder) -> Iterator[str]:
    """Sealed files that the key of their client does not open; a missing or changed file is named elsewhere."""
    lost = {id for ids in history.store.keys.confirmed(LOST).values() for id in ids}
    for artefact in history.ledger.artefacts().values():
        path = history.path / artefact.path
        as_entered = is_sealed(artefact.path) and path.is_file() and sha256_of(path) == artefact.sha256
        if as_entered and (problem := _not_opened(history.store.keys, artefact, path, lost)) is not None:
            yield problem


def _not_opened(keys: Keyring, artefact: Artefact, path: Path, lost: Collection[str]) -> str | None:
    try:
        if key_id(checkpoint.read(path), path) in lost:
            return None
    except FedletheError as error:
        return str(error)
    try:
        seal = keys.opens(artefact)
    except FedletheError as error:  # of the key, so it does not name the file
        return f"{path}: cannot be opened: {error}"
    try:
        checkpoint.read(path, seal=seal)
    except FedletheError as error:
        return str(error)
    return None


def foreign_heads(history: RunFolder) -> Iterator[str]:
    """Each certificate in the run that holds a head that is not in the ledger, or cannot be read, in words."""
    for artefact in history.ledger.artefacts().values():
        if kind_of(artefact) in CERTIFICATES:
            path = history.path / artefact.path
            try:
                head = json.loads(signing.unchecked(path.read_bytes(), path))["predicate"]["ledger"]
                if history.ledger.hash_of(head["seq"]) != head["hash"]:
                    yield f"{path}: holds a head that is not in the ledger"
            except (OSError, ValueError, KeyError, TypeError, FedletheError):
                yield f"{path}: cannot be read as a certificate"


def demand_sound(history: RunFolder) -> None:
    """Refuse to sign over a run folder in which something is not as it was entered.

    Held against each other are the rows (when they were read), the ledger's file, every file, every key with what it
    sealed, and the heads in the certificates that were signed before: a ledger that was made anew since has others.

    Raises:
        FedletheError: The first thing that is amiss.
    """
    for problems in (history.ledger.damage(), history.store.problems(), key_problems(history), foreign_heads(history)):
        if problem := next(iter(problems), None):
            raise IntegrityError(f"{problem}; nothing is signed or purged. Restore it from a backup")


def _is_own(name: str, path: Path) -> bool:
    """Whether a file is one of OWN, by its name and, where nothing else is held against it, by how it begins."""
    if name == ".lock":
        return re.fullmatch(rb"[0-9]{0,20}", path.read_bytes()[:21]) is not None
    if name == "ledger.db-wal":
        return path.stat().st_size == 0 or path.read_bytes()[:4] in _LOG
    return name in OWN


def _is_page(name: str, path: Path) -> bool:
    """Whether a file is, by its name and how it begins, one that `report` makes."""
    if not _PAGE.fullmatch(name):
        return False
    if path.suffix != ".csv":
        with path.open("rb") as file:
            return file.read(8).startswith(_FIRST[path.suffix])
    return b"\0" not in path.read_bytes()
