# SPDX-License-Identifier: MIT
"""The commands about the cache of decoded images; `cli` takes them in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from fedlethe.cli.options import JsonFlag, takes

caches = typer.Typer(no_args_is_help=True, help="The cache of decoded images, features and lists of files.")

DATA = "Whose images are whose: a run, or the data as for train"
RunFlag = Annotated[Path | None, typer.Option("--run", help="A run folder: its data.", rich_help_panel=DATA)]
ClientsNamed = Annotated[list[str] | None, typer.Option("--client", help="This client's; give it again for several.")]
PatientsNamed = Annotated[list[str] | None, typer.Option("--patient", help="Only this patient's.")]
SourceFlag = Annotated[str | None, typer.Option("--data", help="As for train.", rich_help_panel=DATA)]
ConfigFlag = Annotated[Path | None, typer.Option("--config", help="A TOML file as for train.", rich_help_panel=DATA)]
RootFlag = Annotated[Path | None, typer.Option(help="The data set's folder or file.", rich_help_panel=DATA)]
PathFlag = Annotated[Path | None, typer.Option(help="The CSV of --data table.", rich_help_panel=DATA)]
FlagFlag = Annotated[str | None, typer.Option(help="Which MedMNIST.", rich_help_panel=DATA)]
ClientsFlag = Annotated[int | None, typer.Option(help="How many simulated clients.", rich_help_panel=DATA)]
PartitionFlag = Annotated[str | None, typer.Option(help="site, iid, dirichlet or quantity.", rich_help_panel=DATA)]
AlphaFlag = Annotated[float | None, typer.Option(help="Of dirichlet.", rich_help_panel=DATA)]
SeedFlag = Annotated[int | None, typer.Option(help="Of the division.", rich_help_panel=DATA)]
SetFlag = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Any other option.", rich_help_panel=DATA),
]


WHOSE = {
    "data": SourceFlag,
    "config": ConfigFlag,
    "root": RootFlag,
    "path": PathFlag,
    "flag": FlagFlag,
    "clients": ClientsFlag,
    "partition": PartitionFlag,
    "alpha": AlphaFlag,
    "seed": SeedFlag,
    "set_": SetFlag,
}
"""The options that say whose images are whose."""


@caches.command("list", epilog="Example: fedlethe cache list --run RUN")
@takes(WHOSE)
def list_cache(
    run: RunFlag = None,
    client: ClientsNamed = None,
    patient: PatientsNamed = None,
    json: JsonFlag = False,
    **typed: Any,
) -> None:
    """Show what the cache holds; and of whom, where --run or the data say whose images are whose. Names nobody."""
    import fedlethe
    from fedlethe.cli.output.show import show

    show(fedlethe.cache_content(run, config=_data(typed), clients=client or (), patients=patient or ()), json)


@caches.command("clear", epilog="Example: fedlethe cache clear --run RUN --client hospital-1")
@takes(WHOSE)
def clear_cache(
    run: RunFlag = None,
    client: ClientsNamed = None,
    patient: PatientsNamed = None,
    everything: Annotated[bool, typer.Option("--all", help="Everybody's, and all lists of files.")] = False,
    json: JsonFlag = False,
    **typed: Any,
) -> None:
    """Remove what holds decoded images or features of a client or patient, of any size and run; and lists of files.

    Images of others that lie in the same arrays are decoded again when they are needed. What was not reached is said.
    """
    import fedlethe
    from fedlethe.cli.output.show import show

    # The face refuses half a question: a slip here removes everybody's images.
    whose, patients = _data(typed), patient or ()
    done = fedlethe.clear_cache(run, config=whose, clients=client or (), patients=patients, everything=everything)
    show(done, json)


@caches.callback()
def _caches() -> None:
    """The cache of decoded images, features and lists of files."""


def _data(typed: Mapping[str, Any]) -> list[Any] | None:
    """The layers that say whose images are whose; None where nothing was given."""
    from fedlethe.cli import flags

    # Options have no defaults here: what nobody typed must not choose whose images go.
    if all(option is None for option in typed.values()):
        return None
    # The division alone says whose images are whose; sizes are left out, since all of them go.
    options = {table: [name for name in names if name in typed] for table, names in flags.OF_DATA.items()}
    return flags.layers(typed, options)
