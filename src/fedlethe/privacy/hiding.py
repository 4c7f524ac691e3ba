# SPDX-License-Identifier: MIT
"""What is asked of a mask, and what it hides: numbers that can be checked, and the words that go with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

from fedlethe.privacy.accounting import (
    composed,
    demand_delta,
    gaussian_epsilon,
    gaussian_sigma,
    mu_of_guess,
    pick_guess,
    top_guess,
)
from fedlethe.privacy.mask import demand_sigma
from fedlethe.types import ClientId

MaskKind: TypeAlias = Literal["isotropic", "subspace", "shaped"]
KINDS: tuple[MaskKind, ...] = ("isotropic", "subspace", "shaped")

DELTA = 1e-5

LEAVES = (
    "that somebody was erased, and how many; the other files of the run folder, its ledger and certificates, which "
    "name the client: hand over the model alone; who trains later; a second release made from this run"
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
        max_guess: The best attacker's chance of picking a client that is erased, each m of K clients being equally
            likely: above m / K. Of one client that is the chance of naming it.
    """

    kind: MaskKind | None = None
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
                f"max_guess must be between m / K, the chance of a blind guess at m of K, and 1, not {self.max_guess}"
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
    def chosen(self) -> MaskKind:
        """The kind, resolved."""
        # For the same guarantee isotropic noise is longer by sqrt(P / n), and ruins a deep network (see `mask`).
        return self.kind or ("subspace" if self.guarantees else "isotropic")

    def sigma_for(self, distance: float, clients: int, erased: int = 1) -> float:
        """The standard deviation that this takes where each m of K clients may be erased, at most `distance` apart.

        Args:
            distance: The largest between two candidates.
            clients: K.
            erased: m.

        Raises:
            ValueError: max_guess is not above m / K.
        """
        if self.epsilon is not None:
            return gaussian_sigma(self.epsilon, self.delta, distance)
        if self.max_guess is not None:
            return distance / mu_of_guess(self.max_guess, clients, erased)
        return self.sigma or 0.0

    def canonical(self) -> dict[str, Any]:
        """Plain values that are the same for the same masking."""
        # As it was written before there were kinds: requests of old runs must be found again by their text.
        if not self.guarantees and self.kind is None and self.delta == DELTA:
            return {"sigma": self.sigma or 0.0}
        sizes = {"sigma": self.sigma, "epsilon": self.epsilon, "max_guess": self.max_guess}
        given = {name: size for name, size in sizes.items() if size is not None}
        return {"kind": self.chosen, "delta": self.delta, **given}


SPANNED: tuple[MaskKind, ...] = ("subspace", "shaped")
"""Masks whose noise lies where the candidates differ, so in directions that the erased client's images are part of."""


def rounded_up(distance: float) -> float:
    """A distance to two digits, never too small: sizes noise as well, and tells less of the images behind it.

    To all its digits the distance between two candidates is an equation in the erased images that outlives the purge.

    Example:
        >>> rounded_up(0.4030060430929562), rounded_up(2.0), rounded_up(0.0)
        (0.41, 2.0, 0.0)
    """
    if distance <= 0 or not math.isfinite(distance):
        return distance
    shown = float(f"{distance:.1e}")  # to the nearest, which can be below: then one step of the second digit more
    return shown if shown >= distance else float(f"{shown + 10.0 ** (math.floor(math.log10(shown)) - 1):.1e}")


