# SPDX-License-Identifier: MIT
"""Each check says in one line what it was given in place of an instance."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fedlethe.audit import AUDITS
from fedlethe.errors import FedletheError
from fedlethe.testing import check_aggregator, check_audit, check_feature_map, check_method
from fedlethe.testing.instances import sizes


@pytest.mark.parametrize("check", [check_method, check_audit, check_aggregator, check_feature_map])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("influence", "the str 'influence' was given; give an instance, such as [A-Z]"),
        (None, "None was given; give an instance, such as [A-Z]"),
        ({"a": 1}, "the dict {'a': 1} was given; give an instance"),
        (AUDITS["membership"], r"the class Membership was given; give an instance, Membership\(\)"),
        (Exception, r"the class Exception was given; give an instance"),
        (pytest, "the module <module 'pytest'.* was given; give an instance"),
    ],
)
def test_what_is_no_instance_is_told(check: Callable[[Any], None], given: Any, words: str) -> None:
    with pytest.raises(FedletheError, match=f"^{check.__name__}: {words}") as told:
        check(given)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("check", [check_method, check_audit, check_aggregator, check_feature_map])
def test_an_object_of_another_kind_is_told(check: Callable[[Any], None]) -> None:
    class Other:
        pass

    with pytest.raises(FedletheError, match=r"Other'?: is no "):
        check(Other())


def test_no_number_of_clients_is_told() -> None:
    from fedlethe.federation.median import Median

    for counts in ((0,), 3, None, (2.5,), (True,), ()):
        with pytest.raises(FedletheError, match=rf"^check_aggregator: counts {re.escape(str(counts))}: give whole num"):
            check_aggregator(Median(), counts=counts)  # type: ignore[arg-type]
    check_aggregator(Median(), counts=[np.int64(2)])


def test_sizes_are_whole_numbers_above_0() -> None:
    assert sizes((np.int64(3), 8)) == (3, 8)
    assert type(sizes([np.int64(3)])[0]) is int
    assert sizes(torch.Size([5])) == (5,)
    assert [sizes(wrong) for wrong in (None, 3, "12", (), (1, 0), (1, True), (1.0,))] == [()] * 7
