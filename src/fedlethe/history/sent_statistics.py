# SPDX-License-Identifier: MIT
"""A closed-form federation in the run folder.

RUN/statistics/CLIENT/round_0001.sealed         what a client sent
RUN/statistics/round_0001.safetensors           the sums of all clients
RUN/statistics/features.json                    which features, and how many
RUN/statistics/chosen.json                      what was chosen, of the sums of all: it goes with them
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from fedlethe.closed_form.by_class import ByClass
from fedlethe.errors import IntegrityError
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import Participation
from fedlethe.history.store import JSON, of_round
from fedlethe.types import ClientId, Vector

FEATURES = "statistics/features"
CHOSEN = "statistics/chosen"
SUMS = "statistics/round_0001"


def append_statistics(
    folder: RunFolder,
    model: Vector,
    parts: Mapping[ClientId, ByClass],
    sums: ByClass,
    features: str,
    chosen: str,
    seconds: float,
    evaluation: str,
) -> None:
    """Record the one round of a closed-form federation.

    Args:
        folder: Where to.
        model: What the sums led to, shape (P,).
        parts: Each client's statistics.
        sums: Of all of them.
        features: Which features, as JSON.
        chosen: What was chosen, as JSON.
        seconds: What it took.
        evaluation: Of the model, as JSON.
    """
    start = time.perf_counter()
    added = [folder.store.save("global checkpoint", of_round("global checkpoint", 1), None, model, folder.layout, 1)]
    write = folder.store.write
    added += [write("statistics", _name(client), client, [parts[client].content()], 1) for client in sorted(parts)]
    added.append(write("statistics", SUMS, None, [sums.content()], 1))
    added.append(write("statistics", FEATURES, None, [features.encode()], 1, JSON))
    added.append(write("statistics", CHOSEN, None, [chosen.encode()], 1, JSON))
    whole = sum(part.count for part in parts.values())
    participation = [
        Participation(1, client, part.count, part.count / whole, part.count, 0) for client, part in parts.items()
    ]
    taken = {"training": seconds, "recording": time.perf_counter() - start}
    folder.ledger.add_round(1, taken, evaluation, participation, added, [])


def statistics_of(folder: RunFolder, client: ClientId, name: str | None = None) -> ByClass:
    """What a client sent, or the later version of it that is in the file `name` (without its ending)."""
    return _read(folder, name or _name(client))


def statistics_sums(folder: RunFolder) -> ByClass | None:
    """The sums of all clients; None where they are not kept any more."""
    return _read(folder, SUMS) if folder.store.holds(SUMS) else None


def kept_features(folder: RunFolder) -> bytes:
    """Which features a closed-form training had, as JSON.

    Raises:
        FedletheError: The run is no closed-form one.
    """
    if not folder.store.holds(FEATURES):
        raise IntegrityError(f"{folder.path}: was not trained in closed form (learner 'closed-form')")
    return folder.store.content(folder.store.find(FEATURES))


def _name(client: ClientId) -> str:
    return of_round("statistics", 1, client)


def _read(folder: RunFolder, name: str) -> ByClass:
    artefact = folder.store.find(name)
    return ByClass.read(folder.store.content(artefact), folder.path / artefact.path)
