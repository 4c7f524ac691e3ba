# SPDX-License-Identifier: MIT
"""How a request is carried out: the plan that it is begun with, checked against the run before anything is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fedlethe.erasing.auditing import demand_references
from fedlethe.erasing.order import ErasureOrder, order_for
from fedlethe.erasing.patients import demand_trained_on, names_of
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.record import Erasure, recorded
from fedlethe.errors import RequestError
from fedlethe.history.disk import RunFolder
from fedlethe.history.ledger import Ledger
from fedlethe.history.request_log import ErasureRequest, findings_about, moved, requests_of
from fedlethe.history.succession import Part
from fedlethe.learners.which import learner_of
from fedlethe.requests.certificate_facts import claimed
from fedlethe.runs.lineage import held_by, models_without, up_to
from fedlethe.runs.past import Lineage, chain_of
from fedlethe.runs.run import OpenRun
from fedlethe.unlearning.method import retrains_from

LONGEST_KEPT = 36500
"""Days that a purge can wait, a hundred years: a date has to come of them."""


def begun(run: OpenRun, request: ErasureRequest, plan: ErasurePlan | None) -> ErasureRequest:
    """Enter that a request is under way, and how; one that is under way already is handed back as it is.

    Args:
        run: The run, locked.
        request: The request.
        plan: How; None for the recommended way, or the way that it was begun in.

    Raises:
        FedletheError: The plan cannot be carried out, the request was begun in another way, or another one is under
            way.
    """
    ledger = run.history.ledger
    anew = request.stopped and plan is not None and plan != ErasurePlan.from_dict(request.plan or {})
    demand_none_under_way(ledger, request.id)
    held = None if request.plan is None else ErasurePlan.from_dict(request.plan)
    if request.state in ("opened", "failed") or anew:
        plan = plan or held or ErasurePlan()
        if anew and held is not None and not plan.references:  # what audits found is not got rid of by not asking
            plan = replace(plan, references=held.references)
        plan = _checked(run, request, plan)
        return moved(ledger, request.id, "running", plan=plan.to_dict())
    if plan is not None and held is not None and not as_begun(plan, request):
        raise RequestError(f"request {request.id} was begun in another way; go on with it without options")
    return request


def as_begun(plan: ErasurePlan, request: ErasureRequest) -> bool:
    """Whether a plan is the one that a request was carried out by; what it leaves open counts as that one's."""
    if request.plan is None:
        return False
    held = ErasurePlan.from_dict(request.plan)
    return held == replace(plan, after=plan.after or held.after, references=plan.references or held.references)


def demand_none_under_way(ledger: Ledger, id: str) -> None:
    """Refuse to begin or to purge where another request is half carried out: its model would be missing, or go."""
    for other in requests_of(ledger).values():
        if other.id != id and other.state in ("running", "audited"):
            raise RequestError(f"request {other.id} is {other.state}; finish it first")


def current(ledger: Ledger) -> str | None:
    """The erasure whose model is the run's: that of the request that was certified last; None before the first."""
    known, last = requests_of(ledger), dict[str, None]()
    for event in ledger.events("state", "purge"):
        if event.kind == "purge" or event.body.get("purge") is not None:
            last.setdefault(event.body["request"])  # a purge that was to wait does not make an old model the newest
    carried = [known[id].erasure for id in last if id in known]
    return carried[-1] if carried else None


