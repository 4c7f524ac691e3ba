# SPDX-License-Identifier: MIT
"""Hiding who left in closed form: the coordinates of standardised features, and the masks that are made in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from fedlethe.config import resolve
from fedlethe.erasing.claims import strongest
from fedlethe.erasing.coordinates import frame_of
from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.erasing.unlearn_step import unlearned_by
from fedlethe.federation.metered import Meter
from fedlethe.learners.training import train_run
from fedlethe.privacy.hiding import rounded_up
from fedlethe.privacy.span import Span
from fedlethe.runs.lineage import held_by, up_to
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run import OpenRun
from fedlethe.studies.frontier import frontier

HOSPITALS = tuple(f"hospital-{number}" for number in range(4))

pytestmark = pytest.mark.usefixtures("secrets_in_order")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenRun]:
    """Four hospitals, twelve features."""
    out = tmp_path_factory.mktemp("hiding-closed-form") / "run"
    document: dict[str, Any] = {
        "learner": "closed-form",
        "data": {"source": "phantom", "size": 16, "hospitals": 4, "images_per_hospital": 40},
        "features": {"scales": 2},
        "closed_form": {"dimension": 12, "penalty": 1.0},
    }
    train_run(resolve(document), out)
    with opened_run(out) as opened:
        yield opened


def rows_of(run: OpenRun) -> np.ndarray:
    """All training images' features, shape (n, d)."""
    parts = [data.train for data in run.data.clients.values()]
    return np.concatenate([part.images[part.indices].reshape(len(part), -1) for part in parts]).astype(np.float64)


def standardised(run: OpenRun, model: torch.Tensor) -> np.ndarray:
    """What the ridge penalises: weights by deviation, and the answer at the mean; shape (classes x d + classes,)."""
    tensors, rows = run.layout.tensors(model), rows_of(run)
    weight, bias = tensors["weight"].double().numpy(), tensors["bias"].double().numpy()
    scaled, middle = weight * rows.std(axis=0), bias + weight @ rows.mean(axis=0)
    return np.concatenate([scaled.ravel(), middle])


def candidates(run: OpenRun) -> list[torch.Tensor]:
    method = run.config.method("closed-form", {})
    return [unlearned_by(run, [client], method, run.past(), Meter()).model for client in HOSPITALS]


def flat(run: OpenRun, vector: torch.Tensor) -> np.ndarray:
    tensors = run.layout.tensors(vector)
    return np.concatenate([tensors[name].double().numpy().ravel() for name in ("weight", "bias")])


def test_the_frame_is_that_of_standardised_features(run: OpenRun) -> None:
    model, frame = run.past().final(), frame_of(run, "subspace")
    np.testing.assert_allclose(flat(run, frame.enter(model)), standardised(run, model), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(frame.leave(frame.enter(model)), model, rtol=1e-4, atol=1e-5)
    raw = frame_of(run, "isotropic")
    assert raw.enter(model) is model
    assert raw.leave(model) is model


@pytest.mark.parametrize("kind", ["subspace", "shaped"])
def test_distances_and_noise_are_of_that_frame(run: OpenRun, kind: str) -> None:
    erasure = erase(
        run, order_erasure(run, ["hospital-1"], ErasurePlan(method="closed-form", mask={"epsilon": 3.0, "kind": kind}))
    )
    hidden, frame = erasure.hidden, frame_of(run, "subspace")
    assert hidden is not None
    assert hidden.epsilon == pytest.approx(3.0, abs=1e-6)
    points = np.stack([standardised(run, model) for model in candidates(run)])
    widest = np.linalg.norm(points[:, None] - points[None], axis=-1).max()
    assert hidden.distance == rounded_up(widest)
    released = frame.enter(run.history.erased_model(erasure.id))
    span = Span.of([frame.enter(model) for model in candidates(run)])
    inside = span.project([released])[0]
    assert float((released - span.at(inside)).norm()) < 1e-3 * float(np.linalg.norm(inside - span.coordinates[1]))


def test_each_mask_is_attacked_in_its_own_coordinates(run: OpenRun) -> None:
    method = run.config.method("closed-form", {})
    found = frontier(
        run, "closed-form", {"closed-form": method}, [16.0], ["isotropic", "subspace", "shaped"], (), draws=1
    )
    masked = [point for point in found.points if point.epsilon is not None]
    assert [point.mask for point in masked] == ["isotropic", "subspace", "shaped"]
    assert masked[0].sigma != pytest.approx(masked[1].sigma, rel=0.1)
    for point in masked:
        (full,) = [one for one in point.named if one.attacker == "full knowledge"]
        assert point.epsilon == pytest.approx(16.0, abs=1e-6)
        assert full.hits / full.trials > 0.5  # far from blind, 0.25
        assert full.low <= (point.bound or 0.0)


def test_next_to_no_noise_costs_next_to_nothing(run: OpenRun) -> None:
    """The masked vector is brought back from its coordinates before it is asked."""
    method = run.config.method("closed-form", {})
    found = frontier(
        run, "closed-form", {"closed-form": method}, [1e9], ["isotropic", "subspace", "shaped"], (), draws=1
    )
    bare = next(point for point in found.points if point.mask == "no mask")
    for point in found.points[2:]:
        assert point.accuracy.mean == pytest.approx(bare.accuracy.mean, abs=0.02)
        assert point.auc is not None
        assert bare.auc is not None
        assert point.auc.mean == pytest.approx(bare.auc.mean, abs=0.02)


@pytest.mark.parametrize(("kind", "claim"), [("isotropic", "guaranteed"), ("subspace", "evidence")])
def test_noise_made_of_models_that_held_the_client_leaves_no_claim(run: OpenRun, kind: str, claim: str) -> None:
    """The candidates that the noise is made of are the models without the others: all but one hold the client."""
    plan = ErasurePlan(method="closed-form", mask={"sigma": 0.5, "kind": kind})
    erasure = erase(run, order_erasure(run, ["hospital-1"], plan))
    assert strongest(erasure, run.parts(erasure.id)) == claim
    assert (erasure.guarantee is None) == (claim == "evidence")
    assert ("hospital-1" in held_by([up_to(run.history, erasure.id)])) == (claim == "evidence")
