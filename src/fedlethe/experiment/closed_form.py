# SPDX-License-Identifier: MIT
"""The closed-form federation: clients send statistics once, the server solves; a client leaves by subtraction.

A run of it has one round. Beside the models its folder holds each client's statistics, the sums of all, and what the
training chose. Everything that an erasure leads to is a function of the statistics of who is left.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch

from fedlethe.data.federated import SPLITS, ClientData, Examples, Labels
from fedlethe.errors import FedletheError
from fedlethe.exact.ridge import Head, choose, solve
from fedlethe.exact.rows import rows
from fedlethe.exact.settings import ExactErasure, ExactSettings
from fedlethe.exact.statistics import Statistics, total
from fedlethe.exact.sums import LIMIT, Fit, Sums, fit
from fedlethe.experiment.run import Prepared, Run, from_json, to_json
from fedlethe.federation.metered import Meter
from fedlethe.history.disk import RunFolder
from fedlethe.history.history import History
from fedlethe.history.statistics import append_statistics, chosen_fit, statistics_of, statistics_sums
from fedlethe.history.succession import Part, Succession, gone_after
from fedlethe.progress import track
from fedlethe.seeding import numpy_generator
from fedlethe.types import ClientId, Evaluation, Guarantee, Vector
from fedlethe.unlearning import Unlearned


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a closed-form training settled on, as statistics/fit.json holds it.

    Attributes:
        features: Names the feature map.
        size: d, the number of features.
        class_weights: Weight of a row by its class.
        penalty: lambda over the sum of the weights.
        scores: Penalty to its score of generalised cross-validation.
    """

    features: str
    size: int
    class_weights: tuple[float, ...]
    penalty: float
    scores: Mapping[float, float]


# Training


def train(prepared: Prepared, history: RunFolder, earlier: Sequence[Part]) -> None:
    """The one round: every client's statistics, their sums, the model; recorded.

    Args:
        prepared: What to train on.
        history: Where it goes.
        earlier: Trainings whose statistics are in the sums, too, where this one begins after an erasure.
    """
    start = time.perf_counter()
    settings = _settings(prepared)
    weights = chosen_by(earlier[-1].history).class_weights if earlier else _class_weights(prepared, settings)
    parts = dict(_parts(prepared, weights))
    own = total([parts[client] for client in sorted(parts)])
    sums = own if not earlier else total([sums_of(earlier).total, own])
    penalty, scores = (settings.penalty, {}) if settings.penalty is not None else choose(sums)
    model = vector_of(prepared, solve(sums, penalty))
    chosen = Chosen(_feature_key(prepared), own.size, tuple(weights), penalty, scores)
    seconds = time.perf_counter() - start
    evaluation = to_json(prepared.evaluate(model), Evaluation)
    append_statistics(history, model, parts, own, to_json(chosen, Chosen), seconds, evaluation)


def demand_fit(prepared: Prepared, earlier: Sequence[Part]) -> None:
    """Refuse settings that do not fit the data, and earlier trainings that were no closed-form ones of these features.

    Raises:
        FedletheError: They do not fit.
    """
    _settings(prepared)
    for part in earlier:
        chosen = chosen_by(part.history)
        if (chosen.features, chosen.size) != (_feature_key(prepared), prepared.data.image_shape[0]):
            raise FedletheError(f"{_folder(part.history).path}: was trained on other features ({chosen.features})")


def retrain(prepared: Prepared, forget: Sequence[ClientId]) -> Vector:
    """The model of a training without these clients, shape (P,), with the settings that the whole federation chose."""
    settings = _settings(prepared)
    weights = _class_weights(prepared, settings)
    parts = {client: _statistics(prepared, client, weights) for client in sorted(prepared.data.clients)}
    penalty = choose(total(list(parts.values())))[0] if settings.penalty is None else settings.penalty
    kept = [part for client, part in parts.items() if client not in forget]
    return vector_of(prepared, solve(total(kept), penalty))


def vector_of(prepared: Prepared, head: Head) -> Vector:
    """A head as the model's vector, shape (P,)."""
    vector = torch.empty(prepared.layout.size)
    views = prepared.layout.tensors(vector)
    views["weight"].copy_(torch.from_numpy(head.weight))
    views["bias"].copy_(torch.from_numpy(head.bias))
    return vector


def _settings(prepared: Prepared) -> ExactSettings:
    assert prepared.config.exact is not None
    settings = prepared.config.exact.settings
    classes = len(prepared.data.classes)
    if settings.class_weights is not None and len(settings.class_weights) != classes:
        raise FedletheError(
            f"closed_form.class_weights: {len(settings.class_weights)} weights for {classes} classes; give one for each"
        )
    return settings


def _feature_key(prepared: Prepared) -> str:
    assert prepared.config.exact is not None
    return prepared.config.exact.feature_map.key()


