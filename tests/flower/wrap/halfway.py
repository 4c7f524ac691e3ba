# SPDX-License-Identifier: MIT
"""An app of one's own with numbers that can be worked out by hand: each client goes half of the way to its target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import (
    DifferentialPrivacyServerSideAdaptiveClipping,
    DifferentialPrivacyServerSideFixedClipping,
    FedAdam,
    FedAvg,
    FedAvgM,
    Strategy,
)

from fedlethe.flower import LocalGrid, LocalNode
from fedlethe.flower.wrap.client_name import named

TARGETS = {"a": 4.0, "b": 8.0, "c": -4.0}

EXAMPLES = {"a": 1, "b": 1, "c": 2}

Answer = Callable[[str, int, dict[str, Any]], dict[str, Any]]


def honest(client: str, round: int, arrays: dict[str, Any]) -> dict[str, Any]:
    return arrays


def linear_app(answer: Answer = honest) -> ClientApp:
    """Each client goes half of the way to its own target; `answer` changes what it sends."""
    app = named(ClientApp())

    @app.train()
    def train(message: Message, context: Context) -> Message:
        client = str(context.node_config["client-uid"])
        held = {name: array.numpy() for name, array in message.content.array_records["arrays"].items()}
        weight = held["weight"]
        trained = {
            "weight": weight + np.float32(0.5) * (np.float32(TARGETS[client]) - weight),
            "steps": held["steps"] + 1,
        }
        round = message.content.config_records["config"]["server-round"]
        assert isinstance(round, int)
        sent = answer(client, round, trained)
        content = RecordDict(
            {
                "arrays": ArrayRecord({name: Array(np.asarray(array)) for name, array in sent.items()}),
                "metrics": MetricRecord({"num-examples": EXAMPLES[client]}),
            }
        )
        return Message(content, reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        metrics = MetricRecord({"num-examples": EXAMPLES[str(context.node_config["client-uid"])], "loss": 1.0})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return app


def grid(answer: Answer = honest, clients: str = "cab") -> LocalGrid:
    return LocalGrid(linear_app(answer), [LocalNode({"client-uid": client}) for client in clients], {})


def initial() -> ArrayRecord:
    return ArrayRecord({"weight": Array(np.zeros(2, np.float32)), "steps": Array(np.array(0))})


def weight(arrays: ArrayRecord) -> float:
    first, second = arrays["weight"].numpy()
    assert first == second
    return float(first)


def plain() -> FedAvg:
    return FedAvg(min_train_nodes=1, min_evaluate_nodes=1, min_available_nodes=1)


STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "FedAvg": plain,
    "FedAvgM": lambda: FedAvgM(
        min_train_nodes=1,
        min_evaluate_nodes=1,
        min_available_nodes=1,
        server_learning_rate=0.5,
        server_momentum=0.9,
    ),
    "FedAdam": lambda: FedAdam(min_train_nodes=1, min_evaluate_nodes=1, min_available_nodes=1, eta=0.1, beta_1=0.9),
    "fixed clipping": lambda: DifferentialPrivacyServerSideFixedClipping(plain(), 0.0, 1.0, 3),
    "adaptive clipping": lambda: DifferentialPrivacyServerSideAdaptiveClipping(
        plain(), noise_multiplier=0.0, num_sampled_clients=3, initial_clipping_norm=1.0, clipped_count_stddev=0.0
    ),
}
