# SPDX-License-Identifier: MIT
"""The closed-form federation: clients send statistics once, the server solves; a client leaves by subtraction.

A run of it has one round. Beside the models its folder holds each client's statistics, the sums of all, and what the
training chose. Everything that an erasure leads to is a function of the statistics of who is left.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from fedlethe.closed_form.by_class import ByClass, total
from fedlethe.closed_form.choices import Choice, decide
from fedlethe.closed_form.ridge import RidgeHead
from fedlethe.closed_form.sent import noise_of, rows
from fedlethe.closed_form.settings import ClosedFormSettings, Subtraction
from fedlethe.closed_form.statistics import Statistics
from fedlethe.closed_form.sums import LIMIT, RESIDUAL, Fit, Sums, fit, scratch
from fedlethe.data.federated import SPLITS, ClientData, Examples
from fedlethe.errors import RequestError
from fedlethe.federation.metered import Meter
from fedlethe.history.disk import RunFolder
from fedlethe.history.history import History
from fedlethe.history.keyring import LOST
from fedlethe.history.sent_statistics import append_statistics, kept_features, statistics_of, statistics_sums
from fedlethe.history.succession import Part, Succession, gone_after
from fedlethe.later import torch
from fedlethe.progress import track
from fedlethe.runs.records import from_json, to_json
from fedlethe.runs.run import OpenRun, Prepared
from fedlethe.types import ClientId, Evaluation, Guarantee, Vector
from fedlethe.unlearning import Unlearned

FINEST = 1e-10
"""The smallest bound on a relative difference that is told, a hundredth of what may be called exact."""


@dataclass(frozen=True, slots=True)
class Features:
    """The features of a closed-form training, as statistics/features.json holds them.

    Attributes:
        features: Names the feature map.
        size: d, their number.
    """

    features: str
    size: int


@dataclass(frozen=True, slots=True)
class KeptChoices:
    """What a closed-form training chose, as statistics/chosen.json holds it.

    The scores of the penalties are not kept: to all their digits they are nine equations in the rows that were erased.

    Attributes:
        class_weights: Weight of a row by its class.
        penalty: lambda over the sum of the weights.
    """

    class_weights: tuple[float, ...]
    penalty: float


# Training


def train_closed_form(prepared: Prepared, history: RunFolder, earlier: Sequence[Part]) -> None:
    """The one round: every client's statistics, their sums, the model; recorded.

    Args:
        prepared: What to train on.
        history: Where it goes.
        earlier: Trainings whose statistics are in the sums, too, where this one begins after an erasure.
    """
    start = time.perf_counter()
    settings = _settings(prepared)
    parts = dict(_parts(prepared))
    own = total([parts[client] for client in sorted(parts)])
    sums = own if not earlier else total([sums_of(earlier).total, own])
    fitted = scratch(sums, settings)
    model, choice = vector_of(prepared, fitted.head), fitted.choice
    features = to_json(Features(_feature_key(prepared), own.size), Features)
    chosen = to_json(KeptChoices(choice.class_weights, choice.penalty), KeptChoices)
    seconds = time.perf_counter() - start
    evaluation = to_json(prepared.evaluate(model), Evaluation)
    append_statistics(history, model, parts, own, features, chosen, seconds, evaluation)


def demand_fit(prepared: Prepared, earlier: Sequence[Part]) -> None:
    """Refuse settings that do not fit the data, and earlier trainings that were no closed-form ones of these features.

    Raises:
        FedletheError: They do not fit.
    """
    _settings(prepared)
    for part in earlier:
        had = features_of_training(part.history)
        if (had.features, had.size) != (_feature_key(prepared), prepared.data.image_shape[0]):
            raise RequestError(f"{_folder(part.history).path}: was trained on other features ({had.features})")


def retrain_closed_form(prepared: Prepared, forget: Sequence[ClientId]) -> Vector:
    """The model of a training without these clients, shape (P,), every choice its own."""
    kept = [client for client in sorted(prepared.data.clients) if client not in forget]
    sums = total([_statistics(prepared, client) for client in kept])
    return vector_of(prepared, scratch(sums, _settings(prepared)).head)


def vector_of(prepared: Prepared, head: RidgeHead) -> Vector:
    """A head as the model's vector, shape (P,)."""
    vector = torch.empty(prepared.layout.size)
    views = prepared.layout.tensors(vector)
    views["weight"].copy_(torch.from_numpy(head.weight))
    views["bias"].copy_(torch.from_numpy(head.bias))
    return vector


def _settings(prepared: Prepared) -> ClosedFormSettings:
    assert prepared.config.exact is not None
    settings = prepared.config.exact.settings
    classes = len(prepared.data.classes)
    if settings.class_weights is not None and len(settings.class_weights) != classes:
        raise RequestError(
            f"closed_form.class_weights: {len(settings.class_weights)} weights for {classes} classes; give one for each"
        )
    return settings


