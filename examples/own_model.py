# SPDX-License-Identifier: MIT
"""A network and arrays of your own: three clients train, one is erased, and the erasure is audited.

Run it: python examples/own_model.py FOLDER
"""

import sys

import numpy as np
import torch
from torch import nn

import fedlethe

rng = np.random.default_rng(0)
clients = {}
for number, name in enumerate(("north", "south", "west")):
    y = rng.integers(0, 2, 120)
    x = rng.normal(y[:, None] * 1.5, 1 + number / 2, (120, 12)).astype(np.float32)  # 12 measurements of each patient
    clients[name] = (x, y)

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 2))
run = fedlethe.train(net, clients, out=sys.argv[1], rounds=4, local={"epochs": 2, "learning_rate": 0.05})
print("trained: accuracy", round(run.evaluate().evaluation.overall.accuracy, 3))

erasure = run.erase("south", method="retrain")
print("erased", erasure.subject, "-", erasure.guarantee)
for finding in run.audit(erasure, references=3).findings:
    print(f"{finding.audit}: {finding.verdict} - {finding.statement}")
