# SPDX-License-Identifier: MIT
"""Small images as the bytes of files, for tests."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from fedlethe.data.decoded_arrays import cached_files
from fedlethe.data.eight_bits import Pixels
from fedlethe.data.reading import EVERYTHING, Reading

SCANS = [f"scan-{number}.png" for number in range(6)]
"""The names of the images in the fixture `folder`."""

Array = npt.NDArray[Any]


def png(pixels: Array, place: Path | None = None) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.getvalue())
    return file.getvalue()


def dicom(pixels: Array, photometric: str = "MONOCHROME2", **elements: Any) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = elements.pop("syntax", ExplicitVRLittleEndian)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID("1.2.3")
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.PhotometricInterpretation = photometric
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW" if pixels.itemsize == 2 else "OB"
    for name, value in elements.items():
        setattr(dataset, name, value)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def blocks(*values: int, dtype: str = "uint8") -> Array:
    """An image of 8 x 8 whose columns, in equal shares, are the values."""
    return np.repeat(np.asarray(values, dtype=dtype), 8 // len(values))[None].repeat(8, axis=0)


def shades(image: Pixels) -> list[int]:
    """The different values of a gray image's first row, in their order."""
    return list(dict.fromkeys(image[0, 0].tolist()))


def folder_of(place: Path, count: int = 5) -> list[str]:
    names = [f"{i}.png" for i in range(count)]
    for i, name in enumerate(names):
        png(blocks(10 * (i % 25)), place / name)
        os.utime(place / name, (1e9, 1e9))
    return names


def images_of(folder: Path, *names: str, size: int = 16, reading: Reading = EVERYTHING) -> Pixels:
    """Some scans of the fixture `folder`, through the cache; all of them where none is named."""
    return cached_files(folder, names or SCANS, reading, size=size, channels=1)[0]
