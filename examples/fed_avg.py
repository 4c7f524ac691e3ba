# SPDX-License-Identifier: MIT
"""The paper's script in library calls: federated averaging on COVID-19 Radiography, client 2 erased after training.

    python examples/fed_avg.py COVID-19_Radiography_Dataset

Five clients of 576 training images, ResNet-50 on 1 x 128 x 128, 15 rounds of 7 local epochs (hours on a CPU; try it
with --rounds 1 --epochs 1 --size 32 first). Then client 2's influence is subtracted, with noise of each sigma.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fedlethe.data.covid_radiography import CovidRadiography
from fedlethe.data.division import divide
from fedlethe.data.partition import Partition
from fedlethe.federation.client import LocalTraining
from fedlethe.federation.evaluation import evaluate
from fedlethe.federation.execution import Execution
from fedlethe.federation.simulated import SimulatedFederation
from fedlethe.federation.train import train
from fedlethe.history.history import InMemoryHistory
from fedlethe.models import MODELS, initialise
from fedlethe.privacy.mask import IsotropicMask
from fedlethe.seeding import numpy_generator
from fedlethe.unlearning.influence import Influence
from fedlethe.vector import Layout, to_vector

CLIENTS, EXAMPLES, FORGET, SEED = 5, 576, "client-2", 0
SIGMAS = (0.0, 0.005, 0.01, 0.02, 0.03)

parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
parser.add_argument("folder", type=Path, help="COVID-19_Radiography_Dataset")
parser.add_argument("--rounds", type=int, default=15)
parser.add_argument("--epochs", type=float, default=7)
parser.add_argument("--size", type=int, default=128)
parser.add_argument("--examples", type=int, default=EXAMPLES)
parser.add_argument("--model", choices=sorted(MODELS), default="resnet50")
arguments = parser.parse_args()

images = CovidRadiography(root=arguments.folder, size=arguments.size).load()
data = divide(images, Partition(scheme="iid", clients=CLIENTS, max_examples=arguments.examples), SEED)

network = initialise(MODELS[arguments.model](), in_channels=1, num_classes=2, seed=SEED)
execution = Execution().resolve(network)
network = execution.place(network)
layout = Layout.of(network)
settings = LocalTraining(epochs=arguments.epochs, batch_size=16, learning_rate=0.005, momentum=0.0)
federation = SimulatedFederation(
    network=network, layout=layout, data=data, settings=settings, execution=execution, seed=SEED
)

initial = to_vector(network, layout)
history = InMemoryHistory(initial, layout, federation.clients, keep=Influence.needs)
schedule = [(round, federation.clients) for round in range(1, arguments.rounds + 1)]
for record in train(federation, initial, schedule):
    history.append(record)
    accuracy = evaluate(network, layout, record.after, data, execution).overall.accuracy
    print(f"round {record.round:2d}: accuracy {accuracy:.3f}, {record.seconds:.0f} s")

unlearned = Influence().unlearn(frozenset({FORGET}), history, federation.without({FORGET})).model
for sigma in SIGMAS:
    noisy = IsotropicMask(sigma=sigma).apply(unlearned, numpy_generator(SEED, "mask", repr(sigma)))
    model = layout.floor_variances(noisy, unlearned)
    result = evaluate(network, layout, model, data, execution)
    print(f"{FORGET} erased, sigma {sigma:.3f}: accuracy {result.overall.accuracy:.3f} overall, ", end="")
    print(f"{result.clients[FORGET].accuracy:.3f} on its own images")
