# SPDX-License-Identifier: MIT
"""The commands that make many erasures beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import fedlethe
from fedlethe.cli.options import (
    HOW_TO_ERASE,
    DeltaFlag,
    JsonFlag,
    MethodFlag,
    OptionFlag,
    RootFlag,
    RunArgument,
    SetFlag,
    StudyMethodFlag,
    takes,
)
from fedlethe.public import defaults  # the face's own figures: its functions take a while to import

commands = typer.Typer()


@commands.command(epilog="Example: fedlethe compare CONFIG.toml --root DATA --methods all --seeds 0-4 --out OUT")
def compare(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file as for train.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Where everything goes; what an earlier call left there is gone on with.")],
    methods: Annotated[str | None, typer.Option(help="a,b,c: methods or recipes; all of both if unset.")] = None,
    seeds: Annotated[str, typer.Option(help="Of the trainings: 0-4 or 0,2,5.")] = ",".join(map(str, defaults.SEEDS)),
    client: Annotated[list[str] | None, typer.Option(help="Who is erased; the backdoor's client if unset.")] = None,
    references: Annotated[int, typer.Option(help="Retrainings to hold figures against.")] = defaults.REFERENCES,
    workers: Annotated[int, typer.Option(help="Processes, of one thread each.")] = defaults.WORKERS,
    root: RootFlag = None,
    set_: SetFlag = None,
    json: JsonFlag = False,
) -> None:
    """Erase a client with every method, audit against retrainings, make one table; run it again to go on."""
    from fedlethe.cli import flags
    from fedlethe.cli.output.show import show

    result = fedlethe.compare(
        flags.layers({"config": config, "root": root, "set_": set_}, {"data": ("root",)}),
        out=out,
        seeds=flags.whole_numbers(seeds, "--seeds"),
        forget=client or (),
        references=references,
        workers=workers,
        **flags.given({"methods": None if methods is None else methods.split(",")}),
    )
    show(result, json)


@commands.command(epilog="Example: fedlethe sweep RUN --sigmas 0,0.01,0.03 --draws 5")
def sweep(
    run: RunArgument,
    sigmas: Annotated[str | None, typer.Option(help="Noise levels a,b,c; the paper's 0 to 0.03 if unset.")] = None,
    draws: Annotated[int, typer.Option(help="Draws of the noise at each.")] = defaults.DRAWS,
    client: Annotated[list[str] | None, typer.Option(help="Who is erased in turn; all if unset.")] = None,
    method: StudyMethodFlag = None,
    set_: OptionFlag = None,
    json: JsonFlag = False,
) -> None:
    """For every client: erase it, add noise of every sigma, draw accuracy against sigma."""
    from fedlethe.cli import flags
    from fedlethe.cli.output.show import show

    levels = None if sigmas is None else flags.numbers(sigmas, "--sigmas")
    show(fedlethe.open_run(run).sweep(levels, draws, client or (), method, flags.settings(set_)), json)


@commands.command(epilog="Example: fedlethe frontier RUN --clips 0.25,0.5,1 --epsilons 1,3,8")
def frontier(
    run: RunArgument,
    epsilons: Annotated[str | None, typer.Option(help="a,b,c; 0.5 to 16 if unset.")] = None,
    delta: DeltaFlag = None,
    masks: Annotated[str | None, typer.Option(help="Of isotropic, subspace, shaped; all if unset.")] = None,
    sigmas: Annotated[
        str | None, typer.Option(help="Isotropic noise, too; the paper's 0.0025 to 0.03 if unset.")
    ] = None,
    clips: Annotated[str | None, typer.Option(help="Norms that the influence is clipped to, a,b,c.")] = None,
    draws: Annotated[int, typer.Option(help="Of the noise, for each client and size.")] = defaults.DRAWS,
    method: StudyMethodFlag = None,
    set_: OptionFlag = None,
    json: JsonFlag = False,
) -> None:
    """For every mask and epsilon: what hiding costs, what is left of the client, and who is named by an attacker."""
    from fedlethe.cli import flags
    from fedlethe.cli.output.show import show

    # Each clip is a set of options of its own; without clips there is one set, and its name says nothing.
    options = flags.settings(set_)
    clipped = [("", {})] if clips is None else [(f"clip {c:g}", {"clip": c}) for c in flags.numbers(clips, "--clips")]
    fields = {
        "epsilons": None if epsilons is None else flags.numbers(epsilons, "--epsilons"),
        "sigmas": None if sigmas is None else flags.numbers(sigmas, "--sigmas"),
        "delta": delta,
        "masks": None if masks is None else masks.split(","),
    }
    sets = {name: {**options, **clip} for name, clip in clipped}
    found = fedlethe.open_run(run).frontier(method, sets, draws=draws, **flags.given(fields))
    show(found, json)


@commands.command(epilog="Example: fedlethe identity RUN --epsilon 3 --repair-clients 2")
@takes({"method": MethodFlag, **HOW_TO_ERASE})
def identity(
    run: RunArgument,
    draws: Annotated[int, typer.Option(help="How often each client is erased.")] = defaults.TIMES_ERASED,
    json: JsonFlag = False,
    **typed: Any,
) -> None:
    """Erase every client in turn as `erase` would, and let three attackers guess who it was, at every stage."""
    from fedlethe.cli import flags
    from fedlethe.cli.output.show import show

    show(fedlethe.open_run(run).who_left(flags.plan(typed), draws), json)


@commands.command(epilog="Example: fedlethe trace RUN --client client-2 (the run was trained with --keep everything)")
def trace(
    run: RunArgument,
    client: Annotated[str, typer.Option(help="Who is erased at each round.")],
    method: StudyMethodFlag = None,
    set_: OptionFlag = None,
    json: JsonFlag = False,
) -> None:
    """Erase a client at each round's global model, and draw both models by round."""
    from fedlethe.cli import flags
    from fedlethe.cli.output.show import show

    show(fedlethe.open_run(run).trace(client, method, flags.settings(set_)), json)
