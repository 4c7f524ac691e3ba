# SPDX-License-Identifier: MIT
"""How a source is to be divided among clients: the options, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from fedlethe.document import unused
from fedlethe.types import ClientId

Scheme = Literal["site", "iid", "dirichlet", "quantity"]

CLIENTS, ALPHA, TEST_FRACTION = 5, 0.5, 0.2
"""What stands where a number is needed and none is given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    """How a source becomes clients.

    Attributes:
        scheme: "site": as the source names them. "iid": at random, in equal numbers. "dirichlet": each class is
            dealt out by proportions from a symmetric Dirichlet distribution. "quantity": at random, in the numbers of
            `quantities`. None: by site where the source names sites, else iid.
        clients: How many to simulate, for "iid" and "dirichlet"; 5 if None.
        alpha: Concentration for "dirichlet": the smaller, the more the clients differ; 0.5 if None.
        quantities: For "quantity", one number for each client: shares of all images that sum to at most 1, or, where
            all are whole and at least 1, numbers of images (over all splits).
        test_fraction: Share of each client's images to test on, where the source has no official splits; 0.2 if None.
        max_examples: Keep at most so many images in each split of each client, by class in proportion and at least
            one of each class.
        allow_one_class: Accept a client whose training images are all of one class.
        leave_out: Clients that do not take part.
        public_fraction: Share of the training images that no client gets: the public data, used without labels.
        seed: Draws the division (and a backdoor's images); None for the run's seed. With one of its own, runs of
            several seeds train on the same division.

    Raises:
        ValueError: An option is out of its range, or the scheme does not use it.
    """

    scheme: Scheme | None = None
    clients: int | None = None
    alpha: float | None = None
    quantities: tuple[float, ...] = ()
    test_fraction: float | None = None
    max_examples: int | None = None
    allow_one_class: bool = False
    leave_out: tuple[ClientId, ...] = ()
    public_fraction: float = 0.0
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.scheme not in (None, "site", "iid", "dirichlet", "quantity"):
            raise ValueError(f"scheme = {self.scheme}: must be site, iid, dirichlet or quantity")
        if self.clients is not None and self.clients < 1:
            raise ValueError(f"clients = {self.clients}: must be 1 or more")
        if self.alpha is not None and not 0 < self.alpha < float("inf"):
            raise ValueError(f"alpha = {self.alpha}: must be greater than 0")
        if not 0 < self.share_to_test < 1:
            raise ValueError(f"test_fraction = {self.test_fraction}: must lie between 0 and 1")
        if not 0 <= self.public_fraction < 1:
            raise ValueError(f"public_fraction = {self.public_fraction}: must be 0 or more and less than 1")
        if self.max_examples is not None and self.max_examples < 2:
            raise ValueError(f"max_examples = {self.max_examples}: must be 2 or more")
        self._check_quantities()
        given = {"scheme": self.scheme, "clients": self.clients, "alpha": self.alpha}
        for option in unused("partition", given):
            if given[option] is not None:
                raise ValueError(f"{option} = {given[option]}: {self._why_unused(option)}")

    def _why_unused(self, option: str) -> str:
        takers = " or ".join(f'"{scheme}"' for scheme in ("iid", "dirichlet")[option == "alpha" :])
        chosen = "no scheme is named" if self.scheme is None else f"scheme '{self.scheme}' does not use it"
        return f"{chosen}; leave it out, or set the scheme to {takers}"

    def _check_quantities(self) -> None:
        if (self.scheme == "quantity") != bool(self.quantities):
            lacking = "name one for each client, such as quantities = [0.5, 0.3]"
            of = "they are of scheme 'quantity'; leave them out, or set it"
            raise ValueError(f"quantities: {of if self.quantities else lacking}")
        shares = bool(self.quantities) and not self.counts
        if shares and (min(self.quantities) <= 0 or sum(self.quantities) > 1 + 1e-9):
            raise ValueError(
                f"quantities = {list(self.quantities)}: must be shares greater than 0 that sum to at most 1, or "
                "numbers of images"
            )

    @property
    def number_of_clients(self) -> int:
        """How many are simulated."""
        return len(self.quantities) or (CLIENTS if self.clients is None else self.clients)

    @property
    def concentration(self) -> float:
        """The Dirichlet distribution's."""
        return ALPHA if self.alpha is None else self.alpha

    @property
    def share_to_test(self) -> float:
        """The share of each client's images to test on."""
        return TEST_FRACTION if self.test_fraction is None else self.test_fraction

    def in_full(self) -> Partition:
        """The same, with the number of clients and the concentration, where the scheme uses them."""
        table = {"scheme": self.scheme, "clients": self.number_of_clients, "alpha": self.concentration}
        left = unused("partition", table)
        used = {name: value for name, value in table.items() if name not in left}
        return self if self.scheme is None else replace(self, **used)  # type: ignore[arg-type]

    @property
    def counts(self) -> bool:
        """Whether `quantities` are numbers of images."""
        return all(quantity >= 1 and float(quantity).is_integer() for quantity in self.quantities)
