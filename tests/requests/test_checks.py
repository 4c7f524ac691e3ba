# SPDX-License-Identifier: MIT
from __future__ import annotations

from fedlethe.requests.checks import Check, held


def test_a_search_that_finds_nothing_holds_and_one_that_finds_says_all_of_it() -> None:
    assert held("files", iter(()), "all are there") == Check("files", "ok", "all are there")
    assert held("files", iter(["a: is missing", "b: is a link"]), "all are there") == Check(
        "files", "failed", "a: is missing; b: is a link"
    )
