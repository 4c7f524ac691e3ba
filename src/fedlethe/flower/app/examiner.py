# SPDX-License-Identifier: MIT
"""The audits of one erasure over nodes: its model against retrainings that never saw the forgotten clients' images.

Nodes answer with log-probabilities for single images, and their classes; no image leaves them. A node does so only
where its --node-config allows it. That is no boundary against the operator, who sends the app with every run
(docs/flower.md). The forgotten clients' own images, on which most audits rest, are theirs: they are asked only where
the run config says so (`ask-erased`), for a hospital that wants to see for itself that it is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from flwr.app import Message

from fedlethe.audit import Answers, Evidence, Task, audit, overall
from fedlethe.audit.membership import RETAINED
from fedlethe.erasing.auditing import Attested
from fedlethe.errors import NodeError
from fedlethe.flower.nodes.exchange import Exchange
from fedlethe.flower.nodes.flower_federation import problem_of
from fedlethe.flower.nodes.messages import ANSWER, Computing, NodeRequest
from fedlethe.types import ClientId, Vector

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Examiner:
    """Asks nodes what models answer.

    Attributes:
        exchange: Reaches those who are asked.
        computing: How nodes compute.
        fingerprints: Of each client's images.
        seed: Draws the relearning.
    """

    exchange: Exchange
    computing: Computing
    fingerprints: Mapping[ClientId, str]
    seed: int

    def ask(
        self, models: Mapping[str, Vector], clients: Sequence[ClientId], step: int, relearn: bool
    ) -> dict[ClientId, Arrays]:
        """Every client's answers to all models.

        Args:
            models: By name.
            clients: Who is asked.
            step: Every how many training images one is looked at.
            relearn: Train the models on them, too.

        Raises:
            NodeError: One does not answer, or may not.
        """
        options = {"step": step, "relearn": relearn, "seed": str(self.seed)}
        contents = {
            client: NodeRequest(client=client, computing=self.computing, models=models, options=options).records()
            for client in clients
        }
        found: dict[ClientId, Arrays] = {}
        for client, answer in self.exchange.ask(contents, ANSWER, "audit").items():
            problem = problem_of(client, answer, self.fingerprints)
            if problem is not None or not isinstance(answer, Message):
                raise NodeError(f"{client}: {problem}")
            found[client] = {name: array.numpy() for name, array in answer.content.array_records["answers"].items()}
        return found


def examined(
    examiner: Examiner,
    models: Mapping[str, Vector],
    retained: Mapping[ClientId, int],
    forgotten: Sequence[ClientId],
) -> tuple[Task, dict[str, Answers]]:
    """What models answer, and what is right.

    Args:
        examiner: Asks.
        models: By name.
        retained: The retained clients, with their numbers of training images.
        forgotten: The forgotten clients that are asked, too; may be none.
    """
    step = max(1, -(-sum(retained.values()) // RETAINED))
    held = examiner.ask(models, sorted(retained), step, relearn=False)
    relearn = len(forgotten) == 1  # several would have to train one after the other, each on its own node
    own = examiner.ask(models, sorted(forgotten), 1, relearn) if forgotten else {}
    everybody = {client: {**held, **own}[client] for client in sorted({**held, **own})}
    classes = next(iter(held.values()))[f"{next(iter(models))}/test"].shape[1]

    def joined(parts: Mapping[ClientId, Arrays], name: str, empty: tuple[int, ...]) -> npt.NDArray[Any]:
        return np.concatenate([np.zeros(empty), *(parts[client][name] for client in sorted(parts))])

    def labels(parts: Mapping[ClientId, Arrays], split: str) -> npt.NDArray[np.int64]:
        return joined(parts, f"labels/{split}", (0,)).astype(np.int64)

    task = Task(labels(everybody, "test"), labels(own, "train"), labels(held, "train"))
    answers = {
        name: Answers(
            test=joined(everybody, f"{name}/test", (0, classes)),
            forgotten=joined(own, f"{name}/train", (0, classes)),
            retained=joined(held, f"{name}/train", (0, classes)),
            relearn=next(iter(own.values()))[f"{name}/relearn"] if relearn else None,
        )
        for name in models
    }
    return task, answers


def judged(task: Task, answers: Mapping[str, Answers], seeds: Sequence[int], asked: Sequence[ClientId]) -> Attested:
    """Every audit on the answers of 'candidate', 'untouched' and one model for each seed."""
    references = [answers[f"reference-{seed}"] for seed in seeds]
    findings = audit(Evidence(task, [answers["candidate"]], [answers["untouched"]], references))
    return Attested(len(seeds), tuple(seeds), overall(findings), tuple(findings), tuple(sorted(asked)))
