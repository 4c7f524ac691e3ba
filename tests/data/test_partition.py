# SPDX-License-Identifier: MIT
from typing import Any

import pytest

from fedlethe.data.partition import Partition


@pytest.mark.parametrize(
    "options",
    [
        {"scheme": "sites"},
        {"clients": 0},
        {"alpha": 0.0},
        {"alpha": float("nan")},
        {"test_fraction": 0.0},
        {"test_fraction": 1.0},
        {"max_examples": 1},
        {"scheme": "quantity"},
        {"quantities": (0.5,)},
        {"scheme": "quantity", "quantities": (0.6, 0.5)},
        {"scheme": "quantity", "quantities": (0.6, -0.5)},
        {"scheme": "quantity", "quantities": (0.5, 20.0)},
        {"clients": 3, "scheme": "site"},
        {"clients": 3, "scheme": "quantity", "quantities": (0.5, 0.5)},
        {"alpha": 0.3},
        {"alpha": 0.3, "scheme": "iid"},
    ],
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    named = next((option for option in ("clients", "quantities") if option in options), next(iter(options)))
    named = "quantities" if options == {"scheme": "quantity"} else named
    with pytest.raises(ValueError, match=named):
        Partition(**options)


def test_in_full_it_has_what_its_scheme_uses_and_nothing_else() -> None:
    full = [Partition(scheme=scheme).in_full() for scheme in (None, "site", "iid", "dirichlet")]
    assert [(one.clients, one.alpha) for one in full] == [(None, None), (None, None), (5, None), (5, 0.5)]
    assert all(one.in_full() == one for one in full)