def _class_weights(prepared: Prepared, settings: ExactSettings) -> tuple[float, ...]:
    """Those that are asked for, or n / (c n_class) to two digits; 1 at the most where noise is made for that."""
    if settings.class_weights is not None:
        return settings.class_weights
    counts = _class_counts(prepared)
    balanced = counts.sum() / (len(counts) * np.maximum(counts, 1))
    weights = balanced / balanced.max() if settings.epsilon is not None else balanced
    return tuple(float(f"{weight:.2g}") for weight in weights)


def _class_counts(prepared: Prepared) -> Labels:
    """Training images of each class, over all clients, shape (c,)."""
    classes = len(prepared.data.classes)
    if prepared.remote is not None:
        counts: Labels = np.stack(list(prepared.remote.class_counts(prepared.config).values())).sum(axis=0)
        return counts
    labels = np.concatenate([held.train.labels for held in prepared.data.clients.values()])
    return np.bincount(labels, minlength=classes)


def _parts(prepared: Prepared, class_weights: Sequence[float]) -> Iterator[tuple[ClientId, Statistics]]:
    """What each client sends."""
    if prepared.remote is not None:
        yield from prepared.remote.statistics(prepared.config, class_weights).items()
        return
    for client in track(sorted(prepared.data.clients), len(prepared.data.clients), "statistics, clients"):
        yield client, _statistics(prepared, client, class_weights)


def _statistics(prepared: Prepared, client: ClientId, class_weights: Sequence[float]) -> Statistics:
    """What a client sends."""
    settings = _settings(prepared)
    own = rows(prepared.data.clients[client].train, settings, class_weights)
    if settings.epsilon is None:
        return own
    generator = numpy_generator(prepared.config.seed, "statistics", client)
    return own.noisy(settings.epsilon, settings.delta, settings.radius, class_weights, generator)


# Erasing


@dataclass(frozen=True, slots=True, eq=False)
class _Left:
    """What is left after an erasure, and how to get there.

    Attributes:
        sums: Of those that are left, by adding and subtracting.
        revised: Client to its statistics without the patients.
        parts: The trainings, the erasure included.
    """

    sums: Sums
    revised: Mapping[ClientId, Statistics]
    parts: tuple[Part, ...]


def unlearn(run: Run, forget: Sequence[ClientId], method: ExactErasure, history: History, meter: Meter) -> Unlearned:
    """Take clients or patients out, or clients back in, and hold the head against one fitted from scratch.

    Formal guarantees:
        The model is the one that training on what is left leads to, with the penalty and the class weights of this
        run; the record holds by how much the head differs, which rounding alone can cause, and where that is more
        than LIMIT the head fitted from scratch is taken. With noise on the statistics this holds of the noisy ones.

    Raises:
        FedletheError: A patient or client is not there, or nobody would be left.
    """
    chosen = chosen_by(run.history)
    left = _left(run, forget, method, history, chosen)
    fitted = fit(left.sums, chosen.penalty, lambda: _again(left))
    with meter.stopped():
        scratch = Sums.whole(_again(left))
        anew = solve(scratch.total, chosen.penalty)
        if fitted.head.difference(anew) > LIMIT:
            fitted = Fit(anew, scratch, True, 0.0)
        residual = fitted.head.difference(anew)
    return Unlearned(
        model=vector_of(run, fitted.head),
        guarantee=_guarantee(residual, fitted),
        found=_found(residual, fitted, chosen),
    )


def revised(run: Run, method: ExactErasure, history: History) -> Mapping[ClientId, Statistics]:
    """The statistics of the clients whose patients are taken out, without these patients."""
    return _left(run, (), method, history, chosen_by(run.history)).revised if method.patients else {}


def patients_by_client(run: Run, method: ExactErasure, history: History) -> dict[ClientId, tuple[str, ...]]:
    """Which of the patients are taken out of which client."""
    if not method.patients:
        return {}
    found = _patients(run, method, history, _last(run, history))
    return {client: tuple(sorted(_there(run.data.clients[client], method.patients))) for client in found}


def _guarantee(residual: float, fitted: Fit) -> Guarantee:
    how = "summed again" if fitted.rebuilt else "subtracted"
    return Guarantee(
        "guaranteed",
        f"{how}; the head equals one fitted from scratch on what is left, with the same penalty and class "
        f"weights, to a relative difference of {residual:.1e} (measured)",
    )


def _found(residual: float, fitted: Fit, chosen: Chosen) -> dict[str, float]:
    return {
        "retrain_equivalence_residual": residual,
        "rounding_bound": fitted.bound,
        "rebuilt": float(fitted.rebuilt),
        "penalty": chosen.penalty,
        "rows": float(fitted.sums.total.count),
    }


def chosen_by(history: History) -> Chosen:
    """What a training settled on.

    Raises:
        FedletheError: It is no closed-form one.
    """
    return from_json(chosen_fit(_folder(history)), Chosen)


def sums_of(parts: Sequence[Part]) -> Sums:
    """The sums of who is left of some trainings: of each, the sums of all, those who left subtracted."""
    return reduce(lambda one, other: Sums(one.total + other.total, one.passed + other.passed), _own_sums(parts))


