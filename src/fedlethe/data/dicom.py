# SPDX-License-Identifier: MIT
"""Reads one DICOM image as it is meant to be seen; what it would take is known before it is decoded."""

from __future__ import annotations

import io
import math
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fedlethe.data import bounds
from fedlethe.data.bounds import alone, demand_bytes, demand_pixels
from fedlethe.data.eight_bits import Pixels, bands, windowed
from fedlethe.data.unreadable import reason_of
from fedlethe.errors import DataError, FedletheError

if TYPE_CHECKING:
    from PIL.Image import Image
    from pydicom import Dataset

HEAD = 1 << 20
"""Bytes of a deflated DICOM file that are unpacked to learn its size."""


def dicom_picture(content: bytes, name: str) -> Image:
    """A DICOM image in eight bits, shape (H, W) or (H, W, 3), windowed and the right way round (see `read_image`).

    Args:
        content: The file's bytes.
        name: Names the image in messages.

    Raises:
        FedletheError: It holds no image, several frames or too many pixels, is damaged, or no decoder is installed.
    """
    from PIL import Image

    try:
        dataset = _dataset(content, name)
        _refuse_unreadable(dataset, name)
        with alone(dataset.Rows * dataset.Columns):
            return Image.fromarray(_rendered(dataset))
    except FedletheError:
        raise
    except Exception as error:  # what pydicom and its decoders raise has no common base
        raise DataError(
            f"{name}: the DICOM image cannot be decoded ({reason_of(error)}); copy it again or leave it out"
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
        raise DataError(f"{name}: has {samples} samples a pixel; only 1 (gray) and 3 (colour) can be read")


def _demand_coded_size(dataset: Dataset, name: str) -> None:
    """Refuse a compressed image whose own header speaks of another size than the DICOM file's."""
    from pydicom.encaps import generate_frames
    from pydicom.uid import RLELossless

    offsets = (dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths"))
    beyond = offsets if all(offsets) else None  # the decoder takes the frame that this points to
    frame, *others = generate_frames(dataset.PixelData, number_of_frames=1, extended_offsets=beyond)
    if others:
        raise DataError(f"{name}: has {1 + len(others)} frames; export the wanted one as an image of its own")
    if dataset.file_meta.TransferSyntaxUID == RLELossless:
        segments = int(dataset.SamplesPerPixel) * (int(dataset.BitsAllocated) // 8)
        bounds.demand_runs(name, frame, int(dataset.Rows) * int(dataset.Columns), segments)
        return
    if (sides := bounds.sides(frame)) is None:
        raise DataError(f"{name}: its compressed pixels begin with no header of their size; export it again")
    demand_pixels(name, *sides)
    if sides != (dataset.Rows, dataset.Columns):
        raise DataError(
            f"{name}: holds pixels of {sides[0]} x {sides[1]}, but says that it is {dataset.Rows} x {dataset.Columns}; "
            "export it again"
        )


def _refuse_unreadable(dataset: Dataset, name: str) -> None:
    from pydicom.pixels.decoders.base import get_decoder

    if "PixelData" not in dataset:
        raise DataError(f"{name}: the DICOM file holds no image, or is cut off before it; leave it out")
    _demand_size(dataset, name)
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise DataError(f"{name}: has {dataset.NumberOfFrames} frames; export the wanted one as an image of its own")
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_compressed and not get_decoder(syntax).is_available:
        raise DataError(
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
        for part in bands(pixels.shape):
            pixels[part] = convert_color_space(pixels[part], "YBR_FULL", "RGB")
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
    if pixels.ndim == 3:
        if pixels.dtype == np.uint8:
            return np.asarray(pixels, dtype=np.uint8)
        return windowed(pixels, float(pixels.min()), float(pixels.max()))

    def values(part: slice) -> npt.NDArray[np.float64]:
        return np.asarray(apply_modality_lut(pixels[part], dataset), dtype=np.float64)

    parts = bands(pixels.shape)
    extremes = [(float(band.min()), float(band.max())) for band in map(values, parts)] if parts else [(0.0, 0.0)]
    low, high = min(least for least, _ in extremes), max(most for _, most in extremes)
    shown = np.empty(pixels.shape, np.uint8)
    for part in parts:
        shown[part] = _voi(values(part), low, high, dataset)
    return np.subtract(255, shown, out=shown) if dataset.PhotometricInterpretation == "MONOCHROME1" else shown


def _voi(values: npt.NDArray[np.float64], low: float, high: float, dataset: Dataset) -> Pixels:
    """The window of interest, by DICOM PS3.3 C.11.2.1; from `low` to `high` where there is none."""
    center, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if center is None or width is None:
        return windowed(values, low, high)
    function = str(dataset.get("VOILUTFunction") or "LINEAR")
    if width < 1 and (function not in ("SIGMOID", "LINEAR_EXACT") or width <= 0):
        raise ValueError(f"its window is {width:g} wide; it must be wider")
    if function == "SIGMOID":
        return windowed(1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -700.0, 700.0))), 0.0, 1.0)
    if function == "LINEAR_EXACT":
        return windowed(values, center - width / 2, center + width / 2)
    return windowed(values, center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2)


def _first(value: Any) -> float | None:
    values = list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
    return float(values[0]) if values and values[0] not in (None, "") and math.isfinite(float(values[0])) else None
