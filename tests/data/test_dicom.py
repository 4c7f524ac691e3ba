# SPDX-License-Identifier: MIT
import numpy as np
import pytest
from pydicom.uid import JPEGLSLossless

from fedlethe.data.images import read_image
from fedlethe.errors import FedletheError
from tests.data.pictures import blocks, dicom, shades


def test_dicom_without_window_spans_least_to_greatest() -> None:
    assert shades(read_image(dicom(blocks(100, 200, 300, 500, dtype="uint16")), size=8, channels=1)) == [
        0,
        64,
        128,
        255,
    ]


def test_dicom_window_applies_after_slope_and_intercept() -> None:
    # Values 2 x stored - 1000: -1000, 0, 50, 400. Centre 50, width 201: from 50 - .5 - 100 = -50.5 to 149.5.
    # 0: 50.5 / 200 x 255 = 64.4; 50: 100.5 / 200 x 255 = 128.1.
    content = dicom(
        blocks(0, 500, 525, 700, dtype="int16"),
        RescaleSlope="2",
        RescaleIntercept="-1000",
        WindowCenter=["50", "7"],
        WindowWidth=["201", "9"],
    )
    assert shades(read_image(content, size=8, channels=1)) == [0, 64, 128, 255]


def test_dicom_exact_and_sigmoid_windows() -> None:
    window = {"WindowCenter": "100", "WindowWidth": "100"}
    exact = dicom(blocks(50, 100, 125, 150, dtype="uint16"), VOILUTFunction="LINEAR_EXACT", **window)
    assert shades(read_image(exact, size=8, channels=1)) == [0, 128, 191, 255]  # .75 x 255 = 191.25
    sigmoid = dicom(blocks(0, 100, dtype="uint16"), VOILUTFunction="SIGMOID", **window)
    assert shades(read_image(sigmoid, size=8, channels=1)) == [5, 128]  # 255 / (1 + e^4) = 4.6


def test_monochrome1_is_inverted() -> None:
    content = dicom(blocks(10, 20, 30, 50), photometric="MONOCHROME1")
    assert shades(read_image(content, size=8, channels=1)) == [255, 191, 127, 0]


def test_colour_dicom_keeps_its_colours() -> None:
    colour = np.broadcast_to(np.asarray([10, 20, 30], dtype=np.uint8), (8, 8, 3))
    assert read_image(dicom(colour, photometric="RGB"), size=8, channels=3)[:, 0, 0].tolist() == [10, 20, 30]


def test_multi_frame_dicom_is_refused() -> None:
    content = dicom(np.zeros((8, 8), np.uint8), NumberOfFrames=2, PixelData=bytes(128))
    with pytest.raises(FedletheError, match=r"scan\.dcm: has 2 frames"):
        read_image(content, size=8, channels=1, name="scan.dcm")


def test_compression_without_a_decoder_says_what_to_install() -> None:
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import get_decoder

    if get_decoder(JPEGLSLossless).is_available:
        pytest.skip("a JPEG-LS decoder is installed")
    content = dicom(blocks(1), syntax=JPEGLSLossless, PixelData=encapsulate([b"\xff\xd8\xff\xd9"]))
    with pytest.raises(FedletheError, match=r"scan: is compressed as JPEG-LS.*pip install pylibjpeg"):
        read_image(content, size=8, channels=1, name="scan")
