# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fedlethe.pages.report import Report


def test_a_report_says_what_to_open(printed: Callable[[Any], str]) -> None:
    assert printed(Report(Path("RUN"), Path("/x/index.html"), 3)) == "Open: /x/index.html"
