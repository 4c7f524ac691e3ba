# SPDX-License-Identifier: MIT
"""The sums of the statistics of who is left, over all trainings that led to a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from types import MappingProxyType

from fedlethe.closed_form.by_class import ByClass, total
from fedlethe.closed_form.sums import Sums
from fedlethe.errors import RequestError
from fedlethe.history.disk import RunFolder
from fedlethe.history.history import History
from fedlethe.history.keyring import LOST
from fedlethe.history.sent_statistics import statistics_of, statistics_sums
from fedlethe.history.succession import Part, gone_after
from fedlethe.types import ClientId

_NONE: Mapping[ClientId, ByClass] = MappingProxyType({})


def sums_of(parts: Sequence[Part]) -> Sums:
    """The sums of who is left of some trainings: of each, the sums of all, those who left subtracted."""
    return reduce(lambda one, other: Sums(one.total + other.total, one.passed + other.passed), _own_sums(parts))


def _own_sums(parts: Sequence[Part]) -> list[Sums]:
    found = []
    for part, gone in zip(parts, gone_after(parts), strict=True):
        trained = trained_in(part)
        if trained - gone:
            found.append(_own(part, trained, gone))
    if not found:
        raise RequestError("no client would be left; keep at least one")
    return found


def _own(part: Part, trained: frozenset[ClientId], gone: frozenset[ClientId]) -> Sums:
    """The sums of those of one training that are left: by subtraction, or anew where that cannot be.

    It cannot be where the sums of all are not kept, or the key of who left is lost.
    """
    folder = folder_of(part.history)
    sums, lost = statistics_sums(folder), folder.store.keys.confirmed(LOST)
    if sums is None or trained & gone & set(lost):
        return Sums.of([statistics_left(part, client) for client in sorted(trained - gone)])
    own = Sums.whole(sums)
    # Sorted, so that the same erasures in another order give the same bytes.
    for client in sorted(trained & (gone | set(part.revised))):
        own = own.minus(statistics_of(folder, client))
        own = own if client in gone else own.plus(statistics_left(part, client))
    return own


def statistics_left(part: Part, client: ClientId) -> ByClass:
    """A client's statistics, less the patients that were taken out of them."""
    return statistics_of(folder_of(part.history), client, part.revised.get(client))


def clients_left(
    parts: Sequence[Part], revised: Mapping[ClientId, ByClass] = _NONE, new: Mapping[ClientId, ByClass] = _NONE
) -> Iterator[ByClass]:
    """The statistics of each client that is left, in the order of their names, over all trainings.

    Args:
        parts: The trainings.
        revised: Clients' statistics of the last one, without patients that go now.
        new: Clients' statistics of a training that is added to these.
    """
    left = [trained_in(part) - gone for part, gone in zip(parts, gone_after(parts), strict=True)]
    for client in sorted({*new}.union(*left)):
        sent = [
            revised[client] if part is parts[-1] and client in revised else statistics_left(part, client)
            for part, who in zip(parts, left, strict=True)
            if client in who
        ]
        yield total([*sent, new[client]] if client in new else sent)


def trained_in(part: Part) -> frozenset[ClientId]:
    """Whose statistics are in the sums of a training, which has one round."""
    return frozenset(part.history.weights(1))


def folder_of(history: History) -> RunFolder:
    """The run folder that a closed-form history is: it has no other kind."""
    assert isinstance(history, RunFolder)
    return history
