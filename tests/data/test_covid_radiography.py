# SPDX-License-Identifier: MIT
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fedlethe.data.covid_radiography import CovidRadiography
from fedlethe.errors import FedletheError

COUNTS = {"COVID": 4, "Normal": 9, "Viral Pneumonia": 3}


@pytest.fixture(params=["new", "old"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A tiny database in today's layout or that of older releases; the gray value tells class and number."""
    root = tmp_path / "COVID-19_Radiography_Dataset"
    for shade, (name, count) in enumerate(COUNTS.items()):
        folder = root / name / "images" if request.param == "new" else root / name
        folder.mkdir(parents=True)
        for i in range(count):
            Image.fromarray(np.full((12, 12), 50 * shade + i, np.uint8)).save(folder / f"{name}-{i + 1}.png")
        (root / name / "masks").mkdir()
        Image.fromarray(np.full((12, 12), 255, np.uint8)).save(root / name / "masks" / f"{name}-1.png")
        (root / f"{name}.metadata.xlsx").touch()
    return root


def test_normal_is_class_0_and_covid_class_1(database: Path) -> None:
    data = CovidRadiography(root=database, size=8).load()
    assert data.classes == ("Normal", "COVID")
    assert data.labels.tolist() == [0] * 9 + [1] * 4
    assert data.images[:, 0, 0, 0].tolist() == [*range(50, 59), *range(4)]
    assert data.images.shape == (13, 1, 8, 8)
    assert data.left_out == {}


def test_the_folder_above_is_found_too(database: Path) -> None:
    assert (
        CovidRadiography(root=database.parent, size=8).load().fingerprint
        == CovidRadiography(root=database, size=8).load().fingerprint
    )


def test_normal_images_are_drawn_by_the_seed(database: Path) -> None:
    drawn = [CovidRadiography(root=database, size=8, normal=5, seed=seed).load() for seed in (0, 0, 1)]
    assert [int((one.labels == 0).sum()) for one in drawn] == [5, 5, 5]
    assert [int((one.labels == 1).sum()) for one in drawn] == [4, 4, 4]
    assert drawn[0].left_out == {"Normal, not drawn": 4}
    assert drawn[0].fingerprint == drawn[1].fingerprint != drawn[2].fingerprint
    assert len(np.unique(drawn[0].images[:5, 0, 0, 0])) == 5


@pytest.mark.parametrize("normal", [0, None])
def test_normal_0_takes_all(database: Path, normal: int | None) -> None:
    assert (CovidRadiography(root=database, size=8, normal=normal).load().labels == 0).sum() == 9


def test_other_classes_are_read_where_named(database: Path) -> None:
    data = CovidRadiography(root=database, size=8, classes=("COVID", "Viral Pneumonia", "Normal")).load()
    assert data.classes == ("Normal", "COVID", "Viral Pneumonia")
    assert np.bincount(data.labels).tolist() == [9, 4, 3]


def test_a_class_without_folder_is_an_error(database: Path) -> None:
    with pytest.raises(FedletheError, match="class 'Lung_Opacity' has no such folder"):
        CovidRadiography(root=database, classes=("Normal", "Lung_Opacity")).load()


def test_a_wrong_folder_and_an_empty_class_are_named(tmp_path: Path) -> None:
    with pytest.raises(FedletheError, match=f"{tmp_path}: holds no folder named COVID or Normal"):
        CovidRadiography(root=tmp_path).load()
    (tmp_path / "COVID" / "images").mkdir(parents=True)
    (tmp_path / "Normal").mkdir()
    with pytest.raises(FedletheError, match="holds no images"):
        CovidRadiography(root=tmp_path).load()
    with pytest.raises(FedletheError, match="set root"):
        CovidRadiography().load()


def test_download_asks_kaggle(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kaggle: Any = types.ModuleType("kagglehub")
    kaggle.dataset_download = lambda handle: str(database.parent) if "covid19-radiography" in handle else ""
    monkeypatch.setitem(sys.modules, "kagglehub", kaggle)
    assert len(CovidRadiography(download=True, size=8).load().labels) == 13


def test_download_without_kagglehub_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(FedletheError, match=r"pip install fedlethe\[kaggle\]"):
        CovidRadiography(download=True).load()


def test_a_failed_download_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> str:
        raise RuntimeError("no route\nto host")

    kaggle: Any = types.ModuleType("kagglehub")
    kaggle.dataset_download = fail
    monkeypatch.setitem(sys.modules, "kagglehub", kaggle)
    with pytest.raises(FedletheError, match=r"cannot be fetched from Kaggle \(no route\)"):
        CovidRadiography(download=True).load()


@pytest.mark.parametrize(
    "options",
    [
        {"normal": -1},
        {"classes": ("COVID",)},
        {"classes": ("A", "A")},
        {"channels": 2},
        {"root": ".", "download": True},
    ],
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        CovidRadiography(**options)
