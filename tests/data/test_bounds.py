# SPDX-License-Identifier: MIT
"""What small files may take when they are unpacked: sizes are read from headers, memory is measured in a process."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from fedlethe.data import bounds
from fedlethe.data.decoded_arrays import cached_archive
from fedlethe.data.images import read_image
from fedlethe.data.medmnist import MedMnist
from fedlethe.errors import FedletheError
from tests.data.pictures import blocks, dicom, png, shades

MEASURE = """
import resource, sys
from pathlib import Path
from typing import Any
from fedlethe.data.images import read_image
import PIL.Image, PIL.PngImagePlugin, PIL.JpegImagePlugin, pydicom, pydicom.filereader, pydicom.encaps
import pydicom.pixels.decoders.base, pydicom.pixels.processing, pydicom.pixels.utils
read_image(Path(sys.argv[2]), size=8, channels=1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print("shades", *sorted(set(read_image(Path(sys.argv[1]), size=8, channels=1)[0, 0].tolist())))
except Exception as error:
    print(type(error).__name__, error)
print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


def measured(path: Path, small: bytes) -> tuple[str, int]:
    """What reading an image ends in, and the bytes by which the memory's peak exceeds that of a small image."""
    path.with_name("small").write_bytes(small)
    command = [sys.executable, "-c", MEASURE, str(path), str(path.with_name("small"))]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return said[0], int(said[1])


def deflated(rows: int, columns: int) -> bytes:
    """A DICOM file of noughts that says it is so large, without making the image."""
    syntax = DeflatedExplicitVRLittleEndian
    head = dicom(np.zeros((2, 2), np.uint16), syntax=syntax, Rows=rows, Columns=columns)
    start = 144 + int.from_bytes(head[140:144], "little")
    inner = zlib.decompress(head[start:], -15)
    cut, size = inner.index(b"\xe0\x7f\x10\x00OW"), 2 * rows * columns
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    pieces = [stream.compress(inner[:cut] + b"\xe0\x7f\x10\x00OW\0\0" + struct.pack("<I", size))]
    pieces += [stream.flush(zlib.Z_FULL_FLUSH), stream.compress(bytes(1 << 20)) + stream.flush(zlib.Z_FULL_FLUSH)]
    pieces += [pieces[-1]] * (size // (1 << 20) - 1)  # after a full flush a block stands for itself
    return head[:start] + b"".join(pieces) + stream.compress(bytes(size % (1 << 20))) + stream.flush()


def test_a_deflated_dicom_of_20000_by_20000_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "bomb.dcm").write_bytes(deflated(20_000, 20_000))
    assert (tmp_path / "bomb.dcm").stat().st_size < 1_000_000
    said, peak = measured(tmp_path / "bomb.dcm", dicom(blocks(1, 2)))
    assert said.startswith("DataError")
    assert "bomb.dcm: has 1 x 20000 x 20000 = 400,000,000 pixels" in said
    assert bounds.VARIABLE in said
    assert peak < 50e6


def test_a_deflated_dicom_that_hides_its_length_is_unpacked_no_further_than_an_image_may_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(bounds.VARIABLE, "1000")
    with pytest.raises(FedletheError, match="the 16,785,216 bytes that an image may take"):
        read_image(_longer(deflated(8, 8), 20_000_000), size=8, channels=1)


def _longer(content: bytes, more: int) -> bytes:
    start = 144 + int.from_bytes(content[140:144], "little")
    inner = zlib.decompress(content[start:], -15)
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return content[:start] + stream.compress(inner + bytes(more)) + stream.flush()


def test_a_deflated_dicom_within_the_limit_is_read(tmp_path: Path) -> None:
    pixels = blocks(0, 100, 200, 300, dtype="uint16")
    plain, packed = dicom(pixels), dicom(pixels, syntax=DeflatedExplicitVRLittleEndian)
    np.testing.assert_array_equal(read_image(packed, size=8, channels=1), read_image(plain, size=8, channels=1))


@pytest.mark.parametrize("kind", ["png", "dcm"])
def test_sixteen_bits_take_a_small_multiple_of_the_image(kind: str, tmp_path: Path) -> None:
    rows = np.arange(4000, dtype=np.uint16)
    pixels = np.broadcast_to(rows[:, None] * 13, (4000, 3000))
    content = png(np.ascontiguousarray(pixels)) if kind == "png" else dicom(np.ascontiguousarray(pixels))
    (tmp_path / f"large.{kind}").write_bytes(content)
    said, peak = measured(
        tmp_path / f"large.{kind}",
        png(blocks(1, 2, dtype="uint16")) if kind == "png" else content[:0] or dicom(blocks(1, 2)),
    )
    assert said.startswith("shades")
    assert peak < 5 * pixels.size * 2  # float64 alone would be four times


@pytest.mark.parametrize(
    ("content", "sides"),
    [
        (png(blocks(1, 2)), (8, 8)),
        (png(np.zeros((3, 7), np.uint16)), (3, 7)),
        (png(np.zeros((3, 7), np.uint16))[:23], None),
        (b"GIF89a", None),
        (b"\xff\xd8\xff\xd9", None),
        (b"\xff\xd8" + b"\xff" * 50, None),
    ],
)
def test_sides_come_from_the_header(content: bytes, sides: tuple[int, int] | None) -> None:
    assert bounds.sides(content) == sides


@pytest.mark.parametrize("form", ["JPEG", "JPEG2000"])
def test_sides_of_jpegs_are_those_that_pillow_finds(form: str) -> None:
    file = io.BytesIO()
    Image.fromarray(np.zeros((24, 40), np.uint8)).save(file, form)
    assert bounds.sides(file.getvalue()) == (24, 40)


@pytest.mark.parametrize("form", ["png", "jpeg"])
def test_a_header_of_many_pixels_is_refused_whatever_follows(form: str) -> None:
    if form == "png":
        content = bytearray(png(blocks(1, 2)))
        content[16:24] = struct.pack(">II", 60_000, 50_000)
    else:
        file = io.BytesIO()
        Image.fromarray(blocks(1, 2)).save(file, "JPEG")
        content = bytearray(file.getvalue())
        place = content.index(b"\xff\xc0")
        content[place + 5 : place + 9] = struct.pack(">HH", 50_000, 60_000)
    with pytest.raises(FedletheError, match=r"north/a: has 50000 x 60000 = 3,000,000,000 pixels"):
        read_image(bytes(content), size=8, channels=1, name="north/a")


@pytest.mark.parametrize("frames", [1, 10**6])
def test_frames_count(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bounds.VARIABLE, "64")
    told: dict[str, Any] = {} if frames == 1 else {"NumberOfFrames": frames}
    content = dicom(blocks(1, 2), **told)
    if frames == 1:
        assert read_image(content, size=8, channels=1).shape == (1, 8, 8)
    else:
        with pytest.raises(FedletheError, match=r"1000000 x 8 x 8 = 64,000,000 pixels"):
            read_image(content, size=8, channels=1)


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000Lossless])
def test_a_compressed_dicom_is_measured_by_its_own_pixels(syntax: str) -> None:
    file = io.BytesIO()
    Image.fromarray(np.zeros((2000, 1000), np.uint8)).save(file, "JPEG" if syntax == JPEGBaseline8Bit else "JPEG2000")
    content = dicom(np.zeros((8, 8), np.uint8), syntax=syntax, PixelData=encapsulate([file.getvalue()]))
    with pytest.raises(FedletheError, match="holds pixels of 2000 x 1000, but says that it is 8 x 8"):
        read_image(content, size=8, channels=1)


