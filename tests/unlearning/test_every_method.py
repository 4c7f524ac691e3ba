# SPDX-License-Identifier: MIT
"""One contract over all of METHODS, on a real network where published code breaks.

The network has batch norm (running statistics and an integer counter), a layer that no image reaches (its deltas have
norm 0), and clients that join late, stay away or never come.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from fedlethe.data.federated import ClientData, Examples, FederatedData
from fedlethe.federation.client import LocalTraining
from fedlethe.federation.execution import Execution
from fedlethe.federation.simulated import SimulatedFederation
from fedlethe.federation.train import train
from fedlethe.history.history import InMemoryHistory
from fedlethe.types import EVERYTHING, Need, Vector
from fedlethe.unlearning import METHODS, UnlearningMethod, unlearn
from fedlethe.vector import Layout, to_vector

CLIENTS = ("a", "b", "c", "d", "e")
EVERY_ROUND = [(round, CLIENTS) for round in range(1, 7)]
UNEVEN: list[tuple[int, Sequence[str]]] = [
    (1, ("a", "b", "c")),
    (2, ("a", "c")),
    (3, ("a", "b", "c", "d")),
    (4, ("b", "d")),
    (5, ("a", "b", "c", "d")),
    (6, ("a", "b", "c", "d")),
]
"""d joins in round 3, nobody is there all the time, and e never comes."""

NAMES = list(METHODS)


class _Net(nn.Module):
    """Batch norm, and a layer that no image reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.last = nn.Linear(4, 2)
        self.unused = nn.Linear(3, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.last(self.norm(self.first(images)).relu().mean((2, 3)))
        return answer


class _Guarded(Examples):
    """Examples that may not be opened."""

    def batch(self, positions: object) -> tuple[torch.Tensor, torch.Tensor]:
        raise AssertionError("the forgotten client's data were opened")


def _closed(data: ClientData) -> ClientData:
    guarded = _Guarded(data.train.images, data.train.indices, data.train.labels)
    return ClientData(guarded, guarded, guarded)


def _data() -> FederatedData:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 140)
    images = (
        generator.integers(0, 120, (140, 1, 8, 8), dtype=np.uint8)
        + (labels * 100).astype(np.uint8)[:, None, None, None]
    )

    def examples(first: int, count: int) -> Examples:
        indices = np.arange(first, first + count)
        return Examples(images, indices, labels[indices])

    clients = {}
    for index, (client, count) in enumerate(zip(CLIENTS, (20, 12, 16, 24, 8), strict=True)):
        held = examples(24 * index, count)
        clients[client] = ClientData(held, held, held)
    public = Examples(images, np.arange(120, 140), np.full(20, -1))
    return FederatedData(
        clients=clients, classes=("0", "1"), image_shape=(1, 8, 8), source_fingerprint="", public=public
    )


def _federation(data: FederatedData) -> SimulatedFederation:
    torch.manual_seed(0)
    network = _Net()
    return SimulatedFederation(
        network=network,
        layout=Layout.of(network),
        data=data,
        settings=LocalTraining(epochs=2, batch_size=8, learning_rate=0.1),
        execution=Execution(device="cpu", precision="float32"),
        seed=0,
    )


def _trained(schedule: Iterable[tuple[int, Sequence[str]]], keep: frozenset[Need] = EVERYTHING) -> InMemoryHistory:
    federation = _federation(_data())
    initial = to_vector(federation.network, federation.layout)
    history = InMemoryHistory(initial, federation.layout, CLIENTS, keep)
    for record in train(federation, initial, schedule):
        history.append(record)
    return history


@cache
def _history(name: str) -> InMemoryHistory:
    return _trained(EVERY_ROUND if name == "even" else UNEVEN)


def _unlearned(method: UnlearningMethod, forget: Iterable[str], history: InMemoryHistory) -> Vector:
    return unlearn(method, forget, history, _federation(_data())).model


def _fingerprint(history: InMemoryHistory) -> list[bytes]:
    rounds = range(1, history.rounds + 1)
    vectors = [history.global_model(round) for round in range(history.rounds + 1)]
    vectors += [history.delta(round, client) for round in rounds for client in history.weights(round)]
    vectors += [history.influence(client) for client in CLIENTS]
    return [vector.numpy().tobytes() for vector in vectors]


