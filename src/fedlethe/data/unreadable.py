# SPDX-License-Identifier: MIT
"""What reading a damaged file raises, and one line for it."""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib

UNREADABLE = (
    *(OSError, KeyError, ValueError, TypeError, EOFError, RuntimeError, MemoryError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError),
)
"""What reading a damaged archive raises, or an array in one."""


def reason_of(error: BaseException) -> str:
    """One line for what was raised."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error).strip() or type(error).__name__
    first, *others = text.splitlines()
    return f"{first} {others[0].strip()}" if first.endswith(":") and others else first
