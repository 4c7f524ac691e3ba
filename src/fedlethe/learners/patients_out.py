# SPDX-License-Identifier: MIT
"""Patients inside a client's statistics: which rows are theirs, and the statistics without them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedlethe.closed_form.by_class import ByClass
from fedlethe.closed_form.sent import rows
from fedlethe.closed_form.settings import Subtraction
from fedlethe.data.federated import SPLITS, ClientData, Examples
from fedlethe.errors import RequestError
from fedlethe.history.history import History
from fedlethe.history.keyring import Keyring
from fedlethe.history.succession import Part, Succession
from fedlethe.learners.statistics_training import closed_form_settings
from fedlethe.runs.past import Lineage
from fedlethe.runs.run import OpenRun
from fedlethe.types import ClientId


def patients_by_client(run: OpenRun, method: Subtraction, history: History) -> dict[ClientId, tuple[str, ...]]:
    """Which of the patients are taken out of which client."""
    if not method.patients:
        return {}
    found = rows_of_patients(run, method, history, past_of(run.lineage, history)[-1])
    return {client: tuple(sorted(_there(run.data.clients[client], method.patients))) for client in found}


def statistics_without(run: OpenRun, client: ClientId, last: Part, without: Sequence[str] = ()) -> ByClass:
    """A client's statistics made anew of its images, without patients that are taken out or were before."""
    trained = run.data.clients[client].train
    chosen = np.ones(len(trained), np.bool_)
    if trained.groups is not None:
        names = sorted(set(trained.groups.tolist()))
        chosen = ~np.isin(trained.groups, [*without, *_taken_before(run.history.store.keys, client, names, last)])
    return rows(trained.only(chosen), closed_form_settings(run.config, run.data), len(run.data.classes))


def past_of(lineage: Lineage, history: History) -> tuple[Part, ...]:
    """The trainings that a history is of, the run's own the last."""
    return history.parts if isinstance(history, Succession) else lineage.parts()


def rows_of_patients(run: OpenRun, method: Subtraction, history: History, last: Part) -> dict[ClientId, Examples]:
    """The training rows of the patients, by client; none of a patient that was never trained on.

    Raises:
        FedletheError: The data name no patients; one is not there, or was taken out before.
    """
    if run.remote is not None:
        raise RequestError("patients: their images lie on other machines; erase whole clients")
    if closed_form_settings(run.config, run.data).epsilon is not None:
        raise RequestError("patients: cannot be taken out of statistics with noise; erase the client, or train again")
    asked = method.of or tuple(client for client in history.clients if client in run.data.clients)
    found, seen = {}, set()
    for client in sorted(asked):
        if client not in history.clients:
            raise RequestError(f"client '{client}' is not in the model; its clients are {', '.join(history.clients)}")
        trained = run.data.clients[client].train
        if trained.groups is None:
            raise RequestError(f"{run.path}: its data name no patients; erase whole clients")
        if twice := _taken_before(run.history.store.keys, client, method.patients, last):
            raise RequestError(f"patient '{twice[0]}' was taken out of {client} already")
        chosen = np.isin(trained.groups, list(method.patients))
        if chosen.all():
            raise RequestError(f"client '{client}' has no other patients; erase the client instead")
        if there := _there(run.data.clients[client], method.patients):  # also who has images to test on alone
            found[client] = trained.only(chosen)
            seen |= there
    if missing := sorted(set(method.patients) - seen):
        raise RequestError(f"patient '{missing[0]}' has no image at {', '.join(asked)}; nothing was done")
    return found


def _there(held: ClientData, patients: Sequence[str]) -> set[str]:
    """Which of the patients have an image at a client, in any split."""
    found: set[str] = set()
    for split in SPLITS:
        groups = held.split(split).groups
        found |= set(patients) & set([] if groups is None else groups.tolist())
    return found


def _taken_before(keys: Keyring, client: ClientId, patients: Sequence[str], last: Part) -> list[str]:
    """Which of the patients an earlier erasure took out, whose record has what stands for them."""
    gone = last.patients.get(client, frozenset())
    return sorted(name for name in patients if gone and keys.pseudonym(client, name) in gone)
