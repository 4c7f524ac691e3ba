# SPDX-License-Identifier: MIT
"""The median of Yin et al., by hand, and against one hospital that sends anything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fedlethe.federation import median
from fedlethe.federation.median import Median
from fedlethe.federation.train import train
from fedlethe.types import ClientId, Vector
from tests.fakes import LinearFederation, linear_federation


def of(models: dict[ClientId, list[float]]) -> list[float]:
    vectors = {client: torch.tensor(model) for client, model in models.items()}
    found = Median().aggregate(torch.zeros(3), vectors, dict.fromkeys(models, 1 / len(models)))
    assert found.dtype == torch.float32
    return found.tolist()


def test_of_three_by_hand() -> None:
    assert of({"a": [1.0, -2.0, 7.0], "b": [3.0, 5.0, 7.0], "c": [-1.0, 9.0, 7.0]}) == [1.0, 5.0, 7.0]


def test_of_four_it_is_the_mean_of_the_two_in_the_middle() -> None:
    models = {"a": [1.0, 0.0, 4.0], "b": [2.0, 0.0, 1.0], "c": [4.0, 1.0, 3.0], "d": [100.0, 1.0, -8.0]}
    assert of(models) == [3.0, 0.5, 2.0]


def test_of_one_and_of_two() -> None:
    assert of({"a": [1.0, 2.0, 3.0]}) == [1.0, 2.0, 3.0]
    assert of({"a": [1.0, 2.0, 3.0], "b": [3.0, 4.0, -3.0]}) == [2.0, 3.0, 0.0]
    assert of({"a": [3e38] * 3, "b": [3e38] * 3}) == pytest.approx([3e38] * 3)  # their sum would be infinite


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_it_is_numpys_median_however_it_is_cut_into_pieces(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    models = {f"c{index}": torch.randn(1000, generator=torch.Generator().manual_seed(index)) for index in range(count)}
    whole = Median().aggregate(torch.zeros(1000), models, {})
    monkeypatch.setattr(median, "AT_ONCE", 7)
    assert torch.equal(Median().aggregate(torch.zeros(1000), models, {}), whole)
    wanted = np.median(np.stack([model.numpy() for model in models.values()]), axis=0)
    np.testing.assert_allclose(whole.numpy(), wanted, rtol=1e-6)


def test_a_round_by_hand() -> None:
    """a, b and c go half of the way from 0 to 4, 8 and -4; c's two examples do not count twice."""
    federation = replace(linear_federation(), aggregator=Median())
    (record,) = train(federation, torch.zeros(3), [(1, ("a", "b", "c"))])
    assert record.after.tolist() == [2.0, 2.0, 2.0]
    assert record.weights == {"a": 0.25, "b": 0.25, "c": 0.5}


def test_one_poisoned_client_does_not_move_it() -> None:
    """Five hospitals near 1; one sends its delta a hundred times. The mean is taken along, the median is not."""
    targets: dict[ClientId, Vector] = {f"h{index}": torch.full((3,), 1.0 + 0.01 * index) for index in range(5)}
    poisoned = {**targets, "h0": -100 * targets["h0"]}
    counts = dict.fromkeys(targets, 10)
    schedule = [(round, tuple(targets)) for round in range(1, 9)]

    def final(federation: LinearFederation) -> Vector:
        return list(train(federation, torch.zeros(3), schedule))[-1].after

    honest, attacked = (final(LinearFederation(held, counts, aggregator=Median())) for held in (targets, poisoned))
    assert float((attacked - honest).abs().max()) <= 0.011  # from the third of five to the one beside it
    assert float((final(LinearFederation(poisoned, counts)) - honest).abs().max()) > 10


def test_less_than_half_of_them_keep_it_among_the_others() -> None:
    generator = torch.Generator().manual_seed(0)
    honest = {f"h{index}": torch.randn(200, generator=generator) for index in range(3)}
    liars = {f"l{index}": 1e6 * torch.randn(200, generator=generator) for index in range(2)}
    found = Median().aggregate(torch.zeros(200), honest | liars, {})
    stacked = torch.stack(list(honest.values()))
    assert bool(((found >= stacked.min(dim=0).values) & (found <= stacked.max(dim=0).values)).all())
