# SPDX-License-Identifier: MIT
"""From what was typed to an exit code; and what the commands that compute nothing import."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fedlethe.cli import entry
from fedlethe.errors import ConfigError
from tests.conftest import Fedlethe


@pytest.mark.parametrize(
    ("raised", "ends"),
    [
        (ConfigError("rounds: must be at least 1"), (2, "rounds: must be at least 1")),
        (KeyboardInterrupt(), (entry.INTERRUPTED, None)),
        (OSError(28, "No space left on device", "run/ledger.db"), (2, "run/ledger.db: No space left on device")),
        (OSError("a socket went away"), (2, "file: a socket went away")),
    ],
)
def test_what_ends_a_command_becomes_a_code_and_a_line(
    raised: BaseException, ends: tuple[int, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**_: object) -> None:
        raise raised

    monkeypatch.setattr(entry, "app", fails)
    assert entry.run(["methods"]) == ends


def test_a_mistake_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(entry, "app", fails)
    with pytest.raises(ZeroDivisionError):
        entry.run(["methods"])


def test_a_word_that_is_no_command_is_told_with_where_to_look() -> None:
    code, message = entry.run(["trian"])
    assert code == 2
    assert message is not None
    assert "trian" in message
    assert message.endswith(" --help")


def test_the_code_of_a_command_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "app", lambda **_: 3)
    assert entry.run(["erase"]) == (3, None)
    monkeypatch.setattr(entry, "app", lambda **_: None)
    assert entry.run(["erase"]) == (0, None)


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["erase", "RUN", "--client", "a\x1b[2J"], "--client"),
        (["erase", "RUN", "--client=a\nb"], "--client"),
        (["erase", "R\x00N"], "the command line"),
    ],
)
def test_control_characters_are_refused_wherever_they_are_typed(arguments: list[str], option: str) -> None:
    code, message = entry.run(arguments)
    assert code == 2
    assert message is not None
    assert message.startswith(option)
    assert not any(character in message for character in "\x1b\x00\n")


IMPORTED = """
import json, sys
from fedlethe.cli.entry import run
slow = {"torch", "monai", "matplotlib"}
for arguments in json.loads(sys.argv[1]):
    code, message = run(arguments)
    assert code == 0, (arguments, message)
    found = sorted(slow & sys.modules.keys())
    print("IMPORTED", json.dumps([arguments, found]))
    slow -= set(found)
"""


def test_commands_that_compute_nothing_import_no_library_that_computes(
    finished: Path, fedlethe: Fedlethe, tmp_path: Path
) -> None:
    """An import of torch takes a second, so these commands answer at once only as long as none of them needs it."""
    run, key = str(shutil.copytree(finished, tmp_path / "run")), str(tmp_path / "erasure.key")
    asked = ["--reason", "withdrew its consent", "--by", "Dr. Ito"]
    fedlethe("key", "new", key)
    fedlethe("request", run, "--client", "hospital-2", *asked)
    carried = fedlethe("erase", run, "--request", "R0001", "--key", key, "--method", "influence")
    fedlethe("request", run, "--client", "hospital-0", *asked)
    commands = [
        ["methods"],
        ["audits"],
        ["requests", run],
        ["verify", carried["certificate"], "--key", f"{key}.pub", "--run", run],
        ["ledger", "verify", run],
        ["key", "new", str(tmp_path / "another.key")],
        ["history", run],
        ["withdraw", run, "R0002", "--reason", "opened by mistake", "--by", "Dr. Ito"],
    ]
    program = [sys.executable, "-c", IMPORTED, json.dumps(commands)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line.partition(" ")[2]) for line in done.stdout.splitlines() if line.startswith("IMPORTED")]
    assert found == [[arguments, []] for arguments in commands]


def test_an_option_that_may_be_given_again_is_no_mistake() -> None:
    assert entry.run(["methods", "--json", "--json"])[0] == 0
    twice = ["erase", "nowhere", "--client", "a", "--client", "b"]
    assert entry.run(twice) == (2, "nowhere: there is no such run folder; make one with: fedlethe train --out nowhere")
    told = (2, "--method: is given twice; give it once")
    assert entry.run([*twice, "--method", "retrain", "--method=influence"]) == told


@pytest.mark.parametrize(
    ("message", "typed", "told"),
    [
        ("reason: is blank", ["--reason", " "], "--reason: is blank"),
        ("keep_for 9: must be less", ["--keep-for=9"], "--keep-for 9: must be less"),
        ("lost: is blank", ["--lost-keys", " "], "--lost-keys: is blank"),
        ("model 'x': no such model", ["--model", "x"], "--model 'x': no such model"),
        ("model 'x': no such model", ["--model", "y"], "model 'x': no such model"),  # of a file, or a run
        ("reason: is blank", ["--by", "reason"], "reason: is blank"),
        ("RUN/x: is a file", ["--out", "RUN/x"], "RUN/x: is a file"),
    ],
)
def test_what_the_face_calls_by_its_name_is_called_by_the_option_that_was_typed(
    message: str, typed: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**_: object) -> None:
        raise ConfigError(message)

    monkeypatch.setattr(entry, "app", fails)
    monkeypatch.setattr(entry, "_demand_arguments", lambda _: None)
    monkeypatch.setattr(entry, "_demand_once", lambda _: None)
    assert entry.run(["erase", "RUN", *typed]) == (2, told)
