# SPDX-License-Identifier: MIT
"""Where a training begins: as its folder says, or as it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedlethe.config import resolve
from fedlethe.errors import HistoryError
from fedlethe.runs.beginning import Beginning
from fedlethe.runs.where_to_begin import beginning, held_beginning, relative_to
from tests.runs.small import NETWORK


def test_a_fresh_model_leaves_nobody_out(tmp_path: Path) -> None:
    assert beginning(resolve(NETWORK), tmp_path / "run", None) == Beginning()
    with pytest.raises(HistoryError, match="take_back a: a fresh model left nobody out"):
        beginning(resolve(NETWORK), tmp_path / "run", None, ["a"])


def test_a_folder_that_is_there_has_the_word(network: Path, tmp_path: Path) -> None:
    assert held_beginning(tmp_path, None, ()) is None
    assert beginning(resolve(NETWORK), network, None) == Beginning()
    for after, back, flag in ((network / "erasures/0001", (), "after"), (None, ("hospital-1",), "take_back")):
        with pytest.raises(HistoryError, match=f"it began with {flag}"):
            held_beginning(network, after, back)


def test_both_folders_can_be_moved_together(tmp_path: Path) -> None:
    assert relative_to(tmp_path / "b", tmp_path / "a/erasures/0001") == "../a/erasures/0001"
    assert relative_to(tmp_path / "b", None) is None
