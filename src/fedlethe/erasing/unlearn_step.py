# SPDX-License-Identifier: MIT
"""The unlearning step of an erasure: the method, and what it may see."""

from __future__ import annotations

from collections.abc import Sequence

from fedlethe import unlearning
from fedlethe.closed_form.settings import Subtraction
from fedlethe.config import Method
from fedlethe.erasing.patients import remaining
from fedlethe.errors import RequestError
from fedlethe.federation.metered import Meter, MeteredFederation
from fedlethe.history.disk import RunFolder
from fedlethe.history.history import History
from fedlethe.history.succession import Succession
from fedlethe.learners import closed_form
from fedlethe.runs.run import OpenRun
from fedlethe.types import ClientId, Need
from fedlethe.unlearning import Unlearned
from fedlethe.unlearning.method import method_name


def unlearned_by(run: OpenRun, forget: Sequence[ClientId], method: Method, history: History, meter: Meter) -> Unlearned:
    """The unlearning step alone: the method sees the history and the retained clients, metered.

    Raises:
        FedletheError: The history lacks what the method needs, or its model is not finite.
    """
    if isinstance(method, Subtraction):
        return closed_form.subtract(run, forget, method, history, meter)
    kept = run.history.keep.intersection(*(part.keep for part in run.earlier))
    anew = isinstance(history, Succession) and any(part.anew for part in history.parts)
    for need in sorted(method.needs, key=lambda need: need.name):
        if anew and need.of_history and need not in (Need.INITIAL, Need.INFLUENCE):
            raise RequestError(
                f"an earlier erasure trained the model anew, and {need.value} is of the training before it; erase by "
                "influence or retrain"
            )
        if need.of_history and need not in kept:
            name = method_name(method)
            gone = [part.history for part in run.earlier if need not in part.keep]
            holder = next((one for one in gone if isinstance(one, RunFolder)), run.history)
            raise RequestError(f"{name}: {holder.lacks(need)}")
    return unlearning.unlearn(method, forget, history, MeteredFederation(remaining(run, history, (), {}), meter))
