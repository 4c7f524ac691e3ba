# SPDX-License-Identifier: MIT
"""How large an image may be, and how large its header says that it is: counted before anything is decoded.

A file of a few kilobytes can stand for an image of gigabytes. What it takes is bounded before it is taken.
"""

from __future__ import annotations

import os
import threading
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from fedlethe.errors import DataError

VARIABLE = "FEDLETHE_MAX_PIXELS"
"""The environment variable that raises or lowers the limit."""

MAX_PIXELS = 50_000_000
"""Pixels of an image, all its frames together, where the variable is not set: more than a mammogram has."""

BYTES_PER_PIXEL = 8
"""What a file may take for a pixel, at most: three samples of 16 bits, and metadata."""

COMPONENTS = 4
"""Planes that a compressed image may have: colour, and one for what shows through."""

METADATA = 16 << 20
"""Bytes that a file may have beside its pixels."""

LARGE = 1 << 23
"""Pixels from which an image is decoded alone."""

_LARGE_ONE = threading.Lock()

JP2_START = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
CODESTREAM = b"\xff\x4f\xff\x51"
"""How a file of JPEG 2000 begins, and how its code stream does: with its size."""

PNG_START = b"\x89PNG\r\n\x1a\n"
_NO_SIZE = frozenset({0xC4, 0xC8, 0xCC})
"""JPEG markers in the range of the frame headers that are none: tables, an extension, arithmetic coding."""


def max_pixels() -> int:
    """The most pixels that an image may have.

    Raises:
        FedletheError: The environment variable is no whole number above 0.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return MAX_PIXELS
    if not (text.isascii() and text.isdecimal() and len(text) <= 15 and int(text)):
        raise DataError(f"{VARIABLE}={text}: must be a whole number of pixels above 0, such as {MAX_PIXELS}")
    return int(text)


def max_bytes() -> int:
    """The most bytes that the content of an image may have, packed or unpacked."""
    return BYTES_PER_PIXEL * max_pixels() + METADATA


def demand_pixels(name: str, *factors: int) -> None:
    """Refuse an image by the numbers in its header.

    Args:
        name: Names the image in messages.
        factors: Height and width in pixels, frames where there are several.

    Raises:
        FedletheError: Their product exceeds the limit.
    """
    count = 1
    for factor in factors:
        count *= factor
    if count > max_pixels():
        sides = " x ".join(map(str, factors))
        raise DataError(
            f"{name}: has {sides} = {count:,} pixels, more than the {max_pixels():,} that are allowed; "
            f"make it smaller, or set {VARIABLE} to a higher number"
        )


def demand_bytes(name: str, count: int) -> None:
    """Refuse content that is longer than an image within the limit can be.

    Raises:
        FedletheError: It is.
    """
    if count > max_bytes():
        raise DataError(
            f"{name}: is longer than the {max_bytes():,} bytes that an image may take; leave it out, or set {VARIABLE} "
            f"to more than {max_pixels():,}"
        )


@contextmanager
def alone(pixels: int) -> Iterator[None]:
    """Decode a large image while no other large one is decoded: they would all need their memory at once."""
    with _LARGE_ONE if pixels > LARGE else nullcontext():
        yield


def sides(content: bytes) -> tuple[int, int] | None:
    """Height and width of a PNG, JPEG (of any kind, JPEG-LS too) or JPEG 2000, from its header; None of another."""
    if content.startswith(PNG_START) and len(content) >= 24:
        return int.from_bytes(content[20:24], "big"), int.from_bytes(content[16:20], "big")
    if content.startswith(b"\xff\xd8"):
        return _jpeg_sides(content)
    start = _codestream(content)
    if content[start : start + 4] != CODESTREAM or len(content) < start + 24:
        return None
    if not 1 <= int.from_bytes(content[start + 40 : start + 42], "big") <= COMPONENTS:
        return None
    width, height, left, top = (int.from_bytes(content[start + at : start + at + 4], "big") for at in (8, 12, 16, 20))
    return max(0, height - top), max(0, width - left)


def _codestream(content: bytes) -> int:
    """Where JPEG 2000's code stream begins: at once, or in the box of its name; other boxes are skipped as a whole."""
    if not content.startswith(JP2_START):
        return 0
    place = 0
    while place + 8 <= len(content):
        length, kind, header = int.from_bytes(content[place : place + 4], "big"), content[place + 4 : place + 8], 8
        if length == 1:
            length, header = int.from_bytes(content[place + 8 : place + 16], "big"), 16
        if kind == b"jp2c":
            return place + header
        if length < header:  # 0 is a box up to the end
            break
        place += length
    return len(content)


def _jpeg_sides(content: bytes) -> tuple[int, int] | None:
    """By the one frame header before the pixels; None where there is none, several, or what no JPEG has."""
    place, found = 2, list[tuple[int, int]]()
    while place + 9 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        if marker in (0xD9, 0xDA):  # the end, or the pixels
            return found[0] if len(found) == 1 else None
        if marker == 0x00 or marker == 0x01 or 0xD0 <= marker <= 0xD8:  # none of these stands before the pixels
            return None
        if (0xC0 <= marker <= 0xCF and marker not in _NO_SIZE) or marker == 0xF7:
            height, width = content[place + 5 : place + 7], content[place + 7 : place + 9]
            if content[place + 9 : place + 10] > bytes([COMPONENTS]):
                return None
            found.append((int.from_bytes(height, "big"), int.from_bytes(width, "big")))
        place += 2 + max(2, int.from_bytes(content[place + 2 : place + 4], "big"))
    return None


def demand_runs(name: str, content: bytes, pixels: int, segments: int) -> None:
    """Refuse run-length coded pixels (DICOM PS3.5 G) that stand for more than they should: counted, not unpacked.

    Args:
        name: Names the image in messages.
        content: A frame: 64 bytes of header, then the segments.
        pixels: That each segment is to hold, as bytes.
        segments: How many there are to be: one for each byte of each sample.

    Raises:
        FedletheError: There are more or fewer, or one holds more.
    """
    starts = [int.from_bytes(content[at : at + 4], "little") for at in range(0, 64, 4)]
    if len(content) < 64 or starts[0] != segments:
        raise DataError(f"{name}: has {starts[0]} segments of pixels, where {segments} are to be; export it again")
    ends = [*starts[2 : segments + 1], len(content)]
    for start, end in zip(starts[1 : segments + 1], ends, strict=True):
        place, count = start, 0
        while place < min(end, len(content)) and count <= pixels + 1:  # a byte may be added, to make it even
            length = content[place]
            count += length + 1 if length < 128 else 257 - length if length > 128 else 0
            place += length + 2 if length < 128 else 2 if length > 128 else 1
        if count > pixels + 1:
            raise DataError(
                f"{name}: its run-length coded pixels are more than the {pixels:,} that it should have; export it again"
            )


def inflated(packed: bytes, most: int) -> tuple[bytes, bool]:
    """What raw deflated bytes hold, up to so many bytes; and whether that is all.

    Raises:
        zlib.error: They are none.
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    content = stream.decompress(packed, most)
    return content, stream.eof or (not stream.unconsumed_tail and not stream.decompress(b"", 1))


def member(file: zipfile.ZipFile, name: str, where: str) -> bytes:
    """A member of an archive, unpacked no further than an image may take.

    Raises:
        FedletheError: It is longer.
    """
    demand_bytes(where, file.getinfo(name).file_size)
    with file.open(name) as opened:
        content = opened.read(max_bytes() + 1)
    demand_bytes(where, len(content))
    return content
