# SPDX-License-Identifier: MIT
"""What small files may take when they are unpacked: sizes are read from headers, memory is measured in a process."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.pixels.processing import convert_color_space

from fedlethe.data.images import read_image
from tests.data.pictures import dicom


def test_colours_are_converted_by_bands_as_they_are_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    content = dicom(pixels, "YBR_FULL")
    wanted = np.asarray(convert_color_space(pixels, "YBR_FULL", "RGB")).transpose(2, 0, 1)
    monkeypatch.setattr("fedlethe.data.eight_bits.BAND", 32)
    assert np.array_equal(read_image(content, size=16, channels=3), wanted)
