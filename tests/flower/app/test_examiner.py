# SPDX-License-Identifier: MIT
"""How nodes' answers become one piece of evidence; the nodes are made of arrays here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from fedlethe.audit import Answers, Task
from fedlethe.flower.app import examiner
from fedlethe.flower.app.examiner import Arrays, examined, judged
from fedlethe.types import Vector

MODELS = ("candidate", "untouched", "reference-7", "reference-8", "reference-9")
PLACE = {client: place for place, client in enumerate(("north", "south", "west"))}


class Nodes:
    """Answers for north, south and west, each with two test images and three training images."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[str, ...], int, bool]] = []

    def ask(self, models: Mapping[str, Vector], clients: Sequence[str], step: int, relearn: bool) -> dict[str, Arrays]:
        self.asked.append((tuple(clients), step, relearn))
        return {client: self.answers(client, models, relearn) for client in reversed(clients)}

    def answers(self, client: str, models: Mapping[str, Vector], relearn: bool) -> Arrays:
        place = PLACE[client]
        held: dict[str, Any] = {"labels/test": np.array([place, 0]), "labels/train": np.array([place, 1, 2])}
        for number, name in enumerate(models):
            held[f"{name}/test"] = np.full((2, 3), -1.0 - place - 10 * number)
            held[f"{name}/train"] = np.full((3, 3), -2.0 - place - 10 * number)
            if relearn:
                held[f"{name}/relearn"] = np.array([float(number), 0.5])
        return held


def asked_of(nodes: Nodes, retained: Mapping[str, int], forgotten: Sequence[str]) -> tuple[Task, dict[str, Answers]]:
    models = {name: torch.zeros(1) for name in MODELS}
    asking: Any = nodes
    return examined(asking, models, retained, forgotten)


def test_answers_are_joined_by_client_whatever_the_order_they_come_in() -> None:
    nodes = Nodes()
    task, answers = asked_of(nodes, {"west": 3, "north": 3}, ["south"])
    assert nodes.asked == [(("north", "west"), 1, False), (("south",), 1, True)]
    assert task.test.tolist() == [0, 0, 1, 0, 2, 0]  # all three, by name
    assert task.forgotten.tolist() == [1, 1, 2]
    assert task.retained.tolist() == [0, 1, 2, 2, 1, 2]
    untouched = answers["untouched"]
    assert untouched.test[:, 0].tolist() == [-11.0, -11.0, -12.0, -12.0, -13.0, -13.0]
    assert untouched.forgotten[:, 0].tolist() == [-13.0] * 3
    assert untouched.retained[:, 0].tolist() == [-12.0] * 3 + [-14.0] * 3
    assert untouched.relearn is not None
    assert untouched.relearn.tolist() == [1.0, 0.5]


def test_where_the_forgotten_are_not_asked_nothing_is_said_of_their_images() -> None:
    nodes = Nodes()
    task, answers = asked_of(nodes, {"north": 3, "west": 3}, [])
    assert [clients for clients, _, _ in nodes.asked] == [("north", "west")]
    assert len(task.forgotten) == 0
    assert answers["candidate"].forgotten.shape == (0, 3)
    assert answers["candidate"].relearn is None
    assert len(task.test) == 4


def test_several_that_are_forgotten_do_not_train_again() -> None:
    """They would have to train one after the other, each on its own node."""
    nodes = Nodes()
    _, answers = asked_of(nodes, {"north": 3}, ["west", "south"])
    assert nodes.asked[1] == (("south", "west"), 1, False)
    assert answers["candidate"].relearn is None


def test_of_many_retained_images_every_so_many_th_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examiner, "RETAINED", 10)
    nodes = Nodes()
    asked_of(nodes, {"north": 12, "west": 9}, ["south"])
    assert [step for _, step, _ in nodes.asked] == [3, 1]  # 21 images, at most 10; of the forgotten, all


def test_the_judgement_names_its_retrainings_and_who_was_asked() -> None:
    task, answers = asked_of(Nodes(), {"north": 3, "west": 3}, [])
    found = judged(task, answers, (7, 8, 9), ["west", "north"])
    assert (found.references, found.seeds, found.asked) == (3, (7, 8, 9), ("north", "west"))
    words = {finding.audit: finding.verdict for finding in found.findings}
    assert words["membership"] == "cannot be shown"
    utility = next(finding for finding in found.findings if finding.audit == "utility")
    assert utility.measured is not None
    assert len(utility.measured.references) == 3
