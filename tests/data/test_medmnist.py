# SPDX-License-Identifier: MIT
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import pytest

from fedlethe.data.division import divide
from fedlethe.data.medmnist import MedMnist
from fedlethe.data.medmnist_files import ARCHIVES
from fedlethe.data.partition import Partition
from fedlethe.errors import FedletheError

COUNTS = {"train": 6, "val": 2, "test": 3}


def write(path: Path, *, size: int = 28, colour: bool = False, classes: int = 2, **other: Any) -> Path:
    """A tiny archive; the value of an image is 20 x its place in its split."""
    arrays = {}
    for split, count in COUNTS.items():
        shades = 20 * np.arange(count, dtype=np.uint8)
        arrays[f"{split}_images"] = np.broadcast_to(
            shades.reshape(-1, 1, 1, *[1] * colour), (count, size, size, *[3] * colour)
        )
        arrays[f"{split}_labels"] = (np.arange(count, dtype=np.uint8) % classes)[:, None]
    np.savez(path, allow_pickle=True, **{**arrays, **other})
    return path


def test_official_splits_and_labels_are_kept(tmp_path: Path) -> None:
    write(tmp_path / "pneumoniamnist.npz")
    data = MedMnist(flag="pneumoniamnist", root=tmp_path).load()
    assert data.classes == ("normal", "pneumonia")
    assert data.splits is not None
    assert data.splits.tolist() == ["train"] * 6 + ["validation"] * 2 + ["test"] * 3
    assert data.labels.tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]
    assert data.images[:, 0, 5, 5].tolist() == [0, 20, 40, 60, 80, 100, 0, 20, 0, 20, 40]
    assert data.images.shape == (11, 1, 28, 28)


def test_colour_sets_have_three_channels_unless_told_otherwise(tmp_path: Path) -> None:
    path = write(tmp_path / "bloodmnist.npz", colour=True, classes=8)
    assert MedMnist(flag="bloodmnist", root=path).load().images.shape[1] == 3
    gray = MedMnist(flag="bloodmnist", root=path, channels=1).load()
    assert gray.images.shape[1] == 1
    assert gray.images[1, 0, 0, 0] == 20
    assert len(gray.classes) == 8


def test_colour_becomes_gray_by_luminance(tmp_path: Path) -> None:
    images = np.zeros((6, 28, 28, 3), np.uint8)
    images[..., 0] = 200
    path = write(tmp_path / "bloodmnist.npz", colour=True, train_images=images)
    assert MedMnist(flag="bloodmnist", root=path, channels=1).load().images[0, 0, 0, 0] == 60  # 0.299 x 200


@pytest.mark.parametrize(("size", "chosen"), [(28, 28), (32, 64), (64, 64), (200, 64)])
def test_the_file_nearest_in_size_is_taken_and_resized(tmp_path: Path, size: int, chosen: int) -> None:
    for published in (28, 64):
        value = np.full((6, published, published), published, np.uint8)
        name = "breastmnist.npz" if published == 28 else f"breastmnist_{published}.npz"
        write(tmp_path / name, size=published, train_images=value)
    images = MedMnist(flag="breastmnist", root=tmp_path, size=size).load().images
    assert images.shape[2:] == (size, size)
    assert images[0, 0, 0, 0] == chosen


def test_multi_label_and_unknown_sets_are_refused() -> None:
    with pytest.raises(ValueError, match="several labels"):
        MedMnist(flag="chestmnist")
    with pytest.raises(ValueError, match="none of MedMNIST's 2-D sets"):
        MedMnist(flag="organmnist3d")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"val_labels": np.full((2, 1), 2)}, "val_labels has labels beyond 2 classes"),
        ({"val_labels": np.zeros((2, 14), np.uint8)}, "not one whole number an image"),
        ({"val_labels": np.asarray([{}, {}], dtype=object)}, "val_labels cannot be read"),
        ({"test_images": np.zeros((3, 28, 28))}, "test_images is float64"),
        ({"test_images": np.zeros((3, 8, 8, 8), np.uint8)}, "not one 2-D image"),
        ({"test_images": np.zeros((4, 28, 28), np.uint8)}, "test_images is uint8"),
        ({"test_images": np.asarray([{}] * 3, dtype=object)}, "test_images is object"),
    ],
)
def test_arrays_of_another_form_are_refused(tmp_path: Path, other: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "x.npz", **other)
    with pytest.raises(FedletheError, match=message):
        MedMnist(flag="pneumoniamnist", root=path).load()


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FedletheError, match=r"holds no breastmnist_64\.npz"):
        MedMnist(flag="breastmnist", root=tmp_path, size=64).load()
    with pytest.raises(FedletheError, match="set root"):
        MedMnist(flag="breastmnist").load()
    path = write(tmp_path / "breastmnist.npz")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(FedletheError, match=r"breastmnist\.npz: cannot be read as an archive"):
        MedMnist(flag="breastmnist", root=tmp_path).load()
    np.savez(path, train_images=np.zeros(1))
    with pytest.raises(FedletheError, match="train_labels cannot be read"):
        MedMnist(flag="breastmnist", root=tmp_path).load()


def test_pneumoniamnist_is_what_was_published(real_data: Path) -> None:
    path = real_data / "pneumoniamnist" / "pneumoniamnist.npz"
    assert pooch.file_hash(path, alg="md5") == ARCHIVES["pneumoniamnist"].md5[0]
    data = MedMnist(flag="pneumoniamnist", root=path.parent).load()
    assert data.splits is not None
    assert Counter(zip(data.splits.tolist(), data.labels.tolist(), strict=True)) == {
        ("train", 0): 1214,
        ("train", 1): 3494,
        ("validation", 0): 135,
        ("validation", 1): 389,
        ("test", 0): 234,
        ("test", 1): 390,
    }
    with np.load(path) as arrays:
        assert np.array_equal(data.images[:4708, 0], arrays["train_images"])
        assert np.array_equal(data.images[-624:, 0], arrays["test_images"])


def test_the_official_split_of_pneumoniamnist_is_kept(real_data: Path) -> None:
    clients = divide(MedMnist(flag="pneumoniamnist", root=real_data / "pneumoniamnist").load(), Partition(), 3).clients
    assert sorted(i for one in clients.values() for i in one.train.indices.tolist()) == list(range(4708))
    assert sorted(i for one in clients.values() for i in one.test.indices.tolist()) == list(range(5232, 5856))