def test_the_limit_can_be_raised_and_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    content = png(blocks(1, 2))
    for text, fits in (("64", True), ("63", False), ("", True), ("1000000000", True)):
        monkeypatch.setenv(bounds.VARIABLE, text)
        if fits:
            read_image(content, size=8, channels=1)
        else:
            with pytest.raises(FedletheError, match="8 x 8 = 64 pixels, more than the 63"):
                read_image(content, size=8, channels=1)
    for text in ("many", "-1", "0", "1e9", "9" * 30):
        monkeypatch.setenv(bounds.VARIABLE, text)
        with pytest.raises(FedletheError, match=f"{bounds.VARIABLE}={text}: must be a whole number"):
            read_image(content, size=8, channels=1)


def test_texts_and_profiles_in_a_png_are_not_unpacked_without_bound(tmp_path: Path) -> None:
    told = PngImagePlugin.PngInfo()
    told.add(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(100_000_000)))
    told.add(b"iCCP", b"profile\0\0" + zlib.compress(bytes(100_000_000)))
    file = io.BytesIO()
    Image.fromarray(blocks(1, 2)).save(file, "PNG", pnginfo=told)
    (tmp_path / "texts.png").write_bytes(file.getvalue())
    said, peak = measured(tmp_path / "texts.png", png(blocks(1, 2)))
    assert said.startswith(("DataError", "shades"))
    assert peak < 30e6


