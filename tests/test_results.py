# SPDX-License-Identifier: MIT
"""The types of what the public face returns; tests/public holds each to what its functions say."""

from __future__ import annotations

from fedlethe import results
from fedlethe.erasing.record import Erasure


def test_a_type_is_the_one_that_is_returned() -> None:
    assert results.Erasure is Erasure
    assert "Erasure" in dir(results)