@pytest.mark.parametrize("schedule", ["even", "uneven"])
@pytest.mark.parametrize("name", NAMES)
def test_it_moves_the_model_and_keeps_to_layout_type_and_range(name: str, schedule: str) -> None:
    history = _history(schedule)
    before = _fingerprint(history)
    model = _unlearned(METHODS[name](), ["b"], history)
    assert model.shape == (history.layout.size,)
    assert model.dtype == torch.float32
    assert torch.isfinite(model).all()
    assert not torch.equal(model, history.final())  # a forget call that changes nothing is no forgetting
    variances = history.layout.tensors(model)["norm.running_var"]
    assert (variances > 0).all()
    assert _fingerprint(history) == before


@pytest.mark.parametrize("name", [name for name in NAMES if name != "sifu"])  # sifu's noise is on every weight
def test_a_layer_that_did_not_move_stays(name: str) -> None:
    history = _history("even")
    tensors, initial = (
        history.layout.tensors(model) for model in (_unlearned(METHODS[name](), ["b"], history), history.initial())
    )
    torch.testing.assert_close(tensors["unused.weight"], initial["unused.weight"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_one_seed_gives_the_same_bytes(name: str) -> None:
    one, other = (_unlearned(METHODS[name](), ["b"], _history("uneven")) for _ in range(2))
    assert one.numpy().tobytes() == other.numpy().tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_the_order_in_which_clients_are_named_does_not_matter(name: str) -> None:
    shuffled = _trained([(round, clients[::-1]) for round, clients in UNEVEN])
    one = _unlearned(METHODS[name](), ["b", "c"], _history("uneven"))
    other = _unlearned(METHODS[name](), ["c", "b"], shuffled)
    assert torch.equal(one, other)


@pytest.mark.parametrize("name", NAMES)
def test_several_clients_at_once_are_more_than_one(name: str) -> None:
    history = _history("even")
    both, one = (_unlearned(METHODS[name](), forget, history) for forget in (["a", "b"], ["b"]))
    assert torch.isfinite(both).all()
    assert name == "not_" or not torch.equal(both, one)  # not_ does not look at who is erased


@pytest.mark.parametrize("forget", [["d"], ["c", "d"]])
@pytest.mark.parametrize("name", NAMES)
def test_a_client_that_joined_late(name: str, forget: list[str]) -> None:
    model = _unlearned(METHODS[name](), forget, _history("uneven"))
    assert torch.isfinite(model).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_client_that_took_part_in_no_round_changes_nothing(name: str) -> None:
    history = _history("uneven")
    unlearned = unlearn(METHODS[name](), ["e"], history, _federation(_data()))
    assert torch.equal(unlearned.model, history.final())
    assert unlearned.guarantee is not None


@pytest.mark.parametrize("name", NAMES)
def test_the_forgotten_clients_data_are_opened_only_where_declared(name: str) -> None:
    history, data = _history("even"), _data()
    closed = dataclasses.replace(data, clients={**data.clients, "b": _closed(data.clients["b"])})
    if Need.FORGOTTEN_DATA in METHODS[name].needs:
        with pytest.raises(AssertionError, match="opened"):
            unlearn(METHODS[name](), ["b"], history, _federation(closed))
    else:
        unlearn(METHODS[name](), ["b"], history, _federation(closed))


@pytest.mark.parametrize("name", NAMES)
def test_it_needs_no_more_than_it_declares(name: str) -> None:
    needs = METHODS[name].needs
    history = _trained(EVERY_ROUND, keep=frozenset(need for need in needs if need.of_history))
    data = _data() if Need.PUBLIC_DATA in needs else dataclasses.replace(_data(), public=None)
    model = unlearn(METHODS[name](), ["b"], history, _federation(data)).model
    assert torch.equal(model, _unlearned(METHODS[name](), ["b"], _history("even")))
    if Need.RETAINED_DATA not in needs:
        closed = {client: held if client == "b" else _closed(held) for client, held in data.clients.items()}
        unlearn(METHODS[name](), ["b"], history, _federation(dataclasses.replace(data, clients=closed)))


@pytest.mark.parametrize("name", ["retrain", "rollback", "fine_tune", "fed_accum", "fed_eraser", "fed_recover"])
def test_the_forgotten_clients_deltas_enter_no_mean(name: str) -> None:
    """A mean that holds the forgotten client is the commonest error of published code."""
    history, marked = _history("even"), _trained(EVERY_ROUND)
    for round in range(1, marked.rounds + 1):
        marked._deltas[round, "b"] = torch.full_like(marked.initial(), torch.nan)
    assert torch.equal(_unlearned(METHODS[name](), ["b"], marked), _unlearned(METHODS[name](), ["b"], history))
