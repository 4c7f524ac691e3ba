# SPDX-License-Identifier: MIT
"""Text that others wrote: refused where it enters if a terminal or a file would take it for more than letters.

Names, reasons and labels are typed by people, or come in files from other hospitals. A control character in them can
move a cursor, retitle a window, hide a line or break an SVG; a bidirectional override can make a name read as another.
`entered.demand_text` stands where text enters. `shown` stands where it is printed, because not all text enters by us: a
ledger, a certificate or a file name can come from elsewhere.
"""

from __future__ import annotations

import re
from typing import Any

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_UNSEEN = "\xad\u115f\u1160\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\uffa0\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
"""What takes no room, so that two names look the same: soft hyphens, zero-width spaces, fillers, tags. The zero-width
joiners are not among them: Persian and Indian names are written with them."""
_CONTROL = f"\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff{_BIDI}{_UNSEEN}\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"
"""C0, C1, line separators, byte-order mark, bidirectional controls, what cannot be seen, annotations, non-characters,
lone surrogates."""

_FORBIDDEN = re.compile(f"[{_CONTROL}]")
_FORBIDDEN_IN_LINES = re.compile(f"(?![\t\n])[{_CONTROL}]")
_FORMULA = re.compile(r"\s*[=+\-@]")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)


def shown(text: object, lines: bool = False) -> str:
    r"""A text as it may be printed: what is not a letter to the reader is written as an escape.

    Args:
        text: Anything; it is taken as `str` gives it.
        lines: Whether line ends and tabs are meant as such.

    Example:
        >>> print(shown("a\x1b[31mb"))
        a\x1b[31mb
        >>> print(shown("north\nsouth"))
        north\x0asouth
    """
    return (_FORBIDDEN_IN_LINES if lines else _FORBIDDEN).sub(_escaped, str(text))


def with_article(value: object) -> str:
    """A value's type, as a sentence has it.

    Example:
        >>> with_article(3), with_article({})
        ('an int', 'a dict')
    """
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def control_in(text: str) -> str | None:
    """The first character of a text that may not stand in a line, as an escape; None where there is none."""
    found = _FORBIDDEN.search(text)
    return None if found is None else _escaped(found)


def for_cell(value: Any) -> Any:
    """A CSV cell that no spreadsheet takes for a formula: a text that begins like one gets an apostrophe before it.

    Numbers, and texts that are numbers, stay as they are.

    Example:
        >>> for_cell("=1+1"), for_cell("-0.5"), for_cell(-0.5), for_cell("north")
        ("'=1+1", '-0.5', -0.5, 'north')
    """
    if not isinstance(value, str):
        return value
    text = shown(value)
    return f"'{text}" if _FORMULA.match(text) and text != "-" and not _NUMBER.fullmatch(text) else text


def _escaped(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
