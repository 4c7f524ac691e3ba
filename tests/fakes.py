# SPDX-License-Identifier: MIT
"""The fakes of the test kit, under the name that the tests have for them."""

from __future__ import annotations

from fedlethe.testing.fakes import LAYOUT, LinearFederation, linear_federation, trained_history

__all__ = ["LAYOUT", "LinearFederation", "linear_federation", "trained_history"]
