# SPDX-License-Identifier: MIT
"""Arguments and options of the commands. One that is not given changes nothing: what it stands for keeps its value."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

Command = TypeVar("Command", bound=Callable[..., None])


def takes(options: Mapping[str, Any]) -> Callable[[Command], Command]:
    """Give a command more options, in the place of its `**typed`; several commands share them, so they stand once.

    Args:
        options: Name to its annotation; each is None where it is not typed.
    """

    def given(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        # Typer reads the signature and the annotations, so both tell of options that `**typed` takes.
        own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        # --json comes last in every help text, whatever a command takes besides.
        place = next((index for index, one in enumerate(own) if one.name == "json"), len(own))
        kind = inspect.Parameter.KEYWORD_ONLY
        more = [inspect.Parameter(n, kind, default=None, annotation=a) for n, a in options.items()]
        every = [one.replace(kind=kind) for one in (*own[:place], *more, *own[place:])]
        command.__signature__ = signature.replace(parameters=every)  # type: ignore[attr-defined]
        command.__annotations__ = {**{one.name: one.annotation for one in every}, "return": None}
        return command

    return given


RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The run folder.", show_default=False)]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of a table.")]
ACT = "An erasure request"
STOPPED = 3
"""The exit code where the audits found something, and somebody has to decide how to go on."""
KeyFlag = Annotated[
    Path | None,
    typer.Option(
        envvar="FEDLETHE_SIGNING_KEY", help="Signs the certificate; make one: fedlethe key new.", rich_help_panel=ACT
    ),
]
LostKeysFlag = Annotated[
    str | None,
    typer.Option(
        metavar="WHY", help="Keys to be destroyed that cannot be found are lost; it is certified.", rich_help_panel=ACT
    ),
]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The request.", show_default=False)]
ByFlag = Annotated[str | None, typer.Option(help="Who; your user name if unset.")]
SaidByFlag = Annotated[
    str | None,
    typer.Option(help="Who says what is accepted or lost; your user name if unset.", rich_help_panel=ACT),
]
ConfigFlag = Annotated[Path | None, typer.Option("--config", help="A TOML file; the flags lie over it.")]
PresetFlag = Annotated[str | None, typer.Option(help="Start from 'paper' or 'demo'.")]
SetFlag = Annotated[list[str] | None, typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Any other option.")]
SeedFlag = Annotated[int | None, typer.Option(help="All randomness is derived from it.")]
DataFlag = Annotated[
    str | None,
    typer.Option(
        help="phantom, covid-radiography, isic2019, medmnist, table (nodes: on Flower), or mylab.cohort:load.",
        rich_help_panel="Data",
    ),
]
RootFlag = Annotated[Path | None, typer.Option(help="The data set's folder or file.", rich_help_panel="Data")]
PathFlag = Annotated[Path | None, typer.Option(help="The CSV of --data table.", rich_help_panel="Data")]
FlagFlag = Annotated[str | None, typer.Option(help="Which MedMNIST, e.g. pneumoniamnist.", rich_help_panel="Data")]
SizeFlag = Annotated[int | None, typer.Option(help="Images are SIZE x SIZE pixels.", rich_help_panel="Data")]
ChannelsFlag = Annotated[int | None, typer.Option(help="1 gray, 3 colour.", rich_help_panel="Data")]
DownloadFlag = Annotated[
    bool | None, typer.Option("--download", help="Fetch the data set, checksum verified.", rich_help_panel="Data")
]
ClientsFlag = Annotated[int | None, typer.Option(help="How many simulated clients.", rich_help_panel="Data")]
PartitionFlag = Annotated[str | None, typer.Option(help="site, iid, dirichlet or quantity.", rich_help_panel="Data")]
AlphaFlag = Annotated[float | None, typer.Option(help="Of dirichlet: small is uneven.", rich_help_panel="Data")]
MaxExamplesFlag = Annotated[int | None, typer.Option(help="At most so many images per client.", rich_help_panel="Data")]
ScaleFlag = Annotated[float | None, typer.Option(help="Of influence: how much is subtracted; 1 is all.")]
ClipFlag = Annotated[float | None, typer.Option(help="Of influence: the norm that it is clipped to.")]
HIDING, REPAIR = "Hiding who left", "Repair"
SigmaFlag = Annotated[
    float | None, typer.Option(help="Noise of this standard deviation; says what it hides.", rich_help_panel=HIDING)
]
EpsilonFlag = Annotated[
    float | None, typer.Option(help="Noise that hides who left to (epsilon, delta).", rich_help_panel=HIDING)
]
DeltaFlag = Annotated[float | None, typer.Option(help="Goes with epsilon; 1e-5 if unset.", rich_help_panel=HIDING)]
MaxGuessFlag = Annotated[
    float | None,
    typer.Option(
        help="Noise that leaves the best attacker this chance of naming who left; of several, of picking one of them.",
        rich_help_panel=HIDING,
    ),
]
MaskFlag = Annotated[
    str | None,
    typer.Option(
        help="isotropic, subspace or shaped; subspace if unset, isotropic with --sigma.", rich_help_panel=HIDING
    ),
]
DecoysFlag = Annotated[
    int | None,
    typer.Option(help="Erase so many others along: the model does not tell who asked.", rich_help_panel=HIDING),
]
RepairRoundsFlag = Annotated[
    int | None,
    typer.Option(
        help="Rounds by the retained clients afterwards; 1 if unset, 0 where the method trains them.",
        rich_help_panel=REPAIR,
    ),
]
RepairEpochsFlag = Annotated[
    float | None, typer.Option(help="Local epochs in them; the recipe's if unset.", rich_help_panel=REPAIR)
]
RepairLearningRateFlag = Annotated[
    float | None, typer.Option(help="Step size; the run's own if unset.", rich_help_panel=REPAIR)
]
RepairClientsFlag = Annotated[
    int | None,
    typer.Option(help="Let so few repair that a mask still hides who left among the rest.", rich_help_panel=REPAIR),
]
AggregatorFlag = Annotated[
    str | None, typer.Option(help="How a round's model is made: mean, median, or mylab.robust:Mine.")
]
LEARNER = "Learner 'closed-form'"
LearnerFlag = Annotated[str | None, typer.Option(help="fedavg, or closed-form: a ridge on frozen features.")]
FeaturesFlag = Annotated[
    str | None,
    typer.Option(
        help="Of a frozen map, in the place of images: scattering, efficientnet-lite0, backbone or torchscript, or "
        "several of them as a+b; or mylab.maps:Map."
    ),
]
DimensionFlag = Annotated[int | None, typer.Option(help="Project the features to so many.", rich_help_panel=LEARNER)]
PenaltyFlag = Annotated[float | None, typer.Option(help="Of the ridge; chosen if unset.", rich_help_panel=LEARNER)]
ModelFlag = Annotated[
    str | None,
    typer.Option(help="small-cnn, resnet18, resnet50, efficientnet-lite0, or mylab.nets:MyNet; with --features: head."),
]
NormFlag = Annotated[str | None, typer.Option(help="batch or group.")]
WeightsFlag = Annotated[Path | None, typer.Option(help="ImageNet weights for a ResNet (safetensors).")]
RoundsFlag = Annotated[int | None, typer.Option(help="Rounds of federated averaging.")]
ParticipationFlag = Annotated[float | None, typer.Option(help="Fraction of clients in each round.")]
LocalEpochsFlag = Annotated[float | None, typer.Option(help="A client's passes over its images a round.")]
BatchSizeFlag = Annotated[int | None, typer.Option(help="Images in one gradient step.")]
OptimizerFlag = Annotated[str | None, typer.Option(help="sgd, adam or adamw.")]
LearningRateFlag = Annotated[float | None, typer.Option(help="Step size.")]
MomentumFlag = Annotated[float | None, typer.Option(help="Of SGD.")]
WeightDecayFlag = Annotated[float | None, typer.Option(help="L2 penalty.")]
KeepFlag = Annotated[str | None, typer.Option(help="'needed' by the methods, or 'everything'.")]
MethodsFlag = Annotated[str | None, typer.Option(help="Erasure methods to keep the history for, a,b,c.")]
DeviceFlag = Annotated[str | None, typer.Option(help="auto, cpu or cuda.")]
PrecisionFlag = Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")]
TrainOutFlag = Annotated[Path, typer.Option(help="The run folder; an unfinished run in it is resumed.")]
TrainAfterFlag = Annotated[
    Path | None,
    typer.Option(
        help="Begin from an erasure's model, RUN/erasures/0001; with RUN's configuration where no data are named."
    ),
]
TakeBackFlag = Annotated[
    list[str] | None, typer.Option(help="With --after: who was erased and takes part again; else they do not.")
]
ErasedFlag = Annotated[list[str] | None, typer.Option(help="Who is erased; give it again for several at once.")]
ErasedPatientFlag = Annotated[
    list[str] | None, typer.Option(help="Erase only this patient of the client, or of all (learner 'closed-form').")
]
MethodFlag = Annotated[
    str | None, typer.Option(help="A method or recipe; see: fedlethe methods. Recommended if unset.")
]
StudyMethodFlag = Annotated[str | None, typer.Option(help="The unlearning method; influence, or closed-form.")]
OptionFlag = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any option of it.")]
AfterFlag = Annotated[str | None, typer.Option(help="Erase from the result of this earlier erasure: 0001.")]
RequestFlag = Annotated[
    str | None, typer.Option(help="Carry this request out, certificate and purge included.", rich_help_panel=ACT)
]
ReferencesFlag = Annotated[
    int | None, typer.Option(help="Audit against so many retrainings; no audit if unset.", rich_help_panel=ACT)
]
KeepForFlag = Annotated[
    int | None,
    typer.Option(metavar="DAYS", help="Purge after so many days; at once if unset.", rich_help_panel=ACT),
]
ResultFlag = Annotated[
    str | None, typer.Option(help="Take this erasure, made before, as the result: 0002.", rich_help_panel=ACT)
]
AcceptFindingsFlag = Annotated[
    str | None, typer.Option(metavar="WHY", help="Go on in spite of what the audits found.", rich_help_panel=ACT)
]

# Two families of options are shared by several commands; in each they have the same name, help text and meaning.
DATA_OPTIONS = {
    "data": DataFlag,
    "config": ConfigFlag,
    "preset": PresetFlag,
    "root": RootFlag,
    "path": PathFlag,
    "flag": FlagFlag,
    "size": SizeFlag,
    "channels": ChannelsFlag,
    "download": DownloadFlag,
    "clients": ClientsFlag,
    "partition": PartitionFlag,
    "alpha": AlphaFlag,
    "max_examples": MaxExamplesFlag,
    "seed": SeedFlag,
    "set_": SetFlag,
}
"""Which images there are, and who holds them."""

HOW_TO_ERASE = {
    "scale": ScaleFlag,
    "clip": ClipFlag,
    "set_": OptionFlag,
    "sigma": SigmaFlag,
    "epsilon": EpsilonFlag,
    "delta": DeltaFlag,
    "max_guess": MaxGuessFlag,
    "mask": MaskFlag,
    "decoys": DecoysFlag,
    "repair_rounds": RepairRoundsFlag,
    "repair_epochs": RepairEpochsFlag,
    "repair_learning_rate": RepairLearningRateFlag,
    "repair_clients": RepairClientsFlag,
}
"""What a method, a mask and a repair are told."""
