# SPDX-License-Identifier: MIT
"""Who covers for the erased client: decoys, or those few who repair. Both are drawn by the erasure's secret.

Decoys: D other clients are erased along with the one that asked, so the model, the repair by all who are left, and
every record are the same whichever of the D + 1 asked. That hides with any method, without noise, at any number of
repair rounds; the price is what the decoys had put into the model.

Few repair: those who do are plainly not gone, and the mask hides the client among the rest, for whom their work on the
masked model is the same whoever is gone. The draw must not follow from anything that the observer has: from the run's
seed it could be computed for every client, and would exclude most of them.

The secret is gone once the erasure is complete (see `secret`). Who erases the same clients a second time must not
narrow them down by it, so those who covered for them before come first again, by what the records say of them: the sets
of two erasures hold one another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from fedlethe.data.federated import unknown_client
from fedlethe.erasing.candidates import erasable
from fedlethe.erasing.secret import mask_secret
from fedlethe.errors import RequestError
from fedlethe.privacy.noise import SecretNoise
from fedlethe.runs.run import OpenRun
from fedlethe.types import ClientId


def companions(secret: bytes, forget: Iterable[ClientId], others: Iterable[ClientId]) -> Sequence[ClientId]:
    """The other clients in an order that the secret draws, each order equally likely."""
    noise = SecretNoise(secret, "companions", *sorted(forget))
    names = sorted(others)
    return [name for _, name in sorted(zip(noise.standard_normal(len(names)).tolist(), names, strict=True))]


def drawn(
    secret: Callable[[], bytes],
    forget: Iterable[ClientId],
    left: Collection[ClientId],
    count: int,
    spare: int,
    before: Sequence[Collection[ClientId]] = (),
) -> tuple[ClientId, ...]:
    """So many of the clients that are left, sorted, drawn by the erasure's secret to repair the model.

    Args:
        secret: Gives the erasure's.
        forget: Who is erased.
        left: Who is not.
        count: How many are drawn.
        spare: How many at least must not be.
        before: Those who repaired in earlier erasures of the same clients.

    Raises:
        FedletheError: There are not so many.
    """
    if count > len(left) - spare:
        why = "one of them at least must stay out, so that the client is hidden; " if spare else ""
        raise RequestError(f"repair clients {count}: {len(left)} clients are left; {why}name fewer")
    return tuple(sorted(_those_before_first(companions(secret(), forget, left), before)[:count]))


def _those_before_first(names: Sequence[ClientId], before: Sequence[Collection[ClientId]]) -> list[ClientId]:
    """The names in their order, those in most of the earlier sets first, so that the first few hold one another."""
    return sorted(names, key=lambda name: -sum(name in one for one in before))


def with_decoys(
    run: OpenRun,
    clients: Sequence[ClientId],
    decoys: int,
    after: str | None = None,
    before: Sequence[Collection[ClientId]] = (),
) -> tuple[ClientId, ...]:
    """The clients, and so many others to be erased along with them, drawn by the erasure's secret.

    Args:
        run: The run.
        clients: Who asked.
        decoys: How many others.
        after: The erasure that they are erased after.
        before: Who was erased together in earlier erasures with decoys, after the same one.

    Raises:
        FedletheError: A client is unknown, or nobody would be left.
    """
    if decoys < 0:
        raise RequestError(f"decoys {decoys}: must be at least 0")
    if not decoys:
        return tuple(clients)
    if not clients:
        raise RequestError(f"decoys {decoys}: hides clients among others; name one")
    known = erasable(run, run.past(after))
    for client in clients:
        if client not in known:
            raise RequestError(unknown_client(client, known))
    others = [client for client in known if client not in clients]
    if decoys >= len(others):
        raise RequestError(f"decoys {decoys}: {len(others)} other clients are there, and one must be left; name fewer")
    alike = [one for one in before if set(clients) <= set(one)]
    if same := next((one for one in alike if len(one) == len(clients) + decoys), None):
        return tuple(sorted(same))
    with run.history.locked():
        order = companions(mask_secret(run.history), clients, others)
    return tuple(sorted([*clients, *_those_before_first(order, alike)[:decoys]]))
