# SPDX-License-Identifier: MIT
"""The one extension point: an unlearning method maps a trained federation to a model without the forgotten clients.

A method is a frozen dataclass whose fields are its hyper-parameters, in a file of its own, with the paper and its
equation numbers at the top. A new one is that file, one test with numbers worked out by hand, and one row in METHODS
(outside this package: an entry point, or an import path; see docs/extending.md). `testing.check_method` tests it. The
smallest one, which takes the model back to its start:

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Reset:
        paper: ClassVar[str] = "the smallest method there is"
        needs: ClassVar[frozenset[Need]] = frozenset({Need.INITIAL})

        def unlearn(self, forget, history, federation):
            return Unlearned(model=history.initial().clone())

It is called through `unlearn`, which holds it to its declaration.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

from fedlethe.document import python_values
from fedlethe.errors import ConfigError
from fedlethe.federation.aggregator import Aggregator, aggregator_name
from fedlethe.federation.declared import declared
from fedlethe.federation.federation import Federation
from fedlethe.history.declared import DeclaredHistory
from fedlethe.history.history import History
from fedlethe.later import torch
from fedlethe.outside.plugins import frozen_dataclass, guarded, lacking, path_of
from fedlethe.text import with_article
from fedlethe.types import ClientId, Guarantee, Need, RetrainsFrom, Vector
from fedlethe.vector import Layout

__all__ = ["Need", "Unlearned", "UnlearningMethod", "method_name", "retained", "undeclared", "unlearn"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Unlearned:
    """What a method hands back.

    Attributes:
        model: Shape (P,), finite, running variances positive.
        guarantee: None where there is evidence only; always of a method from outside, whose word nothing bears out.
        found: Figures for the record, by name.
        influences: Where all rounds were trained anew from the initial model: what each client put into `model`, shape
            (P,), so that the initial model and their sum are it. Empty elsewhere, and of a method from outside.
    """

    model: Vector
    guarantee: Guarantee | None = None
    found: Mapping[str, float] = field(default_factory=dict)
    influences: Mapping[ClientId, Vector] = field(default_factory=dict)


class UnlearningMethod(Protocol):
    """See the module's docstring.

    Of fedlethe's own methods, those that train again from a model which holds nothing of the forgotten clients also say
    so, by a class attribute `retrains_from` (see the function of that name). Of one from outside it is refused, as a
    guarantee is: nothing tells that it did what it says, so its erasures are evidence.

    Attributes:
        paper: Where it comes from, in a few words.
        needs: What the history must keep for it, and whether clients train again.
    """

    paper: ClassVar[str]
    needs: ClassVar[frozenset[Need]]

    def unlearn(self, forget: frozenset[ClientId], history: History, federation: Federation) -> Unlearned:
        """Take the `forget` clients out of the history's final model.

        Args:
            forget: Who is erased: clients of the history, each of whose updates entered at least one round.
            history: Read only; holds at least what `needs` names.
            federation: The retained clients; the forgotten ones are in it only with FORGOTTEN_DATA.
        """
        ...


def unlearn(
    method: UnlearningMethod, forget: Iterable[ClientId], history: History, federation: Federation
) -> Unlearned:
    """Ask a method for a model without these clients, and hold it to what every method owes.

    Formal guarantees:
        Without FORGOTTEN_DATA the method cannot reach the forgotten clients' data. Running variances stay positive.

    Edge cases:
        Clients whose updates entered no round are not in the model: it is handed back as it is, nobody trains. That is
        exact where a training alone led to it, and no earlier erasure.

    Args:
        method: The method.
        forget: Who is erased.
        history: Of the training.
        federation: All clients.

    Raises:
        FedletheError: The history or the federation lacks what the method needs; the method rests on the weighted mean,
            and the federation's aggregator is another; or the method breaks its declaration, changes the history, or
            its model is not finite or of another shape. The message names it.
    """
    name = method_name(method)
    if (problem := undeclared(type(method))) is not None:
        raise ConfigError(f"{name}: {problem}")
    if rests_on_mean(method.needs) and not federation.aggregator.is_mean:
        raise ConfigError(f"{on_mean(name, method.needs, federation.aggregator)}; erase by retrain")
    gone = frozenset(forget)
    took_part = gone & entered(history)
    final = history.final()
    if not took_part:
        return Unlearned(model=final.clone(), guarantee=_of_nothing(history))
    # Who may not be asked is not in it at all: a method that forgets to leave them out finds nobody.
    reachable = federation if Need.FORGOTTEN_DATA in method.needs else federation.without(gone)
    read = DeclaredHistory(history, method.needs, name)
    asked = declared(reachable, gone, method.needs, name)
    unlearned = guarded(lambda: method.unlearn(took_part, read, asked), name, "correct it, or its options")
    # A history hands out its own vectors: what is written to one is in everything that is read later.
    if (call := read.written_to()) is not None:
        raise ConfigError(f"{name}: changes the history: it writes to history.{call}; clone() it before")
    demand_fit(unlearned, history.layout, name)
    if not _of_fedlethe(type(method)):
        _demand_no_bare_word(unlearned, name)
    # A copy: the method may hand back a vector of the history, and the floor is raised in place.
    model = history.layout.floor_variances(unlearned.model.detach().clone(), final)
    return replace(
        unlearned,
        model=model,
        influences={k: v.detach() for k, v in unlearned.influences.items()},
        found=_figures(unlearned.found, name),
    )


def _demand_no_bare_word(unlearned: Unlearned, name: str) -> None:
    said = "a guarantee" if unlearned.guarantee is not None else "influences" if unlearned.influences else None
    if said is not None:
        raise ConfigError(f"{name}: gives {said}; {BARE_WORD}; return Unlearned(model=...) without")


def _of_nothing(history: History) -> Guarantee:
    """What is certain of a model that no update of the forgotten clients entered."""
    statement = "no update of theirs entered any round"
    if history.clean_rounds == history.rounds:
        return Guarantee("exact", statement)
    return Guarantee("guaranteed", f"{statement}; the model is what an earlier erasure made, or came of that")


def demand_fit(unlearned: Unlearned, layout: Layout, name: str) -> None:
    """Refuse what is no model of this layout.

    Raises:
        FedletheError: It is of another type or shape, or not finite; the message names the method.
    """
    if not isinstance(unlearned, Unlearned):
        raise ConfigError(f"{name}: gives {with_article(unlearned)}; return Unlearned(model=...)")
    for what, entries in {"influences": "client to vector", "found": "name to figure"}.items():
        if not isinstance(given := getattr(unlearned, what), Mapping):
            raise ConfigError(f"{name}: its '{what}' is {with_article(given)}; give {entries}, a dict")
    vectors = {"its model": unlearned.model, **{f"influences['{k}']": v for k, v in unlearned.influences.items()}}
    for what, vector in vectors.items():
        if not isinstance(vector, torch.Tensor):
            raise ConfigError(f"{name}: {what} is {with_article(vector)}; give a float32 tensor ({layout.size},)")
        if vector.shape != (layout.size,) or vector.dtype != torch.float32:
            raise ConfigError(
                f"{name}: {what} has shape {tuple(vector.shape)}, {vector.dtype}; give ({layout.size},), torch.float32"
            )
        if not bool(torch.isfinite(vector).all()):
            raise ConfigError(f"{name}: {what} is not finite; choose milder options")


def _figures(found: Mapping[str, Any], name: str) -> dict[str, float]:
    """A method's figures, in Python's own numbers.

    Raises:
        ConfigError: One has no name, or is no number that is finite; the message names the method.
    """
    figures: dict[str, float] = python_values(found)
    for key, one in figures.items():
        if not isinstance(key, str):
            raise ConfigError(f"{name}: a figure is called {key!r}; give it a name, a text")
        if not isinstance(one, (int, float)):
            raise ConfigError(f"{name}: its figure '{key}' is {with_article(one)}; give a number")
        if isinstance(one, float) and not math.isfinite(one):
            raise ConfigError(f"{name}: its figure '{key}' is {one}; give a finite number, or leave it out")
    return figures


def undeclared(kind: Any) -> str | None:
    """What a method's class lacks, and how it is written; None where nothing is."""
    if not frozen_dataclass(kind):
        return "is no frozen dataclass; write @dataclass(frozen=True, kw_only=True) above its class"
    parts = {
        "paper": 'paper: ClassVar[str] = "where it comes from"',
        "needs": "needs: ClassVar[frozenset[Need]] = frozenset({Need.INITIAL})",
        "unlearn": "def unlearn(self, forget, history, federation) -> Unlearned",
    }
    if (missing := lacking(kind, parts)) is not None:
        return missing
    if not isinstance(kind.paper, str) or not kind.paper.strip():
        return f"its 'paper' says nothing; write: {parts['paper']}"
    if not isinstance(kind.needs, frozenset) or not all(isinstance(need, Need) for need in kind.needs):
        return f"its 'needs' are no frozenset of Need; write: {parts['needs']}"
    if getattr(kind, "retrains_from", None) is not None and not _of_fedlethe(kind):
        return f"says 'retrains_from'; {BARE_WORD}; leave it out, or erase by fedlethe's own 'retrain'"
    return None


