# SPDX-License-Identifier: MIT
"""The examples, as a user runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

FED_AVG = Path(__file__).parents[1] / "examples" / "fed_avg.py"


def test_the_papers_script_is_short_and_runs_on_a_covid_radiography_folder(tmp_path: Path) -> None:
    lines = [line for line in FED_AVG.read_text().split('"""')[2].splitlines() if line]
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
    folders = [str(tmp_path / "COVID-19_Radiography_Dataset"), str(tmp_path / "run")]
    done = subprocess.run(
        [sys.executable, str(FED_AVG), *folders, *options], capture_output=True, text=True, check=True
    )
    printed = done.stdout.splitlines()
    assert sum(line.startswith("trained: accuracy") for line in printed) == 1
    assert sum(line.startswith("client-2 erased, sigma") for line in printed) == 5
