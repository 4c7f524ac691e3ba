# SPDX-License-Identifier: MIT
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fedlethe.data.table import Table, sorted_classes
from fedlethe.errors import FedletheError

HEADER = "path,label,client,patient,split"
ROWS = [
    "a/0.png,sick,north,p1,train",
    "a/1.png,well,north,p2,val",
    "a/2.png,well,south,,validation",
    "a/3.png,sick,south,p1,test",
]


def write(root: Path, rows: list[str], header: str = HEADER) -> Path:
    (root / "a").mkdir(exist_ok=True)
    for i in range(len(ROWS)):
        Image.fromarray(np.full((10, 10), 10 * i, np.uint8)).save(root / "a" / f"{i}.png")
    (root / "images.csv").write_text("\n".join([header, *rows]), encoding="utf-8-sig")
    return root / "images.csv"


def test_a_table_is_read(tmp_path: Path) -> None:
    data = Table(path=write(tmp_path, ROWS), size=8).load()
    assert data.classes == ("sick", "well")
    assert data.labels.tolist() == [0, 1, 1, 0]
    assert data.images[:, 0, 0, 0].tolist() == [0, 10, 20, 30]
    assert data.sites is not None
    assert data.sites.tolist() == ["north", "north", "south", "south"]
    assert data.groups is not None
    assert data.groups.tolist() == ["p1", "p2", "image a/2.png", "p1"]
    assert data.splits is not None
    assert data.splits.tolist() == ["train", "validation", "validation", "test"]


def test_patient_and_split_may_be_missing_and_clients_waived(tmp_path: Path) -> None:
    path = write(tmp_path, ["a/0.png,x,1", "a/1.png,y,2"], "path,label,client")
    data = Table(path=path, size=8).load()
    assert data.groups is data.splits is None
    assert data.sites is not None
    path = write(tmp_path, ["a/0.png,x", "a/1.png,y"], "path,label")
    assert Table(path=path, size=8, client_column="").load().sites is None


def test_columns_and_root_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, ["0.png,x,1,p", "1.png,y,1,p"], "file,finding,hospital,person")
    data = Table(
        path=path,
        root=tmp_path / "a",
        size=8,
        path_column="file",
        label_column="finding",
        client_column="hospital",
        patient_column="person",
    ).load()
    assert data.labels.tolist() == [0, 1]
    assert data.groups is not None
    assert data.groups.tolist() == ["p", "p"]


def test_the_fingerprint_follows_the_labels_and_not_the_place(tmp_path: Path) -> None:
    fingerprints = []
    for place, label in (("one", "sick"), ("two", "sick"), ("three", "well")):
        (tmp_path / place).mkdir()
        path = write(tmp_path / place, [f"a/0.png,{label},n,,train", *ROWS[1:]])
        fingerprints.append(Table(path=path, size=8).load().fingerprint)
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*ROWS, "a/4.png,sick,north,p,train"], r"row 6: .*a/4\.png is not there"),
        ([*ROWS, "a/0.png,sick,north,p,train"], r"row 6: a/0\.png is listed already in row 2"),
        ([*ROWS, "./a/0.png,sick,north,p,train"], r"row 6: \./a/0\.png is listed already in row 2"),
        ([",sick,north,p1,train", *ROWS[1:]], "row 2: column 'path' is empty"),
        (["a/0.png, ,north,p1,train", *ROWS[1:]], "row 2: column 'label' is empty"),
        (["a/0.png,sick,,p1,train", *ROWS[1:]], "row 2: column 'client' is empty"),
        (["a/0.png,sick,north,p1,", *ROWS[1:]], "row 2: split '' is none of train, validation, val, test"),
        (["a/0.png,sick,north,p1,dev", *ROWS[1:]], "row 2: split 'dev' is none of"),
        (["a/0.png,sick,north,p1,train,more", *ROWS[1:]], "row 2: has more values than the header"),
        ([row.replace("well", "sick") for row in ROWS], "every label is 'sick'"),
        ([], "lists no images"),
        (['"a/0.png'], "cannot be read as a CSV file"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(FedletheError, match=rf"images\.csv.*{message}") as raised:
        Table(path=write(tmp_path, rows), size=8).load()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("option", ["path_column", "label_column", "client_column", "patient_column", "split_column"])
def test_a_missing_column_is_named(tmp_path: Path, option: str) -> None:
    options: dict[str, Any] = {option: "nowhere"}
    with pytest.raises(FedletheError, match=r"images\.csv: has no column 'nowhere' \(it has path, label, client"):
        Table(path=write(tmp_path, ROWS), size=8, **options).load()


def test_what_is_no_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(FedletheError, match=r"gone\.csv: there is no such file; set path"):
        Table(path=tmp_path / "gone.csv").load()
    (tmp_path / "x.csv").write_bytes(b"path,label,client\n\xff\xfe,a,b")
    with pytest.raises(FedletheError, match=r"x\.csv: cannot be read as a CSV file in UTF-8"):
        Table(path=tmp_path / "x.csv").load()


def test_an_unreadable_image_of_a_table_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, ROWS)
    (tmp_path / "a" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(FedletheError, match=r"2\.png"):
        Table(path=path, size=8).load()


@given(st.lists(st.integers(-1000, 1000), min_size=1))
def test_numbers_are_sorted_as_numbers(numbers: list[int]) -> None:
    assert sorted_classes([str(number) for number in numbers]) == tuple(str(one) for one in sorted(set(numbers)))


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="label_column"):
        Table(path=Path("x.csv"), label_column="")
