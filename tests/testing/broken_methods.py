# SPDX-License-Identifier: MIT
"""Methods that each break one thing that a method owes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch

from fedlethe.federation.federation import Federation
from fedlethe.history.history import History, residual
from fedlethe.types import Guarantee, Need
from fedlethe.unlearning import Unlearned

Forget = frozenset[str]


@dataclass(frozen=True)
class Sound:
    """Nothing is wrong with it: the influence is subtracted."""

    paper: ClassVar[str] = "a test"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.INFLUENCE})

    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        model = history.final().clone()
        for client in sorted(forget):
            model -= history.influence(client)
        return Unlearned(model=model)


@dataclass(frozen=True)
class NoPaper:
    needs: ClassVar[frozenset[Need]] = frozenset({Need.INITIAL})

    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        return Unlearned(model=history.initial().clone())


@dataclass(frozen=True)
class NoNeeds:
    paper: ClassVar[str] = "a test"

    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        return Unlearned(model=history.initial().clone())


@dataclass(frozen=True)
class NeedsInAList:
    paper: ClassVar[str] = "a test"
    needs: ClassVar[list[str]] = ["INITIAL"]

    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        return Unlearned(model=history.initial().clone())


@dataclass(frozen=True)
class SaysItRetrains(Sound):
    retrains_from: ClassVar[str] = "the initial model"


class NotFrozen:
    paper: ClassVar[str] = "a test"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.INITIAL})

    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        return Unlearned(model=history.initial().clone())


@dataclass(frozen=True)
class Shorter(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        return Unlearned(model=history.initial()[1:].clone())


@dataclass(frozen=True)
class Doubles(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        return Unlearned(model=history.initial().double())


@dataclass(frozen=True)
class Bare(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Any:
        return history.initial().clone()


@dataclass(frozen=True)
class Infinite(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        return Unlearned(model=history.initial() / 0)


@dataclass(frozen=True)
class Writes(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        return Unlearned(model=history.initial().mul_(0.5))


@dataclass(frozen=True)
class WritesByNumpy(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        model = history.initial()
        np.multiply(model.numpy(), 0.5, out=model.numpy())  # PyTorch does not see it
        return Unlearned(model=model)


@dataclass(frozen=True)
class WritesByTorch(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        model = history.final()
        model -= 1
        return Unlearned(model=model)


@dataclass(frozen=True)
class Reads(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        return Unlearned(model=history.initial() + history.delta(1, "a"))


@dataclass(frozen=True)
class Trains(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        (update,) = federation.train(history.initial(), ("a",), round=1)
        return Unlearned(model=update.model)


@dataclass(frozen=True)
class AsksWhoIsGone(NotFrozen):
    needs: ClassVar[frozenset[Need]] = frozenset({Need.RETAINED_DATA})

    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        updates = list(federation.train(history.final(), sorted(forget), round=1))
        return Unlearned(model=updates[0].model)


@dataclass(frozen=True)
class Idle(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        return Unlearned(model=history.final().clone())


@dataclass(frozen=True)
class Chance(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        initial = history.initial()
        return Unlearned(model=initial + 0.01 * torch.randn(initial.shape))


@dataclass(frozen=True)
class InTheMean(NotFrozen):
    """It sums everybody's deltas, the forgotten client's among them, and calls that a retraining."""

    needs: ClassVar[frozenset[Need]] = frozenset({Need.INITIAL, Need.DELTAS})

    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        model = history.initial().clone()
        for round in range(1, history.rounds + 1):
            for client, weight in history.weights(round).items():
                model += 0.9 * weight * history.delta(round, client)
        return Unlearned(model=model)


@dataclass(frozen=True)
class LooksBehind(NotFrozen):
    """It reaches for the clients' images behind the federation's back."""

    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        images, _ = federation.inner.data.clients[federation.clients[0]].train.batch(np.arange(2))  # type: ignore[attr-defined]
        return Unlearned(model=history.initial() + images.float().mean())


@dataclass(frozen=True)
class Residuals(NotFrozen):
    """Sound, and it reads the forgotten client's deltas, to subtract them."""

    needs: ClassVar[frozenset[Need]] = frozenset({Need.DELTAS})

    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        model = history.final().clone()
        for round in range(1, history.rounds + 1):
            model -= 0.1 * residual(history, round, forget)
        return Unlearned(model=model)


@dataclass(frozen=True)
class Raises(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        raise KeyError("client\nb")


@dataclass(frozen=True)
class TakesLess(NotFrozen):
    def unlearn(self, forget: Forget) -> Unlearned:  # type: ignore[override]
        raise AssertionError


@dataclass(frozen=True)
class PromisesInWords(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        return Unlearned(model=history.initial().clone(), guarantee="exact")  # type: ignore[arg-type]


@dataclass(frozen=True)
class Promises(Sound):
    """It takes the client's part out, and says more of that than anybody knows."""

    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        return replace(super().unlearn(forget, history, federation), guarantee=Guarantee("guaranteed", "all is gone"))


@dataclass(frozen=True)
class SaysWhoseItIs(Sound):
    """It says, too, that all was trained anew."""

    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        influences = {client: history.influence(client) for client in history.clients if client not in forget}
        return replace(super().unlearn(forget, history, federation), influences=influences)


@dataclass(frozen=True)
class PromisesEvidence(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        kind: Any = "evidence"
        return Unlearned(model=history.initial().clone(), guarantee=Guarantee(kind, "in words"))


@dataclass(frozen=True)
class FindsWords(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        return Unlearned(model=history.initial().clone(), found={"loss": "low"})  # type: ignore[dict-item]


@dataclass(frozen=True)
class FindsNothing(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        return Unlearned(model=history.initial().clone(), found={"loss": float("nan")})


@dataclass(frozen=True)
class FindsWithoutName(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        return Unlearned(model=history.initial().clone(), found={3: 1.0})  # type: ignore[dict-item]


@dataclass(frozen=True)
class FindsByNumpy(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        found: Any = {"loss": np.float32(1.5), "rounds": np.int64(2)}
        return Unlearned(model=history.initial().clone(), found=found)


@dataclass(frozen=True)
class ListsInfluences(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        return Unlearned(model=history.initial().clone(), influences=[history.initial()])  # type: ignore[arg-type]


@dataclass(frozen=True)
class WithGradient(Sound):
    """What it gives hangs on a graph, which is nothing that is wrong."""

    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        return Unlearned(model=super().unlearn(forget, history, federation).model.requires_grad_() * 1.0)


@dataclass(frozen=True)
class Exits(NotFrozen):
    def unlearn(self, forget: Forget, history: History, federation: Federation) -> Unlearned:
        raise SystemExit(3)
