# SPDX-License-Identifier: MIT
"""The repair of an unlearned model: who trains on, and their rounds."""

from __future__ import annotations

from collections.abc import Iterator

from fedlethe.erasing.candidates import erasable
from fedlethe.erasing.decoys import drawn
from fedlethe.erasing.order import ErasureOrder
from fedlethe.erasing.patients import who_trains_on
from fedlethe.erasing.record import erasures
from fedlethe.erasing.secret import Secret
from fedlethe.federation.metered import Meter, metered
from fedlethe.federation.train import train
from fedlethe.history.history import History
from fedlethe.runs.run import OpenRun
from fedlethe.seeding import derive
from fedlethe.types import ClientId, RoundRecord, Vector
from fedlethe.unlearning.method import entered


def repairers(run: OpenRun, request: ErasureOrder, history: History, secret: Secret) -> tuple[ClientId, ...] | None:
    """Who repairs the model: a few, drawn by a secret; None for all who are left, empty for nobody.

    Raises:
        FedletheError: So many are not there, or they would leave nobody to hide among.
    """
    if not request.repair.rounds:
        return ()
    if request.repair.clients is None:
        return None
    left = set(who_trains_on(run, history, request.forget, request.patients).clients) - set(request.forget)
    spare = 1 if request.mask.adds_noise else 0
    return drawn(secret, request.forget, left, request.repair.clients, spare, _repaired_before(run, request, history))


def _repaired_before(run: OpenRun, request: ErasureOrder, history: History) -> list[set[ClientId]]:
    """Who repaired, in each earlier masked erasure of the same clients."""
    known = set(erasable(run, history))
    same = [
        one for one in erasures(run.history) if one.after == request.after and set(one.forget) == set(request.forget)
    ]
    return [known - set(one.hidden.among) for one in same if one.hidden is not None and not one.decoyed]


def took_part(request: ErasureOrder, history: History) -> bool:
    """Whether an update of one of the erased clients entered the model; where none did, there is nothing to repair."""
    return bool(entered(history).intersection(request.forget))


def repair_rounds(
    run: OpenRun,
    request: ErasureOrder,
    history: History,
    model: Vector,
    chosen: tuple[ClientId, ...] | None,
    meter: Meter,
) -> Iterator[RoundRecord]:
    """The request's repair of a model, shape (P,), by the chosen clients; None for all who are left."""
    retained = who_trains_on(run, history, request.forget, request.patients, derive(run.config.seed, "repair"))
    if chosen:
        retained = retained.without(set(retained.clients) - set(chosen))
    federation = metered(retained, meter)
    schedule = [(round, federation.clients) for round in range(1, request.repair.rounds + 1)]
    return train(federation, model, schedule, request.repair.settings(run.config.local))
