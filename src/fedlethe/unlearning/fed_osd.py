# SPDX-License-Identifier: MIT
"""Steps away from the forgotten data that no retained client objects to, then steps back that do not undo them.

Pan, Wang, Li, Zheng, Wang, Tang, Zhao, 'Federated Unlearning with Gradient Descent and Conflict Mitigation' (FedOSD),
AAAI 2025: in each unlearning round u descends the unlearning cross-entropy -log(1 - p_y / 2); the server takes the
part of u's update that is orthogonal to the retained clients' updates, at the length of u's own. In each recovery
round the part of a retained client's update that leads back towards w_R is taken out, and the rest brought to the
update's length.

Departs: the paper takes up to a hundred rounds of each kind, with one epoch; here a few, since each costs a round of
training. Its code takes out the component along w' - w_R whatever its sign; here only where it leads back, as the
paper's text has it. Updates are averaged by examples. Running statistics of batch norm follow the retained clients.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from fedlethe.federation.aggregate import shares
from fedlethe.federation.federation import Federation
from fedlethe.federation.objective import UnlearningCrossEntropy
from fedlethe.history.history import History
from fedlethe.later import torch
from fedlethe.types import ClientId, Need, Vector
from fedlethe.unlearning.method import Unlearned, retained


@dataclass(frozen=True, kw_only=True, slots=True)
class FedOsd:
    """Orthogonal steepest descent.

    Attributes:
        rounds: Unlearning rounds.
        recovery_rounds: Rounds by the retained clients after them.
        epochs: Local epochs in each.
    """

    paper: ClassVar[str] = "Pan et al., AAAI 2025"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.RETAINED_DATA, Need.FORGOTTEN_DATA})

    rounds: int = 3
    recovery_rounds: int = 2
    epochs: float = 1.0

    def __post_init__(self) -> None:
        for name in ("rounds", "recovery_rounds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, not {getattr(self, name)}")
        if not self.epochs > 0:
            raise ValueError(f"epochs must be above 0, not {self.epochs}")

    def unlearn(self, forget: frozenset[ClientId], history: History, federation: Federation) -> Unlearned:
        """See `UnlearningMethod.unlearn`."""
        final, parameters = history.final(), history.layout.parameters
        settings = replace(federation.settings, epochs=self.epochs)
        others = retained(federation, forget)
        model = final.clone()
        first = history.rounds + 1
        for number in range(first, first + self.rounds):
            away = torch.zeros_like(model)
            for update in federation.train(
                model, tuple(sorted(forget)), round=number, settings=settings, objective=UnlearningCrossEntropy()
            ):
                away += (update.model - model) * parameters / len(forget)
            updates = list(federation.train(model, others, round=number, settings=settings))
            deltas = torch.stack([(update.model - model) * parameters for update in updates])  # (retained, P)
            model = model + orthogonal(away, deltas)
        for number in range(first + self.rounds, first + self.rounds + self.recovery_rounds):
            updates = list(federation.train(model, others, round=number, settings=settings))
            weights = shares({update.client: update.num_examples for update in updates})
            away = (model - final) * parameters
            step = torch.zeros_like(model)
            for update in sorted(updates, key=lambda update: update.client):
                delta = update.model - model
                delta = torch.where(parameters, without_return(delta * parameters, away), delta)
                step.add_(delta, alpha=weights[update.client])
            model = model + step
        return Unlearned(model=model)


def orthogonal(direction: Vector, deltas: Vector) -> Vector:
    """The part of `direction`, shape (P,), orthogonal to all rows of `deltas`, shape (n, P), at direction's length."""
    rows = deltas.double()
    # By the n x n Gram matrix, so that nothing of P x P is made; with the pseudoinverse, since updates of hospitals
    # that are alike can be dependent.
    solution = torch.linalg.pinv(rows @ rows.T, hermitian=True) @ (rows @ direction.double())
    return at_length(direction - (rows.T @ solution).float(), direction)


def without_return(delta: Vector, away: Vector) -> Vector:
    """`delta` less its part against `away`, both (P,), at delta's length; as it is where it has no such part."""
    along = float(delta.double() @ away.double())
    length = float(away.double() @ away.double())
    if along >= 0 or length == 0:
        return delta
    return at_length(delta - along / length * away, delta)


def at_length(vector: Vector, other: Vector) -> Vector:
    """The vector brought to the length of the other; zero stays zero."""
    length = float(torch.linalg.vector_norm(vector, dtype=torch.float64))
    wanted = float(torch.linalg.vector_norm(other, dtype=torch.float64))
    # What is left of a direction that lies within the others is rounding: stretched, it would be a step at random.
    return vector * (wanted / length) if length > 1e-6 * wanted else torch.zeros_like(vector)
