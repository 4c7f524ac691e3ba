# SPDX-License-Identifier: MIT
"""One byte of a finished run, wherever it lies: `ledger verify` finds it changed, or names its file as unknown.

What is left over are bytes of the ledger's file that SQLite does not use. Which those are is worked out here from the
file format (https://www.sqlite.org/fileformat.html), not from what was found.
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fedlethe.erasing.plan import ErasurePlan
from fedlethe.errors import FedletheError
from fedlethe.pages.report import report
from fedlethe.requests.verify import verify_ledger
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import opened_folder
from tests.requests.acting import RECOMMENDED, document, erased, trained

FLIPS = int(os.environ.get("FEDLETHE_FLIPS", "500"))
"""How many bytes are flipped (`make bench` has more)."""

OF_LEDGER = 0.3
"""The share of the flips that go to the ledger's file, which holds what all others are held against."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with what there can be: two erasures, requested and purged, one of them masked, and a page."""
    run = trained(tmp_path_factory.mktemp("flipped") / "run", document(rounds=2))
    erased(run, "hospital-1", plan=RECOMMENDED)
    erased(
        run, "hospital-2", plan=ErasurePlan(method="retrain", options={}, mask={"sigma": 0.01}, repair={"rounds": 1})
    )
    with opened_run(run) as opened:
        report(opened)
    return run


def _complaints(run: Path) -> set[str]:
    """What `ledger verify` finds wrong, in words."""
    try:
        return {check.words for check in verify_ledger(run).checks if check.result != "ok"}
    except FedletheError as error:
        return {str(error)}


# Bytes that SQLite does not use


