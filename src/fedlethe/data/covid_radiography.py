# SPDX-License-Identifier: MIT
"""COVID-19 Radiography Database: chest radiographs in one folder for each class, from Kaggle.

The preset is the paper's: every COVID image and a seeded sample of 3,600 Normal ones, 128 x 128 and gray, divided
80 / 20 into training and test images by the partition. The database names no patients, so nobody can say whether two
of its images show the same person.

References:
    Chowdhury et al., 'Can AI help in screening viral and COVID-19 pneumonia?', IEEE Access 8, 2020.
    Rahman et al., 'Exploring the effect of image enhancement techniques on COVID-19 detection using chest X-ray
    images', Computers in Biology and Medicine 132, 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedlethe.data.decoded_arrays import cached_files, labelled_fingerprint
from fedlethe.data.federated import LabelledImages
from fedlethe.data.images import IMAGE_SUFFIXES, Fit, check_image_options
from fedlethe.data.reading import EVERYTHING, Reading
from fedlethe.errors import DataError
from fedlethe.seeding import numpy_generator

KAGGLE = "tawsifurrahman/covid19-radiography-database"
FOLDERS = ("COVID-19_Radiography_Dataset", "COVID-19 Radiography Database")
NORMAL = "Normal"


@dataclass(frozen=True, kw_only=True, slots=True)
class CovidRadiography:
    """Chest radiographs of the COVID-19 Radiography Database: Normal is class 0, COVID class 1.

    Attributes:
        root: The folder with one folder for each class (`COVID/images/*.png` or, as in older releases,
            `COVID/*.png`), or the folder above it.
        size: Height and width to resize to, in pixels.
        channels: 1 for gray, 3 for colour.
        fit: Of images that are not square: squash, crop (the square in the middle) or pad (with black).
        normal: Draw at most so many Normal images; 0 or None takes all.
        classes: The class folders to read; others are left alone. Normal is class 0 where it is named, the others
            follow in the order given.
        download: Fetch the database from Kaggle instead of reading `root` (needs `pip install fedlethe[kaggle]`).
        seed: Of the draw of Normal images.

    Raises:
        ValueError: An option is out of its range.
    """

    root: Path | None = None
    size: int = 128
    channels: int = 1
    fit: Fit = "squash"
    normal: int | None = 3600
    classes: tuple[str, ...] = ("COVID", NORMAL)
    download: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_image_options(self.size, self.channels)
        if self.normal is not None and self.normal < 0:
            raise ValueError(f"normal = {self.normal}: must be 0 (all) or more")
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes = {list(self.classes)}: name two or more different class folders")
        if self.download and self.root is not None:
            raise ValueError("root and download: give one of the two")

    def load(self, reading: Reading = EVERYTHING) -> LabelledImages:
        """Read the images, through the cache.

        Raises:
            FedletheError: The folder, a class or an image is missing or unreadable, or the download failed.
        """
        folder = self._dataset_folder()
        classes = tuple(sorted(self.classes, key=lambda name: name != NORMAL))
        names, labels, left_out = [], [], {}
        for label, name in enumerate(classes):
            found = _class_files(folder, name)
            taken = self._drawn(found) if name == NORMAL else found
            if len(taken) < len(found):
                left_out[f"{name}, not drawn"] = len(found) - len(taken)
            names += taken
            labels += [label] * len(taken)
        images, fingerprint = cached_files(folder, names, reading, size=self.size, channels=self.channels, fit=self.fit)
        targets = np.asarray(labels, dtype=np.int64)
        fingerprint = labelled_fingerprint(fingerprint, targets, classes)
        return LabelledImages(
            images=images, labels=targets, classes=classes, fingerprint=fingerprint, left_out=left_out
        )

    def _dataset_folder(self) -> Path:
        if self.root is None and not self.download:
            raise DataError("covid-radiography: set root to the folder of the database, or download = true")
        root = _downloaded() if self.root is None else Path(self.root).expanduser()
        for folder in (root, *(root / name for name in FOLDERS)):
            if any((folder / name).is_dir() for name in self.classes):
                return folder
        raise DataError(f"{root}: holds no folder named {' or '.join(self.classes)}; set root to the unpacked database")

    def _drawn(self, names: list[str]) -> list[str]:
        if not self.normal or self.normal >= len(names):
            return names
        generator = numpy_generator(self.seed, "covid-radiography", NORMAL)
        return [names[i] for i in np.sort(generator.choice(len(names), self.normal, replace=False))]


def _class_files(folder: Path, name: str) -> list[str]:
    """The images of one class, relative to `folder` and sorted; the lung masks beside them are not images."""
    place = folder / name
    if not place.is_dir():
        raise DataError(f"{place}: class '{name}' has no such folder; correct classes or fetch the database again")
    if (place / "images").is_dir():
        place = place / "images"
    found = [path for path in place.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
    if not found:
        raise DataError(f"{place}: holds no images; fetch the database again")
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _downloaded() -> Path:
    try:
        import kagglehub
    except ImportError as error:
        raise DataError("download = true needs kagglehub; run: pip install fedlethe[kaggle]") from error
    try:
        return Path(kagglehub.dataset_download(KAGGLE))
    except Exception as error:  # of requests, of kagglehub, of the archive: there is no common base
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{KAGGLE}: cannot be fetched from Kaggle ({reason}); fetch it by hand and set root") from error
