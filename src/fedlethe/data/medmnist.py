# SPDX-License-Identifier: MIT
"""MedMNIST: small two-dimensional medical image sets, each one .npz file with official splits.

References:
    Yang et al., 'MedMNIST v2', Scientific Data 10, 2023. Class names, channels and MD5 sums are those that the
    authors publish with version 3 (https://zenodo.org/records/10519652).
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from fedlethe.data.bounds import demand_pixels
from fedlethe.data.cache import cache_place, digest, image_id
from fedlethe.data.decoded_arrays import cached_images, labelled_fingerprint, opened_zip
from fedlethe.data.eight_bits import Pixels
from fedlethe.data.federated import LabelledImages, Labels
from fedlethe.data.file_hashes import content_hashes
from fedlethe.data.images import check_image_options, fitted_to_size
from fedlethe.data.medmnist_files import ARCHIVES, by_closeness, fetched, file_name
from fedlethe.data.reading import EVERYTHING, Reading
from fedlethe.data.unreadable import UNREADABLE
from fedlethe.errors import DataError, FedletheError

MOST_IMAGES = 10_000_000
"""Of one split: what bounds the memory of its labels."""

OFFICIAL_SPLITS = {"train": "train", "val": "validation", "test": "test"}


@dataclass(frozen=True, kw_only=True, slots=True)
class MedMnist:
    """One data set of MedMNIST, its official splits kept.

    Attributes:
        flag: Which, such as "pneumoniamnist".
        root: The .npz file, or the folder that holds it.
        size: Height and width to bring the images to, in pixels. In a folder with files of several sizes that of
            `size` is read, or else the next larger, or else the largest.
        channels: 1 for gray, 3 for colour; what the data set has where None.
        download: Fetch the file, checked against its published MD5, where `root` (or the cache folder) lacks it.

    Raises:
        ValueError: An option is out of its range, or the data set is of another kind.
    """

    flag: str = ""
    root: Path | None = None
    size: int = 28
    channels: int | None = None
    download: bool = False

    def __post_init__(self) -> None:
        check_image_options(self.size, self.channels)
        if not self.flag:
            raise ValueError(f"flag: is not given; name one of MedMNIST's 2-D sets: {', '.join(ARCHIVES)}")
        if self.flag == "chestmnist":
            raise ValueError("flag = chestmnist: its images have several labels each, which one softmax cannot give")
        if self.flag not in ARCHIVES:
            raise ValueError(f"flag = {self.flag}: is none of MedMNIST's 2-D sets: {', '.join(ARCHIVES)}")

    def load(self, reading: Reading = EVERYTHING) -> LabelledImages:
        """Read the labels, and the images through the cache.

        Raises:
            FedletheError: The file is missing, unreadable or of another form, or the download failed.
        """
        archive, path = ARCHIVES[self.flag], self._file()
        channels = self.channels or archive.channels
        with opened_zip(path) as file:
            parts = {split: _labels(file, path, split, len(archive.classes)) for split in OFFICIAL_SPLITS}
            labels = np.concatenate(list(parts.values()))
            fingerprint = digest("medmnist", *content_hashes(path.parent, [path.name], reading))
            images = cached_images(
                lambda: (image for split, part in parts.items() for image in _images(file, path, split, len(part))),
                lambda image: _fit(image, self.size, channels),
                reading,
                count=len(labels),
                size=self.size,
                channels=channels,
                fingerprint=fingerprint,
                source="medmnist",
                rows=lambda: [  # the same for the files of other sizes, which show the same images
                    image_id("medmnist", self.flag, split, row)
                    for split, part in parts.items()
                    for row in range(len(part))
                ],
            )
        return LabelledImages(
            images=images,
            labels=labels,
            classes=archive.classes,
            fingerprint=labelled_fingerprint(digest(fingerprint, self.size, channels), labels, archive.classes),
            splits=np.concatenate([np.full(len(part), OFFICIAL_SPLITS[split]) for split, part in parts.items()]),
        )

    def _file(self) -> Path:
        if self.root is None and not self.download:
            raise DataError("medmnist: set root to the .npz file or its folder, or download = true")
        root = cache_place("medmnist", "") if self.root is None else Path(self.root).expanduser()
        if root.is_file():
            return root
        wanted = by_closeness(self.size)
        if self.download:
            return fetched(self.flag, wanted[0], root)
        for size in wanted:
            if (root / file_name(self.flag, size)).is_file():
                return root / file_name(self.flag, size)
        missing = file_name(self.flag, wanted[0])
        raise DataError(f"{root}: holds no {missing}; set root to the file or its folder, or download = true")


def _labels(file: zipfile.ZipFile, path: Path, split: str, num_classes: int) -> Labels:
    """int64, shape (n,), of one official split."""
    try:
        with file.open(f"{split}_labels.npy") as member:
            shape, _, dtype = _array_header(member)
            if dtype.kind not in "iu" or math.prod(shape) > MOST_IMAGES:
                raise ValueError(f"{dtype} {shape} are not at most {MOST_IMAGES:,} whole numbers")
            content = _exactly(member, dtype.itemsize * math.prod(shape))
            labels: npt.NDArray[np.generic] = np.frombuffer(content, dtype=dtype).reshape(shape)
    except FedletheError:
        raise
    except UNREADABLE as error:
        raise DataError(f"{path}: {split}_labels cannot be read ({error}); fetch the file again") from error
    if labels.ndim == 0 or labels.shape not in ((len(labels),), (len(labels), 1)):
        raise DataError(f"{path}: {split}_labels is not one whole number an image; check flag and file")
    flat = labels.reshape(-1).astype(np.int64)
    if len(flat) and not 0 <= flat.min() <= flat.max() < num_classes:
        raise DataError(f"{path}: {split}_labels has labels beyond {num_classes} classes; check flag and file")
    return flat


def _images(file: zipfile.ZipFile, path: Path, split: str, count: int) -> Iterator[Pixels]:
    """The images of one official split, one after the other: a whole array can be larger than the memory."""
    try:
        with file.open(f"{split}_images.npy") as member:
            shape = _image_shape(member, path, split, count)
            for _ in range(count):
                yield np.frombuffer(_exactly(member, math.prod(shape)), dtype=np.uint8).reshape(shape)
    except FedletheError:
        raise
    except UNREADABLE as error:
        raise DataError(f"{path}: {split}_images cannot be read ({error}); fetch the file again") from error


def _image_shape(member: IO[bytes], path: Path, split: str, count: int) -> tuple[int, ...]:
    """(H, W) or (H, W, 3), from the header of the array."""
    shape, fortran_order, dtype = _array_header(member)
    planar = (len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)) and 0 not in shape[1:]
    if fortran_order or dtype != np.uint8 or not planar or shape[0] != count:
        raise DataError(f"{path}: {split}_images is {dtype} {shape}, not one 2-D image a label; check flag and file")
    demand_pixels(f"{path}: each image of {split}_images", shape[1], shape[2])
    return tuple(shape[1:])


def _array_header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and type, as an .npy file has them before its values."""
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = read(member)
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(f"its shape is {shape}")
    return tuple(shape), fortran_order, dtype


def _exactly(member: IO[bytes], count: int) -> bytes:
    content = member.read(count)
    if len(content) < count:
        raise EOFError("it is cut off")
    return content


def _fit(image: Pixels, size: int, channels: int) -> Pixels:
    from PIL import Image

    return fitted_to_size(Image.fromarray(image), size=size, channels=channels)
