# SPDX-License-Identifier: MIT
"""Images of clients and patients that were erased from a run: decoded for it never again, and out of the cache.

The decoded images of a data set lie in one array in the cache folder. When a client is erased, a copy takes its place
in which the client's images are blank, under a name of its own; a run that knows whose images are gone is given that
copy, or has the others' images decoded into it. Every array that holds one of them is deleted, of whatever size, run
or command, and so are features that were made of them, and all lists of files' names. Another run on the same data
decodes them again: it has a right of its own to them, or must erase them itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fedlethe.data.cache import (
    UNKNOWN,
    NamedRows,
    cache_folder,
    cached_array,
    clear_leftovers,
    digest,
    index_of,
    is_whole,
    origins,
)
from fedlethe.data.federated import SPLITS, ClientData, Examples, FederatedData, Split
from fedlethe.data.holdings import IMAGES, NAMES, clear, holdings, remove
from fedlethe.data.reading import Reading
from fedlethe.errors import DataError
from fedlethe.names import is_plain_name
from fedlethe.types import ClientId

Positions: TypeAlias = Mapping[ClientId, Mapping[Split, tuple[int, ...]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class ErasedImages:
    """Which images a run must not have any more.

    Attributes:
        array: The cached array that they were in, its name without its ending; None where there was none.
        rows: Theirs in it.
        clients: The clients that are gone as a whole.
        positions: Of each other client, which of its examples are gone, by split.
        retained: The fingerprint of each client's data that stay (see `client_fingerprint`).
        not_reached: Where copies of them may be that the purge does not get, one sentence each.
    """

    array: str | None
    rows: tuple[int, ...]
    clients: tuple[ClientId, ...] = ()
    positions: Positions = field(default_factory=dict)
    retained: Mapping[ClientId, str] = field(default_factory=dict)
    not_reached: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that lead out of the cache's folders.

        Raises:
            FedletheError: `array` is no plain name.
        """
        if self.array is not None and not is_plain_name(self.array):
            raise DataError(f"erased images: '{self.array[:60]}' is no name of a cached file; restore the run")


def reading_without(erased: Sequence[ErasedImages]) -> Reading:
    """The reading that decodes none of these images: their places in the arrays stay blank."""
    return Reading(blank=_rows(erased))


def _rows(erased: Sequence[ErasedImages]) -> dict[str, frozenset[int]]:
    """Array to the rows that are blank in it."""
    rows: dict[str, frozenset[int]] = {}
    for one in erased:
        if one.array is not None:
            rows[one.array] = rows.get(one.array, frozenset()) | frozenset(one.rows)
    return rows


def array_name(array: str, blank: frozenset[int]) -> str:
    """The file of a cached array with blank rows."""
    # By its blanks: another run on the same data, from which nobody was erased, still finds the whole array.
    return f"{array}-{digest(*sorted(blank))[:16]}.npy" if blank else f"{array}.npy"


def array_of(images: npt.NDArray[Any]) -> str | None:
    """The name (without blanks and ending) of the cached array that images are a memory map of; None if of none."""
    place = getattr(images, "filename", None)
    if place is None or Path(place).parent != cache_folder() / "images":
        return None
    return Path(place).stem.partition("-")[0]


def identities(one: ErasedImages) -> frozenset[str] | None:
    """What stands for the erased images in the cache's index; None where it cannot be told any more."""
    if one.array is None or not one.rows:
        return frozenset()
    found: set[str] | None = None
    for path in (cache_folder() / IMAGES).glob(f"{one.array}*.json"):
        index = index_of(path.with_suffix(".npy"))
        # Of every copy: in one that is blank already a row says nothing, in another it may still stand.
        if index is not None and one.rows[-1] < len(index.rows):
            found = (found or set()) | {index.rows[row] for row in one.rows}
    return None if found is None else frozenset(found - {""})


def kept_array(erased: Sequence[ErasedImages]) -> Path | None:
    """The copy that a run keeps after all of its purges; None where the last one had no array."""
    array = erased[-1].array
    return None if array is None else cache_folder() / IMAGES / array_name(array, _rows(erased)[array])


