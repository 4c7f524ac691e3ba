# SPDX-License-Identifier: MIT
"""The commands about Flower."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedlethe.cli.options import JsonFlag

flower = typer.Typer(
    no_args_is_help=True, help="The same federation on many machines, by Flower (extra **[flower]**): docs/flower.md."
)


@flower.command(epilog="Example: fedlethe flower new app, then: flwr run app")
def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The app's folder, new or empty.", show_default=False)],
    json: JsonFlag = False,
) -> None:
    """Write a working Flower app: what runs at the server, what runs at each hospital, and the federation's file."""
    from fedlethe.cli.output.show import say, show
    from fedlethe.flower.app.new_app import new_app  # `fedlethe.flower` is for apps; this writes one

    made = new_app(folder)
    if json:
        show(made, json)
    else:
        say(made.next_steps)
