# SPDX-License-Identifier: MIT
"""Your own images, listed in a CSV file: path, label, client and, where there are such, patient and split."""

from __future__ import annotations

import csv
import math
import os.path
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from fedlethe.data.decoded_arrays import cached_files, labelled_fingerprint
from fedlethe.data.federated import LabelledImages, Names, Split
from fedlethe.data.images import Fit, check_image_options
from fedlethe.data.reading import EVERYTHING, Reading
from fedlethe.entered import demand_text, demand_texts
from fedlethe.errors import DataError

Rows: TypeAlias = Sequence[tuple[int, dict[str, str]]]

SPLIT_NAMES: dict[str, Split] = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
OPTIONAL = {"client_column": "", "patient_column": "patient", "split_column": "split"}
"""Options to the value with which the column may be missing from the file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Images listed in a CSV file (UTF-8, with a header), one image a row.

    Labels are any strings; the classes are sorted, by number where all of them are numbers. Paths are PNG, JPEG or
    DICOM files.

    Attributes:
        path: The CSV file.
        root: The folder that image paths are relative to; the CSV file's own where None.
        size: Height and width to resize to, in pixels.
        channels: 1 for gray, 3 for colour.
        fit: Of images that are not square: squash, crop (the square in the middle) or pad (with black).
        classes: The labels that there may be, in the order of the model's outputs; empty for those of the file. Name
            them where several tables make one federation, since not every hospital has every class.
        path_column: Names the column of image paths.
        label_column: Names the column of labels.
        client_column: Names the column of clients; "" where the file has none and clients are to be simulated.
        patient_column: Names the column of patients, whose images are never split over training and test. Without
            such a column every image counts as a patient of its own, as does a row that leaves it empty.
        split_column: Names the column of splits: train, validation (or val), test. Without it the partition splits.

    Raises:
        ValueError: An option is out of its range.
    """

    path: Path = Path()
    root: Path | None = None
    size: int = 128
    channels: int = 1
    fit: Fit = "squash"
    classes: tuple[str, ...] = ()
    path_column: str = "path"
    label_column: str = "label"
    client_column: str = "client"
    patient_column: str = "patient"
    split_column: str = "split"

    def __post_init__(self) -> None:
        if self.path == Path():
            raise ValueError("path: is not given; name the CSV file")
        check_image_options(self.size, self.channels)
        for option in ("path_column", "label_column"):
            if not getattr(self, option):
                raise ValueError(f"{option}: must name a column")
        if len(self.classes) == 1 or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes = {list(self.classes)}: must be two labels or more, each once")

    def load(self, reading: Reading = EVERYTHING) -> LabelledImages:
        """Read the table, and the images through the cache.

        Raises:
            FedletheError: A column, value or file is missing or wrong; the message names the row, counted as lines
                of the file.
        """
        path = Path(self.path).expanduser()
        root = path.parent if self.root is None else Path(self.root).expanduser()
        numbered = list(csv_rows(path, (self.path_column, self.label_column, *self._set_by_hand())))
        if not numbered:
            raise DataError(f"{path}: lists no images; add a row for each")
        names = [self._image(path, root, line, row) for line, row in numbered]
        _refuse_duplicates(path, root, [line for line, _ in numbered], names)
        texts = [_filled(path, line, row, self.label_column) for line, row in numbered]
        classes = self.classes or sorted_classes(texts)
        for (line, _), text in zip(numbered, texts, strict=True):
            if text not in classes:
                raise DataError(f"{path}, row {line}: label '{text}' is none of {', '.join(classes)}; correct it")
        if len(classes) < 2:
            raise DataError(f"{path}: every label is '{classes[0]}'; list images of two classes or more")
        labels = np.asarray([classes.index(text) for text in texts], dtype=np.int64)
        images, fingerprint = cached_files(root, names, reading, size=self.size, channels=self.channels, fit=self.fit)
        return LabelledImages(
            images=images,
            labels=labels,
            classes=classes,
            fingerprint=labelled_fingerprint(fingerprint, labels, classes),
            sites=self._sites(path, numbered),
            groups=self._groups(numbered, names),
            splits=self._splits(path, numbered),
        )

    def _set_by_hand(self) -> list[str]:
        """The columns beyond path and label that must be there: the client's, and each that was given a name."""
        chosen = ((getattr(self, option), default) for option, default in OPTIONAL.items())
        return [column for column, default in chosen if column not in (default, "")]

    def _image(self, path: Path, root: Path, line: int, row: dict[str, str]) -> str:
        name = _filled(path, line, row, self.path_column)
        if not (root / name).is_file():
            raise DataError(f"{path}, row {line}: {root / name} is not there; correct the path or set root")
        return name

    def _sites(self, path: Path, numbered: Rows) -> Names | None:
        if not self.client_column:
            return None
        return np.asarray([_filled(path, line, row, self.client_column) for line, row in numbered])

    def _groups(self, numbered: Rows, names: Sequence[str]) -> Names | None:
        if self.patient_column not in numbered[0][1]:
            return None
        patients = [row[self.patient_column] for _, row in numbered]
        return np.asarray([one or f"image {name}" for one, name in zip(patients, names, strict=True)])

    def _splits(self, path: Path, numbered: Rows) -> Names | None:
        if self.split_column not in numbered[0][1]:
            return None
        for line, row in numbered:
            if (value := row[self.split_column]) not in SPLIT_NAMES:
                there = ", ".join(SPLIT_NAMES)
                raise DataError(f"{path}, row {line}: split '{value}' is none of {there}; correct it")
        return np.asarray([SPLIT_NAMES[row[self.split_column]] for _, row in numbered])


