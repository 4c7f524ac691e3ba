# SPDX-License-Identifier: MIT
"""run.toml is read back as it was written, and refused where it cannot be one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from fedlethe.config import resolve
from fedlethe.errors import FedletheError, HistoryError
from fedlethe.runs.run_toml import config_for, config_of, opened_folder, read_run_document, toml_text
from tests.runs.small import CLOSED, HOSPITALS, NETWORK


def test_the_configuration_is_that_of_the_training(network: Path, closed: Path) -> None:
    held = config_of(network).document()
    assert held == {**resolve(NETWORK).document(), "execution": held["execution"]}  # which is resolved
    assert config_of(closed).learner == "closed-form"
    assert config_for({}, network).document() == config_of(network).document()
    assert config_for(CLOSED, network).learner == "closed-form"  # what is asked for, not what is there


def test_options_that_older_versions_wrote_unused_are_no_options_that_were_asked_for(tmp_path: Path) -> None:
    facts = {"version": "1", "data_fingerprint": "f", "clients": ["a"]}
    older = {"clients": 5, "alpha": 0.5, "test_fraction": 0.2, "allow_one_class": True}
    tables = {"partition": older, "local": {"optimizer": "adam", "momentum": 0.9}}
    (tmp_path / "run.toml").write_text(toml_text({**tables, "run": facts}))
    held = read_run_document(tmp_path)
    assert (held["partition"], held["local"]) == ({"allow_one_class": True}, {"optimizer": "adam"})
    assert config_of(tmp_path).partition.allow_one_class
    divided = {"partition": {**older, "scheme": "dirichlet", "alpha": 0.3}, "local": {"momentum": 0.5}}
    (tmp_path / "run.toml").write_text(toml_text({**divided, "run": facts}))
    held = read_run_document(tmp_path)
    assert (held["partition"]["alpha"], held["partition"]["clients"], held["local"]) == (0.3, 5, {"momentum": 0.5})


def test_a_folder_opens_without_its_data(network: Path) -> None:
    with opened_folder(network) as (config, history):
        assert history.clients == HOSPITALS
        assert config.federation.rounds == history.rounds == 2


def test_what_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="there is no such run folder"):
        read_run_document(tmp_path / "nothing")
    (tmp_path / "file").touch()
    with pytest.raises(HistoryError, match="is a file; name the run folder"):
        read_run_document(tmp_path / "file")
    with pytest.raises(HistoryError, match=r"it has no run\.toml"):
        read_run_document(tmp_path)


def test_a_file_that_was_changed_is_refused(network: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(network, tmp_path / "run"))
    (run / "run.toml").write_text((run / "run.toml").read_text() + "\n# a remark\n")
    with pytest.raises(FedletheError, match=r"run\.toml"):
        read_run_document(run)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"clients": "a"}, "names no clients"),
        ({"clients": ["../a"]}, r"\.\./a"),
        ({"version": 1}, "has no text as its version"),
        ({"after": "erasures/one"}, "no erasure's folder"),
        ({"outside": {"model": 3}}, "which code the training used"),
    ],
)
def test_a_table_that_no_training_wrote_is_refused(tmp_path: Path, facts: dict[str, Any], message: str) -> None:
    whole: dict[str, Any] = {"version": "1", "data_fingerprint": "f", "clients": ["a"]}
    (tmp_path / "run.toml").write_text(toml_text({"run": whole}))
    assert read_run_document(tmp_path)["run"] == whole  # no ledger is there to hold it against
    (tmp_path / "run.toml").write_text(toml_text({"run": {**whole, **facts}}))
    with pytest.raises(FedletheError, match=message):
        read_run_document(tmp_path)
