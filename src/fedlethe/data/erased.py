# SPDX-License-Identifier: MIT
"""Images of clients and patients that were erased from a run: decoded for it never again, and out of the cache.

The decoded images of a data set lie in one array in the cache folder. When a client is erased, a copy takes its place
in which the client's images are blank, under a name of its own; a run that knows whose images are gone is given that
copy, or has the others' images decoded into it. The array that holds them all is deleted. Another run on the same data
decodes them again: it has a right of its own to them, or must erase them itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fedlethe.data.cache import cache_folder, cached_array, digest, sweep
from fedlethe.data.federated import SPLITS, ClientData, Examples, FederatedData, Split
from fedlethe.errors import FedletheError
from fedlethe.files import removing
from fedlethe.names import is_plain_name
from fedlethe.types import ClientId

Positions: TypeAlias = Mapping[ClientId, Mapping[Split, tuple[int, ...]]]

_BLANK: ContextVar[Mapping[str, frozenset[int]]] = ContextVar("_BLANK", default={})  # noqa: B039


@dataclass(frozen=True, kw_only=True, slots=True)
class ErasedImages:
    """Which images a run must not have any more.

    Attributes:
        array: The cached array that they were in, its name without its ending; None where there was none.
        rows: Theirs in it.
        features: Names of the cached features that were made of them.
        clients: The clients that are gone as a whole.
        positions: Of each other client, which of its examples are gone, by split.
        retained: The fingerprint of each client's data that stay (see `client_fingerprint`).
    """

    array: str | None
    rows: tuple[int, ...]
    features: tuple[str, ...] = ()
    clients: tuple[ClientId, ...] = ()
    positions: Positions = field(default_factory=dict)
    retained: Mapping[ClientId, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse names that lead out of the cache's folders.

        Raises:
            FedletheError: `array` or one of `features` is no plain name.
        """
        for name in (*(() if self.array is None else (self.array,)), *self.features):
            if not is_plain_name(name):
                raise FedletheError(f"erased images: '{name[:60]}' is no name of a cached file; restore the run")


@contextmanager
def blanking(erased: Sequence[ErasedImages]) -> Iterator[None]:
    """Have these images decoded by nobody: their places in the arrays stay blank."""
    token = _BLANK.set(_rows(erased))
    try:
        yield
    finally:
        _BLANK.reset(token)


def _rows(erased: Sequence[ErasedImages]) -> dict[str, frozenset[int]]:
    """Array to the rows that are blank in it."""
    rows: dict[str, frozenset[int]] = {}
    for one in erased:
        if one.array is not None:
            rows[one.array] = rows.get(one.array, frozenset()) | frozenset(one.rows)
    return rows


def blank_rows(array: str) -> frozenset[int]:
    """The rows of a cached array (its name without its ending) that are to stay blank."""
    return _BLANK.get().get(array, frozenset())


def array_name(array: str, blank: frozenset[int]) -> str:
    """The file of a cached array with blank rows."""
    return f"{array}-{digest(*sorted(blank))[:16]}.npy" if blank else f"{array}.npy"


def array_of(images: npt.NDArray[Any]) -> str | None:
    """The name (without blanks and ending) of the cached array that images are a memory map of; None if of none."""
    place = getattr(images, "filename", None)
    if place is None or Path(place).parent != cache_folder() / "images":
        return None
    return Path(place).stem.partition("-")[0]


def scrub(erased: Sequence[ErasedImages]) -> None:
    """Leave the cache with copies of the arrays in which the erased images are blank, and no others; and no features.

    Args:
        erased: All that were ever erased from a run.

    Raises:
        FedletheError: A copy cannot be written.
    """
    sweep(own=True)
    folder, before = cache_folder() / "images", _rows(erased[:-1])
    for array, blank in _rows(erased).items():
        kept, whole = folder / array_name(array, blank), folder / array_name(array, frozenset())
        for source in (whole, folder / array_name(array, before.get(array, frozenset()))):
            if source.is_file():  # another run's copy can lack images that this one keeps
                _blanked(source, kept, blank)
        for path in (whole, *folder.glob(f"{array}-*.npy")):
            if path != kept:
                with removing(path):
                    path.unlink(missing_ok=True)
    for name in {name for one in erased for name in one.features}:
        place = cache_folder() / "features" / name
        with removing(place):
            place.unlink(missing_ok=True)


def _blanked(source: Path, kept: Path, blank: frozenset[int]) -> None:
    images: npt.NDArray[Any] = np.load(source, mmap_mode="r", allow_pickle=False)

    def rows() -> Iterator[npt.NDArray[Any]]:
        for row, image in enumerate(images):
            yield np.zeros_like(image) if row in blank else image

    cached_array(kept, images.shape, np.uint8, rows)


def without(data: FederatedData, erased: Sequence[ErasedImages]) -> FederatedData:
    """The data, the erased clients and patients gone from them; those that are not there any more are no matter."""
    gone = {client for one in erased for client in one.clients}
    clients = {client: held for client, held in data.clients.items() if client not in gone}
    for one in erased:
        for client, positions in one.positions.items():
            if client in clients:
                clients[client] = _less(clients[client], positions)
    return replace(data, clients=clients)


def _less(held: ClientData, positions: Mapping[Split, Sequence[int]]) -> ClientData:
    def kept(split: Split) -> Examples:
        examples = held.split(split)
        chosen = np.ones(len(examples), dtype=np.bool_)
        chosen[list(positions.get(split, ()))] = False
        return examples.only(chosen)

    return ClientData(*(kept(split) for split in SPLITS))


def client_fingerprint(data: FederatedData, client: ClientId) -> str:
    """Hexadecimal digest of a client's images and labels, whatever other clients there are."""
    content = hashlib.sha256(digest(*data.classes).encode())
    for split in SPLITS:
        examples = data.clients[client].split(split)
        content.update(f"{split}/{len(examples)}".encode() + examples.labels.astype("<i8").tobytes())
        for start in range(0, len(examples), 1024):
            content.update(examples.images[examples.indices[start : start + 1024]].tobytes())
    return content.hexdigest()
