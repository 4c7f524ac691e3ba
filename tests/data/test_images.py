# SPDX-License-Identifier: MIT
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fedlethe.data.cache import cache_folder
from fedlethe.data.images import Fit, check_image_options, read_image
from fedlethe.errors import FedletheError
from tests.data.pictures import blocks, dicom, png, shades


def test_gray_and_colour_come_in_the_channels_asked_for() -> None:
    colour = np.zeros((8, 8, 3), dtype=np.uint8)
    colour[..., 0] = 200
    assert read_image(png(colour), size=8, channels=3)[:, 0, 0].tolist() == [200, 0, 0]
    assert read_image(png(colour), size=8, channels=1)[:, 0, 0].tolist() == [60]  # 0.299 x 200
    assert read_image(png(blocks(7)), size=8, channels=3)[:, 0, 0].tolist() == [7, 7, 7]


def test_an_image_is_squashed_to_a_square_with_antialiasing() -> None:
    stripes = np.tile(np.asarray([0, 200], dtype=np.uint8), (16, 16))  # 16 high, 32 wide
    small = read_image(png(stripes), size=8, channels=1)
    assert small.shape == (1, 8, 8)
    assert abs(small[0, :, 2:-2].astype(int) - 100).max() <= 2  # without antialiasing every pixel is 0 or 200


def test_jpeg_palette_and_bilevel_images_are_read(tmp_path: Path) -> None:
    Image.fromarray(blocks(120)).save(tmp_path / "a.jpg")
    assert abs(int(read_image(tmp_path / "a.jpg", size=8, channels=1)[0, 0, 0]) - 120) <= 2
    palette = Image.fromarray(blocks(0, 1)).convert("P")
    palette.putpalette([10, 10, 10, 90, 90, 90])
    palette.save(tmp_path / "p.png", transparency=bytes([0, 255]))
    assert shades(read_image(tmp_path / "p.png", size=8, channels=1)) == [10, 90]
    Image.fromarray(blocks(0, 255)).convert("1").save(tmp_path / "b.png")
    assert shades(read_image(tmp_path / "b.png", size=8, channels=1)) == [0, 255]


def test_sixteen_bit_png_is_windowed_from_least_to_greatest() -> None:
    # (2000 - 1000) / (5000 - 1000) x 255 = 63.75, (3000 - 1000) / 4000 x 255 = 127.5 -> 128 (to even)
    image = read_image(png(blocks(1000, 2000, 3000, 5000, dtype="uint16")), size=8, channels=1)
    assert shades(image) == [0, 64, 128, 255]


def test_a_flat_sixteen_bit_image_is_black() -> None:
    assert shades(read_image(png(blocks(700, dtype="uint16")), size=8, channels=1)) == [0]


@pytest.mark.parametrize("kind", ["png", "jpg", "dcm"])
def test_a_truncated_image_is_named(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    place = tmp_path / f"broken.{kind}"
    if kind == "dcm":
        place.write_bytes(dicom(noise))
    else:
        Image.fromarray(noise).save(place)
    place.write_bytes(place.read_bytes()[: place.stat().st_size * 2 // 3])
    with pytest.raises(FedletheError, match=f"broken.{kind}"):
        read_image(place, size=8, channels=1)


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "empty"), (b"no image at all", "is not a PNG"), (bytes(128) + b"DICMxx", "DICOM")]
)
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(FedletheError, match=rf"x\.png: .*{reason}") as raised:
        read_image(tmp_path / "x.png", size=8, channels=1)
    assert "\n" not in str(raised.value)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(FedletheError, match=r"gone\.png: cannot be read"):
        read_image(tmp_path / "gone.png", size=8, channels=1)


def test_without_the_variable_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDLETHE_CACHE")
    assert "fedlethe" in str(cache_folder())


@pytest.mark.parametrize(("size", "channels"), [(7, 1), (4096, 1), (28, 2)])
def test_options_out_of_range_are_refused(size: int, channels: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        check_image_options(size, channels)


FITS: tuple[Fit, ...] = ("squash", "crop", "pad")


def test_an_image_that_is_not_square_is_squashed_or_cropped_or_padded() -> None:
    wide = np.repeat(np.array([[10, 20, 30, 40]], np.uint8), 2, axis=0).repeat(16, axis=0).repeat(16, axis=1)  # 32 x 64
    content = png(wide)

    squashed, cropped, padded = (read_image(content, size=16, channels=1, fit=fit)[0] for fit in FITS)

    assert squashed[8, [1, 5, 9, 13]].tolist() == [10, 20, 30, 40]
    assert sorted(set(cropped[:, 2].tolist() + cropped[:, 13].tolist())) == [20, 30]
    assert padded[[0, 3, 12, 15]].max() == 0  # a half of the height is the image
    assert padded[8, [1, 5, 9, 13]].tolist() == [10, 20, 30, 40]
    tall = read_image(png(np.ascontiguousarray(wide.T)), size=16, channels=1, fit="pad")[0]
    np.testing.assert_array_equal(tall, padded.T)
