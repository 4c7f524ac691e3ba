# SPDX-License-Identifier: MIT
"""Decodes a data set once into one memory-mapped array: from files, from an archive, or from items of any kind."""

from __future__ import annotations

import hashlib
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from fedlethe.data import bounds
from fedlethe.data.cache import NamedRows, cache_place, cached_array, digest, image_id
from fedlethe.data.eight_bits import Pixels
from fedlethe.data.erased import array_name
from fedlethe.data.file_hashes import content_hashes, files_hashed, workers
from fedlethe.data.holdings import IMAGES
from fedlethe.data.images import Fit, read_image
from fedlethe.data.reading import EVERYTHING, Reading
from fedlethe.data.unreadable import UNREADABLE, reason_of
from fedlethe.errors import DataError
from fedlethe.progress import track

Item = TypeVar("Item")

FORMAT = "fedlethe images 1"
"""Part of every cache key: raise the number when decoding changes."""

IN_FLIGHT = 64
"""Images that are decoded and not yet written, at most: what bounds the memory."""


def cached_files(
    root: Path, names: Sequence[str], reading: Reading = EVERYTHING, *, size: int, channels: int, fit: Fit = "squash"
) -> tuple[Pixels, str]:
    """The images of some files, through the cache.

    Args:
        root: The folder that the names are relative to.
        names: Which files, in the order wanted.
        reading: Which of them not to decode.
        size: Height and width, in pixels.
        channels: 1 or 3.
        fit: See `images.Fit`.

    Returns:
        uint8 images, shape (len(names), channels, size, size) (see `cached_images`); and their fingerprint, the same
        wherever `root` lies.

    Raises:
        FedletheError: A file cannot be read (see `read_image`), or the cache folder cannot be written.
    """
    found = files_hashed(root, names)
    hashes = found.of(names)
    fingerprint = digest(
        "files", *(part for pair in zip(names, hashes, strict=True) for part in pair), *_unlike_squash(fit)
    )
    if not reading.only_named:
        blank = reading.blank_in(_array(fingerprint, size, channels))
        # The names of erased images are struck off the list of hashes: a file's name can be a patient's.
        found.keep({name for row, name in enumerate(names) if row not in blank})

    def decode(name: str) -> Pixels:
        return read_image(root / name, size=size, channels=channels, fit=fit)

    images = cached_images(
        lambda: names,
        decode,
        reading,
        count=len(names),
        size=size,
        channels=channels,
        fingerprint=fingerprint,
        source="files",
        rows=lambda: [image_id(content) for content in hashes],
    )
    return images, digest(fingerprint, size, channels)


def cached_archive(
    archive: Path,
    members: Sequence[str],
    reading: Reading = EVERYTHING,
    *,
    size: int,
    channels: int,
    fit: Fit = "squash",
) -> tuple[Pixels, str]:
    """The images of some members of a zip archive, through the cache (see `cached_files`).

    Raises:
        FedletheError: The archive or a member cannot be read, or the cache folder cannot be written.
    """
    # Of the archive as a whole: to hash its members each start would unpack all of them.
    fingerprint = digest(
        "archive", *content_hashes(archive.parent, [archive.name], reading), *members, *_unlike_squash(fit)
    )
    with opened_zip(archive) as file:

        def content_of(member: str) -> bytes:
            try:
                return bounds.member(file, member, f"{archive}: {member}")
            except UNREADABLE as error:
                name = f"{archive}: {member}"
                raise DataError(f"{name}: cannot be read ({error}); fetch the archive again") from error

        def decode(member: str) -> Pixels:
            return read_image(content_of(member), size=size, channels=channels, fit=fit, name=f"{archive}: {member}")

        def rows() -> list[str]:  # the same as of the files themselves, unpacked
            return [image_id(hashlib.sha256(content_of(member)).hexdigest()) for member in members]

        images = cached_images(
            lambda: members,
            decode,
            reading,
            count=len(members),
            size=size,
            channels=channels,
            fingerprint=fingerprint,
            source="archive",
            rows=rows,
        )
    return images, digest(fingerprint, size, channels)


def _unlike_squash(fit: Fit) -> tuple[str, ...]:
    """What a fingerprint has besides; nothing where it is as it always was."""
    return () if fit == "squash" else ("fit", fit)


def opened_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip archive (or .npz file) to read.

    Raises:
        FedletheError: It is missing, truncated or no archive.
    """
    try:
        return zipfile.ZipFile(path)
    except UNREADABLE as error:
        raise DataError(f"{path}: cannot be read as an archive ({reason_of(error)}); fetch it again") from error


def cached_images(
    items: Callable[[], Iterable[Item]],
    decode: Callable[[Item], Pixels],
    reading: Reading,
    *,
    count: int,
    size: int,
    channels: int,
    fingerprint: str,
    source: str,
    rows: Callable[[], Sequence[str]],
) -> Pixels:
    """Decode every item once, in threads and bounded memory, into one array in the cache folder.

    Args:
        items: Gives what to decode; called only where the array is not there, and drawn one after the other.
        decode: From an item to uint8, shape (channels, size, size); called in several threads.
        reading: Which items not to decode.
        count: How many items there are.
        size: Height and width, in pixels.
        channels: 1 or 3.
        fingerprint: Of the items' content and order.
        source: The kind of the source, for the cache's index.
        rows: Gives what stands for each item in the index (see `cache.image_id`).

    Returns:
        uint8, shape (count, channels, size, size), a read-only memory map, blank where the reading says so; all blank,
        and no memory map, where items are only named.

    Raises:
        FedletheError: An item cannot be decoded, or the cache folder cannot be written.
    """
    shape = (count, channels, size, size)
    if reading.only_named:
        return NamedRows.of(rows(), shape)
    array = _array(fingerprint, size, channels)
    blank = reading.blank_in(array)

    def image_of(row: tuple[int, Item]) -> Pixels:
        return np.zeros(shape[1:], np.uint8) if row[0] in blank else decode(row[1])

    def make() -> Iterable[Pixels]:
        return track(_decoded(enumerate(items()), image_of), count, "decoding images")

    def made_of() -> list[str]:
        return ["" if row in blank else of for row, of in enumerate(rows())]

    place = cache_place(IMAGES, array_name(array, blank))
    return cached_array(place, shape, np.uint8, make, source=source, rows=made_of)


def _array(fingerprint: str, size: int, channels: int) -> str:
    """The name of a cached array, without its blanks and ending."""
    return digest(FORMAT, fingerprint, size, channels)[:40]


def labelled_fingerprint(images: str, labels: npt.NDArray[np.int64], classes: Sequence[str]) -> str:
    """The fingerprint of images (given by theirs) with their labels."""
    return digest(images, hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest(), *classes)


def _decoded(items: Iterable[Item], decode: Callable[[Item], Pixels]) -> Iterator[Pixels]:
    waiting: deque[Future[Pixels]] = deque()
    with ThreadPoolExecutor(workers()) as pool:
        for item in items:
            waiting.append(pool.submit(decode, item))
            # The oldest is waited for, since rows are written in their order.
            if len(waiting) == IN_FLIGHT:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