def _feature_key(prepared: Prepared) -> str:
    assert prepared.config.exact is not None
    return prepared.config.exact.feature_map.key()


def _parts(prepared: Prepared) -> Iterator[tuple[ClientId, ByClass]]:
    """What each client sends."""
    if prepared.remote is not None:
        yield from prepared.remote.statistics(prepared.config).items()
        return
    for client in track(sorted(prepared.data.clients), len(prepared.data.clients), "statistics, clients"):
        yield client, _statistics(prepared, client)


def _statistics(prepared: Prepared, client: ClientId) -> ByClass:
    """What a client sends; noise is drawn from the operating system, or from the seed that the user set for it."""
    settings = _settings(prepared)
    own = rows(prepared.data.clients[client].train, settings, len(prepared.data.classes))
    if settings.epsilon is None:
        return own
    noise = noise_of(settings, client)
    return own.noisy(settings.epsilon, settings.delta, settings.radius, noise)


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
    revised: Mapping[ClientId, ByClass]
    parts: tuple[Part, ...]


def subtract(
    run: OpenRun, forget: Sequence[ClientId], method: Subtraction, history: History, meter: Meter
) -> Unlearned:
    """Take clients or patients out, or clients back in, and hold the head against one fitted from scratch.

    Formal guarantees:
        The model is the one that a training on what is left leads to, its class weights and its penalty chosen
        from what is left, save where the user fixed them. The record holds by how much the head differs from one
        chosen and fitted from scratch, which rounding alone can cause; where that is more than LIMIT, or the choices
        differ, the one from scratch is taken. With noise on the statistics this holds of the noisy ones, which a
        training anew would draw again: then less than 'exact' is claimed.

    Raises:
        FedletheError: A patient or client is not there, or nobody would be left.
    """
    settings, left = _settings(run), _left(run, forget, method, history)
    fitted = fit(left.sums, settings, lambda: _again(left))
    with meter.stopped():
        anew = scratch(_again(left), settings, rebuilt=True)
        if not _same(fitted.choice, anew.choice) or fitted.head.difference(anew.head) > LIMIT:
            fitted = anew
        residual = _at_most(fitted.head.difference(anew.head))
    return Unlearned(
        model=vector_of(run, fitted.head),
        guarantee=_guarantee(residual, fitted, settings, bool(method.join)),
        found=_found(residual, fitted),
    )


def revised(run: OpenRun, method: Subtraction, history: History) -> Mapping[ClientId, ByClass]:
    """The statistics of the clients whose patients are taken out, without these patients."""
    return _left(run, (), method, history).revised if method.patients else {}


def patients_by_client(run: OpenRun, method: Subtraction, history: History) -> dict[ClientId, tuple[str, ...]]:
    """Which of the patients are taken out of which client."""
    if not method.patients:
        return {}
    found = _patients(run, method, history, _last(run, history))
    return {client: tuple(sorted(_there(run.data.clients[client], method.patients))) for client in found}


def _same(one: Choice, other: Choice) -> bool:
    return (one.class_weights, one.penalty) == (other.class_weights, other.penalty)


def _guarantee(residual: float, fitted: Fit, settings: ClosedFormSettings, joined: bool) -> Guarantee:
    how = "summed again" if fitted.rebuilt else "added" if joined else "subtracted"
    which = {"class weights": settings.class_weights, "penalty": settings.penalty}
    anew = [f"{name} chosen anew" for name, value in which.items() if value is None]
    fixed = [f"{name} as the user set" for name, value in which.items() if value is not None]
    choices = " and ".join([*anew, *fixed])
    statement = f"{how}; the head equals one fitted from scratch on what is left, {choices}, to a relative difference "
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


def features_of_training(history: History) -> Features:
    """The features of a training.

    Raises:
        FedletheError: It is no closed-form one.
    """
    return from_json(kept_features(_folder(history)), Features)


def statistics_before(run: OpenRun) -> Statistics:
    """The weighted sums of the run's model, the weights those that a training on these sums chooses."""
    sums = sums_of(run.parts()).total
    return sums.weighted(decide(sums, _settings(run)).class_weights)


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
        raise RequestError("no client would be left; keep at least one")
    return found


