# SPDX-License-Identifier: MIT
"""The unlearning methods: one file each, one row each."""

from __future__ import annotations

from fedlethe.unlearning.fine_tune import FineTune
from fedlethe.unlearning.influence import Influence
from fedlethe.unlearning.method import Unlearned, UnlearningMethod
from fedlethe.unlearning.retrain import Retrain

__all__ = ["METHODS", "Unlearned", "UnlearningMethod"]

METHODS: dict[str, type[UnlearningMethod]] = {
    "influence": Influence,
    "retrain": Retrain,
    "fine_tune": FineTune,
}
