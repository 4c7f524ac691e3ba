# SPDX-License-Identifier: MIT
from __future__ import annotations

import getpass
from typing import Any

import pytest

from fedlethe.cli import flags
from fedlethe.cli.options import HOW_TO_ERASE
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.errors import ConfigError

NOTHING: dict[str, Any] = {**dict.fromkeys(HOW_TO_ERASE), "method": None, "decoys": 0}


def test_flags_that_are_not_given_make_the_plan_that_asks_for_nothing() -> None:
    assert flags.plan(NOTHING).is_default


def test_an_option_that_a_command_lost_is_missed() -> None:
    """A renamed parameter would be an option that is read and forgotten."""
    for name in NOTHING:
        with pytest.raises(KeyError, match=name):
            flags.plan({option: value for option, value in NOTHING.items() if option != name})
    with pytest.raises(KeyError, match="after"):
        flags.plan(NOTHING, flags.OF_ERASE)


def test_every_flag_goes_where_it_belongs() -> None:
    typed = {
        **NOTHING,
        "scale": 0.5,
        "clip": None,
        "set_": ["renormalise=true", "scale=0.25"],
        "method": "influence",
        "after": "0001",
        "epsilon": 3.0,
        "mask": "subspace",
        "decoys": 2,
        "repair_rounds": 0,
        "repair_learning_rate": 0.01,
        "references": 5,
        "keep_for": 30,
        "result": "0002",
    }
    assert flags.plan(typed, flags.OF_ERASE) == ErasurePlan(
        method="influence",
        options={"scale": 0.25, "renormalise": True},  # --set lies over the flag
        mask={"kind": "subspace", "epsilon": 3.0},
        repair={"rounds": 0, "learning_rate": 0.01},  # 0 was given, and None was not
        after="0001",
        decoys=2,
        references=5,
        keep_for=30,
        result="0002",
    )


def test_who_is_at_work_is_named_or_the_user_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "ito")
    assert flags.user("Dr. Ito") == "Dr. Ito"
    assert flags.user(None) == "ito"
    assert flags.said("lost in a fire", None) == {"why": "lost in a fire", "by": "ito"}
    assert flags.said("lost in a fire", "Dr. Ito") == {"why": "lost in a fire", "by": "Dr. Ito"}
    assert flags.said(None, None) is None
    flags.refuse_idle_name("Dr. Ito", "--lost-keys", {"why": "lost in a fire"})
    with pytest.raises(ConfigError, match="--by: says who is behind --lost-keys"):
        flags.refuse_idle_name("Dr. Ito", "--lost-keys", None)


@pytest.mark.parametrize("error", [KeyError("uid"), OSError("no user")])
def test_a_machine_without_user_names_asks_for_one(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", fails)
    with pytest.raises(ConfigError, match="--by: this machine knows no name"):
        flags.user(None)


def test_an_erasure_that_is_a_request_s_names_nobody() -> None:
    flags.refuse_names_beside_request([], [])
    for clients, patients in ((["a"], []), ([], ["p"])):
        with pytest.raises(ConfigError, match="who is erased is in the request"):
            flags.refuse_names_beside_request(clients, patients)


def test_flags_of_a_request_are_refused_by_their_names_where_none_is_named() -> None:
    flags.refuse_of_requests({"references": 0, "accept_findings": None})
    with pytest.raises(ConfigError, match=r"^--accept-findings: belongs to an erasure request"):
        flags.refuse_of_requests({"references": 0, "accept_findings": "why"})


def test_numbers_with_commas_between() -> None:
    assert flags.numbers("0,0.01,3e-2", "--sigmas") == [0.0, 0.01, 0.03]
    for text in ("", "0,,1", "0;1", "few"):
        with pytest.raises(ConfigError, match=f"--sigmas {text}: must be numbers"):
            flags.numbers(text, "--sigmas")
    with pytest.raises(ConfigError, match=r"--clips 1,0\.5,1\.0: has one of them twice"):
        flags.numbers("1,0.5,1.0", "--clips")


def test_whole_numbers_and_ranges() -> None:
    assert flags.whole_numbers("0-2, 7,5-5", "--seeds") == [0, 1, 2, 7, 5]
    for text in ("", "1-", "-1", "0.5", "a-b", "1,,2"):
        with pytest.raises(ConfigError, match="must be whole numbers and ranges"):
            flags.whole_numbers(text, "--seeds")


def test_what_is_not_given_is_left_out() -> None:
    assert flags.given({"a": None, "b": 0, "c": ""}) == {"b": 0, "c": ""}


def test_what_is_of_a_training_is_refused_where_its_data_are_read_alone() -> None:
    flags.refuse_of_training(["data.size=16", "partition.scheme=iid", "seed=3"])
    for setting in ("federation.rounds=3", "local.epochs=2", "learner=closed-form"):
        with pytest.raises(ConfigError, match=f"--set {setting.partition('=')[0]}: is of a training"):
            flags.refuse_of_training(["data.size=16", setting])