def csv_rows(path: Path, columns: Sequence[str], option: str = "path") -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file as (line number, column to value), values stripped of white space.

    Args:
        path: The file: UTF-8, with or without a byte-order mark, the first line its header.
        columns: Which must be there.
        option: Of the data source, which says where the file is.

    Raises:
        FedletheError: The file is missing or no such table, or a column is not there.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", strict=True)
            header = list(reader.fieldnames or ())
            demand_texts(header, f"{path}: its header")
            for column in columns:
                if column not in header:
                    there = ", ".join(header) or "none"
                    raise DataError(f"{path}: has no column '{column}' (it has {there}); add it or name another")
            for row in reader:
                for column, value in row.items():
                    if column is not None:
                        demand_text(value, f"{path}, row {reader.line_num}: column '{column}'")
                if None in row:
                    raise DataError(f"{path}, row {reader.line_num}: has more values than the header; correct it")
                yield reader.line_num, {column: value.strip() for column, value in row.items()}
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; set {option} to where it is") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); set {option} to a CSV file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a CSV file in UTF-8 ({error}); check it") from error


def sorted_classes(texts: Sequence[str]) -> tuple[str, ...]:
    """The different labels, by number where all of them are numbers.

    Example:
        >>> sorted_classes(["10", "9", "9"])
        ('9', '10')
        >>> sorted_classes(["b", "10", "a"])
        ('10', 'a', 'b')
    """
    different = sorted(set(texts))
    numbers = {text: _number(text) for text in different}
    return tuple(different if None in numbers.values() else sorted(different, key=lambda text: numbers[text] or 0.0))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _filled(path: Path, line: int, row: dict[str, str], column: str) -> str:
    if not row[column]:
        raise DataError(f"{path}, row {line}: column '{column}' is empty; fill it in or remove the row")
    return row[column]


def _refuse_duplicates(path: Path, root: Path, lines: Sequence[int], names: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for line, name in zip(lines, names, strict=True):
        first = seen.setdefault(os.path.normpath(root / name), line)
        if first != line:
            raise DataError(f"{path}, row {line}: {name} is listed already in row {first}; remove one of the two")
