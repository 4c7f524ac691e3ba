# SPDX-License-Identifier: MIT
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, JPEGLSLossless

from fedlethe.data import images
from fedlethe.data.cache import cache_folder
from fedlethe.data.images import Pixels, cached_archive, cached_files, content_hashes, read_image
from fedlethe.errors import FedletheError

Array = npt.NDArray[Any]


def png(pixels: Array, place: Path | None = None) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.getvalue())
    return file.getvalue()


def dicom(pixels: Array, photometric: str = "MONOCHROME2", **elements: Any) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = elements.pop("syntax", ExplicitVRLittleEndian)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID("1.2.3")
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.PhotometricInterpretation = photometric
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW" if pixels.itemsize == 2 else "OB"
    for name, value in elements.items():
        setattr(dataset, name, value)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def blocks(*values: int, dtype: str = "uint8") -> Array:
    """An image of 8 x 8 whose columns, in equal shares, are the values."""
    return np.repeat(np.asarray(values, dtype=dtype), 8 // len(values))[None].repeat(8, axis=0)


def shades(image: Pixels) -> list[int]:
    """The different values of a gray image's first row, in their order."""
    return list(dict.fromkeys(image[0, 0].tolist()))


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEDLETHE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


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


def folder_of(place: Path, count: int = 5) -> list[str]:
    names = [f"{i}.png" for i in range(count)]
    for i, name in enumerate(names):
        png(blocks(10 * (i % 25)), place / name)
        os.utime(place / name, (1e9, 1e9))
    return names


def test_cached_images_are_a_read_only_map_in_the_order_asked_for(tmp_path: Path, own_cache: Path) -> None:
    folder_of(tmp_path / "a", 100)
    pixels, _ = cached_files(tmp_path / "a", ["3.png", "1.png"], size=8, channels=1)
    assert isinstance(pixels, np.memmap)
    assert not pixels.flags.writeable
    assert pixels[:, 0, 0, 0].tolist() == [30, 10]
    many, _ = cached_files(tmp_path / "a", [f"{i}.png" for i in range(25)] * 4, size=8, channels=3)
    assert many[:, 2, 7, 7].tolist() == [10 * i for i in range(25)] * 4


def test_a_second_start_neither_reads_nor_decodes(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = folder_of(tmp_path / "a")
    first, fingerprint = cached_files(tmp_path / "a", names, size=8, channels=1)

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("was read again")

    monkeypatch.setattr(images, "sha256_of", never)
    monkeypatch.setattr(images, "read_image", never)
    again, same = cached_files(tmp_path / "a", names, size=8, channels=1)
    assert same == fingerprint
    assert np.array_equal(first, again)


def test_the_fingerprint_depends_on_content_and_not_on_place(tmp_path: Path, own_cache: Path) -> None:
    for place in ("a", "b"):
        names = folder_of(tmp_path / place)
    fingerprints = [cached_files(tmp_path / place, names, size=8, channels=1)[1] for place in ("a", "b")]
    assert fingerprints[0] == fingerprints[1]
    png(blocks(99), tmp_path / "b" / names[0])
    changed, fingerprint = cached_files(tmp_path / "b", names, size=8, channels=1)
    assert fingerprint != fingerprints[0]
    assert changed[0, 0, 0, 0] == 99
    assert cached_files(tmp_path / "a", names, size=9, channels=1)[1] != fingerprints[0]


def test_a_file_that_was_just_written_is_hashed_again(tmp_path: Path, own_cache: Path) -> None:
    png(blocks(1), tmp_path / "a" / "x.png")
    stat = (tmp_path / "a" / "x.png").stat()
    before = content_hashes(tmp_path / "a", ["x.png"])
    png(blocks(2), tmp_path / "a" / "x.png")  # as long as the first
    os.utime(tmp_path / "a" / "x.png", ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    assert content_hashes(tmp_path / "a", ["x.png"]) != before


@pytest.mark.parametrize("damage", ["truncated", "empty", "longer", "text"])
def test_a_damaged_cache_is_rebuilt(tmp_path: Path, own_cache: Path, damage: str) -> None:
    names = folder_of(tmp_path / "a")
    cached_files(tmp_path / "a", names, size=8, channels=1)
    (array,) = (own_cache / "images").glob("*.npy")
    whole = array.read_bytes()
    array.write_bytes({"truncated": whole[:-100], "empty": b"", "longer": whole + b"x", "text": b"text"}[damage])
    pixels, _ = cached_files(tmp_path / "a", names, size=8, channels=1)
    assert pixels[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]
    assert array.read_bytes() == whole


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"0.png": "x", "1.png": [1]})])
def test_damaged_hashes_are_made_again(tmp_path: Path, own_cache: Path, text: str) -> None:
    names = folder_of(tmp_path / "a")
    before = content_hashes(tmp_path / "a", names)
    (place,) = (own_cache / "hashes").iterdir()
    place.write_text(text)
    assert content_hashes(tmp_path / "a", names) == before


def test_a_bad_image_leaves_no_cache_behind(tmp_path: Path, own_cache: Path) -> None:
    names = folder_of(tmp_path / "a")
    (tmp_path / "a" / "3.png").write_bytes(b"")
    with pytest.raises(FedletheError, match=r"3\.png: the image is empty"):
        cached_files(tmp_path / "a", names, size=8, channels=1)
    assert list((own_cache / "images").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = folder_of(tmp_path / "a")
    (tmp_path / "file").touch()
    monkeypatch.setenv("FEDLETHE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(FedletheError, match=r"file/cache.*cannot be made.*FEDLETHE_CACHE"):
        cached_files(tmp_path / "a", names, size=8, channels=1)


def test_without_the_variable_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDLETHE_CACHE")
    assert "fedlethe" in str(cache_folder())


def test_a_broken_archive_is_named(tmp_path: Path, own_cache: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK")
    with pytest.raises(FedletheError, match=r"x\.zip: cannot be read as an archive"):
        cached_archive(tmp_path / "x.zip", ["a.png"], size=8, channels=1)


@pytest.mark.parametrize(("size", "channels"), [(7, 1), (4096, 1), (28, 2)])
def test_options_out_of_range_are_refused(size: int, channels: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        images.check_image_options(size, channels)
