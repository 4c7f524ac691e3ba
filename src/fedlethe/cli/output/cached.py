# SPDX-License-Identifier: MIT
"""What the commands about the cache have found, on stdout; see `show`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.table import Column, Table

from fedlethe.cli.output.show import lines_of, object_of
from fedlethe.results import CacheCleared, CacheContent, Cached


@object_of.register
def _(result: CacheContent) -> dict[str, Any]:
    return {"folder": result.folder, "entries": [_entry(entry) for entry in result.entries]}


def _entry(entry: Cached) -> dict[str, Any]:
    held = entry.held
    return {
        "path": held.path,
        "kind": held.kind,
        "source": held.source,
        "shape": list(held.shape),
        "images": None if held.rows is None else len(held.rows) - held.blank,
        "erased": held.blank,
        "bytes": held.size,
        "made": held.made,
        "clients": dict(entry.clients),
    }


@object_of.register
def _(result: CacheCleared) -> dict[str, Any]:
    return {
        "folder": result.folder,
        "removed": [str(path) for path in result.removed],
        "images": result.images,
        "not_reached": list(result.not_reached),
    }


@lines_of.register
def _(result: CacheContent) -> Iterable[Table | str]:
    names = ("kind", "source", "size", "images", "erased", "bytes", "made", "clients", "file")
    table = Table(*(Column(name, overflow="fold") for name in names), title=str(result.folder))
    for entry in result.entries:
        held, facts = entry.held, _entry(entry)
        # Clients and how many of their images, never names of files: the list is no second copy of the data.
        counts = ", ".join(f"{client} {count}" for client, count in entry.clients.items())
        size = " x ".join(map(str, held.shape)) or "-"
        images = "-" if held.rows is None else str(facts["images"])
        row = (
            held.kind,
            held.source or "unknown",
            size,
            images,
            str(held.blank),
            str(held.size),
            (held.made or "-")[:10],
        )
        table.add_row(*(*row, counts or "-", held.path.name[:8]))
    yield table


@lines_of.register
def _(result: CacheCleared) -> Iterable[Table | str]:
    yield f"removed from {result.folder}: {len(result.removed)} files"
    yield from (f"  {path}" for path in result.removed)
    yield from (f"not reached: {words}" for words in result.not_reached)
