# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fedlethe.data.holdings import Holding
from fedlethe.runs.cached_images import CacheCleared, CacheContent, Cached

ARRAY = Holding(
    path=Path("CACHE/0123456789.npy"),
    kind="images",
    source="table",
    shape=(1, 16, 16),
    made="2026-01-02T03:04:05Z",
    size=768,
    rows=("a.png", "", "b.png"),
)
UNKNOWN = Holding(path=Path("CACHE/ff.npy"), kind="images", source=None, shape=(), made=None, size=9, rows=None)


def test_the_content_counts_images_that_are_there_and_those_erased(
    printed: Callable[[Any], str], as_json: Callable[[Any], Any]
) -> None:
    content = CacheContent(Path("CACHE"), (Cached(ARRAY, {"north": 2}), Cached(UNKNOWN)))
    first, second = as_json(content)["entries"]
    assert (first["images"], first["erased"], first["bytes"]) == (2, 1, 768)
    assert first["clients"] == {"north": 2}
    assert second["images"] is None
    rows = [line for line in printed(content).splitlines() if "images" in line][1:]
    assert [cell.strip() for cell in rows[0].strip("│ ").split("│")] == [
        *("images", "table", "1 x 16 x 16", "2", "1", "768", "2026-01-02", "north 2", "01234567")
    ]
    assert [cell.strip() for cell in rows[1].strip("│ ").split("│")] == [
        *("images", "unknown", "-", "-", "0", "9", "-", "-", "ff.npy")
    ]


def test_what_was_cleared_and_what_was_not_reached_is_said(
    printed: Callable[[Any], str], as_json: Callable[[Any], Any]
) -> None:
    cleared = CacheCleared(Path("CACHE"), (Path("CACHE/a.npy"),), 3, ("a copy on a backup",))
    assert printed(cleared).splitlines() == [
        "removed from CACHE: 1 files",
        "CACHE/a.npy",
        "not reached: a copy on a backup",
    ]
    assert as_json(cleared) == {
        "folder": "CACHE",
        "removed": ["CACHE/a.npy"],
        "images": 3,
        "not_reached": ["a copy on a backup"],
    }
