# SPDX-License-Identifier: MIT
"""What a run begins from, and whose images it does without because they were erased there, as run.toml holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from fedlethe.data.erased import ErasedImages, Positions
from fedlethe.document import adapter_of
from fedlethe.errors import IntegrityError
from fedlethe.types import ClientId

BEGINNING = "beginning"
"""The table below [run] in run.toml."""

IMAGES = ("positions", "array", "rows", "retained")
"""What of it is about single images, and stands in run.toml alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """What a training does without, since it was erased before.

    Attributes:
        client: Whose it is.
        because: Why.
        images: How many of its images; None for the client as a whole.
    """

    client: ClientId
    because: str
    images: int | None = None

    def __str__(self) -> str:
        what = self.client if self.images is None else f"{self.images} images of {self.client}"
        return f"left out: {what}: {self.because}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Beginning:
    """Where a training begins.

    Attributes:
        after: The folder of the erasure whose model it begins from, relative to the run's; None for a fresh model.
        take_back: Who was erased, and takes part again because the user said so by name.
        came_with: Client that was taken back under another name, to the erased clients whose images it brings.
        left_out: What it does without.
        not_checked: What could not be looked for, and why, in words.
        positions: Of the clients that are left out in part, which examples those are, by split.
        array: The cached array that the left-out images were decoded into; None where there is none.
        rows: Theirs in it.
        retained: See `ErasedImages`: so that the run can be opened when they are not in the data any more.
    """

    after: str | None = None
    take_back: tuple[ClientId, ...] = ()
    came_with: Mapping[ClientId, tuple[ClientId, ...]] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    not_checked: tuple[str, ...] = ()
    positions: Positions = field(default_factory=dict)
    array: str | None = None
    rows: tuple[int, ...] = ()
    retained: Mapping[ClientId, str] = field(default_factory=dict)

    @property
    def erased(self) -> tuple[ErasedImages, ...]:
        """The images that the run must not have; nothing where it does without nobody."""
        if not self.left_out:
            return ()
        whole = tuple(one.client for one in self.left_out if one.images is None)
        erased = ErasedImages(
            array=self.array, rows=self.rows, clients=whole, positions=self.positions, retained=self.retained
        )
        return (erased,)

    def entry(self) -> dict[str, Any]:
        """What the ledger keeps of it: less than run.toml, which says which images those are."""
        return {name: value for name, value in self.facts().items() if name not in IMAGES}

    def facts(self) -> dict[str, Any]:
        """Plain values for run.toml and the ledger; none for a fresh model."""
        if self.after is None:
            return {}
        plain: dict[str, Any] = adapter_of(Beginning).dump_python(self, mode="json", exclude_none=True)
        return plain if self.came_with else {name: value for name, value in plain.items() if name != "came_with"}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Beginning:
        """What run.toml's table [run] says.

        Raises:
            IntegrityError: It says something that cannot be.
        """
        try:
            begun: Beginning = adapter_of(cls).validate_python(facts.get(BEGINNING, {}))
            return begun
        except ValidationError as errors:
            first = errors.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))[:200]
            raise IntegrityError(
                f"run.toml: [run.{BEGINNING}] {place}: {first['msg'][:200]}; restore the file from a backup"
            ) from None
