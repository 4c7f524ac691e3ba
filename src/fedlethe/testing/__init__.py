# SPDX-License-Identifier: MIT
"""The test kit of whoever writes a part outside this package, a method or a model, say; ours are tested with it.

In a test of your own:

    from fedlethe.testing import check_method
    from mylab.forget import Mine

    def test_my_method() -> None:
        check_method(Mine())

A check that fails raises a FedletheError of one line, which names what was checked and says what to do. The fakes are a
federation whose every number can be worked out by hand.
"""

from __future__ import annotations

from fedlethe.testing.aggregators import check_aggregator
from fedlethe.testing.audits import check_audit
from fedlethe.testing.fakes import LAYOUT, LinearFederation, linear_federation, trained_history
from fedlethe.testing.feature_maps import check_feature_map
from fedlethe.testing.methods import check_method
from fedlethe.testing.models import check_model

__all__ = [
    "LAYOUT",
    "LinearFederation",
    "check_aggregator",
    "check_audit",
    "check_feature_map",
    "check_method",
    "check_model",
    "linear_federation",
    "trained_history",
]
