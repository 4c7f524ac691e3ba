# SPDX-License-Identifier: MIT
import io
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fedlethe.data.division import divide
from fedlethe.data.federated import SPLITS
from fedlethe.data.isic2019 import GROUND_TRUTH, INPUT, METADATA, Isic2019
from fedlethe.data.partition import Partition
from fedlethe.errors import FedletheError

# name, diagnosis, lesion, site: listed out of order, since the order of rows does not matter
ROWS = [
    ("ISIC_2", "MEL", "L1", "vienna"),
    ("ISIC_1", "NV", "", "vienna"),
    ("ISIC_3", "BCC", "L1", "sydney"),
    ("ISIC_5", "SCC", "L4", "sydney"),
    ("ISIC_4", "BKL", "", "sydney"),
    ("ISIC_6", "UNK", "L5", "sydney"),
    ("ISIC_7", "SCC", "L6", "sydney"),
]
DIAGNOSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")


def jpeg(number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((10, 14, 3), 20 * number, np.uint8)).save(file, "JPEG", quality=95)
    return file.getvalue()


def write_tables(root: Path, site: bool = True) -> None:
    truth = [",".join(["image", *DIAGNOSES])]
    truth += [",".join([name, *("1.0" if one == mark else "0.0" for one in DIAGNOSES)]) for name, mark, _, _ in ROWS]
    (root / GROUND_TRUTH).write_text("\n".join(truth))
    metadata = ["image,age_approx,lesion_id" + ",site" * site]
    metadata += [f"{name},45,{lesion}" + f",{place}" * site for name, _, lesion, place in ROWS]
    (root / METADATA).write_text("\n".join(metadata))


def write_images(root: Path, layout: str) -> None:
    contents = {f"{name}.jpg": jpeg(int(name[-1])) for name, *_ in ROWS}
    if layout in ("zip", "flat zip"):
        with zipfile.ZipFile(root / f"{INPUT}.zip", "w") as file:
            for name, content in contents.items():
                file.writestr(f"{INPUT}/{name}" if layout == "zip" else name, content)
            file.writestr(f"{INPUT}/ATTRIBUTION.txt", "text")
        return
    folder = {"folder": root / INPUT, "nested": root / INPUT / INPUT, "beside": root}[layout]
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("layout", ["folder", "nested", "beside", "zip", "flat zip"])
def test_every_layout_gives_the_same(tmp_path: Path, layout: str) -> None:
    write_tables(tmp_path)
    write_images(tmp_path, layout)
    data = Isic2019(root=tmp_path, size=8).load()
    assert data.classes == ("benign", "malignant")
    assert data.labels.tolist() == [0, 1, 1, 0]  # ISIC_1 NV, ISIC_2 MEL, ISIC_3 BCC, ISIC_4 BKL
    assert data.images[:, 0, 4, 4].tolist() == pytest.approx([20, 40, 60, 80], abs=2)
    assert data.left_out == {"SCC": 2, "UNK": 1}
    assert data.sites is not None
    assert data.sites.tolist() == ["vienna", "vienna", "sydney", "sydney"]
    assert data.groups is not None
    assert data.groups.tolist() == ["image ISIC_1", "L1", "L1", "image ISIC_4"]
    assert data.splits is None


def test_without_a_site_column_there_are_no_sites(tmp_path: Path) -> None:
    write_tables(tmp_path, site=False)
    write_images(tmp_path, "folder")
    assert Isic2019(root=tmp_path, size=8, channels=3).load().sites is None


@pytest.mark.parametrize("layout", ["folder", "zip"])
def test_an_image_that_is_listed_and_missing_is_named(tmp_path: Path, layout: str) -> None:
    write_tables(tmp_path)
    write_images(tmp_path, layout)
    table = tmp_path / GROUND_TRUTH
    table.write_text(table.read_text() + "\nISIC_9,1.0" + ",0.0" * 8 + "\nISIC_8,1.0" + ",0.0" * 8)
    (tmp_path / METADATA).write_text((tmp_path / METADATA).read_text() + "\nISIC_8,1,,a\nISIC_9,1,,a")
    with pytest.raises(FedletheError, match=r"ISIC_8\.jpg is not there"):
        Isic2019(root=tmp_path, size=8).load()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("ISIC_9" + ",0.0" * 9, "row 9: ISIC_9 has not exactly one diagnosis"),
        ("ISIC_9,1.0,1.0" + ",0.0" * 7, "row 9: ISIC_9 has not exactly one diagnosis"),
        ("ISIC_9,0.5" + ",0.0" * 8, "row 9: ISIC_9 has not exactly one diagnosis"),
        ("ISIC_1,1.0" + ",0.0" * 8, "row 9: ISIC_1 is listed twice"),
        ("ISIC_9,1.0" + ",0.0" * 8, "ISIC_9 has no site"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: str, message: str) -> None:
    write_tables(tmp_path)
    write_images(tmp_path, "folder")
    (tmp_path / GROUND_TRUTH).write_text((tmp_path / GROUND_TRUTH).read_text() + f"\n{row}")
    with pytest.raises(FedletheError, match=message):
        Isic2019(root=tmp_path, size=8).load()


def test_missing_tables_and_images_are_named(tmp_path: Path) -> None:
    with pytest.raises(FedletheError, match=GROUND_TRUTH):
        Isic2019(root=tmp_path).load()
    write_tables(tmp_path)
    with pytest.raises(FedletheError, match="holds neither"):
        Isic2019(root=tmp_path).load()


def test_a_damaged_member_of_the_archive_is_named(tmp_path: Path) -> None:
    write_tables(tmp_path)
    write_images(tmp_path, "flat zip")
    archive = tmp_path / f"{INPUT}.zip"
    content = bytearray(archive.read_bytes())
    at = content.index(jpeg(3)) + 100
    content[at : at + 20] = bytes(20)
    archive.write_bytes(content)
    with pytest.raises(FedletheError, match=r"ISIC_3\.jpg: cannot be read"):
        Isic2019(root=tmp_path, size=8).load()


def test_ham10000_is_what_was_published(real_data: Path) -> None:
    data = Isic2019(root=real_data / "isic2019_ham", size=32).load()
    assert np.bincount(data.labels).tolist() == [7804, 1627]
    assert sum(data.left_out.values()) == 584
    assert data.sites is not None
    counts = Counter(zip(data.sites.tolist(), data.labels.tolist(), strict=True))
    published = {
        "rosendahl": (1293, 638),
        "vidir_modern": (2307, 891),
        "vidir_molemax": (3844, 26),
        "vienna_dias": (360, 72),
    }
    assert {site: (counts[site, 0], counts[site, 1]) for site in published} == published


def test_no_lesion_of_ham10000_is_trained_and_tested_on(real_data: Path) -> None:
    data = Isic2019(root=real_data / "isic2019_ham", size=32).load()
    assert data.groups is not None
    clients = divide(data, Partition(), seed=0).clients
    assert list(clients) == ["rosendahl", "vidir_modern", "vidir_molemax", "vienna_dias"]
    lesions = {
        split: {lesion for one in clients.values() for lesion in data.groups[one.split(split).indices].tolist()}
        for split in SPLITS
    }
    assert not lesions["train"] & lesions["test"]
    for one in clients.values():
        assert len(one.test) / (len(one.test) + len(one.train)) == pytest.approx(0.2, abs=0.005)
