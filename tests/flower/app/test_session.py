# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
from pathlib import Path

import pytest

from fedlethe.document import construct
from fedlethe.errors import FedletheError, IntegrityError
from fedlethe.flower.app.session import Options, earlier_erased, known_nodes
from tests.flower.app.reading import newest
from tests.flower.apps import HOSPITALS, App


def test_names_are_read_with_or_without_spaces() -> None:
    assert Options(take_back=" a, b ,,c").returning == ("a", "b", "c")
    assert Options().returning == ()


@pytest.mark.parametrize("run", ["", "run", "./run"])
def test_a_run_folder_is_absolute_since_the_server_runs_anywhere(run: str) -> None:
    with pytest.raises(FedletheError, match="must be an absolute path on the server"):
        _ = Options(run=run).folder
    assert Options(run="/srv/run").folder == Path("/srv/run")


def test_an_option_that_is_not_known_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(FedletheError, match="did you mean 'erase'"):
        construct(Options, {"erace": "a"}, "run config")


def test_a_run_knows_what_its_nodes_hold_and_another_run_has_none(finished: App, in_process: Path) -> None:
    known = known_nodes(finished.run)
    assert sorted(known["fingerprints"]) == list(HOSPITALS)
    assert known["image_shape"] == [1, 16, 16]
    with pytest.raises(FedletheError, match="was not trained on Flower nodes; use: fedlethe erase"):
        known_nodes(in_process)


def test_who_was_erased_on_the_way_to_an_erasure_is_gone(finished: App) -> None:
    assert earlier_erased(finished.run, None) == frozenset()
    assert earlier_erased(finished.run, "0001") == {"hospital-1"}
    finished.call(mode="erase", erase="hospital-0", after="0001", options="repair.rounds=0")
    assert earlier_erased(finished.run, newest(finished.run)) == {"hospital-0", "hospital-1"}
    with pytest.raises(FedletheError, match="there is no erasure '0099'"):
        earlier_erased(finished.run, "0099")


def test_an_erasure_is_believed_as_it_was_entered_alone(finished: App) -> None:
    record = finished.run / "erasures/0001/erasure.json"
    entered = record.read_text()
    record.write_text(json.dumps({**json.loads(entered), "forget": ["hospital-2"]}))
    with pytest.raises(IntegrityError, match=r"erasure\.json: its bytes are not those that the ledger names"):
        earlier_erased(finished.run, "0001")
    record.write_text(entered)  # the other tests go on with this run
