# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest

from fedlethe.closed_form.sent import noise_of, rows
from fedlethe.closed_form.settings import ClosedFormSettings
from fedlethe.data.federated import Examples


@pytest.fixture
def examples() -> Examples:
    """Three of four rows of two features: (3, 4) of class 1, (0, 0.5) of class 0 and (6, 8) of class 1."""
    features = np.asarray([[6, 8], [9, 9], [0, 0.5], [3, 4]], dtype=np.float32).reshape(4, 2, 1, 1)
    return Examples(features, np.asarray([3, 2, 0]), np.asarray([1, 0, 1]))


def test_what_is_sent_is_of_the_rows_that_are_held(examples: Examples) -> None:
    sent = rows(examples, ClosedFormSettings(), 3)
    assert sent.rows.tolist() == [1, 2, 0]
    assert sent.sums.tolist() == [[0, 0.5], [9, 12], [0, 0]]
    assert sent.gram.tolist() == [[0, 0, 0.25], [45, 60, 80], [0, 0, 0]]  # 9 + 36, 12 + 48, 16 + 64


def test_rows_that_noise_will_hide_are_clipped_and_others_are_not(examples: Examples) -> None:
    # To length 2: (3, 4) and (6, 8) to (1.2, 1.6) each; (0, 0.5) is shorter.
    sent = rows(examples, ClosedFormSettings(epsilon=1.0, radius=2.0), 2)
    np.testing.assert_allclose(sent.sums, [[0, 0.5], [2.4, 3.2]], rtol=1e-6)
    assert rows(examples, ClosedFormSettings(radius=2.0), 2).sums.tolist() == [[0, 0.5], [9, 12]]


def test_noise_of_a_seed_is_each_client_s_own_and_comes_again() -> None:
    def drawn(seed: int | None, client: str) -> list[float]:
        noise = noise_of(ClosedFormSettings(epsilon=1.0, noise_seed=seed), client)
        return [float(value) for value in noise.standard_normal(4)]

    assert drawn(1, "a") == drawn(1, "a")
    different = [drawn(1, "a"), drawn(1, "b"), drawn(2, "a"), drawn(None, "a"), drawn(None, "a")]
    assert len({tuple(values) for values in different}) == 5
