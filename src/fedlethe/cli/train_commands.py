# SPDX-License-Identifier: MIT
"""The commands that train: the demo, and a federation of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fedlethe.cli.options import (
    DATA_OPTIONS,
    AggregatorFlag,
    BatchSizeFlag,
    DeviceFlag,
    DimensionFlag,
    FeaturesFlag,
    JsonFlag,
    KeepFlag,
    LearnerFlag,
    LearningRateFlag,
    LocalEpochsFlag,
    MethodsFlag,
    ModelFlag,
    MomentumFlag,
    NormFlag,
    OptimizerFlag,
    ParticipationFlag,
    PenaltyFlag,
    PrecisionFlag,
    RoundsFlag,
    SeedFlag,
    TakeBackFlag,
    TrainAfterFlag,
    TrainOutFlag,
    WeightDecayFlag,
    WeightsFlag,
    takes,
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


OF_TRAINING = {
    "learner": LearnerFlag,
    "aggregator": AggregatorFlag,
    "features": FeaturesFlag,
    "dimension": DimensionFlag,
    "penalty": PenaltyFlag,
    "model": ModelFlag,
    "norm": NormFlag,
    "weights": WeightsFlag,
    "rounds": RoundsFlag,
    "participation": ParticipationFlag,
    "local_epochs": LocalEpochsFlag,
    "batch_size": BatchSizeFlag,
    "optimizer": OptimizerFlag,
    "learning_rate": LearningRateFlag,
    "momentum": MomentumFlag,
    "weight_decay": WeightDecayFlag,
    "keep": KeepFlag,
    "methods": MethodsFlag,
    "device": DeviceFlag,
    "precision": PrecisionFlag,
    "after": TrainAfterFlag,
    "take_back": TakeBackFlag,
}
"""How a federation is trained, and on what."""


@commands.command(
    epilog="Example: fedlethe train --data medmnist --flag pneumoniamnist --root DATA --rounds 15 --local-epochs 2 "
    "--out RUN"
)
@takes({**DATA_OPTIONS, **OF_TRAINING})
def train(out: TrainOutFlag, json: JsonFlag = False, **typed: Any) -> None:
    """Train a federation and record its history; run it again after an interruption and it goes on."""
    from fedlethe.cli.output.show import show
    from fedlethe.cli.train_tables import train_as_typed

    show(train_as_typed({**typed, "out": out}), json)
