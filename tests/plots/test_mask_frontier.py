# SPDX-License-Identifier: MIT
from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from fedlethe.plots import mask_frontier, style
from fedlethe.types import HidingPoint, Spread, TimesNamed


def named(rate: float) -> tuple[TimesNamed, ...]:
    attackers = ("server view", "outsider", "full knowledge")
    return tuple(TimesNamed(attacker, round(100 * rate), 100, rate - 0.05, rate + 0.05) for attacker in attackers)


def point(mask: str, epsilon: float | None, accuracy: float, **changes: object) -> HidingPoint:
    bound = None if epsilon is None else min(1.0, 0.2 + epsilon / 20)
    fields: dict[str, object] = {
        "setting": "clip 1",
        "mask": mask,
        "stage": "masked",
        "sigma": 1 / epsilon if epsilon else None,
        "epsilon": epsilon,
        "delta": 1e-5,
        "bound": bound,
        "chance": 0.2,
        "models": 5,
        "accuracy": Spread(accuracy, accuracy - 0.05, accuracy + 0.05),
        "balanced_accuracy": Spread(accuracy, accuracy, accuracy),
        "auc": Spread(accuracy, accuracy, accuracy),
        "attack_success": None,
        "membership": Spread(0.5, 0.4, 0.6),
        "named": named(0.25 if bound is None else bound - 0.05),
        **changes,
    }
    return HidingPoint(**fields)  # type: ignore[arg-type]


def points(settings: int = 1) -> list[HidingPoint]:
    found = [point("nothing erased", None, 0.9, setting="", named=())]
    for index in range(settings):
        setting = f"clip {index}"
        found.append(point("no mask", None, 0.88, setting=setting, named=named(0.95)))
        for mask in ("isotropic", "subspace", "shaped"):
            found += [point(mask, epsilon, 0.5 + epsilon / 40, setting=setting) for epsilon in (8.0, 1.0)]
        found.append(point("isotropic, sigma given", 2000.0, 0.88, setting=setting))
    return found


STAGES = [
    point("decoys", 0.0, 0.8, stage="unlearned", bound=1 / 3, chance=1 / 3),
    point("no mask", None, 0.85, stage="repaired 1"),
]


@pytest.mark.parametrize("settings", [1, 4])
def test_the_frontier_shows_every_mask_in_every_setting(settings: int, tmp_path: Path) -> None:
    plot = mask_frontier.frontier(points(settings))
    assert len(plot.figure.axes) == 4 * settings  # no backdoor: accuracy, AUC, membership, who is named
    accuracy = plot.figure.axes[0]
    lines = {str(line.get_label()): line for line in accuracy.lines}
    assert set(lines) == {
        "nothing erased",
        "erased, no mask",
        *("isotropic mask", "subspace mask", "shaped mask", "isotropic mask, sigma given"),
        "bound on naming the client",
    }
    subspace = lines["subspace mask"]
    np.testing.assert_allclose(np.asarray(subspace.get_xdata(), dtype=float), [1.0, 8.0])
    np.testing.assert_allclose(np.asarray(subspace.get_ydata(), dtype=float), [0.525, 0.7])
    assert accuracy.get_xscale() == "log"
    png = style.save(plot, tmp_path)
    assert png.read_bytes() == style.save(mask_frontier.frontier(points(settings)), tmp_path / "again").read_bytes()
    with (tmp_path / "frontier.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(points(settings))
    first = next(row for row in rows if row["mask"] == "subspace")
    assert (first["epsilon"], first["guess_bound"], first["accuracy_mean"]) == ("8.0", "0.6000000000000001", "0.7")
    assert (first["full_knowledge_hits"], first["full_knowledge_trials"]) == ("55", "100")
    assert rows[0]["full_knowledge_hits"] == rows[0]["epsilon"] == first["attack_success_mean"] == ""


def test_the_bound_and_what_the_attacker_got_stand_in_the_last_row() -> None:
    axis = mask_frontier.frontier(points()).figure.axes[-1]
    bound = next(line for line in axis.lines if line.get_color() == "black")
    np.testing.assert_allclose(np.asarray(bound.get_xdata(), dtype=float), [1.0, 8.0, 2000.0])
    np.testing.assert_allclose(np.asarray(bound.get_ydata(), dtype=float), [0.25, 0.6, 1.0])
    assert len(axis.containers) == 3 * 2 + 1  # an interval for every mask and epsilon


def test_a_backdoor_has_a_row_of_its_own() -> None:
    planted = [point("subspace", 1.0, 0.8, attack_success=Spread(0.3, 0.1, 0.5))]
    labels = [axis.get_ylabel() for axis in mask_frontier.frontier(planted).figure.axes]
    assert [label.split("\n")[0] for label in labels] == [
        "test accuracy",
        "test AUC",
        "backdoor works",
        "membership",
        "client named",
    ]


def test_identity_shows_each_attacker_at_each_stage() -> None:
    plot = mask_frontier.identity(STAGES)
    (axis,) = plot.figure.axes
    assert len(axis.containers) == 3 * 2
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["unlearned", "repaired 1"]
    labels = [text.get_text() for legend in plot.figure.legends for text in legend.get_texts()]
    assert sorted(labels) == ["blind guess", "full knowledge", "guaranteed bound", "outsider", "server view"]
    bounds = [line for line in axis.lines if line.get_linestyle() == "-" and line.get_color() == "black"]
    assert len(bounds) == 1  # after a repair that shows who is missing nothing is guaranteed
    assert [row[2] for row in plot.rows] == ["unlearned", "repaired 1"]


@pytest.mark.parametrize("draw", [lambda: mask_frontier.frontier(points(2)), lambda: mask_frontier.identity(STAGES)])
def test_the_legend_covers_no_panel(draw: object) -> None:
    with style.styled():
        plot = draw()  # type: ignore[operator]
        plot.figure.draw_without_rendering()
        (legend,) = plot.figure.legends
        covered = legend.get_window_extent()
        for axis in plot.figure.axes:
            bounds = axis.get_tightbbox()
            assert bounds is not None
            assert not covered.overlaps(bounds)
