# SPDX-License-Identifier: MIT
"""Run the rounds again without the forgotten clients, most of the retained clients' updates estimated, not trained.

Cao, Jia, Zhang, Gong, 'FedRecover: Recovering from Poisoning Attacks in Federated Learning using Historical
Information', IEEE S&P 2023, Algorithm 1: in round t a retained client's update from w'_(t-1) is estimated as
delta_k,t + H_k,t (w'_(t-1) - w_(t-1)), with H_k,t an L-BFGS approximation from the last pairs of (w' - w, delta' -
delta) of trained rounds. Clients train in the first `warm_up` rounds, every `every`-th after them, the last `final`
ones, and a client does whose estimate holds an entry beyond any that its stored updates had.

Departs: the defaults fit trainings of 15 rounds (the paper's had 1,000 and more); the bound on an entry is the
largest stored one where the paper takes a quantile; a client without usable pairs trains.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from fedlethe.federation.federation import Federation
from fedlethe.history.history import History, retained_weights
from fedlethe.later import torch
from fedlethe.types import ClientId, Need, Vector
from fedlethe.unlearning.method import Unlearned

Pair: TypeAlias = tuple[Vector, Vector]
"""(s, y): how far the model was from the stored one, and the update from the stored one; both (P,)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FedRecover:
    """Estimated replay.

    Attributes:
        warm_up: Trained rounds at the start.
        every: Between them and the end, every how many rounds one is trained.
        final: Trained rounds at the end.
        pairs: How many pairs the L-BFGS approximation is built from.
    """

    paper: ClassVar[str] = "Cao et al., IEEE S&P 2023"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.INITIAL, Need.DELTAS, Need.GLOBALS, Need.RETAINED_DATA})

    warm_up: int = 3
    every: int = 4
    final: int = 1
    pairs: int = 2

    def __post_init__(self) -> None:
        for name, least in (("warm_up", 1), ("every", 1), ("final", 0), ("pairs", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")

    def unlearn(self, forget: frozenset[ClientId], history: History, federation: Federation) -> Unlearned:
        """See `UnlearningMethod.unlearn`."""
        model = history.initial().clone()
        memory: dict[ClientId, deque[Pair]] = defaultdict(lambda: deque(maxlen=self.pairs))
        bounds = _bounds(history, forget)
        for round in range(1, history.rounds + 1):
            weights = retained_weights(history, round, forget)
            moved = model - history.global_model(round - 1)
            deltas = {}
            for client in weights:
                estimate = None if self._exact(round, history.rounds) else hessian_product(memory[client], moved)
                if estimate is not None:
                    estimate = history.delta(round, client) + estimate
                    # A wild estimate would be in the model of every later round: this client trains in its place.
                    if float(estimate.abs().max()) <= bounds[client]:
                        deltas[client] = estimate
            asked = tuple(client for client in weights if client not in deltas)
            for update in federation.train(model, asked, round=round) if asked else ():
                deltas[update.client] = update.model - model
                memory[update.client].append((moved, deltas[update.client] - history.delta(round, update.client)))
            step = torch.zeros_like(model)
            for client, weight in weights.items():
                step.add_(deltas[client], alpha=weight)
            model = model + step
        return Unlearned(model=model)

    def _exact(self, round: int, rounds: int) -> bool:
        return round <= self.warm_up or round > rounds - self.final or (round - self.warm_up) % self.every == 0


def _bounds(history: History, forget: frozenset[ClientId]) -> dict[ClientId, float]:
    """The largest entry of each retained client's stored updates."""
    bounds: dict[ClientId, float] = defaultdict(float)
    for round in range(1, history.rounds + 1):
        for client in retained_weights(history, round, forget):
            bounds[client] = max(bounds[client], float(history.delta(round, client).abs().max()))
    return bounds


def hessian_product(pairs: Sequence[Pair], vector: Vector) -> Vector | None:
    """B v for the L-BFGS matrix B of the pairs (Byrd, Nocedal, Schnabel, 1994, Equation 2.17).

    B = s I - [s S, Y] M^-1 [s S, Y]', M = [[s S'S, L], [L', -D]], s = y's / s's of the last pair, L and D the parts
    of S'Y below and on the diagonal. B maps each pair's s to its y where there is one pair.

    Args:
        pairs: (s, y), oldest first.
        vector: Shape (P,).

    Returns:
        Shape (P,); None where the pairs do not determine it.
    """
    if not pairs:
        return None
    # In float64: pairs of late rounds are nearly parallel, and the system that they give nearly singular.
    starts = torch.stack([start for start, _ in pairs]).double()  # (n, P)
    changes = torch.stack([change for _, change in pairs]).double()
    inner = starts @ changes.T  # S'Y
    length = float(starts[-1] @ starts[-1])
    if length == 0:
        return None
    scale = float(inner[-1, -1]) / length
    lower = inner.tril(-1)
    matrix = torch.cat(
        [
            torch.cat([scale * starts @ starts.T, lower], dim=1),
            torch.cat([lower.T, -torch.diag(inner.diagonal())], dim=1),
        ]
    )
    basis = torch.cat([scale * starts, changes])  # (2n, P)
    solution, info = torch.linalg.solve_ex(matrix, basis @ vector.double())
    if int(info) != 0 or not bool(torch.isfinite(solution).all()):
        return None
    product: Vector = (scale * vector.double() - basis.T @ solution).float()
    return product
