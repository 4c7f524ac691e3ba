# SPDX-License-Identifier: MIT
"""The two studies of the paper: accuracy against the mask's sigma, and the erasure after every round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedlethe.config import Method
from fedlethe.erasing.erase import unlearned_by
from fedlethe.erasing.masking import finished
from fedlethe.errors import ConfigError
from fedlethe.federation.metered import Meter
from fedlethe.history.disk import RunFolder
from fedlethe.history.history import InMemoryHistory
from fedlethe.history.study_files import enter_study, study_content, study_names
from fedlethe.plots import noise_sweep, round_traces, style
from fedlethe.privacy.mask import IsotropicMask
from fedlethe.progress import track
from fedlethe.runs.run import OpenRun, demand_clients, demand_complete, from_json, to_json
from fedlethe.seeding import numpy_generator
from fedlethe.types import ClientId, Evaluation, SweepPoint, TracePoint

SIGMAS = (0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03)
"""Standard deviations of the noise on each weight: the paper's range."""

TRACE = "trace-"
"""Begins the name of a trace's values; the client follows."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Every client erased in turn, at every sigma, in several draws of the noise."""

    run: Path
    method: str
    untouched: Evaluation
    points: tuple[SweepPoint, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """At each round's global model, the erasure of one client up to that round."""

    run: Path
    method: str
    client: ClientId
    points: tuple[TracePoint, ...]


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
        demand_clients(run, (client,))
    pairs = [(mask, draw) for mask in masks for draw in range(draws if mask.sigma > 0 else 1)]
    points = track(_sweep(run, method, erased, pairs), len(erased) * len(pairs), "sweep, models")
    result = Sweep(run.path, method_name, run.evaluate(run.past().final()), tuple(points))
    enter_study(run.history, "sweep", to_json(result, Sweep))
    style.save(noise_sweep.sweep(result.points, result.untouched), run.path / "report")
    return result


def _masks(sigmas: Sequence[float]) -> list[IsotropicMask]:
    if not sigmas:
        raise ConfigError("no sigma is given; name at least one, such as --sigmas 0,0.01")
    try:
        return [IsotropicMask(sigma=sigma) for sigma in sorted(set(sigmas))]
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _sweep(
    run: OpenRun, method: Method, clients: Sequence[ClientId], pairs: Sequence[tuple[IsotropicMask, int]]
) -> Iterator[SweepPoint]:
    for client in clients:
        unlearned = unlearned_by(run, [client], method, run.past(), Meter()).model
        for mask, draw in pairs:
            noise = numpy_generator(run.config.seed, "sweep", client, repr(mask.sigma), draw)
            noisy = finished(run, run.past(), mask.apply(unlearned, noise))
            yield SweepPoint(client, mask.sigma, draw, run.evaluate(noisy))


def trace(run: OpenRun, method_name: str, method: Method, client: ClientId) -> Trace:
    """At each round's global model, erase the client as if training had ended there.

    Raises:
        FedletheError: The history does not hold every round (it takes --keep everything), or the client is unknown.
    """
    if run.config.exact is not None:
        raise ConfigError(f"{run.path}: was trained in closed form, in one round; use: fedlethe erase {run.path}")
    demand_clients(run, (client,))
    replay = _replay(run, method)
    points = []
    for history in track(replay, run.history.rounds + 1, "trace, rounds"):
        unlearned = unlearned_by(run, [client], method, history, Meter()).model if history.rounds else history.final()
        trained = history.final()
        points.append(TracePoint(history.rounds, run.evaluate(trained), run.evaluate(unlearned)))
    result = Trace(run.path, method_name, client, tuple(points))
    enter_study(run.history, f"{TRACE}{client}", to_json(result, Trace))
    for plot in (round_traces.trace_global(result.points, client), round_traces.trace_unlearned(result.points, client)):
        style.save(plot, run.path / "report")
    return result


def _replay(run: OpenRun, method: Method) -> Iterator[InMemoryHistory]:
    history = InMemoryHistory(run.history.initial(), run.layout, run.past().clients, method.needs)
    yield history
    for record in run.history.replay():
        history.append(record)
        yield history


def saved_sweep(history: RunFolder) -> Sweep | None:
    """The run's sweep, where one was made."""
    content = study_content(history, "sweep")
    return None if content is None else from_json(content, Sweep)


def saved_traces(history: RunFolder) -> list[Trace]:
    """The run's traces, by client."""
    held = [study_content(history, name) for name in study_names(history) if name.startswith(TRACE)]
    return [from_json(content, Trace) for content in held if content is not None]
