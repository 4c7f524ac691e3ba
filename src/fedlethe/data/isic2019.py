# SPDX-License-Identifier: MIT
"""ISIC-2019: dermatoscopic images, melanoma and basal-cell carcinoma against nevi and benign keratosis.

Several images can show one lesion: they are never split over training and test. HAM10000 in the same layout, whose
metadata name the acquisition site, gives a federation of real sites.

References:
    Tschandl, Rosendahl, Kittler, 'The HAM10000 dataset', Scientific Data 5, 2018.
    Codella et al., 'Skin lesion analysis toward melanoma detection', arXiv:1710.05006.
    Combalia et al., 'BCN20000: dermoscopic lesions in the wild', arXiv:1908.02288.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from fedlethe.data.decoded_arrays import cached_archive, cached_files, labelled_fingerprint, opened_zip
from fedlethe.data.eight_bits import Pixels
from fedlethe.data.federated import LabelledImages, Names
from fedlethe.data.images import Fit, check_image_options
from fedlethe.data.reading import EVERYTHING, Reading
from fedlethe.data.table import csv_rows
from fedlethe.errors import DataError

INPUT = "ISIC_2019_Training_Input"
GROUND_TRUTH = "ISIC_2019_Training_GroundTruth.csv"
METADATA = "ISIC_2019_Training_Metadata.csv"

CLASSES = ("benign", "malignant")
DIAGNOSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
TARGET = {"NV": 0, "BKL": 0, "MEL": 1, "BCC": 1}
"""Diagnosis to class; the other diagnoses are left out."""

Metadata = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Isic2019:
    """Skin lesions of ISIC-2019: NV and BKL are benign (0), MEL and BCC malignant (1); the rest is left out.

    Attributes:
        root: The folder with the ground truth and metadata as published, and the images: in
            `ISIC_2019_Training_Input/`, in `ISIC_2019_Training_Input.zip` (which need not be unpacked) or beside the
            tables.
        size: Height and width to resize to, in pixels.
        channels: 1 for gray, 3 for colour.
        fit: Of images that are not square: squash, crop (the square in the middle) or pad (with black).

    Raises:
        ValueError: An option is out of its range.
    """

    root: Path
    size: int = 128
    channels: int = 1
    fit: Fit = "squash"

    def __post_init__(self) -> None:
        check_image_options(self.size, self.channels)

    def load(self, reading: Reading = EVERYTHING) -> LabelledImages:
        """Read the tables, and the images through the cache.

        Raises:
            FedletheError: A table or image is missing or unreadable, or a row is not one-hot.
        """
        root = Path(self.root).expanduser()
        diagnoses = _diagnoses(root / GROUND_TRUTH)
        metadata = _metadata(root / METADATA)
        names = sorted(name for name, diagnosis in diagnoses.items() if diagnosis in TARGET)
        labels = np.asarray([TARGET[diagnoses[name]] for name in names], dtype=np.int64)
        sites, groups = _sites(root / METADATA, names, metadata), _lesions(names, metadata)
        images, fingerprint = self._images(root, names, reading)
        return LabelledImages(
            images=images,
            labels=labels,
            classes=CLASSES,
            fingerprint=labelled_fingerprint(fingerprint, labels, CLASSES),
            sites=sites,
            groups=groups,
            left_out=dict(sorted(Counter(one for one in diagnoses.values() if one not in TARGET).items())),
        )

    def _images(self, root: Path, names: Sequence[str], reading: Reading) -> tuple[Pixels, str]:
        for folder in (root / INPUT / INPUT, root / INPUT, root):
            if next(folder.glob("*.jpg"), None) is not None:
                there = {path.stem: path.name for path in folder.glob("*.jpg")}
                files = _located(folder, names, there)
                return cached_files(folder, files, reading, size=self.size, channels=self.channels, fit=self.fit)
        archive = root / f"{INPUT}.zip"
        if not archive.is_file():
            raise DataError(f"{root}: holds neither {INPUT}/ nor {INPUT}.zip; set root to the folder with the images")
        with opened_zip(archive) as file:
            members = [PurePosixPath(member) for member in file.namelist()]
        there = {member.stem: str(member) for member in members if member.suffix.lower() == ".jpg"}
        files = _located(archive, names, there)
        return cached_archive(archive, files, reading, size=self.size, channels=self.channels, fit=self.fit)


def _diagnoses(path: Path) -> dict[str, str]:
    """Image name to diagnosis."""
    diagnoses: dict[str, str] = {}
    for line, row in csv_rows(path, ("image", *(name for name in DIAGNOSES if name != "UNK")), "root"):
        marked = [name for name in DIAGNOSES if row.get(name, "0") not in ("0", "0.0")]
        if len(marked) != 1 or row[marked[0]] not in ("1", "1.0"):
            raise DataError(f"{path}, row {line}: {row['image']} has not exactly one diagnosis; correct the row")
        if row["image"] in diagnoses:
            raise DataError(f"{path}, row {line}: {row['image']} is listed twice; remove one of the two")
        diagnoses[row["image"]] = marked[0]
    if not any(diagnosis in TARGET for diagnosis in diagnoses.values()):
        raise DataError(f"{path}: lists no image with one of the diagnoses {', '.join(TARGET)}; fetch it again")
    return diagnoses


def _metadata(path: Path) -> Metadata:
    return {row["image"]: row for _, row in csv_rows(path, ("image", "lesion_id"), "root")}


def _lesions(names: Sequence[str], metadata: Metadata) -> Names:
    """The lesion of each image; an image without one is a group of its own."""
    lesions = [metadata.get(name, {}).get("lesion_id") for name in names]
    return np.asarray([lesion or f"image {name}" for lesion, name in zip(lesions, names, strict=True)])


def _sites(path: Path, names: Sequence[str], metadata: Metadata) -> Names | None:
    if not any("site" in row for row in metadata.values()):
        return None
    sites = [metadata.get(name, {}).get("site", "") for name in names]
    for name, site in zip(names, sites, strict=True):
        if not site:
            raise DataError(f"{path}: {name} has no site; fill it in, or remove the column to simulate clients")
    return np.asarray(sites)


def _located(place: Path, names: Sequence[str], there: Mapping[str, str]) -> list[str]:
    for name in names:
        if name not in there:
            raise DataError(f"{place}: {name}.jpg is not there, but {GROUND_TRUTH} lists it; fetch the images again")
    return [there[name] for name in names]
