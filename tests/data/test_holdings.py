# SPDX-License-Identifier: MIT
"""The cache: private, checked by checksum, and emptied of an image in whatever array it lies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fedlethe.data.holdings import beyond_reach
from tests.data.pictures import images_of


def test_what_another_process_has_open_is_named(cache: Path, folder: Path) -> None:
    images_of(folder)
    (path,) = (cache / "images").glob("*.npy")
    script = f"import numpy, sys; held = numpy.load({str(path)!r}, mmap_mode='r'); print('on', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "on\n"
        told = beyond_reach(None)
        other.communicate("\n")
    assert told[0] == f"{path}: process {other.pid} has it open, and with it its content until it ends"
    assert [words for words in beyond_reach(None) if "has it open" in words] == []
