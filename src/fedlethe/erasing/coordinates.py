# SPDX-License-Identifier: MIT
"""The coordinates in which candidates are compared and masked.

Noise may be added in any coordinates that do not depend on who left: what it hides is told by the candidates' distances
there. A network's are its weights. A linear head answers W x + b, x features of very different sizes that are far from
0, so that its weights and its bias say little alone; its coordinates are those that the ridge penalises, W s and
b + W m, m and s the mean and the standard deviation of the features over all clients of the training, whoever is erased
now. There candidates lie far closer together, for the same answers.

The shaped mask is the same in all coordinates of one span; the subspace mask is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedlethe.later import torch
from fedlethe.learners.which import learner_of
from fedlethe.privacy.accounting import Array
from fedlethe.privacy.hiding import MaskKind
from fedlethe.runs.run import OpenRun
from fedlethe.types import Vector
from fedlethe.vector import Layout


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A model's own coordinates, or those of a linear head on standardised features.

    Attributes:
        layout: Of the model.
        mean: Of the features, shape (d,); None for a model's own coordinates.
        deviation: Of the features, shape (d,), above 0.
    """

    layout: Layout
    mean: Array | None = None
    deviation: Array | None = None

    def enter(self, model: Vector) -> Vector:
        """A model, shape (P,), in these coordinates."""
        if self.mean is None or self.deviation is None:
            return model
        weight, bias = self._parts(model)
        return self._vector(weight * self.deviation, bias + weight @ self.mean)

    def leave(self, vector: Vector) -> Vector:
        """The model of these coordinates, shape (P,)."""
        if self.mean is None or self.deviation is None:
            return vector
        weight, bias = self._parts(vector)
        weight = weight / self.deviation
        return self._vector(weight, bias - weight @ self.mean)

    def _parts(self, vector: Vector) -> tuple[Array, Array]:
        views = self.layout.tensors(vector)
        return views["weight"].numpy().astype(np.float64), views["bias"].numpy().astype(np.float64)

    def _vector(self, weight: Array, bias: Array) -> Vector:
        vector = torch.empty(self.layout.size)
        views = self.layout.tensors(vector)
        views["weight"].copy_(torch.from_numpy(weight))
        views["bias"].copy_(torch.from_numpy(bias))
        return vector


def frame_of(run: OpenRun, kind: MaskKind) -> Frame:
    """The coordinates of a mask: isotropic noise is added to the weights as they are."""
    standard = None if kind == "isotropic" else learner_of(run.config).standardisation(run)
    return Frame(run.layout) if standard is None else Frame(run.layout, *standard)
