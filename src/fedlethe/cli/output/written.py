# SPDX-License-Identifier: MIT
"""Pages that were written."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from fedlethe.cli.output.show import lines_of
from fedlethe.results import Report


@lines_of.register
def _(result: Report) -> Iterable[Table | str]:
    yield f"Open: {result.page.absolute()}"
