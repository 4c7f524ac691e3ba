# SPDX-License-Identifier: MIT
"""What must be known of an evaluation before its figures are read: where they show no model that anybody could use."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from fedlethe.types import ClientId, Evaluation, Metrics

FEW = 20
"""Images, below which a client's figure says little."""

WORSE = 0.05
"""How far a client's AUC lies below that of all, at the least, for a word to be said."""

TRY = "try the closed-form learner, another network (a pretrained one), or more rounds"


def cautions(evaluation: Evaluation, erased: Collection[ClientId] = ()) -> tuple[str, ...]:
    """A sentence for each thing that is amiss, the gravest first; none where nothing is.

    Where clients are erased, it is of the others that it is said: a model is for them.

    Args:
        evaluation: Of a model that is to be used.
        erased: Whose images do not count.

    Example:
        >>> held = Metrics(40, 0.75, 0.5, 0.6, (0.4, 0.8), 0.1, ((30, 0), (10, 0)))
        >>> for sentence in cautions(Evaluation(held, {})):
        ...     print(sentence.partition(":")[0])
        the model answers class 0 for every test image
    """
    overall = evaluation.retained or evaluation.overall
    clients = {client: one for client, one in evaluation.clients.items() if client not in erased}
    found = list(_of_all(overall))
    if worse := dict(_worse(overall, clients)):
        named = ", ".join(f"{client} (AUC {auc:.3f})" for client, auc in worse.items())
        found.append(f"it does worse than elsewhere at {named}, against {overall.auc:.3f} on all")
    if few := {client: one.num_examples for client, one in clients.items() if one.num_examples < FEW}:
        named = ", ".join(f"{client} ({count})" for client, count in few.items())
        found.append(f"figures that rest on fewer than {FEW} test images say little: {named}")
    return tuple(found)


def _of_all(overall: Metrics) -> Iterator[str]:
    held = [sum(row) for row in overall.confusion]
    answered = [sum(column) for column in zip(*overall.confusion, strict=True)]
    used = [label for label, count in enumerate(answered) if count]
    if len(held) > 1 and not used:
        yield f"the model gives no answer that is a number; {TRY}"
    elif len(used) == 1 and sum(1 for count in held if count) > 1:
        share = held[used[0]] / sum(held)
        yield f"the model answers class {used[0]} for every test image: {100 * share:.0f} % of them have it; {TRY}"
    elif overall.auc_interval is not None and overall.auc_interval[0] <= 0.5 <= overall.auc_interval[1]:
        low, high = overall.auc_interval
        yield f"the model may be no better than chance: its AUC lies between {low:.3f} and {high:.3f} (95 %); {TRY}"


def _worse(overall: Metrics, clients: Mapping[ClientId, Metrics]) -> Iterator[tuple[ClientId, float]]:
    """Clients whose AUC is below that of all for certain: their interval lies below it, and by more than a little."""
    for client, one in clients.items():
        if one.auc is None or one.auc_interval is None or overall.auc is None:
            continue
        if one.auc_interval[1] < overall.auc and one.auc < overall.auc - WORSE:
            yield client, one.auc
