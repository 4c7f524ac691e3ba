# SPDX-License-Identifier: MIT
"""On stdout there is what a command has found and nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from fedlethe.cli.entry import run
from fedlethe.cli.output.results_alone import results, results_alone

COHORT = """
import sys
import numpy as np

print("while it is imported")

def load():
    print("while it is read")
    sys.stdout.write("in another way\\n")
    sys.stdout.flush()
    y = np.arange(24) % 2
    return {name: (np.full((24, 16, 16), 9, np.uint8), y) for name in ("north", "south")}
"""


def test_what_a_source_prints_does_not_stand_before_the_json_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "talking_cohort.py").write_text(COHORT)
    monkeypatch.syspath_prepend(tmp_path)
    out = str(tmp_path / "run")
    typed = ["train", "--data", "talking_cohort:load", "--model", "small-cnn", "--rounds", "1", "--out", out, "--json"]
    assert run(typed) == (0, None)
    printed = capsys.readouterr()
    assert json.loads(printed.out)["rounds"] == 1
    for words in ("while it is imported", "while it is read", "in another way"):
        assert words in printed.err
    assert run(["history", out]) == (0, None)
    assert "1 of 1 rounds" in capsys.readouterr().out
    assert run(["--version"])[0] == 0
    assert capsys.readouterr().out.startswith("fedlethe ")


def test_the_results_stay_where_they_belong_however_often_it_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    with results_alone(), results_alone():
        assert results() is before
        print("aside")
        print("found", file=results())
    assert sys.stdout is before
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("found\n", "aside\n")
    assert results() is sys.stdout
