# SPDX-License-Identifier: MIT
"""Models as apps send them, as one vector and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict

from fedlethe.errors import FedletheError
from fedlethe.flower.wrap.model_arrays import ModelArrays


@pytest.mark.parametrize(
    "held",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        np.arange(6, dtype=">f4").reshape(2, 3),
        np.arange(6, dtype=np.float64).reshape(2, 3),
        np.array(3.0, np.float32),
    ],
    ids=["plain", "by columns", "big-endian", "float64", "a number"],
)
def test_an_array_is_read_whatever_form_it_has(held: Any) -> None:
    first = ArrayRecord({"weight": Array(held.astype(np.float32)), "bias": Array(np.ones(1, np.float32))})
    named = ModelArrays.of(first)
    sent = ArrayRecord({"weight": Array(held), "bias": Array(np.ones(1, np.float32))})
    assert named.vector(sent).tolist() == [1.0, *held.ravel().tolist()]


def _counted(weight: Any, steps: Any = 3) -> ArrayRecord:
    """A model whose arrays are not in the order of their names: a counter first, then two float arrays."""
    return ArrayRecord(
        {
            "steps": Array(np.asarray(steps)),
            "weight": Array(np.asarray(weight, dtype=np.float32)),
            "bias": Array(np.asarray([9.0], dtype=np.float32)),
        }
    )


def _reply(arrays: ArrayRecord, **metrics: Any) -> RecordDict:
    return RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 4, **metrics})})


def test_a_model_comes_back_as_it_was_sent() -> None:
    sent = _counted([[1, 2], [3, 4]])
    named = ModelArrays.of(sent)
    assert named.names == ("steps", "weight", "bias")
    assert named.layout.shapes == {"bias": (1,), "weight": (2, 2)}
    vector, rest = named.vector(sent), named.rest(sent)
    assert vector.tolist() == [9, 1, 2, 3, 4]  # in the order of the names
    assert {name: array.tolist() for name, array in rest.items()} == {"steps": 3}
    back = named.arrays(vector, rest)
    assert list(back) == list(sent)
    assert all(back[name].data == sent[name].data for name in sent)


def test_what_a_strategy_made_float64_is_kept_beside_the_vector() -> None:
    named = ModelArrays.of(_counted([1, 2]))
    made = _counted([1, 2])
    made["weight"] = Array(np.asarray([1 / 3, 2.0]))
    assert {name: array.tolist() for name, array in named.rest(made).items()} == {"steps": 3, "weight": [1 / 3, 2.0]}


def test_a_model_that_cannot_be_recorded_is_refused() -> None:
    with pytest.raises(FedletheError, match="array 'w' is float16; fedlethe records float32"):
        ModelArrays.of(ArrayRecord({"w": Array(np.zeros(2, np.float16))}))
    with pytest.raises(FedletheError, match="no float32 array"):
        ModelArrays.of(ArrayRecord({"steps": Array(np.asarray(1))}))


def test_an_update_is_read_with_its_weight_and_loss() -> None:
    named = ModelArrays.of(_counted([0, 0]))
    update = named.update("a", _reply(_counted([1, 2]), weight=2.6, train_loss=0.5), "weight")
    assert (update.num_examples, update.examples_processed, update.loss) == (3, 2, 0.5)
    assert update.model.tolist() == [9, 1, 2]
    other = named.update("a", _reply(_counted([1, 2]), loss=0.25, **{"examples-processed": 40}), "num-examples")
    assert (other.num_examples, other.examples_processed, other.loss) == (4, 40, 0.25)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (RecordDict({"metrics": MetricRecord({"num-examples": 4})}), "holds 0 records of arrays and 1 of metrics"),
        (RecordDict({"arrays": _counted([1, 2])}), "holds 1 records of arrays and 0 of metrics"),
        (_reply(_counted([1, 2]), **{"num-examples": 0}), "its 'num-examples' is 0, and must be a number above 0"),
        (_reply(_counted([1, 2]), **{"num-examples": float("nan")}), "its 'num-examples' is nan"),
        (_reply(_counted([1, 2]), **{"num-examples": float("inf")}), "its 'num-examples' is inf"),
        (_reply(_counted([1, 2]), **{"num-examples": [4, 4]}), "must be a number above 0"),
    ],
)
def test_a_reply_that_cannot_be_weighed_is_no_update(content: RecordDict, reason: str) -> None:
    update = ModelArrays.of(_counted([0, 0])).update("a", content, "num-examples")
    assert reason in str(update.problem)
    assert len(update.model) == 0
