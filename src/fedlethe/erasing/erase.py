# SPDX-License-Identifier: MIT
"""One erasure carried through: unlearn, mask, repair; evaluated before, between and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fedlethe.erasing.entering import Unentered, enter_erasure
from fedlethe.erasing.masking import Masked, ToMask, masked, unclaimed
from fedlethe.erasing.order import ErasureOrder
from fedlethe.erasing.record import Erasure, done
from fedlethe.erasing.repairing import repair_rounds, repairers, took_part
from fedlethe.erasing.secret import Secret, destroy_spent, mask_secret
from fedlethe.erasing.unlearn_step import unlearned_by, unlearned_for
from fedlethe.errors import IntegrityError, RequestError
from fedlethe.federation.aggregate import add_contributions
from fedlethe.federation.metered import Meter
from fedlethe.history.history import History
from fedlethe.history.paths import Kind, of_erasure
from fedlethe.learners.which import learner_of
from fedlethe.privacy.noise import SecretNoise
from fedlethe.progress import bar
from fedlethe.runs.run import OpenRun, demand_complete
from fedlethe.types import ClientId, Cost, Stage, Vector


def erase(run: OpenRun, request: ErasureOrder) -> Erasure:
    """Carry a request out and enter it in the ledger; the trained model and the history stay as they are.

    Raises:
        FedletheError: A client is unknown, named twice, or the last one; the history lacks what the method needs; this
            very request was carried out before; or the mask that is asked for cannot be made.
    """
    with run.history.locked():
        # What a kill left behind, first: a secret that the ledger says is destroyed must not serve again.
        destroy_spent(run.history)
        if earlier := done(run.history, request):
            done_already = f"{earlier.subject}: erased already in this way"
            try:
                run.history.store.find(of_erasure(earlier.id, Kind.MODEL))
            except IntegrityError as gone:  # it says where to go on, where a later run's purge took the model
                raise RequestError(f"{done_already}, by {earlier.id}, and nothing was done: {gone}") from None
            raise RequestError(f"{done_already}; its model is {earlier.model}")
        return erase_locked(run, request)


def erase_locked(run: OpenRun, request: ErasureOrder) -> Erasure:
    """`erase` by who holds the run's lock already."""
    demand_complete(run)
    learner_of(run.config).demand_erasable(run.data, request.forget)
    past = run.past(request.after)
    if gone := sorted(set(request.forget) - set(past.clients)):
        led = "training" if request.after is None else f"erasure {request.after}"
        raise RequestError(f"{', '.join(gone)}: not in the model that {led} led to; name others")
    stages = [Stage("before", run.evaluate(past.final(), without=request.forget), Cost())]
    repaired: dict[ClientId, Vector] = {}
    with bar("erasing, client updates") as advance:
        meter = Meter(notify=advance)
        unlearned = unlearned_for(run, request, past, meter)

        def secret() -> bytes:
            return mask_secret(run.history)

        # Before anybody is asked to repair, so that an erasure that cannot be hidden costs them nothing.
        mask = masked_of(run, request, past, unlearned.model, secret)
        for name, model in stages_of(run, request, past, unlearned.model, meter, repaired, mask, secret=secret):
            cost = meter.cost()
            with meter.stopped():
                stages.append(Stage(name, run.evaluate(model, without=request.forget), cost))
    carried = Unentered(past=past, unlearned=unlearned, model=model, stages=tuple(stages), repaired=repaired, mask=mask)
    return enter_erasure(run, request, carried)


def masked_of(run: OpenRun, request: ErasureOrder, history: History, model: Vector, secret: Secret) -> Masked | None:
    """The unlearned model, shape (P,), with the request's mask, drawn by a secret; None where there is none.

    Raises:
        FedletheError: See `masking.masked`.
    """
    if not request.mask.adds_noise or (not request.mask.guarantees and not took_part(request, history)):
        return None

    def noise() -> SecretNoise:
        # By the whole order, so that no two orders share their noise, and one order done again has the same.
        return SecretNoise(secret(), "mask", request.canonical(run.history.store.keys.pseudonym))

    if request.patients:
        return unclaimed(history, model, request.mask, noise, "single patients: their client comes back in the repair")

    def unlearned(clients: Sequence[ClientId]) -> Vector:
        return unlearned_by(run, clients, request.method, history, Meter()).model

    erased = ToMask(
        forget=request.forget,
        model=model,
        method=request.method,
        method_name=request.method_name,
        unlearned=unlearned,
        repairers=repairers(run, request, history, secret),
        after=request.after is not None,
    )
    return masked(run, history, erased, request.mask, noise)


def stages_of(
    run: OpenRun,
    request: ErasureOrder,
    history: History,
    model: Vector,
    meter: Meter,
    repaired: dict[ClientId, Vector],
    mask: Masked | None = None,
    *,
    secret: Secret,
) -> Iterator[tuple[str, Vector]]:
    """The unlearned model, shape (P,), and what the request's mask and repair rounds make of it, each by its name.

    What each client's updates add in the repair rounds is summed up in `repaired`; `secret` draws who repairs, where
    few do. Clients who took part in no round are not repaired after, unless they are to be hidden among others who are.
    """
    yield "unlearned", model
    if not (request.mask.guarantees or request.decoys or took_part(request, history)):
        return
    if mask is not None:
        model = mask.model
        yield "masked", model
    if not request.repair.rounds:
        return
    for record in repair_rounds(run, request, history, model, repairers(run, request, history, secret), meter):
        add_contributions(repaired, record, run.config.learning.aggregator.is_mean)
        yield f"repaired {record.round}", record.after
