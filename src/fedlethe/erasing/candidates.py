# SPDX-License-Identifier: MIT
"""The candidates r(1), ..., r(K) of an erasure: the model that erasing each client instead would have led to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

from fedlethe.closed_form.settings import Subtraction
from fedlethe.config.learning import Method
from fedlethe.errors import RequestError
from fedlethe.history.history import History
from fedlethe.learners.which import learner_of
from fedlethe.privacy.span import Span
from fedlethe.runs.run import OpenRun
from fedlethe.types import ClientId, Need, Vector

AT_MOST = 64
"""Candidates: each is a model in memory, and the span takes the products of all pairs."""

Clients = tuple[ClientId, ...]


def erasable(run: OpenRun, history: History) -> list[ClientId]:
    """The clients that can be erased: see `Learner.erasable`."""
    return learner_of(run.config).erasable(run.data, history)


def incomputable(method: Method, name: str) -> str | None:
    """Why a method's candidates cannot be computed; None where they can."""
    if isinstance(method, Subtraction) and (method.patients or method.join):
        return f"{name}: patients who leave, or clients who join, have no other clients to hide among"
    reasons = {
        Need.FORGOTTEN_DATA: "every client would have to train as if it were to be forgotten",
        Need.RETAINED_DATA: "each of them is a training by the others, and who takes part shows who is gone",
        Need.PUBLIC_DATA: "each of them is a training on the public images",
    }
    reason = next((why for need, why in reasons.items() if need in method.needs), None)
    return None if reason is None else f"{name}: its candidates cannot be computed ({reason})"


def candidate_sets(clients: Sequence[ClientId], size: int) -> list[Clients]:
    """Who else could have been erased: every set of `size` clients, each sorted, in the order of the ids.

    Raises:
        FedletheError: There is one set alone, or there are more than AT_MOST.
    """
    count = math.comb(len(clients), size)
    if count <= 1:
        raise RequestError(
            f"nobody but {', '.join(sorted(clients))} could have been erased: there is nobody to hide among"
        )
    if count > AT_MOST:
        raise RequestError(
            f"{size} of {len(clients)} clients can be erased in {count} ways; a mask hides among {AT_MOST} at most: "
            "erase fewer at once"
        )
    return list(combinations(sorted(clients), size))


def span_of(sets: Sequence[Clients], unlearned: Callable[[Clients], Vector]) -> Span:
    """The span of the candidates; `unlearned` gives the model, shape (P,), without some clients."""
    return Span.of(list(_models(sets, unlearned)))


def _models(sets: Sequence[Clients], unlearned: Callable[[Clients], Vector]) -> Iterator[Vector]:
    for clients in sets:
        yield unlearned(clients)
