# SPDX-License-Identifier: MIT
"""A model as Flower apps send it, arrays by name, as one vector and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from flwr.app import Array, ArrayRecord, RecordDict

from fedlethe.errors import ConfigError
from fedlethe.flower.nodes.messages import no_update
from fedlethe.later import torch
from fedlethe.types import ClientId, Update, Vector
from fedlethe.vector import Layout

PLAIN_MAGIC, PLAIN_HEADER = b"\x93NUMPY\x01\x00", b"{'descr': '<f4', 'fortran_order': False, "
"""How the content of an .npy file of float32 in C order begins, version 1.0, and the header in it."""


@dataclass(frozen=True, slots=True)
class ModelArrays:
    """Which arrays a model has.

    Attributes:
        names: All of them, in the order in which the app sends them.
        layout: The float32 ones, which are the vector; the rest (counters of batch norm) are kept as they are.
    """

    names: tuple[str, ...]
    layout: Layout

    @classmethod
    def of(cls, record: ArrayRecord) -> ModelArrays:
        """Of a model that an app sends.

        Raises:
            ConfigError: An array is of another float type, or none is of float32.
        """
        floats = {name: array for name, array in record.items() if _floats(array)}
        for name, array in floats.items():
            if array.dtype != "float32":
                raise ConfigError(f"array '{name}' is {array.dtype}; fedlethe records float32: send the model so")
        if not floats:
            raise ConfigError("the model has no float32 array; send its parameters as an ArrayRecord")
        # The vector is in the order of the names, whatever order the app sends in: a client's may be another.
        return cls(tuple(record), Layout({name: tuple(floats[name].shape) for name in sorted(floats)}))

    def vector(self, record: ArrayRecord) -> Vector:
        """The float arrays of a record, which must be this model's, as one vector, shape (P,)."""
        whole = torch.empty(self.layout.size, dtype=torch.float32)
        for name, view in self.layout.tensors(whole).items():
            view.numpy()[...] = _values(record[name]).reshape(view.shape)
        return whole

    def arrays(self, vector: Vector, rest: Mapping[str, npt.NDArray[Any]]) -> ArrayRecord:
        """A vector, shape (P,), and the other arrays, as the app sends them."""
        views = self.layout.tensors(vector)
        held: dict[str, npt.NDArray[Any]] = {name: view.numpy() for name, view in views.items()} | dict(rest)
        return ArrayRecord({name: Array(np.array(held[name], order="C")) for name in self.names})

    def rest(self, record: ArrayRecord) -> dict[str, npt.NDArray[Any]]:
        """The arrays that the vector does not hold as they are: counters, and what a strategy made float64 of."""
        named = {name: record[name] for name in self.names}
        return {
            name: array.numpy()
            for name, array in named.items()
            if name not in self.layout.shapes or array.dtype != "float32"
        }

    def update(self, client: ClientId, content: RecordDict, weight: str) -> Update:
        """What a client sent.

        Args:
            client: Who.
            content: Its reply: one record of arrays, and one of metrics with the weight.
            weight: Names the metric that the client is weighted by.
        """
        records, metrics = list(content.array_records.values()), list(content.metric_records.values())
        if len(records) != 1 or len(metrics) != 1:
            return no_update(client, f"its reply holds {len(records)} records of arrays and {len(metrics)} of metrics")
        shapes = {name: tuple(records[0][name].shape) for name in records[0] if name in self.layout.shapes}
        if difference := self.layout.difference(shapes):
            return no_update(client, f"its model is another: {difference}")
        # Also the arrays that are not in the vector: the strategy averages all of them by name.
        if set(records[0]) != set(self.names):
            return no_update(client, "its model has other arrays than the one it was sent")
        if other := next((name for name in self.layout.shapes if not _floats(records[0][name])), None):
            return no_update(client, f"its '{other}' is {records[0][other].dtype}, not float32")
        try:
            number = self.number(content, weight)
            vector = self.vector(records[0])
        except (ValueError, RuntimeError) as error:
            return no_update(client, f"its reply cannot be used ({error})")
        loss: Any = metrics[0].get("loss", metrics[0].get("train_loss", 0.0))
        processed: Any = metrics[0].get("examples-processed", number)
        return Update(client, vector, max(1, round(number)), int(processed), 0, float(loss))

    @staticmethod
    def number(content: RecordDict, weight: str) -> float:
        """What a client is weighted by.

        Raises:
            ValueError: It is no number above 0.
        """
        (metrics,) = content.metric_records.values()
        number = metrics.get(weight)
        if isinstance(number, list) or number is None or not 0 < number < float("inf"):
            raise ValueError(f"its '{weight}' is {number}, and must be a number above 0")
        return float(number)


def _values(array: Array) -> npt.NDArray[Any]:
    """An array's values; plain float32 is read where it lies, which a model of many arrays is parsed the faster by."""
    data = array.data
    start = 10 + int.from_bytes(data[8:10], "little")
    if array.stype == "numpy.ndarray" and data.startswith(PLAIN_MAGIC) and data[10:start].startswith(PLAIN_HEADER):
        return np.frombuffer(data, "<f4", offset=start)
    return array.numpy()


def _floats(array: Array) -> bool:
    return array.dtype.startswith("float")
