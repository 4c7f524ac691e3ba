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
from fedlethe.data.cache import cache_place, digest, identity
from fedlethe.data.decoded_arrays import cached_images, labelled_fingerprint, opened_zip
from fedlethe.data.eight_bits import Pixels
from fedlethe.data.federated import LabelledImages, Labels
from fedlethe.data.file_hashes import content_hashes
from fedlethe.data.images import check_image_options, fit
from fedlethe.data.unreadable import UNREADABLE
from fedlethe.errors import FedletheError

ZENODO = "https://zenodo.org/records/10519652/files"
MOST_IMAGES = 10_000_000
"""Of one split: what bounds the memory of its labels."""

SIZES = (28, 64, 128, 224)
OFFICIAL_SPLITS = {"train": "train", "val": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class Archive:
    """What the authors publish about one data set.

    Attributes:
        channels: 1 for gray, 3 for colour.
        md5: Of the file for each of `SIZES`, in hexadecimal.
        classes: The class names, by label. The graded set (retinamnist) is taken as classes, too.
    """

    channels: int
    md5: tuple[str, str, str, str]
    classes: tuple[str, ...]


ORGANS = (
    *("bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right"),
    *("liver", "lung-left", "lung-right", "pancreas", "spleen"),
)
ARCHIVES = {
    "pathmnist": Archive(
        3,
        (
            "a8b06965200029087d5bd730944a56c1",
            "55aa9c1e0525abe5a6b9d8343a507616",
            "ac42d08fb904d92c244187169d1fd1d9",
            "2c51a510bcdc9cf8ddb2af93af1eadec",
        ),
        (
            *("adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal colon mucosa"),
            *("cancer-associated stroma", "colorectal adenocarcinoma epithelium"),
        ),
    ),
    "dermamnist": Archive(
        3,
        (
            "0744692d530f8e62ec473284d019b0c7",
            "b70a2f5635c6199aeaa28c31d7202e1f",
            "2defd784463fa5243564e855ed717de1",
            "8974907d8e169bef5f5b96bc506ae45d",
        ),
        (
            *("actinic keratoses and intraepithelial carcinoma", "basal cell carcinoma"),
            *("benign keratosis-like lesions", "dermatofibroma", "melanoma", "melanocytic nevi", "vascular lesions"),
        ),
    ),
    "octmnist": Archive(
        1,
        (
            "c68d92d5b585d8d81f7112f81e2d0842",
            "e229e9440236b774d9f0dfef9d07bdaf",
            "0a97e76651ace45c5d943ee3f65b63ae",
            "abc493b6d529d5de7569faaef2773ba3",
        ),
        ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
    ),
    "pneumoniamnist": Archive(
        1,
        (
            "28209eda62fecd6e6a2d98b1501bb15f",
            "8f4eceb4ccffa70c672198ea285246c6",
            "05b46931834c231683c68f40c47b2971",
            "d6a3c71de1b945ea11211b03746c1fe1",
        ),
        ("normal", "pneumonia"),
    ),
    "retinamnist": Archive(
        3,
        (
            "bd4c0672f1bba3e3a89f0e4e876791e4",
            "afda852cc34dcda56f86ad2b2457dbcc",
            "e48e916a24454daf90583d4e6efb1a18",
            "eae7e3b6f3fcbda4ae613ebdcbe35348",
        ),
        ("0", "1", "2", "3", "4"),
    ),
    "breastmnist": Archive(
        1,
        (
            "750601b1f35ba3300ea97c75c52ff8f6",
            "742edef2a1fd1524b2efff4bd7ba9364",
            "363e4b3f8d712e9b5de15470a2aaadf1",
            "b56378a6eefa9fed602bb16d192d4c8b",
        ),
        ("malignant", "normal, benign"),
    ),
    "bloodmnist": Archive(
        3,
        (
            "7053d0359d879ad8a5505303e11de1dc",
            "2b94928a2ae4916078ca51e05b6b800b",
            "adace1e0ed228fccda1f39692059dd4c",
            "b718ff6835fcbdb22ba9eacccd7b2601",
        ),
        (
            *("basophil", "eosinophil", "erythroblast", "immature granulocytes", "lymphocyte"),
            *("monocyte", "neutrophil", "platelet"),
        ),
    ),
    "tissuemnist": Archive(
        1,
        (
            "ebe78ee8b05294063de985d821c1c34b",
            "123ece2eba09d0aa5d698fda57103344",
            "61b955355d7425a89687b06cca3ce0c2",
            "b077128c4a949f0a4eb01517f9037b9c",
        ),
        (
            *("Collecting Duct, Connecting Tubule", "Distal Convoluted Tubule", "Glomerular endothelial cells"),
            *("Interstitial endothelial cells", "Leukocytes", "Podocytes", "Proximal Tubule Segments"),
            "Thick Ascending Limb",
        ),
    ),
    "organamnist": Archive(
        1,
        (
            "68e3f8846a6bd62f0c9bf841c0d9eacc",
            "2dcccc29b88e6da5a01161ef20cda288",
            "eeae80d0a227a8d099027e1b3cfd3b60",
            "50747347e05c87dd3aaf92c49f9f3170",
        ),
        ORGANS,
    ),
    "organcmnist": Archive(
        1,
        (
            "b9ceb9546e10131b32923c5bbeaea2b1",
            "3ce34a8724ea6f548e6db4744d03b6a9",
            "773c1f009daa3fe5d9a2a201b2a7ed94",
            "050f5e875dc056f6768abf94ec9995d1",
        ),
        ORGANS,
    ),
    "organsmnist": Archive(
        1,
        (
            "9ab87b696fb54e2a387ebe992d6ed5f1",
            "53a6d115339d874c25e309a994ff46d3",
            "ded0c5fa01a95dc4978b956f613e9b8e",
            "b354719e553fbbb2513d5533f52a4cb1",
        ),
        ORGANS,
    ),
}


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

    flag: str
    root: Path | None = None
    size: int = 28
    channels: int | None = None
    download: bool = False

    def __post_init__(self) -> None:
        check_image_options(self.size, self.channels)
        if self.flag == "chestmnist":
            raise ValueError("flag = chestmnist: its images have several labels each, which one softmax cannot give")
        if self.flag not in ARCHIVES:
            raise ValueError(f"flag = {self.flag}: is none of MedMNIST's 2-D sets: {', '.join(ARCHIVES)}")

    def load(self) -> LabelledImages:
        """Read the labels, and the images through the cache.

        Raises:
            FedletheError: The file is missing, unreadable or of another form, or the download failed.
        """
        archive, path = ARCHIVES[self.flag], self._file()
        channels = self.channels or archive.channels
        with opened_zip(path) as file:
            parts = {split: _labels(file, path, split, len(archive.classes)) for split in OFFICIAL_SPLITS}
            labels = np.concatenate(list(parts.values()))
            fingerprint = digest("medmnist", *content_hashes(path.parent, [path.name]))
            images = cached_images(
                (image for split, part in parts.items() for image in _images(file, path, split, len(part))),
                lambda image: _fit(image, self.size, channels),
                count=len(labels),
                size=self.size,
                channels=channels,
                fingerprint=fingerprint,
                source="medmnist",
                rows=lambda: [  # the same for the files of other sizes, which show the same images
                    identity("medmnist", self.flag, split, row)
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
            raise FedletheError("medmnist: set root to the .npz file or its folder, or download = true")
        root = cache_place("medmnist", "") if self.root is None else Path(self.root).expanduser()
        if root.is_file():
            return root
        wanted = _by_closeness(self.size)
        if self.download:
            return _fetched(self.flag, wanted[0], root)
        for size in wanted:
            if (root / _file_name(self.flag, size)).is_file():
                return root / _file_name(self.flag, size)
        missing = _file_name(self.flag, wanted[0])
        raise FedletheError(f"{root}: holds no {missing}; set root to the file or its folder, or download = true")


def _by_closeness(size: int) -> list[int]:
    """The published sizes, best first: the smallest that is large enough, then larger ones, then the largest left."""
    return sorted(SIZES, key=lambda published: (published < size, abs(published - size)))


def _file_name(flag: str, size: int) -> str:
    return f"{flag}.npz" if size == SIZES[0] else f"{flag}_{size}.npz"


def _fetched(flag: str, size: int, folder: Path) -> Path:
    import pooch

    name = _file_name(flag, size)
    md5 = ARCHIVES[flag].md5[SIZES.index(size)]
    try:
        return Path(pooch.retrieve(f"{ZENODO}/{name}?download=1", f"md5:{md5}", fname=name, path=folder))
    except Exception as error:  # of requests, of pooch, of the disk: there is no common base
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise FedletheError(f"{name}: cannot be fetched ({reason}); fetch it by hand from {ZENODO}") from error


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
        raise FedletheError(f"{path}: {split}_labels cannot be read ({error}); fetch the file again") from error
    if labels.ndim == 0 or labels.shape not in ((len(labels),), (len(labels), 1)):
        raise FedletheError(f"{path}: {split}_labels is not one whole number an image; check flag and file")
    flat = labels.reshape(-1).astype(np.int64)
    if len(flat) and not 0 <= flat.min() <= flat.max() < num_classes:
        raise FedletheError(f"{path}: {split}_labels has labels beyond {num_classes} classes; check flag and file")
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
        raise FedletheError(f"{path}: {split}_images cannot be read ({error}); fetch the file again") from error


def _image_shape(member: IO[bytes], path: Path, split: str, count: int) -> tuple[int, ...]:
    """(H, W) or (H, W, 3), from the header of the array."""
    shape, fortran_order, dtype = _array_header(member)
    planar = (len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)) and 0 not in shape[1:]
    if fortran_order or dtype != np.uint8 or not planar or shape[0] != count:
        raise FedletheError(
            f"{path}: {split}_images is {dtype} {shape}, not one 2-D image a label; check flag and file"
        )
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

    return fit(Image.fromarray(image), size=size, channels=channels)
