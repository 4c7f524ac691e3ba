# SPDX-License-Identifier: MIT
"""How clients train in repair rounds, and how a request for them is written down."""

from __future__ import annotations

import json

from fedlethe.erasing.order import ErasureOrder
from fedlethe.federation.repair import Repair
from fedlethe.unlearning import METHODS


def test_a_request_without_a_batch_size_is_written_as_before_there_was_one() -> None:
    def repair(**fields: int) -> object:
        request = ErasureOrder(
            forget=("a",), method_name="influence", method=METHODS["influence"](), repair=Repair(**fields)
        )
        return json.loads(request.canonical())["repair"]

    before = {"rounds": 1, "epochs": None, "ratio": 1.0, "learning_rate": None}
    assert repair() == before
    assert repair(batch_size=8) == {**before, "batch_size": 8}
