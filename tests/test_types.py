# SPDX-License-Identifier: MIT
"""A guarantee that could not be read again from a ledger is never made."""

from __future__ import annotations

from typing import Any

import pytest

from fedlethe.types import Guarantee


@pytest.mark.parametrize(
    ("kind", "statement", "words"),
    [
        ("evidence", "in words", "a guarantee is 'exact' or 'guaranteed', not 'evidence'; give None for evidence"),
        (["exact"], "in words", r"a guarantee is 'exact' or 'guaranteed', not \['exact'\]; give None"),
        ("guaranteed", 3, "a guarantee's statement is an int; give a text of one line"),
        ("exact", " ", "a guarantee's statement is ' '; give a text of one line"),
        ("exact", "it equals\nanother", r"a guarantee's statement is 'it equals\\x0aanother'; give a text of one line"),
    ],
)
def test_a_guarantee_is_of_a_known_kind_and_says_one_line(kind: Any, statement: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}"):
        Guarantee(kind, statement)


def test_both_are_printed() -> None:
    assert str(Guarantee("exact", "it equals another")) == "exact: it equals another"
