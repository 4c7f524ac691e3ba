# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any

import pytest

from tests.public.own import arrays


@pytest.fixture
def clients() -> dict[str, Any]:
    return {name: arrays(seed) for seed, name in enumerate(("east", "south", "west"))}
