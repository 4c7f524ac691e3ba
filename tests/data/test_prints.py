# SPDX-License-Identifier: MIT
import hashlib
import hmac

import numpy as np
import numpy.typing as npt
import pytest

from fedlethe.data.federated import ClientData, Examples
from fedlethe.data.prints import SKETCH, prints, prints_of, shared, sketch

SECRET = b"a key of 32 bytes, or any other."


def examples(images: npt.NDArray[np.uint8], *rows: int) -> Examples:
    return Examples(images, np.asarray(rows, dtype=np.int64), np.zeros(len(rows), np.int64))


@pytest.fixture
def images() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (6, 1, 2, 2)).astype(np.uint8)


def test_a_print_is_a_keyed_hash_of_shape_and_pixels(images: npt.NDArray[np.uint8]) -> None:
    pixels = np.asarray([[[[0, 1], [2, 3]]]], dtype=np.uint8)
    said = hmac.new(SECRET, b"1x2x2" + bytes([0, 1, 2, 3]), hashlib.sha256).hexdigest()[:32]
    assert prints(SECRET, examples(pixels, 0)) == [said]
    assert prints(SECRET, examples(images, 4, 2)) == [prints(SECRET, examples(images, row))[0] for row in (4, 2)]
    assert prints(b"another", examples(pixels, 0)) != [said]
    assert prints(SECRET, examples(pixels.reshape(1, 1, 1, 4), 0)) != [said]  # the same bytes in another shape


def test_an_image_of_one_colour_has_no_print(images: npt.NDArray[np.uint8]) -> None:
    images[1] = 7
    assert prints(SECRET, examples(images, 1)) == [""]
    client = ClientData(examples(images, 0, 1), examples(images, 2), examples(images, 3, 0))
    assert prints_of(SECRET, client) == sorted(prints(SECRET, examples(images, 0, 2, 3)))


def test_small_sets_share_what_they_share() -> None:
    assert sketch(["b", "a", "b"]) == ["a", "b"]
    assert shared(["a", "b", "c", "d"], ["b", "d", "x"]) == 0.5
    assert shared(["b"], ["a", "b"]) == 1.0
    assert shared([], ["a"]) == 0.0


def test_sketches_of_large_sets_estimate_the_share_without_bias() -> None:
    estimates = []
    for seed in range(40):
        drawn = [f"{number:012x}" for number in np.random.default_rng(seed).integers(0, 2**48, 2300).tolist()]
        one, other = drawn[:1000], [*drawn[:300], *drawn[1000:]]  # 300 of the first 1000, among 1600
        sketches = sketch(one), sketch(other)
        assert [len(held) for held in sketches] == [SKETCH, SKETCH]
        estimates.append(shared(*sketches))
    # About 40 of the first set lie below both ends: sd of one estimate .07, of their mean .012.
    assert np.mean(estimates) == pytest.approx(0.3, abs=0.04)
