# SPDX-License-Identifier: MIT
"""A run folder is opened with the data and the model that it was trained with, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fedlethe.config import resolve
from fedlethe.errors import ConfigError, HistoryError
from fedlethe.runs import opening
from fedlethe.runs.opening import Given, opened_run
from fedlethe.runs.preparing import prepare
from tests.runs.small import HOSPITALS, NETWORK


def test_it_holds_the_folder_the_data_and_the_network(network: Path) -> None:
    with opened_run(network) as run:
        assert run.path == network
        assert tuple(run.data.clients) == run.history.clients == HOSPITALS
        assert run.earlier == ()
        assert run.layout.size == len(run.history.final())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"data": {**NETWORK["data"], "images_per_hospital": 30}}, "are not those it was trained on"),
        ({"model": {"name": "small-cnn", "norm": "batch"}}, "holds a run of another model"),
    ],
)
def test_other_data_and_other_models_are_refused(
    network: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(opening, "prepare", lambda config, erased: prepare(resolve({**NETWORK, **other}), erased))
    with pytest.raises(HistoryError, match=message), opened_run(network):
        pass


@pytest.mark.parametrize(("what", "name"), [("model", "small-cnn"), ("source", "phantom")])
def test_what_has_a_name_is_not_replaced_by_what_is_given(what: str, name: str) -> None:
    given = Given(**{what: object()})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=f"the run knows it by its name, '{name}'; leave it out"):
        given.put_into(resolve(NETWORK))
    assert Given().put_into(resolve(NETWORK)) == resolve(NETWORK)
