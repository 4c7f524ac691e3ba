# SPDX-License-Identifier: MIT
"""What there is to choose from: methods and audits."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from fedlethe.catalogue import Catalogue  # the list is for people; a program reads fedlethe.METHODS and AUDITS
from fedlethe.cli.output.show import lines_of


@lines_of.register
def _(result: Catalogue) -> Iterable[Table | str]:
    table = Table("name", "what it does", "paper", "needs", "defaults", title=result.title, show_lines=True)
    for row in result.rows:
        defaults = ", ".join(f"{name} = {value}" for name, value in row.defaults.items())
        table.add_row(row.name, row.what, row.paper, "; ".join(row.needs) or "nothing", defaults or "none")
    yield table
