# SPDX-License-Identifier: MIT
"""What noise costs in each direction of the candidates' span: the Fisher information of the network's answers there.

With p_c(x; y) the class probabilities of the model at the point y of the span,

    H_ab = mean over images x of sum_c p_c d_a(log p_c) d_b(log p_c)

is the curvature of the expected cross-entropy at a model that answers as the labels are distributed. The span has few
dimensions, so the whole matrix is had from 2 n + 1 passes over the images, by differences of the answers to either side
of the candidates' mean; a diagonal over all weights would leave out how weights act together. For a linear head on
features the differences are the derivatives, since the log-odds are linear in the weights.

The matrix must not depend on who is erased: it is taken at the mean of the candidates, from images that are the same
whoever that is, and from no label.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fedlethe.data.federated import Examples, FederatedData
from fedlethe.erasing.coordinates import Frame
from fedlethe.errors import DataError
from fedlethe.federation.evaluation import predict
from fedlethe.privacy.accounting import Array
from fedlethe.privacy.span import Span
from fedlethe.runs.run import OpenRun
from fedlethe.vector import load_vector

IMAGES = 1000
"""At most so many, evenly spread over the clients' images."""

REACH = 0.1
"""The step to either side, as a share of the candidates' largest distance."""

LEAST = 1e-12
"""Stands for a smaller probability, whose logarithm would be all rounding."""


def curvature(run: OpenRun, span: Span, frame: Frame) -> tuple[Array, str]:
    """H in the coordinates of a span in a frame, shape (n, n), and what it was taken from.

    Raises:
        FedletheError: There are no images here.
    """
    images, source = _images(run.data, run.path)
    step = REACH * span.distance

    def log_answers(point: Array) -> Array:
        model = run.layout.floor_variances(frame.leave(span.at(point)), run.history.final())
        load_vector(run.network, run.layout, model)
        rows = np.concatenate([predict(run.network, run.execution, part) for part in images])
        answers: Array = np.log(np.maximum(np.nan_to_num(rows, nan=1.0), LEAST))
        return answers

    answers = np.exp(log_answers(np.zeros(span.rank)))  # (images, classes)
    slopes = np.stack(
        [
            (log_answers(step * axis) - log_answers(-step * axis)) / (2 * step)  # 0 is the candidates' mean
            for axis in np.eye(span.rank)
        ]
    )  # (n, images, classes)
    return np.einsum("axc,bxc,xc->ab", slopes, slopes, answers) / len(answers), source


def _images(images: FederatedData, where: Path) -> tuple[list[Examples], str]:
    """The public images where there are some, else every client's validation or else test images."""
    if images.public is not None:
        parts, name = [images.public], "public"
    else:
        held = images.clients.values()
        name = "validation" if any(len(data.validation) for data in held) else "test"
        parts = [data.validation if name == "validation" else data.test for data in held]
    if not any(map(len, parts)):
        raise DataError(
            f"{where}: no images lie here, which the shaped mask's curvature takes; take the mask 'subspace'"
        )
    step = max(1, -(-sum(map(len, parts)) // IMAGES))
    thinned = [part.only(np.arange(len(part)) % step == 0) for part in parts if len(part)]
    return thinned, f"{sum(map(len, thinned)):,} {name} images"
