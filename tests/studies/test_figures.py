# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from fedlethe.errors import FedletheError
from fedlethe.runs.run import OpenRun
from fedlethe.studies.figures import Look, Probe, figures
from fedlethe.types import Metrics, Spread


def look(accuracy: float, auc: float | None, success: float | None) -> Look:
    return Look(Metrics(10, accuracy, accuracy / 2, auc), np.zeros(2), success, accuracy)


def test_figures_are_mean_least_and_most() -> None:
    found = figures([look(0.25, 0.5, 0.0), look(0.5, 1.0, 1.0), look(0.75, None, None)])
    assert found["accuracy"] == Spread(0.5, 0.25, 0.75)
    assert found["balanced_accuracy"] == Spread(0.25, 0.125, 0.375)
    assert found["auc"] == Spread(0.75, 0.5, 1.0)  # over those for whom it is defined
    assert found["attack_success"] == Spread(0.5, 0.0, 1.0)


def test_a_figure_that_no_model_has_is_none() -> None:
    found = figures([look(0.5, None, None)])
    assert found["auc"] is None
    assert found["attack_success"] is None


def test_a_look_is_the_evaluation_and_each_clients_loss(studied: OpenRun) -> None:
    probe, model = Probe.of(studied), studied.history.final()
    found = probe.look(model, ["hospital-1"])
    assert found.metrics == studied.evaluate(model).overall
    assert found.losses.shape == (3,)
    assert np.isfinite(found.losses).all()
    assert 0 <= found.membership <= 1
    assert found.attack_success is None  # nobody planted a backdoor
    again = probe.look(studied.history.initial(), ["hospital-1"])
    assert not np.array_equal(again.losses, found.losses)  # the model that is asked is the one that is given


def test_a_model_that_answers_nothing_finite_is_a_blind_guess(studied: OpenRun) -> None:
    found = Probe.of(studied).look(torch.full_like(studied.history.final(), torch.nan), ["hospital-1"])
    np.testing.assert_allclose(found.losses, np.log(len(studied.data.classes)))
    assert found.membership == 0.5


def test_images_on_other_machines_cannot_be_asked_about(studied: OpenRun) -> None:
    remote: Any = object()
    with pytest.raises(FedletheError, match="lie on other machines"):
        Probe.of(replace(studied, remote=remote))
