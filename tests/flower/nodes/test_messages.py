# SPDX-License-Identifier: MIT
"""What travels comes back as it was, and a reply that cannot be is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict

from fedlethe.closed_form.by_class import ByClass
from fedlethe.errors import FedletheError
from fedlethe.federation.client import LocalTraining
from fedlethe.federation.objective import (
    Ascent,
    Ball,
    CrossEntropy,
    Distillation,
    LoweredLogit,
    Objective,
    UnlearningCrossEntropy,
)
from fedlethe.flower.nodes.messages import (
    OBJECTIVES,
    Computing,
    Counts,
    NodeRequest,
    no_update,
    objective_of,
    settings_of,
    statistics_in,
    summed_counts,
    training,
    training_reply,
    update_of,
    with_statistics,
)
from fedlethe.types import Update

MODEL = torch.tensor([1.5, -2.0])


def sent(objective: Objective, settings: LocalTraining | None = None) -> RecordDict:
    return training(
        "north",
        Computing(precision="bfloat16", threads=2),
        MODEL,
        round=3,
        seed=2**63 + 1,  # more than a record's whole numbers hold
        settings=settings or LocalTraining(),
        objective=objective,
    )


def test_a_request_comes_as_it_was_made() -> None:
    settings = LocalTraining(epochs=0.5, batch_size=8)
    content = sent(CrossEntropy(), settings)
    request = NodeRequest.of(content)
    assert (request.client, request.computing) == ("north", Computing(precision="bfloat16", threads=2))
    assert request.models["model"].tolist() == [1.5, -2.0]
    assert (request.options["round"], int(str(request.options["seed"]))) == (3, 2**63 + 1)
    assert settings_of(content) == settings.in_full()
    adam = LocalTraining(optimizer="adam")  # which has no momentum
    assert settings_of(sent(CrossEntropy(), adam)) == adam
    assert NodeRequest.of(NodeRequest(client="a", computing=Computing()).records()).models == {}


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_every_objective_travels(kind: str) -> None:
    made: dict[str, Objective] = {
        "CrossEntropy": CrossEntropy(),
        "Ascent": Ascent(Ball(torch.tensor([5.0, 6.0]), 0.25)),
        "UnlearningCrossEntropy": UnlearningCrossEntropy(),
        "Distillation": Distillation(torch.tensor([3.0, 4.0])),
        "LoweredLogit": LoweredLogit(torch.tensor([3.0, 4.0])),
    }
    objective = made[kind]
    again = objective_of(NodeRequest.of(sent(objective)))
    assert type(again) is type(objective)
    assert _values(again) == _values(objective)


def test_a_ball_travels_as_its_centre_and_its_radius() -> None:
    again = objective_of(NodeRequest.of(sent(Ascent(Ball(torch.tensor([5.0, 6.0]), 0.25)))))
    assert isinstance(again, Ascent)
    assert (again.ball.centre.tolist(), again.ball.radius) == ([5.0, 6.0], 0.25)


def test_an_objective_that_no_node_knows_is_refused_before_it_is_sent() -> None:
    @dataclass(frozen=True)
    class Own:
        pass

    own: Any = Own()
    with pytest.raises(FedletheError, match="objective Own cannot travel"):
        sent(own)


def test_an_update_comes_as_it_was_made() -> None:
    update = Update("north", torch.tensor([0.5, 1.0]), 12, 24, 3, 0.125)
    again = update_of("north", training_reply(RecordDict(), update))
    assert again.model.tolist() == update.model.tolist()
    assert _values(again) == _values(update)
    again.model[0] = 1.0  # it can be written to: nobody else's memory


@pytest.mark.parametrize("damage", ["update", "metrics", "num-examples", "text"])
def test_a_reply_without_an_update_is_refused(damage: str) -> None:
    content: Any = training_reply(RecordDict(), Update("north", MODEL, 12, 24, 3, 0.125))
    if damage in content:
        del content[damage]
    elif damage == "text":
        content["metrics"]["steps"] = [1, 2]
    else:
        del content["metrics"][damage]
    with pytest.raises(ValueError, match="its answer holds no update"):
        update_of("north", content)


def test_who_gave_no_update_has_a_reason_and_no_model() -> None:
    update = no_update("north", "did not answer")
    assert (update.problem, len(update.model), update.num_examples) == ("did not answer", 0, 0)


def _sums() -> ByClass:
    features = np.asarray([[1, 2], [3, 4], [5, 6]], dtype=np.float32)
    return ByClass.of(features, np.asarray([0, 1, 1]), 2)


def test_statistics_come_as_they_were_made() -> None:
    again = statistics_in("north", with_statistics(RecordDict(), _sums()))
    assert again.rows.tolist() == [1, 2]
    assert again.sums.tolist() == [[1, 2], [8, 10]]
    assert again.gram.tolist() == [[1, 2, 4], [34, 42, 52]]  # 9 + 25, 12 + 30, 16 + 36


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"rows": None}, "north: its answer holds no statistics"),
        ({"gram": np.zeros((2, 3), np.float32)}, "north: its statistics are not float64 .'gram' is float32."),
        ({"gram": np.zeros((2, 3))}, "north"),  # no rows have these sums and no squares
        ({"sums": np.zeros((2, 2, 1))}, "north: the statistics' shapes do not fit"),
    ],
)
def test_statistics_that_no_images_can_have_are_refused(damage: dict[str, Any], message: str) -> None:
    record = with_statistics(RecordDict(), _sums()).array_records["statistics"]
    held = {name: array for name, array in record.items() if damage.get(name, array) is not None}
    held |= {name: Array(array) for name, array in damage.items() if array is not None}
    with pytest.raises(FedletheError, match=message):
        statistics_in("north", RecordDict({"statistics": ArrayRecord(held)}))


def test_counts_give_the_metrics_of_their_images() -> None:
    answered = ((5, 1, 4), (0, 0, 0), (1, 2, 27))
    counts = Counts(images=(10, 0, 30), answered=answered, auc=0.75, auc_interval=(0.5, 0.875))
    metrics = counts.metrics()
    assert (metrics.num_examples, metrics.accuracy, metrics.auc) == (40, 0.8, 0.75)
    assert metrics.balanced_accuracy == pytest.approx(0.7)  # of .5 and .9; the class without images does not count
    assert (metrics.confusion, metrics.auc_interval, metrics.calibration) == (answered, (0.5, 0.875), None)
    assert Counts.of(counts.record()) == counts
    assert Counts.of(Counts((1,), ((1,),)).record()) == Counts((1,), ((1,),))
    total = summed_counts({"a": counts, "b": Counts((1, 2, 3), ((1, 0, 0), (0, 0, 2), (0, 0, 3)), 0.5)})
    assert total == Counts((11, 2, 33), ((6, 1, 4), (0, 0, 2), (1, 2, 30)))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"answered": [3, 0, 1, 5]}, "more images are answered than there are"),
        ({"answered": [-1, 0, 0, 4]}, "more images are answered than there are"),
        ({"answered": [3, 0, 4]}, "3 counts of answers do not fit 2 classes"),
        ({"auc": 1.5}, "a share lies outside 0 to 1"),
        ({"auc-interval": [0.5, float("nan")]}, "a share lies outside 0 to 1"),
    ],
)
def test_counts_that_cannot_be_are_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Counts.of(MetricRecord({"images": [3, 4], "answered": [3, 0, 0, 4], **changed}))


def _values(held: Any) -> dict[str, Any]:
    """The fields of an objective or an update, comparable."""
    found = {}
    for name in held.__dataclass_fields__:
        value = getattr(held, name)
        found[name] = value.tolist() if isinstance(value, torch.Tensor) else value
        if isinstance(value, Ball):
            found[name] = (value.centre.tolist(), value.radius)
    return found