def test_a_member_of_an_archive_is_unpacked_no_further_than_an_image_may_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDLETHE_CACHE", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.png", bytes(20_000_000))
    monkeypatch.setenv(bounds.VARIABLE, "1000")
    with pytest.raises(FedletheError, match=r"a\.zip: a\.png: is longer than the 16,785,216 bytes"):
        cached_archive(tmp_path / "a.zip", ["a.png"], size=8, channels=1)


def npz(place: Path, **headers: str) -> Path:
    """An .npz file whose arrays have these headers and no values."""
    with zipfile.ZipFile(place, "w") as file:
        for name, header in headers.items():
            text = header.encode().ljust(117) + b"\n"
            file.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)
    return place


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (True,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (4,)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': 4}",
        "((((((((((",
        "{'descr': '<i8', 'fortran_order': False, 'shape': ()}",
    ],
)
def test_the_header_of_labels_is_counted(header: str, tmp_path: Path) -> None:
    npz(tmp_path / "pneumoniamnist.npz", train_labels=header)
    with pytest.raises(FedletheError, match="train_labels"):
        MedMnist(flag="pneumoniamnist", root=tmp_path).load()


def _coded(form: str, side: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((side, side), np.uint8)).save(file, form)
    return file.getvalue()


def _behind_a_box(inner: bytes) -> bytes:
    """A JP2 file of 7,000 x 7,000 with a box before its code stream, far longer than any header."""
    whole = _coded("JPEG2000", 7000)
    start = whole.index(bounds.CODESTREAM) - 8
    box = struct.pack(">I", 8 + len(inner)) + b"uuid" + inner
    return whole[:start] + box + whole[start:]


