# SPDX-License-Identifier: MIT
"""Reads PNG, JPEG and DICOM, gray or colour, resized; decodes a data set once into one memory-mapped array."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import math
import os
import struct
import threading
import time
import tokenize
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from fedlethe.data import bounds
from fedlethe.data.bounds import demand_bytes, demand_pixels
from fedlethe.data.cache import cache_place, cached_array, digest, identity, write_private
from fedlethe.data.erased import array_name, blank_rows
from fedlethe.data.holdings import IMAGES, NAMES
from fedlethe.errors import FedletheError
from fedlethe.files import sha256_of
from fedlethe.progress import track

if TYPE_CHECKING:
    from PIL.Image import Image
    from pydicom import Dataset

Pixels: TypeAlias = npt.NDArray[np.uint8]
Item = TypeVar("Item")

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".dcm", ".dicom"})
FORMAT = "fedlethe images 1"
"""Part of every cache key: raise the number when decoding changes."""

IN_FLIGHT = 64
"""Images that are decoded and not yet written, at most: what bounds the memory."""

UNREADABLE = (
    *(OSError, KeyError, ValueError, TypeError, EOFError, RuntimeError, MemoryError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError),
)
"""What reading a damaged archive raises, or an array in one."""

HEAD = 1 << 20
"""Bytes of a deflated DICOM file that are unpacked to learn its size."""

LARGE = 1 << 23
"""Pixels from which an image is decoded alone."""

_LARGE_ONE = threading.Lock()

BAND = 1 << 20
"""Pixels that are brought to eight bits at a time: no copy of a whole image is made in floats."""

SETTLED_NS = 2_000_000_000
"""A file younger than this is hashed again next time: a second change could leave its time stamp as it is."""


_NAMED: ContextVar[list[tuple[str, ...]] | None] = ContextVar("_NAMED", default=None)


@contextmanager
def only_named() -> Iterator[list[tuple[str, ...]]]:
    """Have images not decoded but named, by what stands for each in the cache's index (see `cache.identity`).

    Yields:
        For each array that is asked for in the block the identity of each row; the arrays themselves are blank. Nothing
        is written to the cache.
    """
    named: list[tuple[str, ...]] = []
    token = _NAMED.set(named)
    try:
        yield named
    finally:
        _NAMED.reset(token)


def check_image_options(size: int, channels: int | None) -> None:
    """Raise ValueError unless images can be brought to `channels` x `size` x `size`."""
    if not 8 <= size <= 2048:
        raise ValueError(f"size = {size}: must be from 8 to 2048 pixels")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels = {channels}: must be 1 (gray) or 3 (colour)")


def read_image(source: str | Path | bytes, *, size: int, channels: int, name: str = "image") -> Pixels:
    """Read one PNG, JPEG or DICOM image.

    Sixteen-bit gray images are windowed to eight bits between their least and greatest value; a DICOM image with a
    window is windowed by it (the first one, where it has several) after its modality transformation, and MONOCHROME1
    is inverted, so that bright is always bright. Of a JPEG file with further pictures (MPO: a preview, a depth map) the
    first one is read, which is the picture itself. The pixels are counted from the header before anything is decoded.

    Args:
        source: A path, or the file's bytes.
        size: Height and width to resize to (bilinear, antialiased; the sides' ratio is not kept), in pixels.
        channels: 1 for gray, 3 for colour.
        name: Names the image in messages where `source` is bytes.

    Returns:
        uint8, shape (channels, size, size).

    Raises:
        FedletheError: The image is missing, empty, truncated, of another form, has several frames, or is compressed
            in a way for which no decoder is installed, or has more pixels than $FEDLETHE_MAX_PIXELS.
    """
    if not isinstance(source, bytes):
        name, source = str(source), _content(Path(source))
    demand_bytes(name, len(source))
    if not source:
        raise FedletheError(f"{name}: the image is empty (0 bytes); copy it again or leave it out")
    picture = _dicom(source, name) if source[128:132] == b"DICM" else _picture(source, name)
    return fit(picture, size=size, channels=channels)


def fit(picture: Image, *, size: int, channels: int) -> Pixels:
    """Resize an eight-bit PIL image and set its channels: uint8, shape (channels, size, size)."""
    from PIL.Image import Resampling

    squashed = picture.convert("L" if channels == 1 else "RGB").resize((size, size), Resampling.BILINEAR)
    pixels = np.asarray(squashed, dtype=np.uint8).reshape(size, size, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def cached_files(root: Path, names: Sequence[str], *, size: int, channels: int) -> tuple[Pixels, str]:
    """The images of some files, through the cache.

    Args:
        root: The folder that the names are relative to.
        names: Which files, in the order wanted.
        size: Height and width, in pixels.
        channels: 1 or 3.

    Returns:
        uint8 images, shape (len(names), channels, size, size), a read-only memory map; and their fingerprint, the
        same wherever `root` lies.

    Raises:
        FedletheError: A file cannot be read (see `read_image`), or the cache folder cannot be written.
    """
    found = _files_hashed(root, names)
    hashes = found.of(names)
    fingerprint = digest("files", *(part for pair in zip(names, hashes, strict=True) for part in pair))
    blank = blank_rows(_array(fingerprint, size, channels))
    found.keep({name for row, name in enumerate(names) if row not in blank})

    def decode(name: str) -> Pixels:
        return read_image(root / name, size=size, channels=channels)

    images = cached_images(
        names,
        decode,
        count=len(names),
        size=size,
        channels=channels,
        fingerprint=fingerprint,
        source="files",
        rows=lambda: [identity(content) for content in hashes],
    )
    return images, digest(fingerprint, size, channels)


def cached_archive(archive: Path, members: Sequence[str], *, size: int, channels: int) -> tuple[Pixels, str]:
    """The images of some members of a zip archive, through the cache (see `cached_files`).

    Raises:
        FedletheError: The archive or a member cannot be read, or the cache folder cannot be written.
    """
    fingerprint = digest("archive", *content_hashes(archive.parent, [archive.name]), *members)
    with opened_zip(archive) as file:

        def content_of(member: str) -> bytes:
            try:
                return bounds.member(file, member, f"{archive}: {member}")
            except UNREADABLE as error:
                name = f"{archive}: {member}"
                raise FedletheError(f"{name}: cannot be read ({error}); fetch the archive again") from error

        def decode(member: str) -> Pixels:
            return read_image(content_of(member), size=size, channels=channels, name=f"{archive}: {member}")

        def rows() -> list[str]:  # the same as of the files themselves, unpacked
            return [identity(hashlib.sha256(content_of(member)).hexdigest()) for member in members]

        images = cached_images(
            members,
            decode,
            count=len(members),
            size=size,
            channels=channels,
            fingerprint=fingerprint,
            source="archive",
            rows=rows,
        )
    return images, digest(fingerprint, size, channels)


def opened_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip archive (or .npz file) to read.

    Raises:
        FedletheError: It is missing, truncated or no archive.
    """
    try:
        return zipfile.ZipFile(path)
    except UNREADABLE as error:
        raise FedletheError(f"{path}: cannot be read as an archive ({_reason(error)}); fetch it again") from error


def cached_images(
    items: Iterable[Item],
    decode: Callable[[Item], Pixels],
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
        items: What to decode; not touched where the array is already there, and drawn one after the other where not.
        decode: From an item to uint8, shape (channels, size, size); called in several threads.
        count: How many items there are.
        size: Height and width, in pixels.
        channels: 1 or 3.
        fingerprint: Of the items' content and order.
        source: The kind of the source, for the cache's index.
        rows: Gives what stands for each item in the index (see `cache.identity`).

    Returns:
        uint8, shape (count, channels, size, size), a read-only memory map; blank where `erased.blanking` says so.

    Raises:
        FedletheError: An item cannot be decoded, or the cache folder cannot be written.
    """
    shape = (count, channels, size, size)
    if (named := _NAMED.get()) is not None:
        named.append(tuple(rows()))
        return np.broadcast_to(np.uint8(0), shape)
    array = _array(fingerprint, size, channels)
    blank = blank_rows(array)

    def image_of(row: tuple[int, Item]) -> Pixels:
        return np.zeros(shape[1:], np.uint8) if row[0] in blank else decode(row[1])

    def make() -> Iterable[Pixels]:
        return track(_decoded(enumerate(items), image_of), count, "decoding images")

    def made_of() -> list[str]:
        return ["" if row in blank else of for row, of in enumerate(rows())]

    place = cache_place(IMAGES, array_name(array, blank))
    return cached_array(place, shape, np.uint8, make, source=source, rows=made_of)


def _array(fingerprint: str, size: int, channels: int) -> str:
    """The name of a cached array, without its blanks and ending."""
    return digest(FORMAT, fingerprint, size, channels)[:40]


def content_hashes(root: Path, names: Sequence[str]) -> list[str]:
    """SHA-256 of the content of each file, in hexadecimal.

    A file whose size and time of change are those of last time is not read again: the hashes are kept in the cache
    folder, one JSON file for each `root`.

    Raises:
        FedletheError: A file cannot be read, or the cache folder cannot be written.
    """
    found = _files_hashed(root, names)
    found.keep(set(names))
    return found.of(names)


@dataclass(frozen=True, slots=True)
class _Hashed:
    """Files' hashes: those that were known, and what was found now; each is size, time of change and SHA-256."""

    place: Path
    known: dict[str, list[Any]]
    entries: dict[str, list[Any]]
    now: int

    def of(self, names: Sequence[str]) -> list[str]:
        """SHA-256 of each."""
        return [self.entries[name][2] for name in names]

    def keep(self, names: set[str]) -> None:
        """Write down those of these names for next time; the others that were asked for are struck off."""
        if _NAMED.get() is not None:
            return
        settled = {name: entry for name, entry in self.entries.items() if self.now - entry[1] > SETTLED_NS}
        dropped = self.entries.keys() - names
        kept = {name: entry for name, entry in {**self.known, **settled}.items() if name not in dropped}
        if kept != self.known:
            write_private(self.place, json.dumps(kept, separators=(",", ":")).encode())


def _files_hashed(root: Path, names: Sequence[str]) -> _Hashed:
    place = cache_place(NAMES, f"{digest(str(root.resolve()))[:40]}.json")
    known, now = _known_hashes(place), time.time_ns()
    with ThreadPoolExecutor(_workers()) as pool:
        hashed = pool.map(lambda name: _hashed(root / name, known.get(name)), names)
        entries = dict(zip(names, track(hashed, len(names), "reading files"), strict=True))
    return _Hashed(place, known, entries, now)


def labelled_fingerprint(images: str, labels: npt.NDArray[np.int64], classes: Sequence[str]) -> str:
    """The fingerprint of images (given by theirs) with their labels."""
    return digest(images, hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest(), *classes)


def _decoded(items: Iterable[Item], decode: Callable[[Item], Pixels]) -> Iterator[Pixels]:
    waiting: deque[Future[Pixels]] = deque()
    with ThreadPoolExecutor(_workers()) as pool:
        for item in items:
            waiting.append(pool.submit(decode, item))
            if len(waiting) == IN_FLIGHT:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _workers() -> int:
    return min(8, max(2, os.cpu_count() or 2))


def _known_hashes(path: Path) -> dict[str, list[Any]]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _hashed(path: Path, known: Any) -> list[Any]:
    try:
        stat = path.stat()
        if isinstance(known, list) and len(known) == 3 and known[:2] == [stat.st_size, stat.st_mtime_ns]:
            return known
        return [stat.st_size, stat.st_mtime_ns, sha256_of(path)]
    except OSError as error:
        raise FedletheError(f"{path}: cannot be read ({_reason(error)}); check the path and its rights") from error


def _content(path: Path) -> bytes:
    try:
        demand_bytes(str(path), path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise FedletheError(f"{path}: cannot be read ({_reason(error)}); check the path and its rights") from error


def _picture(content: bytes, name: str) -> Image:
    from PIL import Image, UnidentifiedImageError

    demand_pixels(name, *(bounds.sides(content) or (0, 0)))
    if Image.MAX_IMAGE_PIXELS is not None:  # ours is the limit, where it was set higher
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, bounds.max_pixels())
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as picture:
            demand_pixels(name, picture.height, picture.width)  # as the decoder understands the header
            if picture.format == "PNG" and (frames := getattr(picture, "n_frames", 1)) > 1:
                raise FedletheError(f"{name}: has {frames} frames; export the wanted one as an image of its own")
            with _alone(picture.height * picture.width):
                picture.load()
                if picture.mode.startswith("I"):  # sixteen bits
                    values = np.asarray(picture)
                    return Image.fromarray(_windowed(values, float(values.min()), float(values.max())))
                # A palette with transparent entries can be converted to RGBA only.
                shown: Image.Image = picture.convert("RGBA" if picture.mode == "P" else picture.mode)
                return shown
    except FedletheError:
        raise
    except UnidentifiedImageError as error:
        raise FedletheError(f"{name}: is not a PNG, JPEG or DICOM image; convert it or leave it out") from error
    except Exception as error:  # the decoders raise OSError, SyntaxError, ValueError, struct.error, zlib.error, ...
        raise FedletheError(
            f"{name}: the image cannot be decoded ({_reason(error)}); copy it again or leave it out"
        ) from error


@contextmanager
def _alone(pixels: int) -> Iterator[None]:
    """Decode a large image while no other large one is decoded: they would all need their memory at once."""
    with _LARGE_ONE if pixels > LARGE else nullcontext():
        yield


def _dicom(content: bytes, name: str) -> Image:
    from PIL import Image

    try:
        dataset = _dataset(content, name)
        _refuse_unreadable(dataset, name)
        with _alone(dataset.Rows * dataset.Columns):
            return Image.fromarray(_rendered(dataset))
    except FedletheError:
        raise
    except Exception as error:  # what pydicom and its decoders raise has no common base
        raise FedletheError(
            f"{name}: the DICOM image cannot be decoded ({_reason(error)}); copy it again or leave it out"
        ) from error


def _dataset(content: bytes, name: str) -> Dataset:
    """The elements of a DICOM file; a deflated one is unpacked no further than an image may take."""
    from pydicom import dcmread
    from pydicom.filereader import _read_file_meta_info, read_dataset, read_preamble
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    file = io.BytesIO(content)
    read_preamble(file, False)
    meta = _read_file_meta_info(file)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        dataset: Dataset = dcmread(io.BytesIO(content))
        return dataset
    packed = content[file.tell() :]
    head, whole = bounds.inflated(packed, HEAD)
    if not whole:  # the size stands before the pixels, as a rule within the first few kilobytes
        with suppress(EOFError, ValueError, struct.error):
            _demand_size(read_dataset(io.BytesIO(head), False, True, stop_when=_at_pixels), name)
        head, whole = bounds.inflated(packed, bounds.max_bytes())
        if not whole:
            demand_bytes(name, bounds.max_bytes() + 1)
    dataset = read_dataset(io.BytesIO(head), False, True)
    dataset.file_meta = meta
    return dataset


def _at_pixels(tag: int, vr: str | None, length: int) -> bool:
    return tag >= 0x7FE00000


def _demand_size(dataset: Dataset, name: str) -> None:
    """Refuse an image of too many pixels, by the header."""
    frames, samples = int(dataset.get("NumberOfFrames") or 1), int(dataset.get("SamplesPerPixel") or 1)
    demand_pixels(name, max(1, frames), int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0))
    if samples not in (1, 3):
        raise FedletheError(f"{name}: has {samples} samples a pixel; only 1 (gray) and 3 (colour) can be read")


def _demand_coded_size(dataset: Dataset, name: str) -> None:
    """Refuse a compressed image whose own header speaks of another size than the DICOM file's."""
    from pydicom.encaps import generate_frames
    from pydicom.uid import RLELossless

    offsets = (dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths"))
    beyond = offsets if all(offsets) else None  # the decoder takes the frame that this points to
    frame, *others = generate_frames(dataset.PixelData, number_of_frames=1, extended_offsets=beyond)
    if others:
        raise FedletheError(f"{name}: has {1 + len(others)} frames; export the wanted one as an image of its own")
    if dataset.file_meta.TransferSyntaxUID == RLELossless:
        segments = int(dataset.SamplesPerPixel) * (int(dataset.BitsAllocated) // 8)
        bounds.demand_runs(name, frame, int(dataset.Rows) * int(dataset.Columns), segments)
        return
    if (sides := bounds.sides(frame)) is None:
        raise FedletheError(f"{name}: its compressed pixels begin with no header of their size; export it again")
    demand_pixels(name, *sides)
    if sides != (dataset.Rows, dataset.Columns):
        raise FedletheError(
            f"{name}: holds pixels of {sides[0]} x {sides[1]}, but says that it is {dataset.Rows} x {dataset.Columns}; "
            "export it again"
        )


def _refuse_unreadable(dataset: Dataset, name: str) -> None:
    from pydicom.pixels.decoders.base import get_decoder

    if "PixelData" not in dataset:
        raise FedletheError(f"{name}: the DICOM file holds no image, or is cut off before it; leave it out")
    _demand_size(dataset, name)
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise FedletheError(
            f"{name}: has {dataset.NumberOfFrames} frames; export the wanted one as an image of its own"
        )
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_compressed and not get_decoder(syntax).is_available:
        raise FedletheError(
            f"{name}: is compressed as {syntax.name}, for which no decoder is installed; "
            "run: pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg"
        )
    if syntax.is_compressed:
        _demand_coded_size(dataset, name)


def _rendered(dataset: Dataset) -> Pixels:
    """A DICOM image as it is meant to be seen: uint8, shape (H, W) or (H, W, 3)."""
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, convert_color_space
    from pydicom.pixels.utils import pixel_array

    pixels = pixel_array(dataset, raw=True)
    if dataset.PhotometricInterpretation in ("YBR_FULL", "YBR_FULL_422"):  # by bands, since floats are made of it
        for part in _bands(pixels.shape):
            pixels[part] = convert_color_space(pixels[part], "YBR_FULL", "RGB")
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
    if pixels.ndim == 3:
        if pixels.dtype == np.uint8:
            return np.asarray(pixels, dtype=np.uint8)
        return _windowed(pixels, float(pixels.min()), float(pixels.max()))

    def values(part: slice) -> npt.NDArray[np.float64]:
        return np.asarray(apply_modality_lut(pixels[part], dataset), dtype=np.float64)

    parts = _bands(pixels.shape)
    extremes = [(float(band.min()), float(band.max())) for band in map(values, parts)] if parts else [(0.0, 0.0)]
    low, high = min(least for least, _ in extremes), max(most for _, most in extremes)
    shown = np.empty(pixels.shape, np.uint8)
    for part in parts:
        shown[part] = _voi(values(part), low, high, dataset)
    return np.subtract(255, shown, out=shown) if dataset.PhotometricInterpretation == "MONOCHROME1" else shown


def _bands(shape: tuple[int, ...]) -> list[slice]:
    """The rows of an image in bands of about BAND pixels."""
    step = max(1, BAND // max(1, math.prod(shape[1:])))
    return [slice(start, start + step) for start in range(0, shape[0], step)]


def _voi(values: npt.NDArray[np.float64], low: float, high: float, dataset: Dataset) -> Pixels:
    """The window of interest, by DICOM PS3.3 C.11.2.1; from `low` to `high` where there is none."""
    center, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if center is None or width is None:
        return _windowed(values, low, high)
    function = str(dataset.get("VOILUTFunction") or "LINEAR")
    if width < 1 and (function not in ("SIGMOID", "LINEAR_EXACT") or width <= 0):
        raise ValueError(f"its window is {width:g} wide; it must be wider")
    if function == "SIGMOID":
        return _windowed(1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -700.0, 700.0))), 0.0, 1.0)
    if function == "LINEAR_EXACT":
        return _windowed(values, center - width / 2, center + width / 2)
    return _windowed(values, center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2)


def _first(value: Any) -> float | None:
    values = list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
    return float(values[0]) if values and values[0] not in (None, "") and math.isfinite(float(values[0])) else None


def _windowed(values: npt.NDArray[Any], low: float, high: float) -> Pixels:
    """`low` to 0, `high` to 255, linear between and clipped outside."""
    if high <= low:
        return np.multiply(values > low, 255, dtype=np.uint8)
    shown = np.empty(values.shape, np.uint8)
    for part in _bands(values.shape):
        scaled = (values[part].astype(np.float64) - low) * 255.0 / (high - low)
        shown[part] = np.rint(np.clip(scaled, 0.0, 255.0))
    return shown


def _reason(error: BaseException) -> str:
    """One line for what was raised."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error).strip() or type(error).__name__
    first, *others = text.splitlines()
    return f"{first} {others[0].strip()}" if first.endswith(":") and others else first
