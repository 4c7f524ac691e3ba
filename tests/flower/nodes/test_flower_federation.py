# SPDX-License-Identifier: MIT
"""Every unlearning method over nodes gives the bytes that it gives in one process, and asks nobody whom it may not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
import torch

from fedlethe.config import resolve
from fedlethe.document import read_toml
from fedlethe.federation.simulated import SimulatedFederation
from fedlethe.federation.train import train
from fedlethe.flower.nodes.exchange import Exchange, Patience
from fedlethe.flower.nodes.flower_federation import FlowerFederation
from fedlethe.flower.nodes.grid import RetainedGrid
from fedlethe.flower.nodes.messages import TRAIN, Computing
from fedlethe.flower.nodes.roster import Roster
from fedlethe.history.history import InMemoryHistory
from fedlethe.runs.preparing import prepare
from fedlethe.runs.run import Prepared
from fedlethe.types import EVERYTHING, Need, Vector
from fedlethe.unlearning import METHODS, unlearn
from fedlethe.vector import to_vector
from tests.flower.apps import CONFIG, HOSPITALS, App, app_in

OPTIONS: Mapping[str, Mapping[str, int]] = {"fed_eraser": {"interval": 1}}


@dataclass(frozen=True)
class Trained:
    app: App
    prepared: Prepared
    history: InMemoryHistory


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    app = app_in(tmp_path_factory.mktemp("app"), CONFIG + "[partition]\npublic_fraction = 0.1\n")
    prepared = prepare(resolve(read_toml(app.config)))
    initial = to_vector(prepared.network, prepared.layout)
    history = InMemoryHistory(initial, prepared.layout, HOSPITALS, EVERYTHING)
    for record in train(prepared.federation(), initial, [(round, HOSPITALS) for round in (1, 2, 3)]):
        history.append(record)
    return Trained(app, prepared, history)


def over_nodes(trained: Trained) -> FlowerFederation:
    grid = trained.app.grid()
    server = trained.prepared.federation()
    assert isinstance(server, SimulatedFederation)
    return FlowerFederation(
        exchange=Exchange(RetainedGrid(grid, (), Roster(grid)), Patience(timeout=5.0)),
        clients=HOSPITALS,
        layout=trained.prepared.layout,
        settings=trained.prepared.config.local,
        seed=0,
        computing=Computing(),
        server=server,
    )


def in_process(name: str, trained: Trained) -> Vector:
    method = METHODS[name](**OPTIONS.get(name, {}))
    return unlearn(method, ["hospital-1"], trained.history, trained.prepared.federation()).model


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_gives_the_bytes_that_it_gives_in_one_process(name: str, trained: Trained) -> None:
    federation = over_nodes(trained)
    method = METHODS[name](**OPTIONS.get(name, {}))
    model = unlearn(method, ["hospital-1"], trained.history, federation).model
    assert torch.equal(model, in_process(name, trained))
    assert not torch.equal(model, trained.history.final())
    asked = {client for client, kind in federation.exchange.grid.sent if kind == TRAIN}
    allowed = set(HOSPITALS) if Need.FORGOTTEN_DATA in method.needs else {"hospital-0", "hospital-2"}
    assert asked <= allowed
    if Need.RETAINED_DATA in method.needs:
        assert asked & {"hospital-0", "hospital-2"}
    if not method.needs & {Need.RETAINED_DATA, Need.FORGOTTEN_DATA}:
        assert not asked
