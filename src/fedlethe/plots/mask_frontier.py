# SPDX-License-Identifier: MIT
"""The plots of hiding: what each mask costs over epsilon, and who names the client at which stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from fedlethe.plots.style import ERASED, LINES, Cell, Plot, blank, legend_below, styled
from fedlethe.types import HidingPoint, Spread, TimesNamed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["frontier", "identity"]

MASKS = {
    "isotropic": (ERASED, "X--", "isotropic mask"),
    "subspace": (LINES[0], "o-", "subspace mask"),
    "shaped": (LINES[2], "^-.", "shaped mask"),
    "isotropic, sigma given": (LINES[1], "*:", "isotropic mask, sigma given"),
}
"""Mask to colour, style and label."""

ATTACKERS = {"server view": (LINES[1], "s"), "outsider": (LINES[3], "D"), "full knowledge": (LINES[0], "o")}

Figure_ = Callable[[HidingPoint], Spread | None]

FIGURES: tuple[tuple[str, Figure_], ...] = (
    ("test accuracy\n(share of images)", lambda point: point.accuracy),
    ("test AUC\n(area under the curve)", lambda point: point.auc),
    ("backdoor works\n(share of images)", lambda point: point.attack_success),
    ("membership\n(AUC)", lambda point: point.membership),
)
"""What the rows of the frontier show, before the attack."""

_HEADER = (
    *("setting", "mask", "stage", "sigma", "epsilon", "delta", "guess_bound", "guess_blind", "models"),
    *(f"{name}_{what}" for name in ("accuracy", "balanced_accuracy", "auc") for what in ("mean", "min", "max")),
    *(f"{name}_{what}" for name in ("attack_success", "membership") for what in ("mean", "min", "max")),
    *(f"{name.replace(' ', '_')}_{what}" for name in ATTACKERS for what in ("hits", "trials", "low", "high")),
)


def frontier(points: Sequence[HidingPoint]) -> Plot:
    """Accuracy, AUC, what is left of the client and how often it is named, against epsilon; a column for each setting.

    Args:
        points: Of all settings, and the trained model's; at least one with a mask.
    """
    title = "What it costs to hide who left"
    settings = list(dict.fromkeys(point.setting for point in points if point.mask in MASKS))
    figures = [(name, of) for name, of in FIGURES if any(of(point) for point in points)]
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    with styled():
        figure = blank(
            title, 1.4 + (5.0 if len(settings) == 1 else 3.0) * len(settings), 1.4 + 1.75 * (len(figures) + 1)
        )
        grid = figure.subplots(len(figures) + 1, len(settings), squeeze=False, sharex=True, sharey="row")
        for column, setting in enumerate(settings):
            own = [point for point in points if point.setting == setting]
            for (name, of), axes in zip(figures, grid, strict=False):
                _level(axes[column], points, "nothing erased", of, ":", "nothing erased")
                _level(axes[column], own, "no mask", of, "-", "erased, no mask")
                _masks(axes[column], own, of)
                axes[0].set_ylabel(name)
            _attack(grid[-1][column], own)
            grid[0][column].set_title(setting, loc="left")
            grid[-1][column].set_xlabel("epsilon (small hides more)")
        for axis in grid.flat:
            axis.set_xscale("log")
            axis.xaxis.set_major_locator(LogLocator(numticks=5))
            axis.xaxis.set_major_formatter(
                FuncFormatter(lambda epsilon, _: f"{epsilon:,.0f}" if epsilon >= 1 else f"{epsilon:g}")
            )
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.tick_params(labelbottom=axis in grid[-1])
        grid[-1][0].set_ylabel("client named\n(share of guesses)")
        grid[0][0].plot([], [], color="black", linewidth=1, label="bound on naming the client")
        legend_below(figure, grid[0][0])
    delta = next(point.delta for point in points)
    caption = (
        "Every hospital is erased in turn and hidden among all by a mask of noise: lines are means over hospitals and "
        "draws, bands reach from the lowest to the highest. In the last row the line is the guaranteed bound on the "
        "chance that the best attacker names the hospital; the marks are what such an attacker got, with its interval; "
        f"dotted is a blind guess. Epsilon is told at delta {delta:g}, and covers a masked model that nobody repairs."
    )
    return Plot("frontier", title, caption, figure, _HEADER, [_row(point) for point in points])


def identity(points: Sequence[HidingPoint]) -> Plot:
    """How often each attacker names the erased client, stage by stage.

    Args:
        points: One for each stage, in their order; at least one.
    """
    title = "Who left? How often each attacker names the erased hospital"
    with styled():
        figure = blank(title, 7.6, 4.2)
        axis = figure.subplots()
        for place, (attacker, (colour, marker)) in enumerate(ATTACKERS.items()):
            for index, point in enumerate(points):
                for one in point.named:
                    if one.attacker == attacker:
                        _mark(axis, index + 0.16 * (place - 1), one, colour, marker, attacker if index == 0 else None)
        for index, point in enumerate(points):
            ends = [index - 0.35, index + 0.35]
            label = "guaranteed bound" if point is next((p for p in points if p.bound is not None), None) else None
            if point.bound is not None:
                axis.plot(ends, [point.bound] * 2, color="black", linewidth=1.6, label=label)
            axis.plot(ends, [point.chance] * 2, ":", color="black", label=None if index else "blind guess")
        axis.set_xticks(range(len(points)), [point.stage for point in points])
        axis.set_xlabel("stage of the erasure")
        axis.set_ylabel("client named\n(share of guesses)")
        axis.set_ylim(-0.03, 1.05)
        legend_below(figure, axis)
    caption = (
        "Each hospital is erased in turn, and three attackers guess which it was; bars are intervals. "
        "A black line is the bound that the mask guarantees at that stage: where there is none, nothing is guaranteed."
    )
    return Plot("identity", title, caption, figure, _HEADER, [_row(point) for point in points])


def _masks(axis: Axes, points: Sequence[HidingPoint], of: Figure_) -> None:
    for mask, (colour, style, label) in MASKS.items():
        own = sorted((p.epsilon, s) for p in points if p.mask == mask and p.epsilon and (s := of(p)) is not None)
        if own:
            x = [epsilon for epsilon, _ in own]
            axis.fill_between(x, [s.least for _, s in own], [s.most for _, s in own], color=colour, alpha=0.15, lw=0)
            axis.plot(x, [s.mean for _, s in own], style, color=colour, markersize=4, label=label)


def _level(axis: Axes, points: Iterable[HidingPoint], mask: str, of: Figure_, style: str, label: str) -> None:
    for point in points:
        if point.mask == mask and (spread := of(point)) is not None:
            axis.axhline(spread.mean, color="#555555", linestyle=style, linewidth=1, label=label)


def _attack(axis: Axes, points: Sequence[HidingPoint]) -> None:
    """The bound as a line, what full knowledge got as marks, beside each other where masks are of one epsilon."""
    bounds = sorted({(p.epsilon, p.bound) for p in points if p.epsilon and p.bound is not None})
    axis.plot([x for x, _ in bounds], [bound for _, bound in bounds], color="black", linewidth=1)
    for place, (mask, (colour, style, _)) in enumerate(MASKS.items()):
        for point in points:
            for one in point.named if point.mask == mask and point.epsilon else ():
                if one.attacker == "full knowledge":
                    _mark(axis, (point.epsilon or 0) * 1.12 ** (place - 1), one, colour, style[0], None)
    axis.axhline(points[0].chance, color="#555555", linestyle=":", linewidth=1)
    axis.set_ylim(0, 1.05)


def _mark(axis: Axes, x: float, one: TimesNamed, colour: str, marker: str, label: str | None) -> None:
    rate = one.hits / one.trials
    ends = [[rate - one.low], [one.high - rate]]
    axis.errorbar([x], [rate], ends, fmt=marker, color=colour, markersize=4, elinewidth=1, capsize=2, label=label)


def _row(point: HidingPoint) -> tuple[Cell, ...]:
    spreads = (point.accuracy, point.balanced_accuracy, point.auc, point.attack_success, point.membership)
    figures = [value for spread in spreads for value in _ends(spread)]
    by_attacker = {one.attacker: one for one in point.named}
    attacks: list[Cell] = []
    for attacker in ATTACKERS:
        one = by_attacker.get(attacker)
        attacks += [None] * 4 if one is None else [one.hits, one.trials, one.low, one.high]
    return (
        *(point.setting, point.mask, point.stage, point.sigma, point.epsilon, point.delta, point.bound, point.chance),
        *(point.models, *figures, *attacks),
    )


def _ends(spread: Spread | None) -> tuple[Cell, ...]:
    return (None, None, None) if spread is None else (spread.mean, spread.least, spread.most)
