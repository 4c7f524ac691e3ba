# SPDX-License-Identifier: MIT
from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest

from fedlethe import files
from fedlethe.errors import FedletheError


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    files.write_text(path, "old")
    with pytest.raises(RuntimeError), files.written_whole(path) as aside:  # noqa: PT012
        aside.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_of_the_disk_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FedletheError, match=r"below\.txt: cannot be written"):
        files.write_text(tmp_path / "file" / "below.txt", "text")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FedletheError, match=r"No space left on device.*make room"):
        files.write_text(tmp_path / "file", "text")
    assert list(tmp_path.iterdir()) == []


def test_sha256_reads_all_of_a_long_file(tmp_path: Path) -> None:
    content = os.urandom((1 << 22) + 17)
    (tmp_path / "file").write_bytes(content)
    assert files.sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_files_and_new_folders_are_their_owner_s_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files.write_text(tmp_path / "a" / "b" / "c.txt", "x")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in sorted((tmp_path / "a").rglob("*"))]
    assert [stat.S_IMODE((tmp_path / "a").stat().st_mode), *modes] == [0o700, 0o700, 0o600]
