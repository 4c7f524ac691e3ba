# SPDX-License-Identifier: MIT
"""How a closed-form federation is trained, and what can be asked of it afterwards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from fedlethe.types import START, ClientId, Need, RetrainsFrom


@dataclass(frozen=True, kw_only=True, slots=True)
class ClosedFormSettings:
    """The closed-form training.

    Attributes:
        penalty: lambda over the sum of the rows' weights; None for the one that errs least at clients left out (see
            `choices`), anew whenever somebody leaves or joins.
        class_weights: Weight of a row by its class, the same at all clients; None for balanced classes, by the counts
            over all clients, to two digits, anew whenever somebody leaves or joins.
        dimension: Project the features to so many; None to leave them.
        epsilon: Each client adds Gaussian noise to its statistics, so that no single row shows; None adds none. The
            features are then centred on public images (see `features.Centred`).
        delta: Of that guarantee.
        noise_seed: Draws the noise, so that a simulation can be reproduced; then it hides nothing, and nothing is
            claimed of it. None for the operating system's randomness.
        radius: Length that rows are clipped to where there is noise; 1 is 1.5 times what is usual of public images.
    """

    penalty: float | None = None
    class_weights: tuple[float, ...] | None = None
    dimension: int | None = None
    epsilon: float | None = None
    delta: float = 1e-5
    radius: float = 1.0
    noise_seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("penalty", "epsilon", "radius"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a finite number above 0, not {value}")
        if self.class_weights is not None and not all(math.isfinite(w) and w > 0 for w in self.class_weights):
            raise ValueError(f"class_weights must be finite numbers above 0, not {list(self.class_weights)}")
        if self.dimension is not None and self.dimension < 1:
            raise ValueError(f"dimension must be at least 1, not {self.dimension}")
        if not 0 < self.delta < 1:
            raise ValueError(f"delta must be between 0 and 1, not {self.delta}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Subtraction:
    """Subtract the statistics of clients or patients from the sums, and solve: equal to training without them.

    Attributes:
        patients: Take out these patients (or lesions) in the place of whole clients.
        of: The clients whose patients they are; empty for all.
        join: Add clients that were taken out before.
    """

    paper: ClassVar[str] = "fedlethe; ridge regression from sums (Hoerl & Kennard, 1970)"
    needs: ClassVar[frozenset[Need]] = frozenset()
    retrains_from: ClassVar[RetrainsFrom] = START  # the head is solved from the remaining sums alone

    patients: tuple[str, ...] = ()
    of: tuple[ClientId, ...] = ()
    join: tuple[ClientId, ...] = ()

    def __post_init__(self) -> None:
        if self.patients and self.join:
            raise ValueError("patients are taken out and clients join in requests of their own")
        if self.of and not self.patients:
            raise ValueError("of: names the clients of patients; name the patients")
