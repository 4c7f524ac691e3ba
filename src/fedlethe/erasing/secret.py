# SPDX-License-Identifier: MIT
"""The secret that an erasure's noise, decoys and repairers are drawn from: 32 random bytes for that erasure alone.

The seed in run.toml reproduces the training for whoever is shown it; a mask that followed from it could be taken off
again. So noise, decoys and those who repair are drawn from a secret, kept as the clients' keys are: a file in the
folder of the keys (`$FEDLETHE_KEYS` where that is set), named in the ledger, readable by its owner alone. It is made
when it is first needed and stays until the erasure is complete, so that an erasure that was cut off gives the same
bytes when it is done again. With the erasure the ledger is told that the secret is destroyed, and then it is: nothing
needs it any more, and without a copy of that file nobody can draw the noise again and take it off.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from fedlethe.errors import RequestError
from fedlethe.history.chain import Body
from fedlethe.history.disk import RunFolder
from fedlethe.history.keyring import destruction
from fedlethe.types import ClientId

Secret: TypeAlias = Callable[[], bytes]
"""Gives the erasure's secret; it is made when it is first asked for, so not for an erasure that cannot be."""

MASKS: ClientId = "-masks"
"""Whose key the secret is; no client can have this name."""

FORMER = ".mask_secret"
"""Where earlier versions kept one secret for all erasures of a run."""


def mask_secret(history: RunFolder) -> bytes:
    """The secret of the erasure that is under way in a run folder, locked; made where there is none.

    Raises:
        FedletheError: The file cannot be made or read, is missing, is readable by others, or is not what was written.
    """
    demand_no_former(history.path)
    keys = history.store.keys
    living = keys.living(MASKS)
    if not living:
        return keys.renewed(MASKS).secret
    if not keys.files.has(MASKS, living[-1]):
        raise RequestError(
            f"{keys.files.folder}: the secret {living[-1]} of an erasure that was cut off is not there; set "
            "FEDLETHE_KEYS to the folder that holds it, or put it back"
        )
    return keys.files.read(MASKS, living[-1]).secret


def spent(history: RunFolder) -> list[tuple[str, Body]]:
    """The ledger's rows that say that the secret is destroyed, to be entered together with the erasure."""
    return destruction(MASKS, history.store.keys.living(MASKS))


def destroy_spent(history: RunFolder) -> None:
    """Destroy the secrets that the ledger says are destroyed, where a kill came between.

    Raises:
        FedletheError: A file cannot be removed.
    """
    keys = history.store.keys
    there = {path.name for path in left_over(history)}
    gone = keys.destroyed().get(MASKS, [])
    keys.destroy(MASKS, [id for id in gone if any(id in name for name in there)])


def left_over(history: RunFolder) -> list[Path]:
    """The secrets whose files are there, in any of the folders that hold keys of the run."""
    return [path for place in history.store.keys.places for path in place.files(MASKS)]


def demand_no_former(run: Path) -> None:
    """Refuse a folder with the secret of an earlier version.

    Raises:
        FedletheError: It has one.
    """
    if (run / FORMER).exists():
        raise RequestError(
            f"{run / FORMER}: is of an earlier version, which drew the noise of all erasures from it; nothing needs it "
            "any more, and whoever has it can take that noise off: overwrite and remove it (shred -u), then go on"
        )