BARE_WORD = "what is certain of a model is worked out from how it was made, which of a method from outside is not known"
"""Why a method's word of itself is not believed."""


def _of_fedlethe(kind: type) -> bool:
    """Whether a method is a file of this package, whose tests hold it to what it says of itself."""
    return kind.__module__.rpartition(".")[0] == __package__


def retrains_from(method: object) -> RetrainsFrom | None:
    """From which model without the forgotten clients a method trains again; None for a method of another kind.

    Such a model may stay beside others that were made without the clients: nothing of theirs is in the difference.
    """
    declared: RetrainsFrom | None = getattr(method, "retrains_from", None)
    return declared


def rests_on_mean(needs: frozenset[Need]) -> bool:
    """Whether what a method needs tells what a client put into the model under the weighted mean alone."""
    return any(need.of_mean for need in needs)


def on_mean(name: str, needs: frozenset[Need], aggregator: Aggregator) -> str:
    """Why a method that rests on the mean cannot be used with another aggregator."""
    need = min((need for need in needs if need.of_mean), key=lambda need: need.name)
    return (
        f"method '{name}' needs {need.value}, which tells what a client put into the model only where that is the "
        f"weighted mean, and the aggregator is '{aggregator_name(aggregator)}'"
    )


def method_name(method: UnlearningMethod) -> str:
    """What a method is called in messages: its row in METHODS, or its import path."""
    kind = type(method)
    return kind.__module__.rpartition(".")[2] if _of_fedlethe(kind) else path_of(kind)


def retained(federation: Federation, forget: frozenset[ClientId]) -> tuple[ClientId, ...]:
    """The clients of a federation that are not forgotten, sorted."""
    return tuple(client for client in federation.clients if client not in forget)


def entered(history: History) -> frozenset[ClientId]:
    """The clients whose updates entered at least one round, of the training or of a repair."""
    return history.contributors()
