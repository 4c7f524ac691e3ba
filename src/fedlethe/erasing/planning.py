# SPDX-License-Identifier: MIT
"""From a plan to an order, in a run that is open: from which model, and with which decoys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fedlethe.erasing.decoys import with_decoys
from fedlethe.erasing.order import ErasureOrder, order_for
from fedlethe.erasing.patients import names_of
from fedlethe.erasing.plan import OF_ACT, ErasurePlan
from fedlethe.erasing.record import Erasure, erasures
from fedlethe.errors import ConfigError
from fedlethe.learners.which import learner_of
from fedlethe.runs.run import OpenRun
from fedlethe.types import ClientId


def _demand_no_act(plan: ErasurePlan) -> None:
    """Refuse what belongs to an erasure request where there is none: nothing is ignored in silence."""
    if given := [name for name in OF_ACT if getattr(plan, name)]:
        raise ConfigError(
            f"{', '.join(given)}: belongs to an erasure request; carry one out by this plan, or leave it out"
        )


def order_for_nobody(run: OpenRun, plan: ErasurePlan) -> ErasureOrder:
    """An order that names nobody yet, for studies that erase one client after the other (see `order_erasure`)."""
    _demand_no_act(plan)
    return order_for(run.config, (), _from_here(run.history.base, plan))


def order_erasure(run: OpenRun, clients: Sequence[ClientId], plan: ErasurePlan) -> ErasureOrder:
    """A plan for these clients of a run that is open, without a request; see `order_for`.

    Args:
        run: The run.
        clients: Who asked.
        plan: How; where it has decoys, they are drawn by the erasure's secret and erased along with the clients.

    Raises:
        FedletheError: A name is unknown, a value out of range, the plan has what belongs to a request, or a network's
            patients are to be erased without one.
    """
    if learner_of(run.config).by_steps and plan.options.get("join"):
        raise ConfigError(
            "join: is of learner 'closed-form', and a network has to be trained again: fedlethe train --after "
            f"{run.path}/erasures/ID --take-back {plan.options['join'][0]}"
        )
    if learner_of(run.config).by_steps and plan.options.get("patients"):
        how = "fedlethe request RUN --client C --patient P, then fedlethe erase RUN --request ID"
        raise ConfigError(f"patients: a network's patients are erased by a request, and purged with it: {how}")
    _demand_no_act(plan)
    plan = _from_here(run.history.base, plan)
    before = [one.forget for one in erasures(run.history) if plan.decoys and one.decoyed and one.after == plan.after]
    order = order_for(run.config, clients, plan)
    return replace(order, forget=with_decoys(run, clients, plan.decoys, plan.after, before))


def _from_here(base: str | None, plan: ErasurePlan) -> ErasurePlan:
    """The plan from the run's own model on, where it names no erasure to begin from."""
    return replace(plan, after=plan.after or base)


def order_of(run: OpenRun, erasure: Erasure) -> ErasureOrder:
    """What an erasure that was made had been asked for, as its audit needs it: whom, and from which model on.

    Raises:
        FedletheError: A patient's images are not in the data any more.
    """
    patients, learner = names_of(run.images, run.history.store.keys, erasure.patients), learner_of(run.config)
    named = learner.options_for(patients)
    joined = {"join": list(erasure.joined)} if erasure.joined else {}
    plan = ErasurePlan(method=learner.retraining, options={**named, **joined})
    order = order_for(run.config, erasure.forget, plan, {} if named else patients)
    return replace(order, after=erasure.after)