def _own_sums(parts: Sequence[Part]) -> list[Sums]:
    found = []
    for part, gone in zip(parts, gone_after(parts), strict=True):
        trained = _trained(part)
        if trained - gone:
            found.append(_own(part, trained, gone))
    if not found:
        raise FedletheError("no client would be left; keep at least one")
    return found


def _own(part: Part, trained: frozenset[ClientId], gone: frozenset[ClientId]) -> Sums:
    """The sums of those of one training that are left: by subtraction, or anew where the sums of all are not kept."""
    folder = _folder(part.history)
    sums = statistics_sums(folder)
    if sums is None:
        return Sums.of([_of(part, client) for client in sorted(trained - gone)])
    own = Sums.whole(sums)
    for client in sorted(trained & (gone | set(part.revised))):
        own = own.minus(statistics_of(folder, client))
        own = own if client in gone else own.plus(_of(part, client))
    return own


def _left(run: Run, forget: Sequence[ClientId], method: ExactErasure, history: History, chosen: Chosen) -> _Left:
    *before, last = _past(run, history)
    if wrong := [client for client in method.join if client in history.clients]:
        raise FedletheError(f"client '{wrong[0]}' is in the model already; nothing was done")
    if wrong := [client for client in method.join if client not in last.erased]:
        raise FedletheError(
            f"client '{wrong[0]}' was not taken out of {run.path}, so it cannot join again; "
            "hospitals with new images join by: fedlethe train --learner closed-form --after ..."
        )
    if not method.patients:
        erased = (last.erased | set(forget)) - set(method.join)
        parts = (*before, last.with_erased(erased))
        return _Left(sums_of(parts), {}, parts)
    sums, revised = sums_of((*before, last)), {}
    for client, taken in _patients(run, method, history, last).items():
        own = rows(taken, _settings(run), chosen.class_weights)
        sums = sums.minus(own)
        revised[client] = _of(last, client) - own
    return _Left(sums, revised, (*before, last))


def _past(run: Run, history: History) -> tuple[Part, ...]:
    return history.parts if isinstance(history, Succession) else run.parts()


def _last(run: Run, history: History) -> Part:
    return _past(run, history)[-1]


def _patients(run: Run, method: ExactErasure, history: History, last: Part) -> dict[ClientId, Examples]:
    """The training rows of the patients, by client; none of a patient that was never trained on.

    Raises:
        FedletheError: The data name no patients; one is not there, or was taken out before.
    """
    if run.remote is not None:
        raise FedletheError("patients: their images lie on other machines; erase whole clients")
    if _settings(run).epsilon is not None:
        raise FedletheError("patients: cannot be taken out of statistics with noise; erase the client, or train again")
    asked = method.of or tuple(client for client in history.clients if client in run.data.clients)
    found, seen = {}, set()
    for client in sorted(asked):
        if client not in history.clients:
            raise FedletheError(f"client '{client}' is not in the model; its clients are {', '.join(history.clients)}")
        train = run.data.clients[client].train
        if train.groups is None:
            raise FedletheError(f"{run.path}: its data name no patients; erase whole clients")
        if twice := _taken_before(run, client, method.patients, last):
            raise FedletheError(f"patient '{twice[0]}' was taken out of {client} already")
        chosen = np.isin(train.groups, list(method.patients))
        if chosen.all():
            raise FedletheError(f"client '{client}' has no other patients; erase the client instead")
        if there := _there(run.data.clients[client], method.patients):  # also who has images to test on alone
            found[client] = train.only(chosen)
            seen |= there
    if missing := sorted(set(method.patients) - seen):
        raise FedletheError(f"patient '{missing[0]}' has no image at {', '.join(asked)}; nothing was done")
    return found


def _there(held: ClientData, patients: Sequence[str]) -> set[str]:
    """Which of the patients have an image at a client, in any split."""
    found: set[str] = set()
    for split in SPLITS:
        groups = held.split(split).groups
        found |= set(patients) & set([] if groups is None else groups.tolist())
    return found


def _taken_before(run: Run, client: ClientId, patients: Sequence[str], last: Part) -> list[str]:
    """Which of the patients an earlier erasure took out, whose record has what stands for them."""
    keys, gone = run.history.store.keys, last.patients.get(client, frozenset())
    return sorted(name for name in patients if gone and keys.pseudonym(client, name) in gone)


def _again(left: _Left) -> Statistics:
    """The sums of who is left, from scratch."""
    parts = []
    for index, (part, gone) in enumerate(zip(left.parts, gone_after(left.parts), strict=True)):
        for client in sorted(_trained(part) - gone):
            newest = index == len(left.parts) - 1 and client in left.revised
            parts.append(left.revised[client] if newest else _of(part, client))
    return total(parts)


def _of(part: Part, client: ClientId) -> Statistics:
    """A client's statistics, less the patients that were taken out of them."""
    return statistics_of(_folder(part.history), client, part.revised.get(client))


def _trained(part: Part) -> frozenset[ClientId]:
    return frozenset(part.history.weights(1))


def _folder(history: History) -> RunFolder:
    assert isinstance(history, RunFolder)
    return history
