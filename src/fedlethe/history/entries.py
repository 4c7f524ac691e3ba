# SPDX-License-Identifier: MIT
"""What the ledger's rows are about: files, what is left of those that are gone, and who took part in a round."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from fedlethe.history.chain import Body
from fedlethe.types import ClientId

NOT_EVALUATED = "null"
"""Stands for the evaluation of a round's model that nobody asked for."""

ArtefactKind: TypeAlias = Literal[
    "configuration",
    "picture",
    "study",
    "answers",
    "global checkpoint",
    "client delta",
    "norms",
    "influence",
    "statistics",
    "erasure",
    "nodes",
    "server state",
]

BEGAN, ELSEWHERE = "began", "elsewhere"

REPLACED = "replaced by a later one"
"""Why a file is gone that a later round made superfluous."""

OF_RUN = " of run "
"""Between a request and the id of its run, in the ledger of a run that this one began from."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """One file of the run.

    Attributes:
        path: Relative to the run folder.
        client: Whose state it is; None if it is the federation's.
        round: After which round; None if it belongs to none.
        bytes: Its length.
    """

    path: str
    kind: ArtefactKind
    client: ClientId | None
    round: int | None
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of a file that is gone.

    Attributes:
        artefact: As it was.
        at: When it went.
        because: Why.
    """

    artefact: Artefact
    at: str
    because: str


@dataclass(frozen=True, slots=True)
class Participation:
    """What one client did in one round.

    Attributes:
        round: The round.
        client: The client.
        num_examples: Training images that the client holds; this, and what follows, is None where it is not known.
        weight: Its share in the round's mean.
        examples_processed: Images that went through a gradient step (images x epochs).
        steps: Gradient steps taken.
        loss: Mean training loss over those steps, in nats.
        refused: Why its update was not taken; None if it was.
    """

    round: int
    client: ClientId
    num_examples: int | None = None
    weight: float | None = None
    examples_processed: int | None = None
    steps: int | None = None
    loss: float | None = None
    refused: str | None = None


def removals(paths: Iterable[str], because: str) -> list[tuple[str, Body]]:
    """The rows that take files out of the ledger, and leave tombstones."""
    return [("removed", {"path": path, "because": because}) for path in paths]


def entries_of(artefacts: Iterable[Artefact]) -> list[tuple[str, Body]]:
    """The rows that enter files."""
    return [("artefact", asdict(artefact)) for artefact in artefacts]


def plain_entry(entry: Participation) -> dict[str, Any]:
    """A participation as a row has it: what is not known is left out.

    JSON has no NaN and no infinity, and a loss can be either; it is then not known.
    """
    known = {name: value for name, value in asdict(entry).items() if value is not None}
    return {name: value for name, value in known.items() if not isinstance(value, float) or math.isfinite(value)}
