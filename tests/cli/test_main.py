# SPDX-License-Identifier: MIT
"""The command line as a process: what Ctrl-C does, once and twice, and whose its files are."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fedlethe.requests.verify import verify_ledger
from tests.cli.test_bad_input import heard

TINY = (
    *("--set", "data.size=16", "--set", "data.hospitals=3", "--set", "data.images_per_hospital=24"),
    *("--local-epochs", "1"),
)


def _importing(library: str) -> Callable[[Path, int], bool]:
    """Whether a process has begun to import a library, by its memory."""
    return lambda run, process: library in Path(f"/proc/{process}/maps").read_text()


def _training(run: Path, process: int) -> bool:
    return bool(list((run / "influence").rglob("*.sealed")))


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="looks into /proc")
@pytest.mark.parametrize(
    ("reached", "gaps"),
    [
        pytest.param(_importing("_multiarray_umath"), (0.05, 0.5), id="numpy is imported"),
        pytest.param(_importing("libtorch_cpu"), (0.5, 0.05), id="torch is imported"),
        pytest.param(_training, (0.05, 0.2, 0.5), id="it trains"),
    ],
)
def test_a_second_interrupt_prints_no_traceback(
    reached: Callable[[Path, int], bool], gaps: tuple[float, ...], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "fedlethe", "train", *TINY, "--rounds", "3000", "--out", str(run)]
    out = subprocess.PIPE
    with subprocess.Popen(command, stdout=out, stderr=out, text=True, preexec_fn=heard) as process:
        deadline = time.monotonic() + 60
        while not reached(run, process.pid) and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        for gap in gaps:
            time.sleep(gap)
            process.send_signal(signal.SIGINT)  # where it has ended already, this does nothing
        output, errors = process.communicate(timeout=120)
    assert (process.returncode, output) == (2, "")
    assert errors.startswith("fedlethe: interrupted")
    assert errors.count("\n") == 1
    if run.exists():  # a file that was not entered yet may be left over, and nothing else is amiss
        assert {check.what for check in verify_ledger(run).failed} <= {"strays", "keys"}


SWALLOWED = """
import os, signal, sys, time
sys.argv = ["fedlethe", "methods"]
import fedlethe.cli.entry

class Finalised:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)

def run(arguments):
    Finalised()
    time.sleep(30)
    return 0, None

fedlethe.cli.entry.run = run
from fedlethe.__main__ import main
main()
"""


def test_an_interrupt_that_falls_into_a_finaliser_is_not_lost_and_prints_no_traceback() -> None:
    command = [sys.executable, "-c", SWALLOWED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, preexec_fn=heard)
    assert done.returncode == 2
    assert done.stderr.startswith("fedlethe: interrupted")
    assert done.stderr.count("\n") == 1


def test_an_interrupt_while_the_command_line_itself_is_imported_is_one_line() -> None:
    """`fedlethe.__main__` imports nothing that takes long, or that can fail, before it listens.

    `fedlethe.later`, which the package itself takes its names by, imports the standard library alone.
    """
    program = (
        "import sys\n"
        "import fedlethe.__main__\n"
        "slow = {name for name in sys.modules if name.partition('.')[0] in ('click', 'typer', 'rich', 'torch', 'numpy')"
        " or name.startswith('fedlethe.') and name not in ('fedlethe.__main__', 'fedlethe.later')}\n"
        "print(sorted(slow))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


COMMANDS = """
import json, os, sys
from fedlethe.__main__ import main
for arguments in json.loads(sys.argv[1]):
    os.umask(0o022)
    sys.argv = ["fedlethe", *arguments]
    try:
        main()
    except SystemExit as done:
        assert done.code == 0, (arguments, done.code)
"""


def test_all_that_commands_write_is_its_owner_s_alone(tmp_path: Path) -> None:
    """Of each file and folder, on the way to it too, whatever the umask is."""
    run = str(tmp_path / "to/run")
    base = tmp_path / "base.toml"
    base.write_text(
        "[data]\nsource = 'phantom'\nsize = 16\nhospitals = 3\nimages_per_hospital = 24\n"
        "[federation]\nrounds = 1\n[local]\nepochs = 1\n"
    )
    compare = (
        "compare",
        str(base),
        "--client",
        "hospital-1",
        "--methods",
        "influence",
        "--seeds",
        "0",
        "--references",
        "3",
    )
    commands = [
        ("key", "new", str(tmp_path / "keys/k")),
        ("train", *TINY, "--rounds", "1", "--out", run),
        ("erase", run, "--client", "hospital-1"),
        ("sweep", run, "--sigmas", "0,0.01", "--draws", "1"),
        ("report", run),
        ("data", *TINY[:6], "--out", str(tmp_path / "to/pictures")),
        (*compare, "--out", str(tmp_path / "to/out")),
    ]
    environment = {**os.environ, "FEDLETHE_CACHE": str(tmp_path / "cached/here")}
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path != base}
    public = tmp_path / "keys/k.pub"
    open_to_others = {
        path: oct(mode)
        for path, mode in found.items()
        if mode != (0o700 if path.is_dir() else 0o600) and path != public
    }
    assert open_to_others == {}
    for name in ("to/run/report/index.html", "to/pictures", "to/out/table.csv", "cached/here/images", "keys/k"):
        assert tmp_path / name in found


@pytest.mark.parametrize(
    ("clients", "message"),
    [(("A", "a"), "'A' and 'a' differ by capitals alone"), (("x" * 101, "y"), "has 101 characters, at most 100")],
)
def test_names_that_cannot_be_folders_are_refused_with_nothing_written(
    clients: tuple[str, str], message: str, tmp_path: Path
) -> None:
    rows = [f"{clients[number % 2]},i{number}.png,{number // 2 % 2}" for number in range(8)]
    (tmp_path / "table.csv").write_text("\n".join(["client,path,label", *rows]) + "\n")
    for number in range(8):
        Image.fromarray(np.full((16, 16), 20 * number, np.uint8)).save(tmp_path / f"i{number}.png")
    command = ["train", "--data", "table", "--path", str(tmp_path / "table.csv"), "--size", "16", "--rounds", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "fedlethe", *command, "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr
    assert not (tmp_path / "run").exists()
