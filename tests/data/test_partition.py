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
    ],
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    named = "quantities" if "quantities" in options or options == {"scheme": "quantity"} else next(iter(options))
    with pytest.raises(ValueError, match=named):
        Partition(**options)
