# SPDX-License-Identifier: MIT
"""What must be known of an evaluation before its figures are read: where they show no model that anybody could use."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from fedlethe.types import ClientId, Evaluation, Metrics

FEW = 20
"""Images, below which a client's figure says little."""

WORSE = 0.05
"""How far a client's AUC lies below that of the others, at the least, for a word to be said."""

NORMAL = NormalDist()

TRY = "try pretrained weights or features, or the other learner (a network, the closed form)"
TRY_ANEW = "try less noise, more repair, or another method"
"""Where the model is an erasure's."""


def cautions(
    evaluation: Evaluation, erased: Collection[ClientId] = (), before: Evaluation | None = None
) -> tuple[str, ...]:
    """A sentence for each thing that is amiss, the gravest first; none where nothing is.

    Where clients are erased, it is of the others that it is said: a model is for them.

    Args:
        evaluation: Of a model that is to be used.
        erased: Whose images do not count.
        before: The same of the model that it was erased from; None where there was none.

    Example:
        >>> held = Metrics(40, 0.75, 0.5, 0.6, (0.4, 0.8), 0.1, ((30, 0), (10, 0)))
        >>> for sentence in cautions(Evaluation(held, {})):
        ...     print(sentence.partition(":")[0])
        the model answers class 0 for every test image
    """
    clients = {client: one for client, one in evaluation.clients.items() if client not in erased}
    ranked = _ranked(evaluation, erased)
    # Of a model that was sound before it was erased from, it is the erasure that is to be made in another way.
    advice = TRY if before is None or _faults(before, erased) else TRY_ANEW
    found = [f"{said}; {advice}" for said in _faults(evaluation, erased)]
    if worse := list(_worse(ranked)):
        named = ", ".join(f"{one.client} (AUC {one.auc:.3f}, the others {others:.3f})" for one, others in worse)
        found.append(f"it does worse than elsewhere at {named}")
    if few := {client: one.num_examples for client, one in clients.items() if one.num_examples < FEW}:
        named = ", ".join(f"{client} ({count})" for client, count in few.items())
        found.append(f"figures that rest on fewer than {FEW} test images say little: {named}")
    return tuple(found)


def _faults(evaluation: Evaluation, erased: Collection[ClientId]) -> list[str]:
    overall = evaluation.retained or evaluation.overall
    return _of_answers(overall) or list(_of_ranking(overall, _ranked(evaluation, erased)))


def _ranked(evaluation: Evaluation, erased: Collection[ClientId]) -> list[_Ranked]:
    held = evaluation.clients.items()
    return [_Ranked.of(client, one) for client, one in held if client not in erased and one.auc_interval is not None]


@dataclass(frozen=True, slots=True)
class _Ranked:
    """A client's AUC, and how sure it is.

    Attributes:
        client: Whose.
        images: How many it rests on.
        auc: Itself.
        deviation: Its standard deviation.
    """

    client: ClientId
    images: int
    auc: float
    deviation: float

    @classmethod
    def of(cls, client: ClientId, metrics: Metrics) -> _Ranked:
        assert metrics.auc is not None
        assert metrics.auc_interval is not None
        low, high = metrics.auc_interval
        return cls(client, metrics.num_examples, metrics.auc, (high - low) / (2 * NORMAL.inv_cdf(0.975)))


def _mean(ranked: Sequence[_Ranked]) -> tuple[float, float]:
    """The mean AUC within clients, each by its images, and its standard deviation."""
    images = sum(one.images for one in ranked)
    variance = sum((one.images / images * one.deviation) ** 2 for one in ranked)
    return sum(one.images / images * one.auc for one in ranked), math.sqrt(variance)


def _of_answers(overall: Metrics) -> list[str]:
    held = [sum(row) for row in overall.confusion]
    answered = [sum(column) for column in zip(*overall.confusion, strict=True)]
    used = [label for label, count in enumerate(answered) if count]
    found = []
    if overall.confusion and (lost := overall.num_examples - sum(held)):
        found.append(f"the model gives no answer that is a number to {lost:,} of {overall.num_examples:,} test images")
    if len(used) == 1 and any(count for label, count in enumerate(held) if label != used[0]):
        of, share = "every test image" if not found else "all the others", held[used[0]] / sum(held)
        found.append(f"the model answers class {used[0]} for {of}: {100 * share:.0f} % of them have it")
    return found


def _of_ranking(overall: Metrics, ranked: Sequence[_Ranked]) -> Iterator[str]:
    if overall.auc_interval is not None and overall.auc_interval[0] <= 0.5:
        low, high = overall.auc_interval
        yield f"the model may be no better than chance: its AUC lies between {low:.3f} and {high:.3f} (95 %)"
    elif len(ranked) > 1:
        # Where classes are mixed otherwise at each hospital, a model that tells the hospitals apart ranks all of the
        # images well, and none of the hospitals' own.
        mean, deviation = _mean(ranked)
        low, high = (mean + sign * NORMAL.inv_cdf(0.975) * deviation for sign in (-1, 1))
        if low <= 0.5:
            # Nodes count at home: then nobody knows the AUC over all images.
            over = f", though it is {overall.auc:.3f} over all images" if overall.auc is not None else ""
            apart = f"{over}: it tells hospitals apart" if over else ""
            yield (
                "within a hospital the model may be no better than chance: the mean AUC lies between "
                f"{max(low, 0):.3f} and {min(high, 1):.3f} (95 %){apart}"
            )


def _worse(ranked: Sequence[_Ranked]) -> Iterator[tuple[_Ranked, float]]:
    """Clients whose AUC lies below that of the others within themselves, and the others' mean.

    One-sided, at 2.5 % for all of the clients together (Bonferroni), and by more than a little.
    """
    for one in ranked if len(ranked) > 1 else ():
        mean, deviation = _mean([other for other in ranked if other is not one])
        apart = NORMAL.inv_cdf(1 - 0.025 / len(ranked)) * math.hypot(deviation, one.deviation)
        if one.auc < mean - max(apart, WORSE):
            yield one, mean
