# SPDX-License-Identifier: MIT
"""What noise costs in each direction, held against the derivatives of the answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fedlethe.data.federated import normalise
from fedlethe.erasing.coordinates import frame_of
from fedlethe.erasing.curvature import curvature
from fedlethe.privacy.span import Span
from fedlethe.runs.run import OpenRun
from tests.erasing.hiding import candidates

pytestmark = pytest.mark.usefixtures("secrets_in_order")


def test_the_curvature_is_that_of_the_answers(run: OpenRun) -> None:
    """Against differences in float64 over a step ten thousand times as short, image by image."""
    span, frame = Span.of(candidates(run, scale=0.05)), frame_of(run, "subspace")
    found, source = curvature(run, span, frame)
    assert "test images" in source
    middle = span.at(np.zeros(span.rank))
    directions = [run.layout.tensors(span.at(axis) - middle) for axis in np.eye(span.rank)]
    run.network.eval()
    expected, count = np.zeros((span.rank, span.rank)), 0

    def answers(images: torch.Tensor, direction: int, step: float) -> np.ndarray:
        tensors = run.layout.tensors(middle)
        moved = {name: tensor.double() + step * directions[direction][name] for name, tensor in tensors.items()}
        with torch.no_grad():
            logits: torch.Tensor = torch.func.functional_call(run.network, moved, (images.double(),))
        return logits.log_softmax(dim=1).numpy()

    for data in run.data.clients.values():
        for image in normalise(data.test.batch(np.arange(len(data.test)))[0]):
            weights, step = np.exp(answers(image[None], 0, 0.0))[0], 1e-5 * span.distance
            slopes = np.stack(
                [(answers(image[None], n, step) - answers(image[None], n, -step))[0] / (2 * step) for n in range(3)]
            )
            expected += (slopes * weights) @ slopes.T
            count += 1
    np.testing.assert_allclose(found, expected / count, rtol=0.05, atol=0.02 * float(found.max()))
