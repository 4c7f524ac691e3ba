# SPDX-License-Identifier: MIT
"""What files hold, by SHA-256: a file that has not changed since last time is not read again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedlethe.data.cache import cache_place, digest, write_private
from fedlethe.data.holdings import NAMES
from fedlethe.data.reading import EVERYTHING, Reading
from fedlethe.data.unreadable import reason_of
from fedlethe.errors import DataError
from fedlethe.files import sha256_of
from fedlethe.progress import track

SETTLED_NS = 2_000_000_000
"""A file younger than this is hashed again next time: a second change could leave its time stamp as it is."""


def content_hashes(root: Path, names: Sequence[str], reading: Reading = EVERYTHING) -> list[str]:
    """SHA-256 of the content of each file, in hexadecimal.

    A file whose size and time of change are those of last time is not read again: the hashes are kept in the cache
    folder, one JSON file for each `root`, unless files are only named.

    Raises:
        FedletheError: A file cannot be read, or the cache folder cannot be written.
    """
    found = files_hashed(root, names)
    if not reading.only_named:
        found.keep(set(names))
    return found.of(names)


@dataclass(frozen=True, slots=True)
class Hashed:
    """Files' hashes: those that were known, and what was found now; each is size, time of change and SHA-256."""

    place: Path
    known: dict[str, list[Any]]
    entries: dict[str, list[Any]]
    now: int

    def of(self, names: Sequence[str]) -> list[str]:
        """SHA-256 of each."""
        return [self.entries[name][2] for name in names]

    def keep(self, names: set[str]) -> None:
        """Write down those of these names for next time; the others that were asked for are struck off."""
        settled = {name: entry for name, entry in self.entries.items() if self.now - entry[1] > SETTLED_NS}
        dropped = self.entries.keys() - names
        # Names of other calls stay: the table of one hospital and that of another can lie in one folder.
        kept = {name: entry for name, entry in {**self.known, **settled}.items() if name not in dropped}
        if kept != self.known:
            write_private(self.place, json.dumps(kept, separators=(",", ":")).encode())


def files_hashed(root: Path, names: Sequence[str]) -> Hashed:
    """The hashes of files, those that have changed read again; `Hashed.keep` writes them down for next time.

    Raises:
        FedletheError: A file cannot be read, or the cache folder cannot be made.
    """
    place = cache_place(NAMES, f"{digest(str(root.resolve()))[:40]}.json")
    known, now = _known_hashes(place), time.time_ns()
    with ThreadPoolExecutor(workers()) as pool:
        hashed = pool.map(lambda name: _hashed(root / name, known.get(name)), names)
        entries = dict(zip(names, track(hashed, len(names), "reading files"), strict=True))
    return Hashed(place, known, entries, now)


def workers() -> int:
    """How many threads read or decode at once."""
    return min(8, max(2, os.cpu_count() or 2))


def _known_hashes(path: Path) -> dict[str, list[Any]]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or damaged: the files are read again, which costs time alone
        return {}
    return known if isinstance(known, dict) else {}


def _hashed(path: Path, known: Any) -> list[Any]:
    try:
        stat = path.stat()
        if isinstance(known, list) and len(known) == 3 and known[:2] == [stat.st_size, stat.st_mtime_ns]:
            return known
        return [stat.st_size, stat.st_mtime_ns, sha256_of(path)]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({reason_of(error)}); check the path and its rights") from error
