# SPDX-License-Identifier: MIT
"""The values of studies of a run (a sweep, a trace, a frontier): report/NAME.json, each entered in the ledger."""

from __future__ import annotations

from pathlib import Path

from fedlethe import files
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import REPLACED, removals
from fedlethe.history.store import JSON, SHOWN


def enter_study(history: RunFolder, name: str, content: str) -> None:
    """Write a study's values to report/NAME.json and enter them, in the place of those that were there before."""
    path = _place(name)
    with history.locked():
        # Out of the ledger before it is written over: a crash in between leaves a file that nobody vouches for, and
        # not one whose bytes are other than the ledger says.
        if path in history.ledger.artefacts():
            history.ledger.append(removals([path], REPLACED))
        files.write_text(history.path / path, content)
        history.ledger.add_artefacts([history.store.artefact("study", path)])


def study_content(history: RunFolder, name: str) -> bytes | None:
    """What `enter_study` entered under a name, held against the ledger; None where nothing was."""
    held = history.ledger.artefacts().get(_place(name))
    return None if held is None else history.store.content(held)


def study_names(history: RunFolder) -> tuple[str, ...]:
    """The names of the studies that are entered, sorted."""
    known = history.ledger.artefacts().values()
    return tuple(Path(one.path).stem for one in known if one.kind == "study")


def _place(name: str) -> str:
    return f"{SHOWN}/{name}{JSON}"
