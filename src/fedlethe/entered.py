# SPDX-License-Identifier: MIT
"""Refuses texts that hold more than letters where they enter: options, configurations, tables, fields of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fedlethe.errors import ConfigError
from fedlethe.text import control_in

LONGEST = 2000
"""Characters that a text may have where it enters."""


def demand_text(text: str, where: str, longest: int = LONGEST) -> str:
    """A text of one line that somebody typed or that a file holds, handed back as it is.

    Args:
        text: It.
        where: Names the option, or the file and its row, in messages.
        longest: Characters that it may have.

    Raises:
        FedletheError: It holds a control character, or is too long.
    """
    if found := control_in(text):
        raise ConfigError(f"{where}: holds the control character {found}; take it out")
    if len(text) > longest:
        raise ConfigError(f"{where}: has {len(text):,} characters; {longest:,} are allowed, so shorten it")
    return text


def demand_said(text: str, where: str) -> str:
    """The same of a text that must say something.

    Raises:
        FedletheError: See `demand_text`; or it is blank.
    """
    if not demand_text(text, where).strip():
        raise ConfigError(f"{where}: is blank; say it in a few words, they stay on record")
    return text


def demand_texts(value: Any, where: str) -> None:
    """The same for all keys and texts of tables and lists, one in the other.

    Raises:
        FedletheError: See `demand_text`; the message names the key.
    """
    if isinstance(value, str):
        demand_text(value, where)
    elif isinstance(value, Mapping):
        for key, held in value.items():
            demand_text(str(key), f"{where}: a key")
            demand_texts(held, f"{where}: '{key}'")
    elif isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        for held in value:
            demand_texts(held, where)
