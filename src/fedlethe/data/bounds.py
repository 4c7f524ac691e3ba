# SPDX-License-Identifier: MIT
"""How large an image may be, and how large its header says that it is: counted before anything is decoded.

A file of a few kilobytes can stand for an image of gigabytes. What it takes is bounded before it is taken.
"""

from __future__ import annotations

import os
import zipfile
import zlib

from fedlethe.errors import FedletheError

VARIABLE = "FEDLETHE_MAX_PIXELS"
"""The environment variable that raises or lowers the limit."""

MAX_PIXELS = 50_000_000
"""Pixels of an image, all its frames together, where the variable is not set: more than a mammogram has."""

BYTES_PER_PIXEL = 8
"""What a file may take for a pixel, at most: three samples of 16 bits, and metadata."""

METADATA = 16 << 20
"""Bytes that a file may have beside its pixels."""

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
        raise FedletheError(f"{VARIABLE}={text}: must be a whole number of pixels above 0, such as {MAX_PIXELS}")
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
        raise FedletheError(
            f"{name}: has {sides} = {count:,} pixels, more than the {max_pixels():,} that are allowed; "
            f"make it smaller, or set {VARIABLE} to a higher number"
        )


def demand_bytes(name: str, count: int) -> None:
    """Refuse content that is longer than an image within the limit can be.

    Raises:
        FedletheError: It is.
    """
    if count > max_bytes():
        raise FedletheError(
            f"{name}: is longer than the {max_bytes():,} bytes that an image may take; leave it out, or set {VARIABLE} "
            f"to more than {max_pixels():,}"
        )


def sides(content: bytes) -> tuple[int, int] | None:
    """Height and width of a PNG, JPEG (of any kind, JPEG-LS too) or JPEG 2000, from its header; None of another."""
    if content.startswith(PNG_START) and len(content) >= 24:
        return int.from_bytes(content[20:24], "big"), int.from_bytes(content[16:20], "big")
    if content.startswith(b"\xff\xd8"):
        return _jpeg_sides(content)
    start = content.find(b"\xff\x4f\xff\x51", 0, 1 << 16)  # JPEG 2000's code stream, alone or within a file
    if start >= 0 and len(content) >= start + 24:
        width, height, left, top = (
            int.from_bytes(content[start + at : start + at + 4], "big") for at in (8, 12, 16, 20)
        )
        return max(0, height - top), max(0, width - left)
    return None


def _jpeg_sides(content: bytes) -> tuple[int, int] | None:
    place = 2
    while place + 9 <= len(content):
        if content[place] != 0xFF:
            return None
        marker = content[place + 1]
        if marker == 0xFF:  # padding
            place += 1
        elif (0xC0 <= marker <= 0xCF and marker not in _NO_SIZE) or marker == 0xF7:
            return int.from_bytes(content[place + 5 : place + 7], "big"), int.from_bytes(
                content[place + 7 : place + 9], "big"
            )
        elif marker in (0xD9, 0xDA):  # the end, or pixels without a header before them
            return None
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # these have no length
            place += 2
        else:
            place += 2 + max(2, int.from_bytes(content[place + 2 : place + 4], "big"))
    return None


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
