# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
from pathlib import Path

import pytest

from fedlethe.cli.entry import run

pytest.importorskip("flwr")


def test_a_flower_app_is_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "app")
    assert run(["flower", "new", folder]) == (0, None)
    assert "flwr run" in capsys.readouterr().out
    assert (tmp_path / "app/hospitals/client_app.py").is_file()
    code, message = run(["flower", "new", folder])
    assert code == 2
    assert message is not None
    assert "is taken; choose another folder" in message


def test_as_json_it_is_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flower", "new", str(tmp_path / "app"), "--json"]) == (0, None)
    assert str(tmp_path / "app") in json.loads(capsys.readouterr().out).values()
