# SPDX-License-Identifier: MIT
"""Masks in closed form, and what makes them cheap: `python benchmarks/masks.py --root DATA --ham HAM --out OUT`.

DATA is the folder that holds pneumoniamnist.npz, HAM that of HAM10000 in the layout of ISIC-2019. For each case: the
mean over all clients erased in turn, ten draws of the noise for each; the shaped mask's expected loss as a share of the
subspace mask's; the least epsilon of EPSILONS at which accuracy and AUC are both within a point of no mask, and the
chance of naming the client there. Everything is written to OUT, and what is trained there is not trained again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import fedlethe
from fedlethe.privacy.shape import cheapest  # the expected loss is worked out, and no study tells it
from fedlethe.runs.opening import opened_run  # opens what `setting_of` takes
from fedlethe.studies.frontier import setting_of  # the candidates that `cheapest` shapes
from fedlethe.types import HidingPoint  # for its type

EPSILONS = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 16.0)
SHOWN = 3.0
DRAWS = 10
MASKS = ("isotropic", "subspace", "shaped")
Tables = dict[str, Any]


def cases(data: Path, ham: Path | None) -> dict[str, Tables]:
    """What is trained, by what it is called."""

    def pneumonia(clients: int = 5, **settings: float) -> Tables:
        return {
            "learner": "closed-form",
            "data": {"source": "medmnist", "flag": "pneumoniamnist", "root": data},
            "partition": {"scheme": "iid", "clients": clients},
            "closed_form": settings,
        }

    found = {
        "5 clients, 3,472 features, penalty as chosen (0.1)": pneumonia(),
        "penalty 1": pneumonia(penalty=1.0),
        "penalty 3": pneumonia(penalty=3.0),
        "penalty 10": pneumonia(penalty=10.0),
        "1,024 features, penalty 1": pneumonia(penalty=1.0, dimension=1024),
        "256 features, penalty 1": pneumonia(penalty=1.0, dimension=256),
        "10 clients, 1,024 features, penalty 1": pneumonia(clients=10, penalty=1.0, dimension=1024),
        "20 clients, 1,024 features, penalty 1": pneumonia(clients=20, penalty=1.0, dimension=1024),
    }
    if ham is not None:
        source = {"source": "isic2019", "root": ham, "size": 64, "channels": 1}
        for dimension, penalty in ((1024, None), (1024, 1.0), (1024, 10.0), (256, 10.0)):
            chosen = "as chosen" if penalty is None else f"{penalty:g}"
            name = f"HAM10000, 4 sites, {dimension:,} features, penalty {chosen}"
            table = {"dimension": dimension} if penalty is None else {"dimension": dimension, "penalty": penalty}
            found[name] = {
                "learner": "closed-form",
                "data": source,
                "partition": {"scheme": "site"},
                "closed_form": table,
            }
    return found


def rows(name: str, document: Tables, out: Path) -> list[tuple[str, ...]]:
    """A case's rows: no mask, and each mask."""
    folder = out / name.replace(" ", "-").replace(",", "")
    run = fedlethe.train(config=document, out=folder, finished_too=True)
    found = run.frontier("closed-form", epsilons=EPSILONS, masks=MASKS, sigmas=(), draws=DRAWS)
    with opened_run(folder) as opened:
        setting = setting_of(opened, "closed-form", opened.config.method("closed-form", {}), found.clients)
        shape = cheapest(setting.framed.span.coordinates, setting.hessian, 1.0)
    (unmasked,) = [point for point in found.points if point.mask == "no mask"]
    lines: list[tuple[str, ...]] = [(name, "none", _cell(unmasked, None), "-", "-", "-")]
    for mask in MASKS:
        own = [point for point in found.points if point.mask == mask]
        shown = next(point for point in own if point.epsilon is not None and abs(point.epsilon - SHOWN) < 1e-3)
        loss = f"{100 * shape.cost / shape.equal_cost:.0f} %" if mask == "shaped" else "-"
        lines.append(("", mask, _cell(shown, unmasked), loss, *_least(own, unmasked)))
    return lines


def _cell(point: HidingPoint, unmasked: HidingPoint | None) -> str:
    assert point.auc is not None
    text = f"{point.accuracy.mean:.3f} / {point.auc.mean:.3f}"
    if unmasked is None:
        return text
    accuracy, area = _gap(point, unmasked)
    return f"{text} ({100 * accuracy:+.1f} / {100 * area:+.1f})"


def _gap(point: HidingPoint, unmasked: HidingPoint) -> tuple[float, float]:
    assert point.auc is not None
    assert unmasked.auc is not None
    return point.accuracy.mean - unmasked.accuracy.mean, point.auc.mean - unmasked.auc.mean


def _least(points: Sequence[HidingPoint], unmasked: HidingPoint) -> tuple[str, str]:
    """The least epsilon from which on all stay within a point, and the bound on the guess there."""
    least = None
    for point in sorted(points, key=lambda point: -(point.epsilon or 0)):
        if min(_gap(point, unmasked)) < -0.01:
            break
        least = point
    if least is None or least.epsilon is None or least.bound is None:
        return "none", "-"
    return f"{least.epsilon:g}", f"{100 * least.bound:.0f} % (blind {100 * least.chance:.0f} %)"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--ham", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    header = ("case", "mask", f"accuracy / AUC at epsilon {SHOWN:g} (points)", "expected loss", "epsilon", "guess")
    table = Table(*header, title="Masks in closed form; the last two: within 1 point of no mask")
    for name, document in cases(arguments.root, arguments.ham).items():
        for row in rows(name, document, arguments.out):
            table.add_row(*row)
    Console(soft_wrap=True, width=200).print(table)


if __name__ == "__main__":
    main()
