# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedlethe.cli.output.requests import OfRun, show_verified
from fedlethe.errors import FedletheError
from fedlethe.history import chain
from fedlethe.history.request_log import BEGUN, ErasureRequest, Requests
from fedlethe.requests.checks import Check
from fedlethe.requests.signing import NewKey
from fedlethe.requests.verify import Verified

REQUEST = ErasureRequest(
    id="R0001",
    opened="2026-01-01T00:00:00Z",
    clients=("a",),
    reason="withdrew",
    by="Dr. Ito",
    legal_ground="Art. 17(1)",
    deadline="2026-02-01",
)
NOW = "2026-01-15T00:00:00Z"


@pytest.fixture(autouse=True)
def _a_day_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "clock", lambda: NOW)


def test_an_opened_request_says_how_it_is_carried_out(printed: Callable[[Any], str]) -> None:
    text = printed(OfRun(Path("my runs/PD"), REQUEST))
    assert "│ R0001 │ a │ opened │ 2026-02-01 │ - │ - │ - │" in text
    assert text.splitlines()[-1] == "fedlethe erase 'my runs/PD' --request R0001 --key erasure.key"
    assert "carry it out" not in printed(OfRun(Path("PD"), replace(REQUEST, state="withdrawn")))


def test_what_must_be_known_of_the_model_stands_below_the_verdict(printed: Callable[[Any], str]) -> None:
    audited = replace(REQUEST, state="completed", verdict="useful", warnings=("it answers class 0", "few images"))
    lines = printed(Requests(Path("RUN"), (audited,), ())).splitlines()
    assert lines[-2:] == ["R0001: warning: it answers class 0", "R0001: warning: few images"]


def test_a_namesake_elsewhere_is_said_first(printed: Callable[[Any], str]) -> None:
    text = printed(OfRun(Path("PD"), replace(REQUEST, namesakes=("b", "c"))))
    assert text.startswith("a patient of this name has images at b, c, too")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"deadline": "2026-01-14"}, "R0001: withdrew; overdue"),
        ({"deadline": "2026-01-15"}, "R0001: withdrew"),
        (
            {"state": "completed", "purge": "2026-01-15"},
            "its purge is due since 2026-01-15: fedlethe purge RUN --key erasure.key",
        ),
        ({"state": "completed", "purge": "2026-01-16"}, "R0001: withdrew"),
        ({"state": "completed", "purge": BEGUN}, "its purge was cut off, and files of the erased may be there"),
        ({"state": "audited", "verdict": "still there"}, "stopped at what the audits found: decide how to go on"),
        ({"state": "failed", "note": "no space"}, "R0001: withdrew; no space"),
    ],
)
def test_a_list_says_what_is_late_and_what_waits_for_a_decision(
    changes: dict[str, Any], words: str, printed: Callable[[Any], str]
) -> None:
    last = printed(Requests(Path("RUN"), (replace(REQUEST, **changes),), ())).splitlines()[-1]
    assert words in last
    if words == "R0001: withdrew":
        assert last == words


def test_a_problem_of_a_list_comes_first(printed: Callable[[Any], str], as_json: Callable[[Any], Any]) -> None:
    found = Requests(Path("RUN"), (REQUEST,), ("erasures/0001/audit.json: is missing",))
    assert printed(found).startswith("PROBLEM: erasures/0001/audit.json: is missing; restore it from a backup")
    assert as_json(found)["requests"][0]["overdue"] is False
    assert as_json(found)["requests"][0]["stopped"] is False


CHECKS = (
    Check("statement", "ok", "a is erased"),
    Check("hashes", "ok", "all"),
    Check("run", "not checked", "no --run"),
)


def test_what_holds_says_how_much_was_not_checked(printed: Callable[[Any], str], as_json: Callable[[Any], Any]) -> None:
    verified = Verified(Path("c.json"), CHECKS)
    assert printed(verified).startswith("holds; a is erased; 1 of 3 not checked")
    assert as_json(verified)["holds"] is True


def test_what_does_not_hold_is_shown_and_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    bad = (Check("ledger", "failed", "row 3 was changed"), Check("keys", "failed", "one is there"))
    with pytest.raises(FedletheError, match=r"^c.json: ledger: row 3 was changed \(and 1 more\)$"):
        show_verified(Verified(Path("c.json"), (*CHECKS, *bad)), as_json=False)
    assert capsys.readouterr().out.startswith("DOES NOT HOLD: ledger: row 3 was changed; keys: one is there")


def test_a_new_key_says_which_half_is_whose(printed: Callable[[Any], str]) -> None:
    assert printed(NewKey(Path("k"), Path("k.pub"), "ab")).splitlines() == [
        "signing key: k (yours alone)",
        "public key: k.pub (for who checks certificates)",
        "id: ab",
    ]
