# SPDX-License-Identifier: MIT
"""The commands about requests, keys and ledgers, in this process."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fedlethe.cli.entry import run


@pytest.fixture
def trained(finished: Path, tmp_path: Path) -> str:
    return str(shutil.copytree(finished, tmp_path / "run"))


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run([*arguments, "--json"]) == (0, None)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_request_is_opened_listed_and_withdrawn(trained: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--client", "hospital-0", "--reason", "withdrew", "--by", "Dr. Ito", "--deadline", "2099-01-01"]
    opened = answer(capsys, "request", trained, *asked)
    assert (opened["id"], opened["by"], opened["deadline"]) == ("R0001", "Dr. Ito", "2099-01-01")
    assert opened["legal_ground"] == "GDPR Art. 17(1)"
    withdrawn = answer(capsys, "withdraw", trained, "R0001", "--reason", "by mistake", "--by", "Dr. Ono")
    assert withdrawn["state"] == "withdrawn"
    (listed,) = answer(capsys, "requests", trained)["requests"]
    assert (listed["state"], listed["reason"]) == ("withdrawn", "withdrew")
    code, message = run(["withdraw", trained, "R0001", "--reason", "again"])
    assert code == 2
    assert message is not None
    assert "R0001" in message


def test_nothing_is_purged_where_nothing_is_due(
    trained: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = str(tmp_path / "k")
    assert answer(capsys, "key", "new", key)["private"] == key
    assert answer(capsys, "purge", trained, "--key", key) == {
        "run": trained,
        "carried": [],
        "not_reached": [],
        "unnamed": [],
        "waiting": [],
    }


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    key = tmp_path / "k"
    assert run(["key", "new", str(key)]) == (0, None)
    before = key.read_bytes()
    code, message = run(["key", "new", str(key)])
    assert code == 2
    assert message is not None
    assert key.read_bytes() == before


def test_a_ledger_that_holds_ends_with_0_and_a_file_that_was_changed_with_2(
    trained: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(capsys, "ledger", "verify", trained)["holds"] is True
    model = next(Path(trained).glob("global_checkpoints/*.safetensors"))
    model.write_bytes(model.read_bytes()[:-1] + b"\x00\x01")
    code, message = run(["ledger", "verify", trained])
    assert code == 2
    assert message is not None
    assert model.name in message


def test_a_ledger_that_is_nowhere_is_one_line(tmp_path: Path) -> None:
    code, message = run(["ledger", "verify", str(tmp_path / "nowhere")])
    assert code == 2
    assert message is not None
    assert message.endswith(
        "nowhere: there is no such file or folder; name a run folder, or a certificate with its key"
    )
