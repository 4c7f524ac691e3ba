# SPDX-License-Identifier: MIT
"""What every unlearning method owes, checked on a small real federation (see `testing.network`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import torch

from fedlethe.errors import ConfigError, FedletheError
from fedlethe.history.history import History, InMemoryHistory
from fedlethe.testing.instances import demand_instance
from fedlethe.testing.network import CLIENTS, SCHEDULES, closed, federation, images, kept_history, trained
from fedlethe.types import ClientId, Need, RoundRecord, Update, Vector
from fedlethe.unlearning.method import UnlearningMethod, method_name, undeclared, unlearn

GONE = "b"
"""Who is erased, where one client is."""

MARK = 1000.0
"""What is added to a forgotten client's deltas in a layer that no image reaches: far more than any training moves."""


def check_method(method: UnlearningMethod) -> None:
    """Check an unlearning method: a few seconds on one core.

    Formal guarantees:
        What passes declares what it reads and whom it asks to train; moves the model and gives one of the right shape,
        finite, its running variances above 0; changes no history; gives the same bytes again, in whatever order clients
        are named; and lets nothing that the forgotten clients sent pull the model towards itself.

    Args:
        method: The method, with options that are mild enough for a tiny network.

    Raises:
        ConfigError: It breaks one of these; one line names it and says what to do.

    Example:
        >>> from fedlethe.unlearning import METHODS
        >>> check_method(METHODS["fed_accum"]())
    """
    demand_instance("check_method", method, "METHODS['fed_accum']()")
    if (problem := undeclared(type(method))) is not None:
        raise ConfigError(f"{method_name(method)}: {problem}")
    try:
        for check in CHECKS:
            check(method)
    except ConfigError:
        # The histories are kept between checks, and this method may have written to them.
        trained_again()
        raise


def it_moves_the_model_and_changes_no_history(method: UnlearningMethod) -> None:
    """The model is another one, its variances are above 0, and the history has the bytes that it had."""
    for name in SCHEDULES:
        history = kept_history(name)
        before = _bytes(history)
        model = _unlearned(method, [GONE], history)
        if _bytes(history) != before:
            raise _broken(method, "changes the history: it writes to a vector of it; clone() it before")
        if torch.equal(model, history.final()):
            raise _broken(method, "gives the trained model back as it is; take the forgotten client out")
        if not bool((history.layout.tensors(model)["norm.running_var"] > 0).all()):
            raise _broken(method, "gives a running variance of 0 or less; use layout.floor_variances")


def one_seed_gives_the_same_bytes(method: UnlearningMethod) -> None:
    """Twice the same call gives the same model, and in whatever order clients are named."""
    history = kept_history("uneven")
    one, again = (_unlearned(method, [GONE], history) for _ in range(2))
    if one.numpy().tobytes() != again.numpy().tobytes():
        raise _broken(method, "gives another model each time; draw by seeding.torch_generator(seed, ...)")
    # Trained in the other order, too: a method that does not sort sums floats in another one.
    turned = trained([(round, clients[::-1]) for round, clients in SCHEDULES["uneven"]])
    named, other = (
        _unlearned(method, forget, held) for forget, held in (((GONE, "c"), history), (("c", GONE), turned))
    )
    if not torch.equal(named, other):
        raise _broken(method, "depends on the order in which clients are named; go through sorted(forget)")


def late_and_absent_clients_can_be_erased(method: UnlearningMethod) -> None:
    """A client that joined late, several at once, and one that never came, whose erasure changes nothing."""
    history = kept_history("uneven")
    for forget in (["d"], ["c", "d"], ["a", GONE]):
        _unlearned(method, forget, history)
    untouched = unlearn(method, ["e"], history, federation(images()))
    if not torch.equal(untouched.model, history.final()) or untouched.guarantee is None:
        raise _broken(method, "changes the model for a client that took part in no round")


def it_needs_no_more_than_it_declares(method: UnlearningMethod) -> None:
    """With what it declared alone it gives the same model as with everything."""
    needs = method.needs
    history = trained(SCHEDULES["even"], keep=frozenset(need for need in needs if need.of_history))
    data = images() if Need.PUBLIC_DATA in needs else dataclasses.replace(images(), public=None)
    # What was not declared is shut off: a method that reads it fails, whatever its code looks like.
    shut = {GONE} if Need.FORGOTTEN_DATA not in needs else set()
    shut |= set() if Need.RETAINED_DATA in needs else {client for client in CLIENTS if client != GONE}
    try:
        model = unlearn(method, [GONE], history, federation(closed(data, shut))).model
    except FedletheError as error:
        raise _broken(method, f"with what it declared alone: {error}") from None
    if not torch.equal(model, _unlearned(method, [GONE], kept_history("even"))):
        raise _broken(method, "gives another model where nothing but its `needs` is kept; declare what it reads")


def the_forgotten_clients_deltas_enter_no_mean(method: UnlearningMethod) -> None:
    """A mean that holds the forgotten client is the commonest error of published code.

    A mark is added to what the client sent. A method may subtract it, or not look at it: the model must not move along
    it.
    """
    for name in SCHEDULES:
        history = kept_history(name)
        mark = torch.zeros(history.layout.size)
        # Where no image reaches: training does not move these weights, so what moves them came from the delta.
        mark[history.layout.spans["unused.bias"]] = MARK
        moved = _unlearned(method, [GONE], marked(history, GONE, mark)) - _unlearned(method, [GONE], history)
        along = float(moved @ mark) / float(mark @ mark)
        if along > 0.01:
            raise _broken(
                method, f"adds {along:.2f} of what the forgotten client sent; weigh by history.retained_weights"
            )


CHECKS = (
    it_moves_the_model_and_changes_no_history,
    one_seed_gives_the_same_bytes,
    late_and_absent_clients_can_be_erased,
    it_needs_no_more_than_it_declares,
    the_forgotten_clients_deltas_enter_no_mean,
)
"""All of them: each is given a method, and raises a FedletheError of one line."""


def marked(history: InMemoryHistory, client: ClientId, mark: Vector) -> InMemoryHistory:
    """The same history, in which a client sent a mark, shape (P,), in each round beside what it sent."""
    found = InMemoryHistory(history.initial(), history.layout, history.clients, history.keep)
    none = torch.zeros(history.layout.size)  # a delta is kept to the bit where it was made from zero
    for round in range(1, history.rounds + 1):
        weights, updates = history.weights(round), dict[ClientId, Update]()
        for one in weights:
            sent = history.delta(round, one) + (mark if one == client else none)
            updates[one] = Update(one, sent, num_examples=1, examples_processed=0, steps=0, loss=0.0)
        found.append(RoundRecord(round, none, history.global_model(round), updates, weights, refused={}, seconds=0.0))
    return found


def trained_again() -> None:
    """Forget the histories that are kept: one of them was written to."""
    kept_history.cache_clear()


def _unlearned(method: UnlearningMethod, forget: Iterable[ClientId], history: History) -> Vector:
    return unlearn(method, forget, history, federation(images())).model


def _bytes(history: InMemoryHistory) -> list[bytes]:
    rounds = range(1, history.rounds + 1)
    vectors = [history.global_model(round) for round in range(history.rounds + 1)]
    vectors += [history.delta(round, client) for round in rounds for client in history.weights(round)]
    vectors += [history.influence(client) for client in CLIENTS]
    return [vector.numpy().tobytes() for vector in vectors]


def _broken(method: UnlearningMethod, what: str) -> ConfigError:
    return ConfigError(f"{method_name(method)}: {what}")
