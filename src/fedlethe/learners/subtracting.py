# SPDX-License-Identifier: MIT
"""A client leaves a closed-form model by subtraction, and the head is solved again.

Everything that an erasure leads to is a function of the statistics of who is left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from fedlethe.closed_form.by_class import ByClass
from fedlethe.closed_form.sent import rows
from fedlethe.closed_form.settings import ClosedFormSettings, Subtraction
from fedlethe.closed_form.sums import LIMIT, RESIDUAL, Fit, Sums, again, fit
from fedlethe.errors import RequestError
from fedlethe.federation.metered import Meter
from fedlethe.history.history import History
from fedlethe.history.succession import Part
from fedlethe.learners.patients_out import past_of, rows_of_patients, statistics_without
from fedlethe.learners.statistics_training import closed_form_settings, vector_of
from fedlethe.learners.sums_left import clients_left, sums_of
from fedlethe.runs.run import OpenRun
from fedlethe.types import ClientId, Guarantee
from fedlethe.unlearning import Unlearned

FINEST = 1e-10
"""The smallest bound on a relative difference that is told, a hundredth of what may be called exact."""


@dataclass(frozen=True, slots=True, eq=False)
class _Remainder:
    """What is left after an erasure, and how to get there.

    Attributes:
        sums: Of those that are left, by adding and subtracting.
        revised: Client to its statistics without the patients.
        parts: The trainings, the erasure included.
    """

    sums: Sums
    revised: Mapping[ClientId, ByClass]
    parts: tuple[Part, ...]


def subtract(
    run: OpenRun, forget: Sequence[ClientId], method: Subtraction, history: History, meter: Meter
) -> Unlearned:
    """Take clients or patients out, or clients back in, and hold the head against one fitted from scratch.

    Formal guarantees:
        The model is the one that a training on what is left leads to, its class weights and its penalty chosen
        from the statistics of each client that is left, as a training from scratch chooses them, save where the user
        fixed them. The record holds by how much the head differs from one fitted to sums made from scratch, which
        rounding alone can cause; where that is more than LIMIT, the one from scratch is taken. With noise on the
        statistics this holds of the noisy ones, which a training anew would draw again: then less than 'exact' is
        claimed.

    Raises:
        FedletheError: A patient or client is not there, or nobody would be left.
    """
    settings, left = closed_form_settings(run.config, run.data), _left(run, forget, method, history)
    clients = partial(clients_left, left.parts, left.revised)
    fitted = fit(left.sums, settings, clients)
    with meter.stopped():  # the check is no part of what the erasure costs
        anew = again(fitted, clients)
        # The model that is handed over never rests on a subtraction that rounding has spoilt.
        if fitted.head.difference(anew.head) > LIMIT:
            fitted = anew
        residual = _at_most(fitted.head.difference(anew.head))
    return Unlearned(
        model=vector_of(run.layout, fitted.head),
        guarantee=_guarantee(residual, fitted, settings, _steps(forget, method)),
        found=_found(residual, fitted),
    )


def revised(run: OpenRun, method: Subtraction, history: History) -> Mapping[ClientId, ByClass]:
    """The statistics of the clients whose patients are taken out, without these patients."""
    return _left(run, (), method, history).revised if method.patients else {}


def _steps(forget: Sequence[ClientId], method: Subtraction) -> tuple[str, ...]:
    """What was done to the sums, in words."""
    return (*(["subtracted"] if forget or method.patients else []), *(["added"] if method.join else []))


def _guarantee(residual: float, fitted: Fit, settings: ClosedFormSettings, steps: Sequence[str]) -> Guarantee:
    how = "summed again" if fitted.rebuilt else " and ".join(steps)
    which = {"class weights": settings.class_weights, "penalty": settings.penalty}
    anew = [f"{name} chosen anew" for name, value in which.items() if value is None]
    fixed = [f"{name} as the user set" for name, value in which.items() if value is not None]
    choices = " and ".join([*anew, *fixed])
    rows_now = "all that are in, who came back included" if "added" in steps else "what is left"
    statement = f"{how}; the head equals one fitted from scratch on {rows_now}, {choices}, to a relative difference "
    statement += f"of at most {residual:.0e} (measured)"
    if settings.epsilon is not None:
        return Guarantee("guaranteed", f"{statement}; of the statistics with the noise that was drawn in training")
    return Guarantee("exact" if residual <= LIMIT else "guaranteed", statement)


def _found(residual: float, fitted: Fit) -> dict[str, float]:
    weights = {f"class_weight_{label}": weight for label, weight in enumerate(fitted.choice.class_weights)}
    return {
        RESIDUAL: residual,
        "rounding_bound": _at_most(fitted.bound),
        "rebuilt": float(fitted.rebuilt),
        "penalty": fitted.choice.penalty,
        **weights,
        "rows": float(fitted.sums.total.count),
    }


def _at_most(value: float) -> float:
    """A bound in whole powers of ten, none below FINEST.

    All digits of a rounding error are an equation in the rows that were erased, to hold a guess of them against.
    """
    return max(FINEST, 10.0 ** math.ceil(math.log10(value))) if value > 0 else FINEST


def _left(run: OpenRun, forget: Sequence[ClientId], method: Subtraction, history: History) -> _Remainder:
    *before, last = past_of(run.lineage, history)
    if wrong := [client for client in method.join if client in history.clients]:
        raise RequestError(f"client '{wrong[0]}' is in the model already; nothing was done")
    if wrong := [client for client in method.join if client not in last.erased]:
        raise RequestError(
            f"client '{wrong[0]}' was not taken out of {run.path}, so it cannot join again; "
            "hospitals with new images join by: fedlethe train --learner closed-form --after ..., and one that was "
            f"erased in a run that this one began from by the same with --take-back {wrong[0]}"
        )
    if not method.patients:
        erased = (last.erased | set(forget)) - set(method.join)
        parts = (*before, last.with_erased(erased))
        return _Remainder(sums_of(parts), {}, parts)
    sums, revised = sums_of((*before, last)), {}
    for client, taken in rows_of_patients(run, method, history, last).items():
        sums = sums.minus(rows(taken, closed_form_settings(run.config, run.data), len(run.data.classes)))
        revised[client] = statistics_without(run, client, last, method.patients)
    return _Remainder(sums, revised, (*before, last))
