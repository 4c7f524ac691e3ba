# SPDX-License-Identifier: MIT
"""What a history takes on disk, by hand."""

from __future__ import annotations

from fedlethe.learners.kept_bytes import bytes_for
from fedlethe.types import Need


def test_every_need_of_the_history_takes_its_bytes() -> None:
    """Two clients, three rounds, models of 10 numbers in 4 tensors; the final and the initial model come with each."""
    takes = {need: bytes_for(frozenset([need]), 10, 4, 2, 3) - 80 for need in Need}
    assert takes == {
        Need.INITIAL: 0,
        Need.INFLUENCE: 4 * 20,
        Need.NORMS: 4 * 24,
        Need.FIRST_DELTAS: 4 * 20,
        Need.DELTAS: 4 * 60,
        Need.GLOBALS: 4 * 30,
        Need.RETAINED_DATA: 0,
        Need.FORGOTTEN_DATA: 0,
        Need.PUBLIC_DATA: 0,
    }
