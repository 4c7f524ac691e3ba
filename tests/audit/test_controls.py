# SPDX-License-Identifier: MIT
"""All audits together on models that were really trained: what must be caught is caught, and what must pass passes.

Three hospitals with 100 images of 8 x 8 pixels; hospital-1 has a backdoor on a third of its. A network that learns
them by heart; five trainings, eight retrainings without hospital-1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from fedlethe.audit import AUDITS, Answers, Evidence, audit, overall
from fedlethe.config import resolve
from fedlethe.data.federated import ClientData, Examples, FederatedData
from fedlethe.erasing.examination import Examination
from fedlethe.federation.train import train
from fedlethe.runs.run import Prepared
from fedlethe.seeding import torch_generator
from fedlethe.types import Vector
from fedlethe.vector import Layout, to_vector

GONE = "hospital-1"
CONFIG = resolve(
    {
        "local": {"epochs": 5, "batch_size": 16, "learning_rate": 0.1},
        "backdoor": {"client": GONE, "fraction": 0.33, "target": 0, "size": 2},
    }
)


def _data() -> FederatedData:
    """Class 1 has a brighter left half, by a third of the noise's standard deviation in each pixel."""
    generator = np.random.default_rng(0)
    clients = {}
    for number in range(3):
        labels = np.arange(200) % 2
        pixels = generator.normal(110, 30, (200, 1, 8, 8))
        pixels[:, :, :, :4] += 10 * labels[:, None, None, None]
        images = pixels.clip(0, 255).astype(np.uint8)
        held = [Examples(images, np.arange(first, first + 100), labels[first : first + 100]) for first in (0, 100)]
        clients[f"hospital-{number}"] = ClientData(held[0], held[1], held[1])
    data = FederatedData(clients=clients, classes=("0", "1"), image_shape=(1, 8, 8), source_fingerprint="made up")
    assert CONFIG.backdoor is not None
    return CONFIG.backdoor.plant(data, seed=0)


def _prepared(seed: int) -> Prepared:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    layout = Layout.of(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch_generator(seed, parameter.numel())) * 0.1)
    config = replace(CONFIG, seed=seed, execution=CONFIG.execution.resolve(network))
    data = _data()
    return Prepared(config=config, images=data, data=data, network=network, layout=layout)


def _trained(seed: int, forget: tuple[str, ...] = ()) -> tuple[Prepared, Vector]:
    prepared = _prepared(seed)
    federation = prepared.federation().without(forget)
    model = to_vector(prepared.network, prepared.layout)
    for record in train(federation, model, [(round, federation.clients) for round in range(1, 6)]):
        model = record.after
    return prepared, model


def _asked(prepared: Prepared, model: Vector) -> Answers:
    return Examination.of(prepared, (GONE,)).ask(prepared, model, relearn=True)


@pytest.fixture(scope="module")
def known() -> Evidence:
    """The yardsticks; the candidates are still to be named."""
    untouched = [_asked(*_trained(seed)) for seed in range(5)]
    references = [_asked(*_trained(100 + seed, (GONE,))) for seed in range(8)]
    task = Examination.of(_prepared(0), (GONE,)).task
    return Evidence(task, (), untouched, references)


def _verdicts(known: Evidence, candidates: list[Answers]) -> dict[str, str]:
    findings = audit(replace(known, candidates=candidates))
    assert [finding.audit for finding in findings] == list(AUDITS)
    verdicts: dict[str, str] = {finding.audit: finding.verdict for finding in findings}
    return verdicts | {"all": overall(findings)}


def test_the_untouched_model_and_a_method_that_does_nothing_are_caught(known: Evidence) -> None:
    verdicts = _verdicts(known, list(known.untouched))
    assert verdicts["all"] == verdicts["backdoor"] == verdicts["membership"] == "still there"
    assert verdicts["utility"] == "useful"


def test_an_independent_retraining_passes(known: Evidence) -> None:
    verdicts = _verdicts(known, [_asked(*_trained(200 + seed, (GONE,))) for seed in range(5)])
    assert verdicts["all"] == verdicts["backdoor"] == verdicts["membership"] == "gone"
    assert verdicts["utility"] == "useful"


def test_a_method_that_answers_the_commonest_class_is_caught(known: Evidence) -> None:
    candidates = []
    for seed in range(5):
        prepared, model = _trained(seed)
        tensors = prepared.layout.tensors(model)
        tensors["3.weight"].zero_()
        tensors["3.bias"].copy_(torch.tensor([1.0, 0.0]))
        candidates.append(_asked(prepared, model))
    verdicts = _verdicts(known, candidates)
    assert verdicts["utility"] == "not useful"
    assert verdicts["all"] in ("not useful", "still there")
