# SPDX-License-Identifier: MIT
"""What people type, and files hold, is text of one line, or is refused where it enters."""

from __future__ import annotations

import pytest

from fedlethe.entered import LONGEST, demand_said, demand_text, demand_texts
from fedlethe.errors import ConfigError


@pytest.mark.parametrize("text", ["Köln/Süd", "[/x] ticket 7", "<b>", "a" * LONGEST, ""])
def test_letters_are_handed_back_as_they_are(text: str) -> None:
    assert demand_text(text, "--reason") == text


@pytest.mark.parametrize("text", ["a\nb", "a\x1b[31m", "a\x85b", "a\u202eb", "a\u200bb", "a\x00"])
def test_control_characters_are_refused_by_where_they_stand(text: str) -> None:
    with pytest.raises(ConfigError, match="--reason: holds the control character"):
        demand_text(text, "--reason")


def test_what_is_too_long_or_blank_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"x: has 2,001 characters; 2,000 are allowed"):
        demand_text("a" * (LONGEST + 1), "x")
    with pytest.raises(ConfigError, match="x: is blank"):
        demand_said(" \t".replace("\t", " "), "x")


def test_every_text_of_a_document_is_looked_at() -> None:
    demand_texts({"a": [1, {"b": "fine"}, b"\x00"]}, "run.toml")
    with pytest.raises(ConfigError, match=r"run\.toml: 'a': 'b'"):
        demand_texts({"a": [1, {"b": "x\x07"}]}, "run.toml")
    with pytest.raises(ConfigError, match=r"run\.toml: a key"):
        demand_texts({"a\x07": 1}, "run.toml")
