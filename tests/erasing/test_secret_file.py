# SPDX-License-Identifier: MIT
"""The file of an erasure's secret: when it is made, where it lies, and who can read it."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from fedlethe.erasing.secret import FORMER, MASKS, left_over, mask_secret
from fedlethe.errors import FedletheError
from fedlethe.runs.run import OpenRun
from tests.erasing.hiding import erased

pytestmark = pytest.mark.usefixtures("secrets_in_order")


def test_the_secret_is_made_once_for_an_erasure_and_is_its_owners_alone(run: OpenRun) -> None:
    first = mask_secret(run.history)
    assert len(first) == 32
    assert mask_secret(run.history) == first  # as long as the erasure is not complete
    (file,) = left_over(run.history)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    erased(run, mask={"epsilon": 3.0})
    assert left_over(run.history) == []
    assert not file.exists()
    (event,) = [one for one in run.history.ledger.events("key") if one.body["client"] == MASKS][1:]
    assert (event.body["what"], event.body["id"] in file.name) == ("destroyed", True)
    assert mask_secret(run.history) != first


def test_the_secret_lies_where_the_keys_lie(run: OpenRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDLETHE_KEYS", str(tmp_path / "keys"))
    shutil.move(run.path / "keys", tmp_path / "keys" / run.history.ledger.run_id)
    mask_secret(run.history)
    (file,) = left_over(run.history)
    assert tmp_path / "keys" in file.parents
    assert not list((run.path).glob(f"**/{MASKS}*"))
    erased(run, decoys=1)
    assert not file.exists()


def test_a_secret_that_others_can_read_or_that_is_not_there_is_refused(run: OpenRun) -> None:
    mask_secret(run.history)
    (file,) = left_over(run.history)
    file.chmod(0o640)
    with pytest.raises(FedletheError, match="chmod 600"):
        erased(run, mask={"epsilon": 3.0})
    file.unlink()
    with pytest.raises(FedletheError, match="set FEDLETHE_KEYS to the folder that holds it"):
        erased(run, mask={"epsilon": 3.0})
    assert run.history.ledger.erasures() == {}


def test_the_secret_of_all_erasures_that_an_earlier_version_kept_has_to_go(run: OpenRun) -> None:
    (run.path / FORMER).write_bytes(bytes(32))
    with pytest.raises(FedletheError, match="overwrite and remove it"):
        erased(run, mask={"epsilon": 3.0})
    erased(run)  # draws nothing
