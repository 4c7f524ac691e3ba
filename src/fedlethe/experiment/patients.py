# SPDX-License-Identifier: MIT
"""Single patients inside a client, where a network was trained by federated averaging.

Nothing tells a patient's part of a client's updates from the rest of it. So the client is unlearned as a whole, and
comes back in the repair rounds with the images of its other patients; or all is trained again without the patients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fedlethe.data.federated import SPLITS, FederatedData
from fedlethe.errors import FedletheError
from fedlethe.experiment.run import Run
from fedlethe.federation.federation import Federation
from fedlethe.federation.simulated import SimulatedFederation
from fedlethe.history.history import History
from fedlethe.types import ClientId, Guarantee
from fedlethe.unlearning import Unlearned
from fedlethe.unlearning.retrain import Retrain

OfClients = Mapping[ClientId, Sequence[str]]
"""Client to its patients."""


def named(run: Run, pseudonyms: OfClients) -> dict[ClientId, tuple[str, ...]]:
    """The names of the patients that the ledger knows by pseudonyms.

    Raises:
        FedletheError: One of them is not in the data.
    """
    found = {}
    for client, wanted in pseudonyms.items():
        names = {name for split in SPLITS for name in _groups(run.images, client, split)}
        known = {run.history.store.keys.pseudonym(client, name): name for name in sorted(names)}
        if missing := sorted(set(wanted) - set(known)):
            raise FedletheError(f"client '{client}' has no patient whose pseudonym is {missing[0]}; restore its images")
        found[client] = tuple(sorted(known[pseudonym] for pseudonym in wanted))
    return found


def _groups(data: FederatedData, client: ClientId, split: str) -> list[str]:
    groups = getattr(data.clients[client], split).groups
    return [] if groups is None else groups.tolist()


def less(data: FederatedData, patients: OfClients) -> FederatedData:
    """The data without these patients."""
    for client, names in patients.items():
        data = data.without_patients(client, names)
    return data


def remaining(
    run: Run, history: History, forget: Sequence[ClientId], patients: OfClients, seed: int | None = None
) -> Federation:
    """Who trains on: all that were not erased before and are not now; some without a few patients.

    Args:
        run: The run.
        history: Of those that were not erased before.
        forget: Who is erased now, whole or in part.
        patients: Of those in part.
        seed: Of the shuffles; None for the run's.
    """
    federation = run.federation(seed)
    if patients:
        assert isinstance(federation, SimulatedFederation)
        federation = replace(federation, data=less(run.data, patients))
    gone = (set(run.data.clients) - set(history.clients)) | (set(forget) - set(patients))
    return federation.without(gone)


def retrained(
    method: Retrain, forget: Sequence[ClientId], patients: OfClients, history: History, federation: Federation
) -> Unlearned:
    """All rounds again, the clients in part with their other patients."""
    unlearned = method.unlearn(frozenset(forget) - set(patients), history, federation)
    held = ", ".join(f"{len(names)} patients of {client}" for client, names in sorted(patients.items()))
    return replace(
        unlearned, guarantee=Guarantee("exact", f"trained from the initial model without the images of {held}")
    )
