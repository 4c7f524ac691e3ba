# SPDX-License-Identifier: MIT
"""From names and plain values to an erasure's plan, in a run that is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fedlethe.erasing.decoys import with_decoys
from fedlethe.erasing.erase import erasures
from fedlethe.erasing.plan import Request, request_for
from fedlethe.errors import FedletheError
from fedlethe.runs.run import Run


def plan_for_nobody(
    run: Run,
    method: str,
    options: Mapping[str, Any],
    mask: Mapping[str, Any],
    repair: Mapping[str, Any],
    decoys: int = 0,
) -> Request:
    """A plan that names nobody yet, for studies that erase one client after the other (see `plan_erasure`)."""
    return request_for(run.config, (), run.config.recipe(method), options, mask, repair, run.history.base, decoys)


def plan_erasure(
    run: Run,
    clients: Sequence[str],
    method: str,
    options: Mapping[str, Any],
    mask: Mapping[str, Any],
    repair: Mapping[str, Any],
    after: str | None = None,
    decoys: int = 0,
) -> Request:
    """The plan of an erasure by the name of a method or recipe, and plain values that lie over it; see `request_for`.

    Args:
        run: The run.
        clients: Who asked.
        method: A row of METHODS, or a recipe.
        options: Of the method.
        mask: Fields of Masking.
        repair: Fields of Repair.
        after: The erasure from whose result they are erased; None for the run's own model.
        decoys: How many others are erased along with them, drawn by the erasure's secret.

    Raises:
        FedletheError: A name is unknown, a value out of range, or a network's patients are to be erased without a
            request.
    """
    if run.config.exact is None and options.get("patients"):
        how = "fedlethe request RUN --client C --patient P, then fedlethe erase RUN --request ID"
        raise FedletheError(f"--patient: a network's patients are erased by a request, and purged with it: {how}")
    begun = after or run.history.base
    before = [one.forget for one in erasures(run) if decoys and one.decoyed and one.after == begun]
    asked = request_for(run.config, clients, run.config.recipe(method), options, mask, repair, begun, decoys)
    return replace(asked, forget=with_decoys(run, clients, decoys, begun, before))