def held_to(images: npt.NDArray[Any], reading: Reading, before: Collection[Path]) -> npt.NDArray[Any]:
    """Images that somebody read without a reading, held to it afterwards: the copy with blank rows, or only named.

    Args:
        images: They; other than the cache's arrays they are left as they are.
        reading: What was not to be decoded.
        before: The arrays that lay in the cache before (see `arrays_there`): they are other runs', and stay.

    Raises:
        FedletheError: The copy cannot be written, or what was decoded cannot be removed.
    """
    array = array_of(images)
    blank = frozenset[int]() if array is None else reading.blank_in(array)
    if array is None or not (blank or reading.only_named):
        return images
    read = cache_folder() / IMAGES / Path(getattr(images, "filename", "")).name
    kept = read.with_name(array_name(array, blank))
    if read == kept and not reading.only_named:
        return images
    if reading.only_named:
        held: npt.NDArray[Any] = NamedRows.of(origins(images, np.arange(len(images))), images.shape)
    else:
        held = _blanked(read, kept, blank)
    if read not in before:
        remove([read])
    remove(one.path for one in holdings() if one.kind == NAMES)  # a file's name can be a patient's
    return held


def arrays_there() -> frozenset[Path]:
    """The arrays of decoded images that lie in the cache."""
    return frozenset((cache_folder() / IMAGES).glob("*.npy"))


def scrub(erased: Sequence[ErasedImages]) -> None:
    """Take the images that were erased from a run last out of the cache; a copy without all of its erased ones stays.

    Nothing is left out for being another run's, of another size, or thinned: what can hold one of them goes (see
    `holdings.clear`). A call that is cut off is made up for by the next one: what tells whose images these are goes
    last.

    Args:
        erased: All that were ever erased from the run, the last last.

    Raises:
        FedletheError: A copy cannot be written, or something cannot be removed.
    """
    clear_leftovers(own=True)  # half-written copies hold images as well
    if not erased:
        return
    if (kept := kept_array(erased)) is None:
        if erased[-1].rows:  # handed over, and not read by this run: of features of those nobody can say whose they are
            clear(frozenset())
        return
    images, array = identities(erased[-1]), kept.stem.partition("-")[0]
    blank, before = _rows(erased)[array], _rows(erased[:-1]).get(array, frozenset())
    own = [cache_folder() / IMAGES / array_name(array, rows) for rows in (frozenset(), before)]
    for source in own:
        if source != kept and is_whole(source):
            _blanked(source, kept, blank)
            break
    # In two steps: the run's own arrays tell which images these are, so they go last, in case this is cut off.
    clear(images, (kept, *own))
    clear(images, (kept,))
    if images:
        _demand_none(images, kept)


def scrub_handed_over(images: npt.NDArray[Any], rows: Sequence[int]) -> None:
    """Take out of the cache what sources that were handed over, or features of theirs, left there of some images.

    Args:
        images: All that were handed over, copied together.
        rows: Those that were erased.

    Raises:
        FedletheError: Something cannot be removed.
    """
    clear(frozenset(origins(images, np.array(rows, dtype=np.int64))) - {"", UNKNOWN})


def _demand_none(images: frozenset[str], kept: Path) -> None:
    """Hold the cache against what was to be taken out of it. In the blanked copy only others can have such pixels."""
    there = (held for held in holdings() if held.kind != NAMES and held.path != kept)
    if left := [held.path for held in there if held.may_hold(images)]:
        raise DataError(f"{left[0]}: still holds erased images; another command made it again: run this one again")


_TAKEN = "{}: another command took it out of the cache just now; run this one again"


def _blanked(source: Path, kept: Path, blank: frozenset[int]) -> npt.NDArray[Any]:
    try:
        images: npt.NDArray[Any] = np.load(source, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DataError(_TAKEN.format(source)) from None
    if (index := index_of(source)) is None:
        raise DataError(_TAKEN.format(source))
    rows = tuple("" if row in blank else of for row, of in enumerate(index.rows))

    def made() -> Iterator[npt.NDArray[Any]]:
        for row, image in enumerate(images):
            yield np.zeros_like(image) if row in blank else image

    return cached_array(kept, images.shape, np.uint8, made, source=index.source, rows=lambda: rows)


def without(data: FederatedData, erased: Sequence[ErasedImages]) -> FederatedData:
    """The data, the erased clients and patients gone from them; those that are not there any more are no matter."""
    gone = {client for one in erased for client in one.clients}
    clients = {client: held for client, held in data.clients.items() if client not in gone}
    for one in erased:
        for client, positions in one.positions.items():
            if client in clients:
                clients[client] = _less(clients[client], positions)
    return replace(data, clients=clients, public=_public_without(data.public, erased))


def _public_without(public: Examples | None, erased: Sequence[ErasedImages]) -> Examples | None:
    if public is None or (array := array_of(public.images)) is None:
        return public
    gone = sorted(_rows(erased).get(array, ()))
    left = public.only(~np.isin(public.indices, gone))
    return left if len(left) else None


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
