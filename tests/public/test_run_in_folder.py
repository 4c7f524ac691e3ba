# SPDX-License-Identifier: MIT
"""A run in its folder is opened for one thing at a time, with what was handed over for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import fedlethe
from fedlethe.errors import ConfigError, DataError
from tests.public.own import network


def test_it_says_where_it_is_and_how_it_was_trained(clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    assert run.path == tmp_path / "run"
    assert repr(run) == f"Run({str(tmp_path / 'run')!r})"
    assert run.trained is not None
    assert run.trained.rounds == 1
    opened = fedlethe.open_run(str(tmp_path / "run"), network(), clients)
    assert (opened.path, opened.trained) == (tmp_path / "run", None)


def test_two_of_one_folder_take_turns(clients: dict[str, Any], tmp_path: Path) -> None:
    """Each lets go of the folder once it has done one thing, also where that failed."""
    one = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    other = fedlethe.open_run(tmp_path / "run", network(), clients)
    assert one.erase("west", method="retrain").id == "0001"
    with pytest.raises(ConfigError):
        other.erase("east", method="nosuch")
    assert other.erase("east", method="retrain").id == "0002"
    assert [held.forget for held in one.erasures()] == [held.forget for held in other.erasures()]


def test_what_was_handed_over_is_at_hand_each_time(clients: dict[str, Any], tmp_path: Path) -> None:
    fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    whole, bare = fedlethe.open_run(tmp_path / "run", network(), clients), fedlethe.open_run(tmp_path / "run")
    assert whole.evaluate().evaluation == whole.evaluate().evaluation
    for _ in range(2):
        with pytest.raises(DataError, match="handed over from Python"):
            bare.evaluate()
    assert bare.clients == whole.clients
