# SPDX-License-Identifier: MIT
"""The paper's experiment: federated averaging on COVID-19 Radiography, client 2 erased, noise of each sigma.

Five clients of 576 training images, ResNet-50 on 1 x 128 x 128, 15 rounds of 7 local epochs: hours on a CPU. A short
try: python examples/fed_avg.py COVID-19_Radiography_Dataset OUT --rounds 1 --epochs 1 --size 32 --model small-cnn
"""

import argparse

import fedlethe

parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
parser.add_argument("folder", help="COVID-19_Radiography_Dataset")
parser.add_argument("out", help="the run folder")
for name, kind, value in (("rounds", int, 15), ("epochs", float, 7), ("size", int, 128), ("examples", int, 576)):
    parser.add_argument(f"--{name}", type=kind, default=value)
parser.add_argument("--model", choices=sorted(fedlethe.MODELS), default="resnet50")
typed = parser.parse_args()

run = fedlethe.train(
    typed.model,
    {"source": "covid-radiography", "root": typed.folder, "size": typed.size},
    out=typed.out,
    rounds=typed.rounds,
    partition={"scheme": "iid", "clients": 5, "max_examples": typed.examples},
    local={"epochs": typed.epochs, "batch_size": 16, "learning_rate": 0.005, "momentum": 0.0},
)
print(f"trained: accuracy {run.evaluate().evaluation.overall.accuracy:.3f}")
for point in run.sweep(sigmas=(0.0, 0.005, 0.01, 0.02, 0.03), draws=1, clients=["client-2"]).points:
    accuracy, own = point.evaluation.overall.accuracy, point.evaluation.clients["client-2"].accuracy
    print(f"client-2 erased, sigma {point.sigma:.3f}: accuracy {accuracy:.3f} overall, {own:.3f} on its own images")
