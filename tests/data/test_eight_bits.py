# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
from pydicom.pixels.processing import convert_color_space

from fedlethe.data.eight_bits import bands, windowed
from fedlethe.data.images import read_image
from tests.data.pictures import dicom


def test_colours_are_converted_by_bands_as_they_are_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    content = dicom(pixels, "YBR_FULL")
    wanted = np.asarray(convert_color_space(pixels, "YBR_FULL", "RGB")).transpose(2, 0, 1)
    monkeypatch.setattr("fedlethe.data.eight_bits.BAND", 32)
    assert np.array_equal(read_image(content, size=16, channels=3), wanted)


@pytest.mark.parametrize("shape", [(10, 7), (1, 3), (0, 5), (5, 0), (9, 2, 3)])
def test_bands_are_all_rows_once_in_their_order(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedlethe.data.eight_bits.BAND", 14)
    rows = [row for band in bands(shape) for row in range(shape[0])[band]]
    assert rows == list(range(shape[0]))
    if shape == (10, 7):
        assert len(bands(shape)) == 5  # two rows of seven each


def test_a_window_is_linear_within_and_clipped_without() -> None:
    values = np.asarray([[-5, 0, 1, 2, 4, 9]])
    assert windowed(values, 0, 4).tolist() == [[0, 0, 64, 128, 255, 255]]  # 63.75, 127.5 (to even)
    assert windowed(values, 2, 2).tolist() == [[0, 0, 0, 0, 255, 255]]  # no width: what is above shows
