# SPDX-License-Identifier: MIT
"""One seed gives a generator for every purpose; nothing draws from global random state."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from fedlethe.later import torch


def derive(seed: int, *key: str | int) -> int:
    """A 63-bit seed for one purpose: the same whatever was drawn before it, and in whatever order.

    Args:
        seed: The run's seed.
        key: Names the purpose, such as ("local training", round, client).

    Returns:
        An integer in [0, 2**63), from SHA-256 of the seed and the key.

    Example:
        >>> derive(0, "masks", 1) == derive(0, "masks", 1)
        True
        >>> derive(0, "masks", 1) == derive(0, "masks", "1")
        False
    """
    text = json.dumps([seed, *key], separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def torch_generator(seed: int, *key: str | int) -> torch.Generator:
    """A CPU generator of torch for one purpose (see `derive`)."""
    return torch.Generator().manual_seed(derive(seed, *key))


def numpy_generator(seed: int, *key: str | int) -> np.random.Generator:
    """A generator of numpy for one purpose (see `derive`)."""
    return np.random.default_rng(derive(seed, *key))
