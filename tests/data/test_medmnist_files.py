# SPDX-License-Identifier: MIT
from pathlib import Path
from typing import Any

import pooch
import pytest

from fedlethe.data.medmnist import MedMnist
from fedlethe.data.medmnist_files import ARCHIVES
from fedlethe.errors import FedletheError
from tests.data.test_medmnist import write


def test_download_asks_for_the_published_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def retrieve(url: str, known_hash: str, fname: str, path: Path) -> str:
        asked.append((url.rsplit("/", 1)[1], known_hash))
        path.mkdir(parents=True, exist_ok=True)
        return str(write(path / fname, size=128))

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    data = MedMnist(flag="pneumoniamnist", root=tmp_path / "new", size=100, download=True).load()
    assert data.images.shape[2:] == (100, 100)
    assert asked == [("pneumoniamnist_128.npz?download=1", "md5:05b46931834c231683c68f40c47b2971")]


def test_a_failed_download_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise ValueError("MD5 hash differs\nfrom what is known")

    monkeypatch.setattr(pooch, "retrieve", fail)
    with pytest.raises(FedletheError, match=r"pneumoniamnist\.npz: cannot be fetched \(MD5 hash differs\)"):
        MedMnist(flag="pneumoniamnist", root=tmp_path, download=True).load()


def test_the_table_of_archives_is_in_order() -> None:
    sums = [one for archive in ARCHIVES.values() for one in archive.md5]
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in sums)
    assert len(set(sums)) == len(sums) == 44
    assert {flag: len(archive.classes) for flag, archive in ARCHIVES.items()} == {
        "pathmnist": 9,
        "dermamnist": 7,
        "octmnist": 4,
        "pneumoniamnist": 2,
        "retinamnist": 5,
        "breastmnist": 2,
        "bloodmnist": 8,
        "tissuemnist": 8,
        "organamnist": 11,
        "organcmnist": 11,
        "organsmnist": 11,
    }