def _own(part: Part, trained: frozenset[ClientId], gone: frozenset[ClientId]) -> Sums:
    """The sums of those of one training that are left: by subtraction, or anew where that cannot be.

    It cannot be where the sums of all are not kept, or the key of who left is lost.
    """
    folder = _folder(part.history)
    sums, lost = statistics_sums(folder), folder.store.keys.confirmed(LOST)
    if sums is None or trained & gone & set(lost):
        return Sums.of([_of(part, client) for client in sorted(trained - gone)])
    own = Sums.whole(sums)
    for client in sorted(trained & (gone | set(part.revised))):
        own = own.minus(statistics_of(folder, client))
        own = own if client in gone else own.plus(_of(part, client))
    return own


def _left(run: OpenRun, forget: Sequence[ClientId], method: Subtraction, history: History) -> _Left:
    *before, last = _past(run, history)
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
        return _Left(sums_of(parts), {}, parts)
    sums, revised = sums_of((*before, last)), {}
    for client, taken in _patients(run, method, history, last).items():
        sums = sums.minus(rows(taken, _settings(run), len(run.data.classes)))
        revised[client] = _of_images(run, client, last, method.patients)
    return _Left(sums, revised, (*before, last))


def _of_images(run: OpenRun, client: ClientId, last: Part, without: Sequence[str] = ()) -> ByClass:
    """A client's statistics made anew of its images, without patients that are taken out or were before."""
    train_closed_form = run.data.clients[client].train
    chosen = np.ones(len(train_closed_form), np.bool_)
    if train_closed_form.groups is not None:
        names = sorted(set(train_closed_form.groups.tolist()))
        chosen = ~np.isin(train_closed_form.groups, [*without, *_taken_before(run, client, names, last)])
    return rows(train_closed_form.only(chosen), _settings(run), len(run.data.classes))


def _past(run: OpenRun, history: History) -> tuple[Part, ...]:
    return history.parts if isinstance(history, Succession) else run.parts()


def _last(run: OpenRun, history: History) -> Part:
    return _past(run, history)[-1]


def _patients(run: OpenRun, method: Subtraction, history: History, last: Part) -> dict[ClientId, Examples]:
    """The training rows of the patients, by client; none of a patient that was never trained on.

    Raises:
        FedletheError: The data name no patients; one is not there, or was taken out before.
    """
    if run.remote is not None:
        raise RequestError("patients: their images lie on other machines; erase whole clients")
    if _settings(run).epsilon is not None:
        raise RequestError("patients: cannot be taken out of statistics with noise; erase the client, or train again")
    asked = method.of or tuple(client for client in history.clients if client in run.data.clients)
    found, seen = {}, set()
    for client in sorted(asked):
        if client not in history.clients:
            raise RequestError(f"client '{client}' is not in the model; its clients are {', '.join(history.clients)}")
        train_closed_form = run.data.clients[client].train
        if train_closed_form.groups is None:
            raise RequestError(f"{run.path}: its data name no patients; erase whole clients")
        if twice := _taken_before(run, client, method.patients, last):
            raise RequestError(f"patient '{twice[0]}' was taken out of {client} already")
        chosen = np.isin(train_closed_form.groups, list(method.patients))
        if chosen.all():
            raise RequestError(f"client '{client}' has no other patients; erase the client instead")
        if there := _there(run.data.clients[client], method.patients):  # also who has images to test on alone
            found[client] = train_closed_form.only(chosen)
            seen |= there
    if missing := sorted(set(method.patients) - seen):
        raise RequestError(f"patient '{missing[0]}' has no image at {', '.join(asked)}; nothing was done")
    return found


def _there(held: ClientData, patients: Sequence[str]) -> set[str]:
    """Which of the patients have an image at a client, in any split."""
    found: set[str] = set()
    for split in SPLITS:
        groups = held.split(split).groups
        found |= set(patients) & set([] if groups is None else groups.tolist())
    return found


def _taken_before(run: OpenRun, client: ClientId, patients: Sequence[str], last: Part) -> list[str]:
    """Which of the patients an earlier erasure took out, whose record has what stands for them."""
    keys, gone = run.history.store.keys, last.patients.get(client, frozenset())
    return sorted(name for name in patients if gone and keys.pseudonym(client, name) in gone)


def _again(left: _Left) -> ByClass:
    """The sums of who is left, from scratch."""
    parts = []
    for index, (part, gone) in enumerate(zip(left.parts, gone_after(left.parts), strict=True)):
        for client in sorted(_trained(part) - gone):
            newest = index == len(left.parts) - 1 and client in left.revised
            parts.append(left.revised[client] if newest else _of(part, client))
    return total(parts)


def _of(part: Part, client: ClientId) -> ByClass:
    """A client's statistics, less the patients that were taken out of them."""
    return statistics_of(_folder(part.history), client, part.revised.get(client))


def _trained(part: Part) -> frozenset[ClientId]:
    return frozenset(part.history.weights(1))


def _folder(history: History) -> RunFolder:
    assert isinstance(history, RunFolder)
    return history
