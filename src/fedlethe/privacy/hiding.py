# SPDX-License-Identifier: MIT
"""What is asked of a mask, and what it hides: numbers that can be checked, and the words that go with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from fedlethe.privacy.accounting import (
    composed,
    demand_delta,
    gaussian_epsilon,
    gaussian_sigma,
    mu_of_guess,
    top_guess,
)
from fedlethe.privacy.mask import demand_sigma

Kind: TypeAlias = Literal["isotropic", "subspace", "shaped"]
KINDS: tuple[Kind, ...] = ("isotropic", "subspace", "shaped")

DELTA = 1e-5

LEAVES = (
    "that somebody was erased; the other files of the run folder and its ledger, which name the client: hand over "
    "the model alone; who trains later; a second release made from this run"
)
"""What no mask covers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Masking:
    """What is asked of a mask: its size, in one of three ways, or none.

    Attributes:
        kind: 'isotropic', 'subspace' or 'shaped'; None for subspace where a guarantee is asked, else isotropic.
        sigma: Standard deviation of the noise; the shaped mask hides what the subspace mask of this sigma does.
        epsilon: No two candidates are told apart better than (epsilon, delta) allows.
        delta: Goes with epsilon; where sigma or max_guess is given, the delta at which their epsilon is told.
        max_guess: The best attacker's chance of naming the client, K candidates being equally likely: above 1 / K.
    """

    kind: Kind | None = None
    sigma: float | None = None
    epsilon: float | None = None
    delta: float = DELTA
    max_guess: float | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("sigma", "epsilon", "max_guess") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} each say how much noise; give one of them")
        if self.sigma is not None:
            demand_sigma(self.sigma)
        if self.epsilon is not None and not (math.isfinite(self.epsilon) and self.epsilon > 0):
            raise ValueError(f"epsilon must be a finite number above 0, not {self.epsilon}")
        if self.max_guess is not None and not 0 < self.max_guess < 1:
            raise ValueError(
                f"max_guess must be between 1 / K, the chance of a blind guess, and 1, not {self.max_guess}"
            )
        demand_delta(self.delta)
        if self.kind is not None and not given:
            raise ValueError(f"the {self.kind} mask has no size; give sigma, epsilon or max_guess")
        if self.delta != DELTA and not given:
            raise ValueError("delta says not how much noise; give epsilon, max_guess or sigma with it")

    @property
    def guarantees(self) -> bool:
        """Whether a guarantee is asked for, not a sigma."""
        return self.epsilon is not None or self.max_guess is not None

    @property
    def adds_noise(self) -> bool:
        """Whether anything is to be masked at all."""
        return self.guarantees or bool(self.sigma)

    @property
    def chosen(self) -> Kind:
        """The kind, resolved."""
        return self.kind or ("subspace" if self.guarantees else "isotropic")

    def sigma_for(self, distance: float, candidates: int) -> float:
        """The standard deviation that this takes among K candidates at most `distance` apart.

        Raises:
            ValueError: max_guess is not above 1 / K.
        """
        if self.epsilon is not None:
            return gaussian_sigma(self.epsilon, self.delta, distance)
        if self.max_guess is not None:
            return distance / mu_of_guess(self.max_guess, candidates)
        return self.sigma or 0.0

    def canonical(self) -> dict[str, Any]:
        """Plain values that are the same for the same masking."""
        if not self.guarantees and self.kind is None and self.delta == DELTA:
            return {"sigma": self.sigma or 0.0}
        sizes = {"sigma": self.sigma, "epsilon": self.epsilon, "max_guess": self.max_guess}
        given = {name: size for name, size in sizes.items() if size is not None}
        return {"kind": self.chosen, "delta": self.delta, **given}


@dataclass(frozen=True, slots=True)
class Hidden:
    """What hides the erased client, how well, and from whom.

    Attributes:
        by: 'isotropic', 'subspace' or 'shaped' mask, or 'decoys'.
        among: The candidates: each is a client, or several joined by ' + ' where several are erased at once.
        distance: The largest L2 distance between two candidates.
        sigma: Standard deviation of the noise; of the shaped mask, the subspace mask's that hides as much.
        mu: distance / sigma; 0 where the candidates coincide.
        epsilon: At `delta`.
        delta: In (0, 1).
        guess: The best attacker's chance of naming the client, all candidates being equally likely.
        covers: What this holds for.
        leaves: What it does not cover.
        detail: More on how it was made; empty where there is nothing to say.
        released: Whether it holds for the model that is released, not only for one on the way to it.
    """

    by: str
    among: tuple[str, ...]
    distance: float
    sigma: float
    mu: float
    epsilon: float
    delta: float
    guess: float
    covers: str
    leaves: str = LEAVES
    detail: str = ""
    released: bool = True

    @property
    def blind(self) -> float:
        """The chance of a blind guess."""
        return 1 / len(self.among)

    @property
    def statement(self) -> str:
        """The numbers in one sentence."""
        count = len(self.among)
        noise = f"sigma {self.sigma:.4g}" if self.mu else "the candidates coincide, sigma 0 suffices"
        made = "all of them are erased" if self.by == "decoys" else f"{self.by} mask, {noise}"
        return (
            f"the best attacker names the client with a chance of at most {100 * self.guess:.1f} % "
            f"(blind among {count}: {100 * self.blind:.1f} %); epsilon {self.epsilon:.4g} at delta {self.delta:.3g}; "
            f"{made}"
        )


def hidden_by(
    by: str, among: Sequence[str], distance: float, sigma: float, delta: float, covers: str, detail: str = ""
) -> Hidden:
    """What noise of this sigma hides of candidates at most `distance` apart; 0 apart needs none.

    Raises:
        ValueError: Candidates differ and there is no noise.
    """
    if distance > 0 and sigma <= 0:
        raise ValueError("without noise nothing is hidden of candidates that differ")
    mu = distance / sigma if distance > 0 else 0.0
    epsilon = gaussian_epsilon(delta, sigma, distance)
    return Hidden(
        by=by,
        among=tuple(among),
        distance=distance,
        sigma=sigma,
        mu=mu,
        epsilon=epsilon,
        delta=delta,
        guess=top_guess(mu, len(among)),
        covers=covers,
        detail=detail,
    )


def together(releases: Sequence[Hidden]) -> tuple[float, float]:
    """Epsilon and the best guess for whoever has seen all of these releases about one secret.

    Each was made with noise of its own. The candidates are those that are in all of them: who is missing in one is not
    the one.

    Args:
        releases: At least one.

    Returns:
        Epsilon at the largest of their deltas, and the chance.
    """
    mu = composed(release.mu for release in releases)
    delta = max(release.delta for release in releases)
    left = set(releases[0].among).intersection(*(release.among for release in releases))
    return (gaussian_epsilon(delta, 1.0, mu) if mu > 0 else 0.0), top_guess(mu, max(1, len(left)))
