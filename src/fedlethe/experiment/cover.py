# SPDX-License-Identifier: MIT
"""Who covers for the erased client: decoys, or those few who repair. Both are drawn by the run's secret.

Decoys: D other clients are erased along with the one that asked, so the model, the repair by all who are left, and
every record are the same whichever of the D + 1 asked. That hides exactly, with any method, without noise, at any
number of repair rounds; the price is what the decoys had put into the model.

Few repair: those who do are plainly not gone, and the mask hides the client among the rest, for whom their work on the
masked model is the same whoever is gone. The draw must not follow from anything that the observer has: from the run's
seed it could be computed for every client, and would exclude most of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from fedlethe.data.federated import unknown_client
from fedlethe.errors import FedletheError
from fedlethe.experiment.candidates import erasable
from fedlethe.experiment.run import Run
from fedlethe.experiment.secret import mask_secret
from fedlethe.privacy.noise import SecretNoise
from fedlethe.types import ClientId


def companions(secret: bytes, forget: Iterable[ClientId], others: Iterable[ClientId]) -> Sequence[ClientId]:
    """The other clients in an order that the secret draws, each order equally likely.

    Decoys are the first of them and those who repair the last, so that the sets of two erasures of the same clients
    hold one another: what they have in common does not narrow down who was erased.
    """
    noise = SecretNoise(secret, "companions", *sorted(forget))
    names = sorted(others)
    return [name for _, name in sorted(zip(noise.standard_normal(len(names)).tolist(), names, strict=True))]


def drawn(
    run: Path, forget: Iterable[ClientId], left: Iterable[ClientId], count: int, spare: int
) -> tuple[ClientId, ...]:
    """So many of the clients that are left, sorted, drawn by the run's secret to repair the model.

    Args:
        run: The run folder.
        forget: Who is erased.
        left: Who is not.
        count: How many are drawn.
        spare: How many at least must not be.

    Raises:
        FedletheError: There are not so many.
    """
    others = companions(mask_secret(run), forget, left)
    if count > len(others) - spare:
        why = "one of them at least must stay out, so that the client is hidden; " if spare else ""
        raise FedletheError(f"--repair-clients {count}: {len(others)} clients are left; {why}name fewer")
    return tuple(sorted(others[-count:]))


def with_decoys(run: Run, clients: Sequence[ClientId], decoys: int, after: str | None = None) -> tuple[ClientId, ...]:
    """The clients, and so many others to be erased along with them, drawn by the run's secret.

    Raises:
        FedletheError: A client is unknown, or nobody would be left.
    """
    if decoys < 0:
        raise FedletheError(f"--decoys {decoys}: must be at least 0")
    if not decoys:
        return tuple(clients)
    if not clients:
        raise FedletheError(f"--decoys {decoys}: hides clients among others; name one with --client")
    known = erasable(run, run.past(after))
    for client in clients:
        if client not in known:
            raise FedletheError(unknown_client(client, known))
    others = [client for client in known if client not in clients]
    if decoys >= len(others):
        raise FedletheError(
            f"--decoys {decoys}: {len(others)} other clients are there, and one must be left; name fewer"
        )
    return tuple(sorted([*clients, *companions(mask_secret(run.path), clients, others)[:decoys]]))
