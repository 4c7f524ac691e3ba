# SPDX-License-Identifier: MIT
"""The erasure of one client after every round of the training: a study of the paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedlethe.config.learning import Method
from fedlethe.erasing.unlearn_step import unlearned_by
from fedlethe.errors import ConfigError
from fedlethe.federation.metered import Meter
from fedlethe.history.disk import RunFolder
from fedlethe.history.history import InMemoryHistory
from fedlethe.history.study_files import enter_study, study_content, study_names
from fedlethe.learners.which import learner_of
from fedlethe.plots import round_traces, style
from fedlethe.progress import track
from fedlethe.runs.records import from_json, to_json
from fedlethe.runs.run import OpenRun, demand_clients
from fedlethe.types import ClientId, TracePoint

TRACE = "trace-"
"""Begins the name of a trace's values; the client follows."""


@dataclass(frozen=True, slots=True)
class Trace:
    """At each round's global model, the erasure of one client up to that round.

    Attributes:
        run: The run folder.
        method: How the client was erased.
        client: Who was erased.
        points: One for each round; 0 is the initial model.
    """

    run: Path
    method: str
    client: ClientId
    points: tuple[TracePoint, ...]


def trace(run: OpenRun, method_name: str, method: Method, client: ClientId) -> Trace:
    """At each round's global model, erase the client as if training had ended there.

    Raises:
        FedletheError: The history does not hold every round (it takes --keep everything), or the client is unknown.
    """
    if not learner_of(run.config).by_steps:
        raise ConfigError(f"{run.path}: was trained in closed form, in one round; use: fedlethe erase {run.path}")
    if not run.config.learning.aggregator.is_mean:
        raise ConfigError(
            f"{run.path}: its rounds cannot be made again from the clients' deltas, since its aggregator is "
            f"'{run.config.learning.aggregator_name}', and not the mean; use: fedlethe erase {run.path}"
        )
    demand_clients(run.data, (client,))
    replay = _replay(run.history, run.past().clients, method)
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


def _replay(folder: RunFolder, clients: Sequence[ClientId], method: Method) -> Iterator[InMemoryHistory]:
    history = InMemoryHistory(folder.initial(), folder.layout, tuple(clients), method.needs)
    yield history
    for record in folder.replay():
        history.append(record)
        yield history


def saved_traces(history: RunFolder) -> list[Trace]:
    """The run's traces, by client."""
    held = [study_content(history, name) for name in study_names(history) if name.startswith(TRACE)]
    return [from_json(content, Trace) for content in held if content is not None]