@dataclass(frozen=True, slots=True)
class Hidden:
    """What hides the erased clients, how well, and from whom.

    Attributes:
        by: 'isotropic', 'subspace' or 'shaped' mask, or 'decoys'.
        among: The clients that may be the ones. Every `erased` of them are a candidate.
        erased: How many of them are.
        distance: The largest L2 distance between two candidates, to two digits, rounded up.
        sigma: Standard deviation of the noise; of the shaped mask, the subspace mask's that hides as much.
        mu: distance / sigma; 0 where the candidates coincide.
        epsilon: At `delta`.
        delta: In (0, 1).
        guess: A bound on the best attacker's chance of naming all who are erased, all candidates being equally likely.
        hit: The same of picking one client that is erased; of one erased client it is `guess`.
        covers: What this holds for.
        leaves: What it does not cover.
        detail: More on how it was made; empty where there is nothing to say.
        released: Whether it holds for the model that is released, not only for one on the way to it.
    """

    by: str
    among: tuple[ClientId, ...]
    erased: int
    distance: float
    sigma: float
    mu: float
    epsilon: float
    delta: float
    guess: float
    hit: float
    covers: str
    leaves: str = LEAVES
    detail: str = ""
    released: bool = True

    @property
    def blind(self) -> float:
        """The chance of naming all of them blindly."""
        # Of several releases nobody may be left who is a candidate in each: then there is nothing to divide by.
        return 1 / max(1, math.comb(len(self.among), self.erased))

    @property
    def blind_hit(self) -> float:
        """The chance of picking one of them blindly."""
        return min(1.0, self.erased / max(1, len(self.among)))

    @property
    def figures(self) -> dict[str, Any]:
        """All of it by name, the blind chances beside those of the best attacker."""
        return {**asdict(self), "guess_blind": self.blind, "hit_blind": self.blind_hit}

    @property
    def statement(self) -> str:
        """The numbers in one sentence."""
        noise = f"sigma {self.sigma:.4g}" if self.mu else "the candidates coincide, sigma 0 suffices"
        made = "all of them are erased" if self.by == "decoys" else f"{self.by} mask, {noise}"
        numbers = f"epsilon {self.epsilon:.4g} at delta {self.delta:.3g}"
        return f"the best attacker {self.chances}; {numbers}; {made}"

    @property
    def chances(self) -> str:
        """Both chances of the best attacker, each beside the blind one; of one client they are the same, told once."""
        who, clients, erased = "asked" if self.by == "decoys" else "is erased", len(self.among), self.erased
        guess = f"with a chance of at most {100 * self.guess:.1f} %"
        if erased == 1:
            return f"names the client that {who} {guess} (blind among {clients}: {100 * self.blind:.1f} %)"
        sets, count = math.comb(clients, erased), "both" if erased == 2 else f"all {erased}"
        return (
            f"names {count} clients {guess} (blind among {sets:,} sets: {100 * self.blind:.1f} %), "
            f"and picks one that {who} with a chance of at most {100 * self.hit:.1f} % "
            f"(blind, {erased} of {clients}: {100 * self.blind_hit:.1f} %)"
        )


def hidden_by(
    by: str,
    among: Sequence[ClientId],
    distance: float,
    sigma: float,
    delta: float,
    covers: str,
    detail: str = "",
    erased: int = 1,
) -> Hidden:
    """What noise of this sigma hides of candidates at most `distance` apart; 0 apart needs none.

    Args:
        by: What hides them.
        among: The clients that may be the ones.
        distance: The largest between the candidates, each of which is `erased` of the clients.
        sigma: Of the noise.
        delta: At which epsilon is told.
        covers: What it holds for.
        detail: How it was made.
        erased: How many of the clients are erased.

    Raises:
        ValueError: Candidates differ and there is no noise.
    """
    if distance > 0 and sigma <= 0:
        raise ValueError("without noise nothing is hidden of candidates that differ")
    # Candidates that coincide are told apart by nothing, whether noise is added or not.
    mu = distance / sigma if distance > 0 else 0.0
    return Hidden(
        by=by,
        among=tuple(among),
        erased=erased,
        distance=distance,
        sigma=sigma,
        mu=mu,
        epsilon=gaussian_epsilon(delta, sigma, distance),
        delta=delta,
        guess=top_guess(mu, math.comb(len(among), erased)),
        hit=pick_guess(mu, len(among), erased),
        covers=covers,
        detail=detail,
    )


def hidden_together(releases: Sequence[Hidden]) -> Hidden:
    """What several releases about the same clients hide of them, taken together.

    Each was made with noise of its own. Who may be the ones is who may be so in each: who is missing in one is not.
    Of releases that erase different numbers of clients nothing is claimed: the chances are 1.

    Args:
        releases: At least one.

    Returns:
        Mu and what follows from it, epsilon at the largest of their deltas; `among` is who is left.
    """
    mu, first = composed(release.mu for release in releases), releases[0]
    # Who is no candidate in one release is ruled out by it for all of them.
    left = [client for client in first.among if all(client in release.among for release in releases)]
    delta = max(release.delta for release in releases)
    # mu is a distance in units of the noise, so noise of 1 at the distance mu hides what all of them together do.
    found = hidden_by(first.by, left, mu, 1.0, delta, first.covers, erased=first.erased)
    alike = all(release.erased == first.erased for release in releases)
    return found if alike else replace(found, guess=1.0, hit=1.0)