@pytest.mark.parametrize(
    ("syntax", "frame"),
    [
        pytest.param(JPEG2000Lossless, lambda: _behind_a_box(b"\0" * 70_000), id="the code stream lies far behind"),
        pytest.param(
            JPEG2000Lossless,
            lambda: _behind_a_box(bounds.CODESTREAM + struct.pack(">HHIIII", 0, 0, 8, 8, 0, 0)),
            id="another code stream's header lies in a box before it",
        ),
        pytest.param(
            JPEGBaseline8Bit,
            lambda: b"\xff\xd8\xff\x00" + b"\0" * 40 + _coded("JPEG", 7000)[2:],
            id="what is no marker stands before the header",
        ),
        pytest.param(
            JPEGBaseline8Bit,
            lambda: _coded("JPEG", 8)[:-2].partition(b"\xff\xda")[0] + _coded("JPEG", 7000)[2:],
            id="two headers",
        ),
    ],
)
def test_a_compressed_dicom_that_hides_its_size_is_refused(
    syntax: str, frame: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(bounds.VARIABLE, "1000000")
    content = dicom(np.zeros((8, 8), np.uint8), syntax=syntax, PixelData=encapsulate([frame()]))
    with pytest.raises(FedletheError, match=r"7000 x 7000 = 49,000,000 pixels|no header of their size"):
        read_image(content, size=8, channels=1)


def _runs(*segments: bytes) -> bytes:
    starts, place = [len(segments)], 64
    for segment in segments:
        starts.append(place)
        place += len(segment)
    return struct.pack("<16I", *starts, *[0] * (16 - len(starts))) + b"".join(segments)


def test_runs_are_counted_before_they_are_unpacked(tmp_path: Path) -> None:
    honest = _runs(b"\xc1\x07")  # 64 times 7
    content = dicom(np.zeros((8, 8), np.uint8), syntax=RLELossless, PixelData=encapsulate([honest]))
    assert shades(read_image(content, size=8, channels=1)) == [0]  # one shade, windowed
    place = tmp_path / "bomb.dcm"
    bomb = encapsulate([_runs(b"\x81\7" * 2**20)])
    place.write_bytes(dicom(np.zeros((8, 8), np.uint8), syntax=RLELossless, PixelData=bomb))
    said, peak = measured(place, png(blocks(1, 2)))
    assert "its run-length coded pixels are more than the 64 that it should have" in said
    assert peak < 20 * place.stat().st_size
    two = dicom(np.zeros((8, 8), np.uint8), syntax=RLELossless, PixelData=encapsulate([_runs(b"\xc1\7", b"\xc1\7")]))
    with pytest.raises(FedletheError, match="has 2 segments of pixels, where 1 are to be"):
        read_image(two, size=8, channels=1)


def test_frames_of_a_png_count(tmp_path: Path) -> None:
    first, second = (Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (0, 200))
    first.save(tmp_path / "several.png", save_all=True, append_images=[second])
    with pytest.raises(FedletheError, match=r"several\.png: has 2 frames"):
        read_image(tmp_path / "several.png", size=8, channels=1)


def test_an_even_image_of_sixteen_bits_takes_no_more_than_another(tmp_path: Path) -> None:
    pixels = np.full((3000, 3000, 3), 700, np.uint16)
    (tmp_path / "even.dcm").write_bytes(dicom(pixels, "RGB"))
    said, peak = measured(tmp_path / "even.dcm", dicom(np.stack([blocks(1, 2)] * 3, axis=2), "RGB"))
    assert said == "shades 0"
    assert peak < 5 * pixels.nbytes


@pytest.mark.parametrize(
    ("function", "width", "taken"),
    [
        ("SIGMOID", 0, False),
        ("LINEAR", 0.5, False),
        ("LINEAR", -50, False),
        ("LINEAR", 1, True),
        ("SIGMOID", 0.5, True),
    ],
)
def test_a_window_without_width_is_refused(function: str, width: float, taken: bool) -> None:
    content = dicom(blocks(1, 2), VOILUTFunction=function, WindowCenter=2, WindowWidth=width)
    if taken:
        assert read_image(content, size=8, channels=1).shape == (1, 8, 8)
    else:
        with pytest.raises(FedletheError, match=f"its window is {width:g} wide"):
            read_image(content, size=8, channels=1)


def _item(content: bytes) -> bytes:
    whole = content + b"\0" * (len(content) % 2)
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(whole)) + whole


@pytest.mark.parametrize("table", ["extended", "basic"])
def test_the_frame_that_is_decoded_is_the_one_that_was_measured(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A DICOM file can point at another frame than its first."""
    monkeypatch.setenv(bounds.VARIABLE, "1000000")
    small, large = _item(_coded("JPEG", 8)), _item(_coded("JPEG", 5000))
    basic = b"" if table == "extended" else struct.pack("<II", 0, len(small))
    extended: dict[str, Any] = {
        "ExtendedOffsetTable": struct.pack("<Q", len(small)),
        "ExtendedOffsetTableLengths": struct.pack("<Q", len(large) - 8),
    }
    content = dicom(
        np.zeros((8, 8), np.uint8),
        syntax=JPEGBaseline8Bit,
        PixelData=_item(basic) + small + large,
        **(extended if table == "extended" else {}),
    )
    with pytest.raises(FedletheError, match=r"5000 x 5000 = 25,000,000 pixels|has 2 frames"):
        read_image(content, size=8, channels=1)


def test_planes_of_a_compressed_image_count() -> None:
    for form, place in (("JPEG2000", 40), ("JPEG", 9)):
        content = bytearray(_coded(form, 8))
        start = content.index(bounds.CODESTREAM if form == "JPEG2000" else b"\xff\xc0")
        assert bounds.sides(bytes(content)) == (8, 8)
        content[start + place] = 200
        assert bounds.sides(bytes(content)) is None