def unused(database: bytes) -> set[int]:
    """The bytes of a database that hold nothing: gaps and free blocks in pages, ends of overflow pages, free pages.

    And what SQLite writes and never reads: the version that wrote last (four bytes of the header), and in each row the
    type of the column that is the row's number itself.
    """
    size = int.from_bytes(database[16:18], "big")
    found, used = set(range(96, 100)), set[int]()
    waiting = [1, 2]  # the schema's page, and that from which the one table grows
    while waiting:
        number = waiting.pop()
        used.add(number)
        start, head = (number - 1) * size, (number - 1) * size + (100 if number == 1 else 0)
        leaf = database[head] == 13
        count = _number(database, head + 3, 2)
        pointers = head + (8 if leaf else 12)
        cells = [start + _number(database, pointers + 2 * cell, 2) for cell in range(count)]
        found |= set(range(pointers + 2 * count, start + (_number(database, head + 5, 2) or 65536)))
        found |= _free_blocks(database, start, head)
        if not leaf:
            waiting += [_number(database, cell, 4) for cell in cells] + [_number(database, head + 8, 4)]
            continue
        for cell in cells:
            header, following, left = _payload(database, cell, size)
            if number != 1:
                found.add(_varint(database, header)[1])  # the number's type, the first in the row's own header
            while following:
                used.add(following)
                place, left = (following - 1) * size, left - (size - 4)
                found |= set(range(place + size + left, place + size)) if left < 0 else set()
                following = _number(database, place, 4)
    free = set(range(1, len(database) // size + 1)) - used
    return found | {byte for number in free for byte in range((number - 1) * size, number * size)}


def _number(database: bytes, place: int, length: int) -> int:
    return int.from_bytes(database[place : place + length], "big")


def _varint(database: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value = 0
    for end in range(place, place + 9):
        value = value << 7 | database[end] & 127
        if database[end] < 128:
            return value, end + 1
    raise AssertionError("no number is longer here")


def _payload(database: bytes, cell: int, size: int) -> tuple[int, int, int]:
    """Where a row's content begins, the first page of what has no room beside it (0 for none), and how long that is."""
    length, place = _varint(database, cell)
    _, place = _varint(database, place)
    most, least = size - 35, (size - 12) * 32 // 255 - 23
    if length <= most:
        return place, 0, 0
    local = least + (length - least) % (size - 4)
    local = local if local <= most else least
    return place, _number(database, place + local, 4), length - local


def _free_blocks(database: bytes, start: int, head: int) -> set[int]:
    found, block = set[int](), _number(database, head + 1, 2)
    while block:
        found |= set(range(start + block + 4, start + block + _number(database, start + block + 2, 2)))
        block = _number(database, start + block, 2)
    return found


# Flips


def places(run: Path, files: list[Path], draw: random.Random) -> Iterator[tuple[Path, int]]:
    """Every file at least once, the ledger's as often as OF_LEDGER says, the others evenly, however small they are."""
    of_ledger = [path for path in files if path == run / "ledger.db"] * round(FLIPS * OF_LEDGER)
    chosen = [*files, *of_ledger]
    chosen += draw.choices(files, k=max(0, FLIPS // 2 - len(chosen)))
    for path in chosen:
        yield path, draw.randrange(path.stat().st_size)


def _missed(run: Path, files: list[Path], counts: Counter[str]) -> list[str]:
    """The flips that nothing shows, in words; what became of the others is counted."""
    draw, before, missed = random.Random(13), _complaints(run), []
    nothing = unused((run / "ledger.db").read_bytes())
    for path, place in places(run, files, draw):
        whole, flip = path.read_bytes(), draw.randrange(1, 256)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
        found = _complaints(run) - before
        path.write_bytes(whole)
        name = path.relative_to(run).as_posix()
        if found:
            counts["found"] += 1
        elif any(name in words for words in before):
            counts["in a file that is named as unknown"] += 1
        elif name == "ledger.db" and place in nothing:
            counts["in bytes that SQLite does not use"] += 1
        else:
            missed.append(f"{name}, byte {place} of {len(whole)}: {whole[place]} to {whole[place] ^ flip}")
    assert _complaints(run) == before
    return missed


def _files(run: Path, named: bool) -> list[Path]:
    """The files that are the ledger's, or are named in it; or all others."""
    with opened_folder(run) as (_, history):
        known = {run / name for name in (*history.ledger.artefacts(), "ledger.db", "ledger.head")}
    return sorted(
        path for path in run.rglob("*") if path.is_file() and path.stat().st_size and (path in known) == named
    )


@pytest.mark.parametrize(
    "named",
    [
        pytest.param(True, id="the ledger and what it names"),
        pytest.param(False, id="keys, pages, secrets"),
    ],
)
def test_any_byte_of_any_file_of_a_finished_run(named: bool, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = Counter[str]()
    missed = _missed(run, _files(run, named), counts)
    with capsys.disabled():
        told = ", ".join(f"{number} {what}" for what, number in sorted(counts.items()))
        print(f" {sum(counts.values()) + len(missed)} flipped bytes: {told}", end=" ")
    assert missed == [], "\n".join(missed)
    if named:
        assert counts["found"] > 0.8 * sum(counts.values())  # little of the ledger's file is empty


def test_what_sqlite_does_not_use_is_little_of_what_is_written(run: Path) -> None:
    """The oracle is no excuse: no byte of any row's text is one that is said to hold nothing."""
    database = (run / "ledger.db").read_bytes()
    nothing = unused(database)
    with closing(sqlite3.connect(f"{(run / 'ledger.db').as_uri()}?mode=ro", uri=True)) as opened:
        rows = [row[0].encode() for row in opened.execute("SELECT at || kind || body || hash FROM events")]
        (left,) = opened.execute("SELECT count(*) FROM pragma_freelist_count WHERE freelist_count").fetchone()
    assert left == 0
    stored = [row for row in rows if database.count(row) == 1]  # the longest go on in overflow pages
    assert len(stored) > 0.8 * len(rows)
    for row in stored:
        start = database.index(row)
        assert not nothing & set(range(start, start + len(row)))
