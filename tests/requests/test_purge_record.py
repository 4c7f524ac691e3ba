# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path

from fedlethe.config import resolve
from fedlethe.history.request_log import find
from fedlethe.learners.training import train_run
from fedlethe.requests.purge_record import WithoutRequest, abroad, because_of, is_purged
from fedlethe.runs.opening import opened_run
from tests.requests.acting import GONE, OTHER, PLAIN, document, erased


def test_a_purge_is_on_record_in_every_run_that_led_here_under_a_name_of_its_own(small: Path, tmp_path: Path) -> None:
    first = erased(small, GONE, plan=PLAIN)
    later = tmp_path / "later"
    train_run(resolve(document(hospitals=3, rounds=1)), later, after=small / "erasures" / first.erasure.id)
    with opened_run(later) as opened:
        before, after = opened.history.ledger.run_id, [folder.path for folder in opened.lineage.folders]
        assert after == [later, small]
        assert [is_purged(folder, "R0001") for folder in opened.lineage.folders] == [False, True]
    second = erased(later, OTHER, plan=PLAIN)
    with opened_run(later) as opened:
        own, earlier = opened.lineage.folders
        asked = find(own.ledger, second.request.id)
        name = abroad(opened.history, asked)
        assert name == f"R0001 of run {before}"  # the earlier run has had a request R0001 of its own
        assert (is_purged(own, asked.id), is_purged(own, name), is_purged(earlier, name)) == (True, False, True)
        because = {gone.because for gone in earlier.ledger.tombstones().values()}
        assert {because_of("R0001"), because_of(name)} <= because


def test_a_purge_without_a_request_is_named_by_its_erasure() -> None:
    gone = WithoutRequest(erasure="0001", clients=("north",))
    assert (gone.id, dict(gone.patients)) == ("erasure-0001", {})
