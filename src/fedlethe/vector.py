# SPDX-License-Identifier: MIT
"""A model's whole float state as ONE contiguous float32 vector, with its Layout.

Parameters and float buffers (batch-norm statistics) are both in it, because both carry a client's trace; integer
buffers are not. Entries lie in the order of their names, which is the order in which safetensors lays out tensors of
one type: a checkpoint's data section IS the vector.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from fedlethe.errors import ConfigError
from fedlethe.later import torch
from fedlethe.types import Vector

VARIANCE_FLOOR = 0.1
"""The least share of a reference model's running variance: an output is scaled up by at most sqrt(10) in a layer."""

_TINY = 1e-8


@dataclass(frozen=True)
class Layout:
    """Where each named tensor lies in the vector.

    Attributes:
        shapes: Name to shape, in the order of the names.
    """

    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, network: torch.nn.Module) -> Layout:
        """The layout of a network's parameters and float buffers.

        Raises:
            ConfigError: Some have no shape or no values yet, or are complex.
        """
        if any(map(torch.nn.parameter.is_lazy, network.state_dict().values())):
            raise ConfigError("model: some weights have no shape yet (a Lazy module); call it with an example first")
        if empty := next((name for name, tensor in network.state_dict().items() if tensor.is_meta), None):
            raise ConfigError(f"model: '{empty}' has no values (device 'meta'); build the network on the CPU")
        # A constant of the network's own may be complex, as it may be an integer; what is trained may not.
        if odd := next((name for name, weight in network.named_parameters() if weight.is_complex()), None):
            raise ConfigError(f"model: '{odd}' holds complex numbers, which clients do not exchange; use two real ones")
        return cls({name: tuple(tensor.shape) for name, tensor in _float_state(network)})

    @cached_property
    def spans(self) -> Mapping[str, slice]:
        """Name to the part of the vector that it takes."""
        spans, start = {}, 0
        for name, shape in self.shapes.items():
            spans[name] = slice(start, start + math.prod(shape))
            start += math.prod(shape)
        return spans

    @property
    def size(self) -> int:
        """P, the number of floats."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @cached_property
    def parameters(self) -> torch.Tensor:
        """Which entries are parameters, not running statistics: bool, shape (P,)."""
        mask = torch.ones(self.size, dtype=torch.bool)
        for name, span in self.spans.items():
            if is_statistic(name):
                mask[span] = False
        return mask

    def norms(self, vector: Vector) -> dict[str, float]:
        """The L2 norm of each named tensor of a vector, shape (P,)."""
        return {
            name: float(torch.linalg.vector_norm(vector[span], dtype=torch.float64))
            for name, span in self.spans.items()
        }

    def tensors(self, vector: Vector) -> dict[str, torch.Tensor]:
        """Named views into a vector of shape (P,): writing to one writes to the vector."""
        return {name: vector[span].view(self.shapes[name]) for name, span in self.spans.items()}

    def floor_variances(self, vector: Vector, reference: Vector) -> Vector:
        """Raise every running variance in `vector` to at least VARIANCE_FLOOR of the reference's, in place.

        A subtraction or noise can take a variance below zero, where batch norm has no value, or so near to it that
        the answers overflow.

        Args:
            vector: Shape (P,).
            reference: The model before the subtraction or the noise, shape (P,).

        Returns:
            The same vector, all its running variances above 0.
        """
        for name, span in self.spans.items():
            if name.endswith("running_var"):
                floor = (VARIANCE_FLOOR * reference[span]).clamp_(min=_TINY)
                torch.maximum(vector[span], floor, out=vector[span])
        return vector

    def difference(self, other: Mapping[str, tuple[int, ...]]) -> str | None:
        """The first entry in which `other` differs, in words; None if there is none."""
        for name, shape in self.shapes.items():
            if name not in other:
                return f"it lacks '{name}'"
            if tuple(other[name]) != shape:
                return f"'{name}' has shape {tuple(other[name])} where {shape} is expected"
        extra = next((name for name in other if name not in self.shapes), None)
        return None if extra is None else f"it has '{extra}', which this model does not have"


def is_statistic(name: str) -> bool:
    """Whether a tensor of this name holds running statistics (of batch norm), which no gradient moves."""
    return name.endswith(("running_mean", "running_var"))


def to_vector(network: torch.nn.Module, layout: Layout) -> Vector:
    """A copy of a network's float state, shape (P,), float32, on the CPU."""
    vector = torch.empty(layout.size, dtype=torch.float32)
    views = layout.tensors(vector)
    with torch.no_grad():
        for name, tensor in _float_state(network):
            views[name].copy_(tensor)
    return vector


def load_vector(network: torch.nn.Module, layout: Layout, vector: Vector) -> None:
    """Copy a vector of shape (P,) into a network, wherever the network lies.

    Raises:
        ConfigError: The vector has another length.
    """
    if vector.shape != (layout.size,):
        raise ConfigError(f"a model of {vector.numel()} floats does not fit a network of {layout.size}")
    views = layout.tensors(vector)
    with torch.no_grad():
        for name, tensor in _float_state(network):
            tensor.copy_(views[name])


def copied(network: torch.nn.Module) -> torch.nn.Module:
    """A copy of a network that can be trained as the network itself can.

    Each weight of its own: PyTorch copies those of TorchScript as results of a computation, which take no gradient and
    which no step would move.
    """
    held = copy.deepcopy(network)
    for weight in held.parameters():
        if not weight.is_leaf:
            weight.detach_().requires_grad_()
    return held


def _float_state(network: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    state = [(name, tensor) for name, tensor in network.state_dict().items() if tensor.is_floating_point()]
    yield from sorted(state, key=lambda item: item[0])
