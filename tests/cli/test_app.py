# SPDX-License-Identifier: MIT
"""The command line from outside: its help, its speed to help, and the example script."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COMMANDS = (
    "demo", "train", "erase", "compare", "methods", "audits", "sweep", "trace", "evaluate", "history", "data", "report"
)  # fmt: skip
EXAMPLE = Path(__file__).parents[2] / "examples" / "fed_avg.py"


def _output(*arguments: str | Path) -> str:
    process = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_help_needs_no_torch() -> None:
    program = (
        "import sys\nfrom fedlethe.__main__ import main\nsys.argv = ['fedlethe', '--help']\n"
        "try: main()\nexcept SystemExit: print({'torch', 'numpy', 'pydantic'} & set(sys.modules))"
    )
    assert _output("-c", program).splitlines()[-1] == "set()"


def test_a_flower_app_is_written_without_a_network(tmp_path: Path) -> None:
    pytest.importorskip("flwr")
    text = _output("-m", "fedlethe", "flower", "new", tmp_path / "app")
    assert "flwr run" in text
    assert (tmp_path / "app/hospitals/client_app.py").is_file()
    assert "Example: fedlethe flower new app" in " ".join(_output("-m", "fedlethe", "flower", "new", "--help").split())
    again = [sys.executable, "-m", "fedlethe", "flower", "new", str(tmp_path / "app")]
    process = subprocess.run(again, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert "is taken; choose another folder" in process.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_with_an_example(command: str) -> None:
    text = _output("-m", "fedlethe", command, "--help")
    assert f"Example: fedlethe {command}" in " ".join(text.split())


def test_the_papers_script_runs_on_a_covid_radiography_folder(tmp_path: Path) -> None:
    lines = [line for line in EXAMPLE.read_text().split('"""')[2].splitlines() if line]
    assert len(lines) <= 30
    assert {line.split()[1] for line in lines if line.startswith(("import", "from"))} == {"argparse", "fedlethe"}
    generator = np.random.default_rng(0)
    for name in ("COVID", "Normal"):
        folder = tmp_path / "COVID-19_Radiography_Dataset" / name / "images"
        folder.mkdir(parents=True)
        for index in range(60):
            pixels = generator.integers(0, 256, (40, 40), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}-{index + 1}.png")
    options = ["--rounds", "2", "--epochs", "1", "--size", "32", "--examples", "12", "--model", "small-cnn"]
    folder = tmp_path / "COVID-19_Radiography_Dataset"
    lines = _output(EXAMPLE, folder, tmp_path / "run", *options).splitlines()
    assert sum(line.startswith("trained: accuracy") for line in lines) == 1
    assert sum(line.startswith("client-2 erased, sigma") for line in lines) == 5
