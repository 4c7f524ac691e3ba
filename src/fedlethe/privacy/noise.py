# SPDX-License-Identifier: MIT
"""Gaussian noise that nobody can draw again who does not hold a secret of 32 bytes.

The mask's guarantee counts on noise that the observer cannot know. A run's seed is written in run.toml, and the usual
generators (Mersenne Twister, PCG) can be run on from a few outputs: an observer who subtracts a candidate from the
released model has the outputs, and whether they fit the generator says whether it was the candidate. So the bits come
from SHAKE-256 of the secret, the key of the draw and a counter, and are made normal by Box and Muller's transform in
float64.

The same secret and key give the same noise: an erasure that is done again gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from typing import Protocol

import numpy as np

from fedlethe.privacy.accounting import Array

SECRET_BYTES = 32
PAIRS = 1 << 12
"""Normal numbers are made from so many pairs of uniform ones at a time."""


class Noise(Protocol):
    """Independent standard normal numbers; a `numpy.random.Generator` is one, for studies that release nothing."""

    def standard_normal(self, size: int) -> Array:
        """The next `size` of them, float64, shape (size,)."""
        ...


class SecretNoise:
    """See the module's docstring.

    Formal guarantees:
        Indistinguishable from independent uniform bits for whoever does not hold the secret, as far as SHAKE-256 is
        (NIST FIPS 202). Of 53 bits each: |z| <= 8.7, which leaves out 1e-17 of the normal law.

    Args:
        secret: 32 bytes.
        key: Names the draw; two draws of one key are the same.

    Example:
        >>> a, b = SecretNoise(bytes(32), "mask", 1), SecretNoise(bytes(32), "mask", 1)
        >>> bool((a.standard_normal(5) == b.standard_normal(5)).all())
        True
    """

    def __init__(self, secret: bytes, *key: str | int) -> None:
        if len(secret) != SECRET_BYTES:
            raise ValueError(f"the secret must be {SECRET_BYTES} bytes, not {len(secret)}")
        name = json.dumps(key, separators=(",", ":")).encode()
        # The key is hashed to a fixed length, and the secret has one: no two (secret, key) give the same prefix.
        self._prefix = b"fedlethe noise 1" + secret + hashlib.sha256(name).digest()
        self._blocks = 0
        self._left: Array = np.empty(0)

    def standard_normal(self, size: int) -> Array:
        """See `Noise.standard_normal`."""
        # What a block leaves over is kept: how a caller cuts its draws must not change the numbers.
        parts, missing = [self._left], size - len(self._left)
        while missing > 0:
            parts.append(self._block())
            missing -= 2 * PAIRS
        numbers: Array = np.concatenate(parts)
        self._left = numbers[size:]
        return numbers[:size]

    def _block(self) -> Array:
        counter = self._blocks.to_bytes(8, "little")
        self._blocks += 1
        bits = np.frombuffer(hashlib.shake_256(self._prefix + counter).digest(16 * PAIRS), dtype="<u8")
        # The upper 53 bits, which a float64 holds exactly, plus a half: in (0, 1), so that the logarithm is finite.
        uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
        # Box and Muller take as many bits for each number; a rejection method would not, and no block could be counted.
        radius, angle = np.sqrt(-2 * np.log(uniform[:PAIRS])), 2 * np.pi * uniform[PAIRS:]
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
