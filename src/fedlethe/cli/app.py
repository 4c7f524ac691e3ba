# SPDX-License-Identifier: MIT
"""The command line: every command of the families beside this file."""

from __future__ import annotations

from typing import Annotated

import typer

import fedlethe
from fedlethe.cli import erase_commands, look_commands, request_commands, study_commands, train_commands
from fedlethe.cli.cache_commands import caches
from fedlethe.cli.flower_commands import flower
from fedlethe.cli.output.results_alone import results_alone
from fedlethe.cli.request_commands import keys, ledgers

app = typer.Typer(
    no_args_is_help=True,
    # Typer's tracebacks show the values of variables, which can be patients' names.
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Train one medical-imaging model across hospitals, and take a hospital back out of it. "
    "Start with: **fedlethe demo**",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"fedlethe {fedlethe.__version__}")
        raise typer.Exit


@app.callback()
def _fedlethe(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


# Taken in as they are, so that the commands of several files stand on one level.
for family in (train_commands, erase_commands, study_commands, look_commands, request_commands):
    app.registered_commands.extend(family.commands.registered_commands)
app.add_typer(keys, name="key")
app.add_typer(ledgers, name="ledger")
app.add_typer(caches, name="cache")
app.add_typer(flower, name="flower")
for group in (app, keys, ledgers, caches, flower):
    for command in group.registered_commands:
        assert command.callback is not None
        command.callback = results_alone()(command.callback)
