# SPDX-License-Identifier: MIT
"""Kill a training (SIGKILL) at ten random moments, resume each, and compare every file with an uninterrupted run's."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OPTIONS = (
    *("data.size=16", "data.hospitals=3", "data.images_per_hospital=60", "federation.rounds=80"),
    "encrypt=false",  # sealed, the same file has other bytes each time
)
COMMAND = [sys.executable, "-m", "fedlethe", "train", *(part for option in OPTIONS for part in ("--set", option))]
MOMENTS = 10


def checkpoints(run: Path) -> dict[Path, bytes]:
    """Every checkpoint of a run, by its place in it."""
    return {path.relative_to(run): path.read_bytes() for path in run.rglob("*.safetensors")}


def killed(run: Path, after: float) -> int:
    """Start the training, kill it so many seconds later, and say how many checkpoints it had then."""
    process = subprocess.Popen([*COMMAND, "--out", str(run)], stdout=subprocess.DEVNULL)
    time.sleep(after)
    process.kill()
    process.wait()
    return len(checkpoints(run)) if run.is_dir() else 0


def main() -> None:
    """Print a line for each moment; exit with 1 if any run ended elsewhere."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole")
        start = time.perf_counter()
        subprocess.run([*COMMAND, "--out", str(whole)], check=True, stdout=subprocess.DEVNULL)
        length = time.perf_counter() - start
        expected, same = checkpoints(whole), True
        for moment in range(MOMENTS):
            run = Path(folder, str(moment))
            after = random.Random(moment).uniform(0.35, 0.95) * length
            found = killed(run, after)
            subprocess.run(
                [*COMMAND, "--out", str(run)], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            equal = checkpoints(run) == expected
            same &= equal
            verdict = "the same" if equal else "DIFFERENT"
            print(f"killed after {after:4.1f} of {length:.1f} s with {found:2d} checkpoints there: {verdict}")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
