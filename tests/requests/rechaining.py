# SPDX-License-Identifier: MIT
"""An attacker who can write the run folder: the whole ledger made anew, every hash valid, the head beside it too."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from fedlethe.history.chain import BEFORE_ALL, canonical, row_hash


def rechained(
    run: Path, change: Callable[[str, dict[str, Any]], None], *more: tuple[str, str], at: str | None = None
) -> int:
    """Make a run's ledger anew.

    Args:
        run: The run folder.
        change: Is given the kind and the body of each row, and may change the body.
        more: Kind and body, as text, of rows that are put after them.
        at: When those were written; with the last row if None.

    Returns:
        The number of the last row.
    """
    with closing(sqlite3.connect(run / "ledger.db")) as database:
        guards = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid"
        ).fetchall()
        (version,) = database.execute("PRAGMA schema_version").fetchone()
        for name, _ in guards:
            database.execute(f"DROP TRIGGER {name}")
        rows = database.execute("SELECT seq, at, kind, body FROM events ORDER BY seq").fetchall()
        previous = BEFORE_ALL
        for seq, when, kind, text in rows:
            body = json.loads(text)
            change(kind, body)
            text = canonical(body)
            previous = row_hash(previous, seq, when, kind, text)
            database.execute("UPDATE events SET body = ?, hash = ? WHERE seq = ?", (text, previous, seq))
        for kind, text in more:
            seq, when = seq + 1, when if at is None else at
            previous = row_hash(previous, seq, when, kind, text)
            database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?)", (seq, when, kind, text, previous))
        for _, statement in guards:
            database.execute(statement)
        database.execute(f"PRAGMA schema_version = {version}")
        database.commit()
    (run / "ledger.head").write_text(f"{seq} {previous}\n")
    return int(seq)
