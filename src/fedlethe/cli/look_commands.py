# SPDX-License-Identifier: MIT
"""The commands that look, and change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import fedlethe
from fedlethe.cli.options import DATA_OPTIONS, JsonFlag, RunArgument, takes

commands = typer.Typer()


@commands.command(epilog="Example: fedlethe methods --json")
def methods(json: JsonFlag = False) -> None:
    """List the unlearning methods: paper, what each needs, its options and their defaults."""
    from fedlethe import catalogue  # the list is for people; a program reads fedlethe.METHODS
    from fedlethe.cli.output.show import show

    show(catalogue.methods(), json)


@commands.command(epilog="Example: fedlethe audits")
def audits(json: JsonFlag = False) -> None:
    """List the audits: paper, what each measures, its options and their defaults."""
    from fedlethe import catalogue  # as above
    from fedlethe.cli.output.show import show

    show(catalogue.audits(), json)


@commands.command(epilog="Example: fedlethe evaluate RUN --erasure 0001")
def evaluate(
    run: RunArgument,
    model: Annotated[Path | None, typer.Option(help="A checkpoint file of the same network.")] = None,
    round: Annotated[int | None, typer.Option(help="The global model after this round.")] = None,
    erasure: Annotated[str | None, typer.Option(help="The model of this erasure.")] = None,
    split: Annotated[str | None, typer.Option(help="test, validation or train; test if unset.")] = None,
    json: JsonFlag = False,
) -> None:
    """Evaluate a model on every client's images; the final global model if none is named."""
    from fedlethe.cli import flags
    from fedlethe.cli.output.show import show

    chosen = flags.given({"split": split})
    show(fedlethe.open_run(run).evaluate(erasure, round=round, model=model, **chosen), json)


@commands.command(epilog="Example: fedlethe history --check RUN")
def history(
    run: RunArgument,
    check: Annotated[bool, typer.Option("--check", help="Verify every file, rebuild every round.")] = False,
    rebuild: Annotated[int | None, typer.Option(help="Rebuild this round's global model ...")] = None,
    unseal: Annotated[str | None, typer.Option(help="Or open this sealed file of a client ...")] = None,
    out: Annotated[Path | None, typer.Option(help="... into this file.")] = None,
    json: JsonFlag = False,
) -> None:
    """Show what is kept of the training and its bytes; check it; rebuild any round's model from it."""
    from fedlethe.cli.output.show import show

    show(fedlethe.open_run(run).history(check, rebuild, unseal, out), json)


@commands.command(epilog="Example: fedlethe data --data isic2019 --root DATA --size 64 --out pictures")
@takes(DATA_OPTIONS)
def data(
    out: Annotated[Path | None, typer.Option(help="Draw the class mix and some images in this folder.")] = None,
    json: JsonFlag = False,
    **typed: Any,
) -> None:
    """Read a data set as a training would, and show who holds what."""
    from fedlethe.cli import flags
    from fedlethe.cli.output.show import show

    # A preset and a file may speak of the training, too: they are made for it. What is typed is meant for this.
    flags.refuse_of_training(typed["set_"])
    show(fedlethe.inspect_data(config=flags.layers(typed, flags.OF_DATA), preset=typed["preset"], out=out), json)


@commands.command(epilog="Example: fedlethe report RUN, then open RUN/report/index.html")
def report(run: RunArgument, json: JsonFlag = False) -> None:
    """Write one self-contained HTML page of the run: its plots, tables and erasures."""
    from fedlethe.cli.output.show import show

    show(fedlethe.open_run(run).report(), json)
