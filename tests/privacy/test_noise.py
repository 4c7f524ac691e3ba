# SPDX-License-Identifier: MIT
from __future__ import annotations

import hashlib
import json
import math
from statistics import NormalDist

import numpy as np
import pytest

from fedlethe.privacy import noise
from fedlethe.privacy.noise import SecretNoise

SECRET = bytes(range(32))


def test_the_numbers_worked_out_one_by_one() -> None:
    """Box and Muller's transform of SHAKE-256, without numpy."""
    name = hashlib.sha256(json.dumps(["mask", 1], separators=(",", ":")).encode()).digest()
    count = noise.PAIRS
    bits = hashlib.shake_256(b"fedlethe noise 1" + SECRET + name + (1).to_bytes(8, "little")).digest(16 * count)

    def uniform(index: int) -> float:
        return ((int.from_bytes(bits[8 * index : 8 * index + 8], "little") >> 11) + 0.5) / 2**53

    found = SecretNoise(SECRET, "mask", 1).standard_normal(4 * count)[2 * count :]  # the second block
    for index in (0, 1, count - 1):
        radius, angle = math.sqrt(-2 * math.log(uniform(index))), 2 * math.pi * uniform(count + index)
        assert found[index] == pytest.approx(radius * math.cos(angle), rel=1e-12)
        assert found[count + index] == pytest.approx(radius * math.sin(angle), rel=1e-12)


def test_they_are_standard_normal() -> None:
    found = np.sort(SecretNoise(SECRET, "law").standard_normal(200_000))
    expected = np.array([NormalDist().cdf(value) for value in found[::50].tolist()])
    empirical = (np.arange(len(found))[::50] + 0.5) / len(found)
    assert np.abs(empirical - expected).max() < 1.63 / math.sqrt(len(found))  # Kolmogorov and Smirnov, 1 %
    first, second = found[:-1], np.roll(found, 7)[:-1]
    assert found.std() == pytest.approx(1.0, abs=0.01)
    assert len(first) == len(second)


def test_numbers_of_one_stream_do_not_depend_on_each_other() -> None:
    found = SecretNoise(SECRET, "law").standard_normal(400_000)
    for lag in (1, 2, noise.PAIRS):  # the cosine and the sine of one pair lie PAIRS apart
        correlation = float((found[:-lag] * found[lag:]).mean())
        squares = float(((found[:-lag] ** 2 - 1) * (found[lag:] ** 2 - 1)).mean())
        assert abs(correlation) < 0.008
        assert abs(squares) < 0.016


def test_how_they_are_asked_for_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "PAIRS", 8)
    whole = SecretNoise(SECRET, "key").standard_normal(100)
    stream = SecretNoise(SECRET, "key")
    parts = [stream.standard_normal(size) for size in (0, 1, 15, 16, 40, 28)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_another_secret_or_key_gives_other_numbers() -> None:
    streams = [
        SecretNoise(SECRET, "a", 1),
        SecretNoise(SECRET, "a", "1"),
        SecretNoise(SECRET, "a1"),
        SecretNoise(bytes(32), "a", 1),
    ]
    draws = [stream.standard_normal(3).tolist() for stream in streams]
    assert len({tuple(draw) for draw in draws}) == 4


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_secret_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SecretNoise(bytes(length))
