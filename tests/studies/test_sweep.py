# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Sequence

import pytest

from fedlethe.erasing.unlearn_step import unlearned_by
from fedlethe.errors import FedletheError
from fedlethe.federation.metered import Meter
from fedlethe.runs.run import OpenRun
from fedlethe.studies.sweep import Sweep, saved_sweep, sweep


def swept(run: OpenRun, sigmas: Sequence[float], draws: int = 2, clients: Sequence[str] = ("hospital-1",)) -> Sweep:
    return sweep(run, "influence", run.config.method("influence", {}), sigmas, draws, clients)


def test_without_noise_there_is_one_draw_which_is_the_unlearned_model(studied: OpenRun) -> None:
    found = swept(studied, (0.5, 0.0))
    assert [(point.sigma, point.draw) for point in found.points] == [(0.0, 0), (0.5, 0), (0.5, 1)]
    method = studied.config.method("influence", {})
    model = unlearned_by(studied, ["hospital-1"], method, studied.past(), Meter()).model
    assert found.points[0].evaluation == studied.evaluate(model)
    assert found.untouched == studied.evaluate(studied.history.final())
    assert found.points[1].evaluation != found.points[2].evaluation  # each draw is another


def test_it_is_kept_and_the_same_when_it_is_made_again(studied: OpenRun) -> None:
    found = swept(studied, (0.01,))
    assert saved_sweep(studied.history) == found
    assert swept(studied, (0.01,)) == found
    assert (studied.path / "report" / "sweep.png").is_file()


def test_nobody_named_is_everybody(studied: OpenRun) -> None:
    found = swept(studied, (0.0,), clients=())
    assert [point.client for point in found.points] == ["hospital-0", "hospital-1", "hospital-2"]


@pytest.mark.parametrize(
    ("sigmas", "draws", "clients", "words"),
    [
        ((), 1, (), "no sigma is given"),
        ((-0.1,), 1, (), "sigma"),
        ((float("nan"),), 1, (), "sigma"),
        ((0.0,), 0, (), "draws must be at least 1, not 0"),
        ((0.0,), 1, ("hospital-9",), "hospital-9"),
    ],
)
def test_what_cannot_be_swept_is_said(
    sigmas: tuple[float, ...], draws: int, clients: tuple[str, ...], words: str, studied: OpenRun
) -> None:
    with pytest.raises(FedletheError, match=words):
        swept(studied, sigmas, draws, clients)
