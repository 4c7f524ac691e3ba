# SPDX-License-Identifier: MIT
"""What the server does as its run config says, on nodes that are called in this process."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fedlethe.errors import FedletheError
from fedlethe.pages.report import report
from fedlethe.requests import superlink_state
from fedlethe.requests.request import open_request
from fedlethe.requests.signing import new_signing_key
from fedlethe.runs.inspection import history_overview
from fedlethe.runs.opening import opened_run
from tests.flower.app.reading import erased, final, stages
from tests.flower.apps import App


def test_training_and_erasing_give_the_bytes_that_one_process_gives(finished: App, in_process: Path) -> None:
    assert final(finished.run) == final(in_process)
    assert erased(finished.run) == erased(in_process) != final(in_process)


def test_evaluations_agree_with_those_of_one_process(finished: App, in_process: Path) -> None:
    for run, other in zip(*(stages(run) for run in (finished.run, in_process)), strict=True):
        for client in ("hospital-0", "hospital-2"):
            here, there = (dict(one["evaluation"]["clients"][client]) for one in (run, other))
            assert here.pop("confusion") == there.pop("confusion")
            assert here.pop("auc_interval") == pytest.approx(there.pop("auc_interval"))
            assert here.pop("calibration") is None  # of few images it would tell single answers
            assert there.pop("calibration") is not None
            assert here == pytest.approx(there)
        assert set(run["evaluation"]["clients"]) == {"hospital-0", "hospital-2"}  # hospital-1 is not even asked
        right = [round(one["accuracy"] * one["num_examples"]) for one in run["evaluation"]["clients"].values()]
        assert run["evaluation"]["overall"]["accuracy"] == pytest.approx(sum(right) / 16)


def test_what_a_user_can_put_right_is_said_in_one_line(
    finished: App, app: App, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"mode": "evict"}, "no mode 'evict'"),
        ({"run": "run"}, "must be an absolute path"),
        ({"mode": "erase"}, "erase names nobody"),
        ({"mode": "erase", "erase": "hospital-1", "key": "/srv/erasure.key"}, "belong to a request"),
        ({"mode": "erase", "erase": "hospital-1", "request": "R0001"}, "leave erase away"),
        ({"mode": "erase", "request": "R0009"}, "there is no request 'R0009'"),
        ({"mode": "erase", "erase": "hospital-9"}, "client 'hospital-9' is not in this federation"),
        ({"mode": "erase", "erase": "hospital-1", "method": "magic"}, "no method 'magic'"),
        ({"mode": "erase", "erase": "hospital-1", "options": "depth=3"}, "no option 'depth'"),
        ({"mode": "erase", "erase": "hospital-1", "options": "masks.sigma=3"}, "'masks.sigma'"),
        ({"mode": "erase", "erase": "hospital-1", "after": "0099"}, "there is no erasure '0099'"),
        ({"mode": "erase", "erase": "hospital-1"}, "erased already in this way"),
        ({}, "is trained already (2 rounds)"),
        ({"on-absence": "shrug"}, "on_absence"),
        ({"clients": 4, "timeout": 0.2, "run": str(tmp_path / "new")}, "3 of 4 clients are connected"),
    ]
    for options, message in cases:
        assert message in finished.refused(caplog, **options), options


def test_commands_without_nodes_do_what_they_can_and_say_where_the_images_are(finished: App) -> None:
    overview = history_overview(finished.run, check=True, rebuild=None, out=None)
    assert overview.check is not None
    assert overview.check.rounds_rebuilt == 2
    with opened_run(finished.run) as run:
        page = report(run).page.read_text()
        with pytest.raises(FedletheError, match="lie on Flower nodes"):
            run.evaluate(run.history.final())
    assert "stay on the nodes" in page
    assert re.search(r"hospital-1</t[dh]>", page)


def test_a_purge_counts_the_messages_of_the_apps_own_run_as_over(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept = list[tuple[Path, int | None]]()

    def clear_messages(path: Path, own_run: int | None = None) -> superlink_state.Swept:
        swept.append((path, own_run))
        return superlink_state.Swept(path, 0, None, ())

    state = tmp_path / "state.db"
    state.touch()
    monkeypatch.setenv(superlink_state.STATE, str(state))
    monkeypatch.setattr(superlink_state, "clear_messages", clear_messages)
    app.call()
    with opened_run(app.run) as run:
        open_request(run, ["hospital-1"], [], "withdrew its consent", "the tests")
    new_signing_key(tmp_path / "key")
    app.call(mode="erase", request="R0001", key=str(tmp_path / "key"))
    assert swept == [(state, 1)]  # the number that `App.call` gives its run
