# SPDX-License-Identifier: MIT
"""Accuracy against the mask's sigma, every client erased in turn: a study of the paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedlethe.config.learning import Method
from fedlethe.document import demand_each_once
from fedlethe.erasing.masking import finished
from fedlethe.erasing.unlearn_step import unlearned_by
from fedlethe.errors import ConfigError
from fedlethe.federation.metered import Meter
from fedlethe.history.disk import RunFolder
from fedlethe.history.study_files import enter_study, study_content
from fedlethe.plots import noise_sweep, style
from fedlethe.privacy.mask import IsotropicMask
from fedlethe.progress import track
from fedlethe.runs.records import from_json, to_json
from fedlethe.runs.run import OpenRun, demand_clients, demand_complete
from fedlethe.seeding import numpy_generator
from fedlethe.types import ClientId, Evaluation, SweepPoint

SIGMAS = (0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03)
"""Standard deviations of the noise on each weight: the paper's range."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Every client erased in turn, at every sigma, in several draws of the noise.

    Attributes:
        run: The run folder.
        method: How clients were erased.
        untouched: The trained model's evaluation.
        points: One for each client, sigma and draw.
    """

    run: Path
    method: str
    untouched: Evaluation
    points: tuple[SweepPoint, ...]


def sweep(
    run: OpenRun,
    method_name: str,
    method: Method,
    sigmas: Sequence[float],
    draws: int,
    clients: Sequence[ClientId],
) -> Sweep:
    """Erase each client, add noise of each sigma, and evaluate: no repair, nothing entered in the ledger.

    Args:
        run: A finished run.
        method_name: The method's row in METHODS.
        method: The method itself.
        sigmas: At least one; each finite and at least 0.
        draws: Draws of the noise at each sigma above 0, at least 1.
        clients: Who is erased, one after the other; empty for all.

    Raises:
        FedletheError: An argument is out of range, or the history lacks what the method needs.
    """
    demand_complete(run)
    if draws < 1:
        raise ConfigError(f"draws must be at least 1, not {draws}")
    masks = _masks(sigmas)
    erased = tuple(clients) or tuple(run.data.clients)
    for client in erased:
        demand_clients(run.data, (client,))
    pairs = [(mask, draw) for mask in masks for draw in range(draws if mask.sigma > 0 else 1)]
    points = track(_sweep(run, method, erased, pairs), len(erased) * len(pairs), "sweep, models")
    result = Sweep(run.path, method_name, run.evaluate(run.past().final()), tuple(points))
    enter_study(run.history, "sweep", to_json(result, Sweep))
    style.save(noise_sweep.sweep(result.points, result.untouched), run.path / "report")
    return result


def _masks(sigmas: Sequence[float]) -> list[IsotropicMask]:
    if not sigmas:
        raise ConfigError("no sigma is given; name at least one, such as 0 and 0.01")
    demand_each_once("sigma", sigmas)
    try:
        return [IsotropicMask(sigma=sigma) for sigma in sorted(sigmas)]
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _sweep(
    run: OpenRun, method: Method, clients: Sequence[ClientId], pairs: Sequence[tuple[IsotropicMask, int]]
) -> Iterator[SweepPoint]:
    for client in clients:
        unlearned = unlearned_by(run, [client], method, run.past(), Meter()).model
        for mask, draw in pairs:
            noise = numpy_generator(run.config.seed, "sweep", client, repr(mask.sigma), draw)
            noisy = finished(run.past(), mask.apply(unlearned, noise))
            yield SweepPoint(client, mask.sigma, draw, run.evaluate(noisy))


def saved_sweep(history: RunFolder) -> Sweep | None:
    """The run's sweep, where one was made."""
    content = study_content(history, "sweep")
    return None if content is None else from_json(content, Sweep)