def _checked(run: OpenRun, request: ErasureRequest, plan: ErasurePlan) -> ErasurePlan:
    if not 0 <= plan.keep_for <= LONGEST_KEPT:
        raise RequestError(f"keep_for {plan.keep_for}: must be 0 to {LONGEST_KEPT} days")
    demand_references(plan.references)
    if plan.decoys:
        raise RequestError("decoys: the purge that follows shows who asked, so decoys hide nobody; leave them out")
    if not plan.references and (found := findings_about(run.history.ledger, request.clients)):
        last = found[-1]
        raise RequestError(
            f"request {request.id}: an audit found erasure {last['erasure']} '{last['verdict']}' (request "
            f"{last['request']}), so another one is audited, too: ask for references"
        )
    if {"patients", "of"} & set(plan.options):
        raise RequestError("patients: who is erased is in the request; leave it out")
    if plan.references:
        demand_trained_on(run.images, run.history.store.keys, request.patients)
    if plan.keep_for and request.patients:
        raise RequestError("keep_for: not with patients: what is left of their client cannot be told from them")
    now = current(run.history.ledger)
    after = plan.after or now
    # The model before it holds clients that were erased since: an erasure from there would bring them back.
    if after != now and now is not None:
        raise RequestError(f"after {plan.after}: the run's model is that of erasure {now}")
    if plan.result is not None:
        _demand_result(run.lineage, request, plan.result)
        return plan
    plan = replace(plan, after=after)
    _demand_no_retraining_beside(run.lineage, request, order_of_request(run, request, plan))
    return plan


def _demand_no_retraining_beside(lineage: Lineage, request: ErasureRequest, order: ErasureOrder) -> None:
    """Refuse a method that leaves something of the clients in the model where a model without them stays beside it.

    The two share what the retained clients did, so their difference would tell what is left of the erased ones.

    Raises:
        RequestError: There is such a model, in the run or in one that it began from; the run's own can be the request's
            result.
    """
    if request.patients or retrains_from(order.method) is not None:
        return
    would = f"beside it the model of '{order.method_name}' would tell what that leaves of them"
    for number, folder in enumerate(lineage.folders[:0:-1]):
        passed = {id for id, _ in chain_of(folder, lineage.earlier[number].erasure)}  # its rounds are none of theirs
        beside = _made_without(folder, lineage.earlier[:number], request)
        if free := [one for one in beside if one.id not in passed]:
            raise RequestError(
                f"request {request.id}: {free[-1].model} was made without {request.subject}, and stays; {would}: train "
                "again, by the method 'retrain'"
            )
    if free := _made_without(lineage.history, lineage.earlier, request):
        asked = set(request.clients)
        same = next((one.id for one in reversed(free) if set(one.forget) == asked and one.after == order.after), None)
        take = "" if same is None else f"take it as the result, {same}, or "
        raise RequestError(
            f"request {request.id}: the model of erasure {same or free[-1].id} was made without {request.subject}, and "
            f"stays; {would}: {take}train again, by the method 'retrain'"
        )


def _made_without(folder: RunFolder, before: Sequence[Part], request: ErasureRequest) -> list[Erasure]:
    """The erasures of a run whose models are there, and were made without the request's clients."""
    return [recorded(folder, id) for id in models_without(folder, before, frozenset(request.clients))]


def _demand_result(lineage: Lineage, request: ErasureRequest, id: str) -> None:
    """Refuse an erasure as a result: of others, of a model that another request left, or whose record says too much."""
    record = recorded(lineage.history, id)
    if (record.forget, {client: tuple(names) for client, names in record.patients.items()}) != (
        request.clients,
        {client: tuple(names) for client, names in request.patients.items()},
    ):
        raise RequestError(f"result {id}: is the erasure of {record.subject}, not of {request.subject}")
    claimed(lineage.parts(id), record)  # before it is begun: what claims too much would never be signed
    done_before = {
        client
        for other in requests_of(lineage.history.ledger).values()
        if other.purge is not None and other.id != request.id
        for client in set(other.clients) - set(other.patients)
    }
    if left := sorted(done_before & held_by([*lineage.earlier, up_to(lineage.history, id)])):
        now = current(lineage.history.ledger)
        raise RequestError(f"result {id}: its model may hold {', '.join(left)}, erased since; begin from {now}")


def order_of_request(run: OpenRun, request: ErasureRequest, plan: ErasurePlan) -> ErasureOrder:
    """What `erase` is asked for, to carry a request out by a plan."""
    # The ledger holds pseudonyms, and images are found by names.
    patients, clients = names_of(run.images, run.history.store.keys, request.patients), request.clients
    named = learner_of(run.config).options_for(patients)
    if named:  # the method takes the patients out itself, and no client leaves
        patients, clients = {}, ()
    built = order_for(run.config, clients, replace(plan, options={**plan.options, **named}), patients)
    return replace(built, act=request.id)
