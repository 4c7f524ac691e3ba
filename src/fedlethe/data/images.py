# SPDX-License-Identifier: MIT
"""Reads one PNG, JPEG or DICOM image, gray or colour, resized."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from fedlethe.data import bounds
from fedlethe.data.bounds import alone, demand_bytes, demand_pixels
from fedlethe.data.dicom import dicom_picture
from fedlethe.data.eight_bits import Pixels, windowed
from fedlethe.data.unreadable import reason_of
from fedlethe.errors import DataError, FedletheError

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".dcm", ".dicom"})


Fit: TypeAlias = Literal["squash", "crop", "pad"]
"""How an image that is not square becomes one: its sides' ratio is not kept; or only the square in its middle is; or
all of it is, with black beside it."""


def check_image_options(size: int, channels: int | None) -> None:
    """Raise ValueError unless images can be brought to `channels` x `size` x `size`."""
    if not 8 <= size <= 2048:
        raise ValueError(f"size = {size}: must be from 8 to 2048 pixels")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels = {channels}: must be 1 (gray) or 3 (colour)")


def read_image(
    source: str | Path | bytes, *, size: int, channels: int, fit: Fit = "squash", name: str = "image"
) -> Pixels:
    """Read one PNG, JPEG or DICOM image.

    Sixteen-bit gray images are windowed to eight bits between their least and greatest value; a DICOM image with a
    window is windowed by it (the first one, where it has several) after its modality transformation, and MONOCHROME1
    is inverted, so that bright is always bright. Of a JPEG file with further pictures (MPO: a preview, a depth map) the
    first one is read, which is the picture itself. The pixels are counted from the header before anything is decoded.

    Args:
        source: A path, or the file's bytes.
        size: Height and width to resize to (bilinear, antialiased), in pixels.
        channels: 1 for gray, 3 for colour.
        fit: See `Fit`.
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
        raise DataError(f"{name}: the image is empty (0 bytes); copy it again or leave it out")
    picture = dicom_picture(source, name) if source[128:132] == b"DICM" else _picture(source, name)
    return fitted_to_size(picture, size=size, channels=channels, fit=fit)


def fitted_to_size(picture: Image, *, size: int, channels: int, fit: Fit = "squash") -> Pixels:
    """Resize an eight-bit PIL image and set its channels: uint8, shape (channels, size, size)."""
    from PIL.Image import Resampling, new

    picture = picture.convert("L" if channels == 1 else "RGB")
    across, down = picture.size
    shorter = min(across, down)
    left, top = (across - shorter) // 2, (down - shorter) // 2
    square = (left, top, left + shorter, top + shorter) if fit == "crop" else None
    inner = (size, size)
    if fit == "pad":
        inner = (max(1, round(size * across / max(across, down))), max(1, round(size * down / max(across, down))))
    resized = picture.resize(inner, Resampling.BILINEAR, box=square)
    if inner != (size, size):
        on_black = new(resized.mode, (size, size))
        on_black.paste(resized, ((size - inner[0]) // 2, (size - inner[1]) // 2))
        resized = on_black
    pixels = np.asarray(resized, dtype=np.uint8).reshape(size, size, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _content(path: Path) -> bytes:
    try:
        demand_bytes(str(path), path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({reason_of(error)}); check the path and its rights") from error


def _picture(content: bytes, name: str) -> Image:
    from PIL import Image, UnidentifiedImageError

    demand_pixels(name, *(bounds.sides(content) or (0, 0)))
    if Image.MAX_IMAGE_PIXELS is not None:  # ours is the limit, where it was set higher
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, bounds.max_pixels())
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as picture:
            demand_pixels(name, picture.height, picture.width)  # as the decoder understands the header
            if picture.format == "PNG" and (frames := getattr(picture, "n_frames", 1)) > 1:
                raise DataError(f"{name}: has {frames} frames; export the wanted one as an image of its own")
            with alone(picture.height * picture.width):
                picture.load()
                if picture.mode.startswith("I"):  # sixteen bits
                    values = np.asarray(picture)
                    return Image.fromarray(windowed(values, float(values.min()), float(values.max())))
                # A palette with transparent entries can be converted to RGBA only.
                shown: Image.Image = picture.convert("RGBA" if picture.mode == "P" else picture.mode)
                return shown
    except FedletheError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: is not a PNG, JPEG or DICOM image; convert it or leave it out") from error
    except Exception as error:  # the decoders raise OSError, SyntaxError, ValueError, struct.error, zlib.error, ...
        raise DataError(
            f"{name}: the image cannot be decoded ({reason_of(error)}); copy it again or leave it out"
        ) from error
