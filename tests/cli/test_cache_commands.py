# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
from pathlib import Path

import pytest

from fedlethe.cli.entry import run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["list", "--client", "a"], "say of which data"),
        (["list", "--run", "RUN", "--data", "phantom"], "RUN: the run says what its data are"),
        (["clear"], "say whose images go"),
        (["clear", "--all", "--client", "a"], "say whose images go"),
        (["clear", "--client", "a"], "say of which data"),
        (["clear", "--all", "--data", "phantom"], "everybody's images go, whatever the data"),
    ],
)
def test_what_is_not_clear_is_refused_before_anything_is_removed(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDLETHE_CACHE", str(tmp_path))
    kept = tmp_path / "images" / "x.npy"
    kept.parent.mkdir()
    kept.touch()
    code, message = run(["cache", *arguments])
    assert code == 2
    assert message is not None
    assert words in message
    assert kept.exists()


def test_an_empty_cache_is_listed_and_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FEDLETHE_CACHE", str(tmp_path))
    assert run(["cache", "list", "--json"]) == (0, None)
    assert json.loads(capsys.readouterr().out)["entries"] == []
    assert run(["cache", "clear", "--all", "--json"]) == (0, None)
    assert json.loads(capsys.readouterr().out)["removed"] == []
