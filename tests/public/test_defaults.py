# SPDX-License-Identifier: MIT
"""What stands as a default is what the functions take; the command line is held to it in its own tests."""

from __future__ import annotations

import inspect
import subprocess
import sys

import fedlethe
from fedlethe.public import defaults


def test_the_functions_of_the_face_take_them() -> None:
    of_comparison = inspect.signature(fedlethe.compare).parameters
    assert of_comparison["seeds"].default == defaults.SEEDS
    assert of_comparison["references"].default == defaults.REFERENCES
    assert of_comparison["workers"].default == defaults.WORKERS
    for study, draws in (("sweep", defaults.DRAWS), ("frontier", defaults.DRAWS), ("who_left", defaults.TIMES_ERASED)):
        assert inspect.signature(getattr(fedlethe.Run, study)).parameters["draws"].default == draws


def test_they_are_enough_to_compare_by() -> None:
    assert len(set(defaults.SEEDS)) == len(defaults.SEEDS) > 1
    assert defaults.REFERENCES >= 3  # fewer are refused
    assert min(defaults.WORKERS, defaults.DRAWS, defaults.TIMES_ERASED) >= 1


def test_to_read_them_loads_nothing() -> None:
    program = "import sys, fedlethe.public.defaults; print([n for n in ('torch', 'pydantic') if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"
