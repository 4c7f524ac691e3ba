# SPDX-License-Identifier: MIT
"""The commands that train: the demo, and a federation of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedlethe.cli.options import (
    AlphaFlag,
    BatchSizeFlag,
    ChannelsFlag,
    ClientsFlag,
    ConfigFlag,
    DataFlag,
    DeviceFlag,
    DimensionFlag,
    DownloadFlag,
    FeaturesFlag,
    FlagFlag,
    JsonFlag,
    KeepFlag,
    LearnerFlag,
    LearningRateFlag,
    LocalEpochsFlag,
    MaxExamplesFlag,
    MethodsFlag,
    ModelFlag,
    MomentumFlag,
    NormFlag,
    OptimizerFlag,
    ParticipationFlag,
    PartitionFlag,
    PathFlag,
    PenaltyFlag,
    PrecisionFlag,
    PresetFlag,
    RootFlag,
    RoundsFlag,
    SeedFlag,
    SetFlag,
    SizeFlag,
    TakeBackFlag,
    TrainAfterFlag,
    TrainOutFlag,
    WeightDecayFlag,
    WeightsFlag,
)

commands = typer.Typer()


@commands.command(epilog="Example: fedlethe demo --out demo")
def demo(
    out: Annotated[Path, typer.Option(help="Where the run goes.")] = Path("demo"),
    seed: SeedFlag = None,
    json: JsonFlag = False,
) -> None:
    """Train five synthetic hospitals, erase one, draw everything: three minutes on two cores, no download."""
    from fedlethe.cli.demo import demo as run_demo
    from fedlethe.cli.output.show import show

    show(run_demo(out, 0 if seed is None else seed), json)


@commands.command(
    epilog="Example: fedlethe train --data medmnist --flag pneumoniamnist --root DATA --rounds 15 --local-epochs 2 "
    "--out RUN"
)
def train(
    out: TrainOutFlag,
    config: ConfigFlag = None,
    preset: PresetFlag = None,
    data: DataFlag = None,
    root: RootFlag = None,
    path: PathFlag = None,
    flag: FlagFlag = None,
    size: SizeFlag = None,
    channels: ChannelsFlag = None,
    download: DownloadFlag = None,
    clients: ClientsFlag = None,
    partition: PartitionFlag = None,
    alpha: AlphaFlag = None,
    max_examples: MaxExamplesFlag = None,
    learner: LearnerFlag = None,
    features: FeaturesFlag = None,
    dimension: DimensionFlag = None,
    penalty: PenaltyFlag = None,
    model: ModelFlag = None,
    norm: NormFlag = None,
    weights: WeightsFlag = None,
    rounds: RoundsFlag = None,
    participation: ParticipationFlag = None,
    local_epochs: LocalEpochsFlag = None,
    batch_size: BatchSizeFlag = None,
    optimizer: OptimizerFlag = None,
    learning_rate: LearningRateFlag = None,
    momentum: MomentumFlag = None,
    weight_decay: WeightDecayFlag = None,
    keep: KeepFlag = None,
    methods: MethodsFlag = None,
    device: DeviceFlag = None,
    precision: PrecisionFlag = None,
    after: TrainAfterFlag = None,
    take_back: TakeBackFlag = None,
    seed: SeedFlag = None,
    set_: SetFlag = None,
    json: JsonFlag = False,
) -> None:
    """Train a federation and record its history; run it again after an interruption and it goes on."""
    from fedlethe.cli.output.show import show
    from fedlethe.cli.train_tables import trained

    show(trained(locals()), json)
