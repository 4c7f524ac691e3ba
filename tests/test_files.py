# SPDX-License-Identifier: MIT
from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
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


def test_who_is_at_work_is_in_the_lock_as_long_as_it_works(tmp_path: Path) -> None:
    with files.locked(tmp_path):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())
    assert (tmp_path / ".lock").read_text() == ""  # no byte of it outlasts the work


def test_what_cannot_be_removed_is_named(tmp_path: Path) -> None:
    with pytest.raises(FedletheError, match=r"a: cannot be removed \(Is a directory\); see to the disk"):  # noqa: SIM117
        with files.removing(tmp_path / "a"):
            raise IsADirectoryError(21, os.strerror(21), str(tmp_path / "a"))


@pytest.mark.parametrize("own", [True, False])
def test_files_of_processes_that_are_gone_are_told_from_those_that_are_being_written(own: bool, tmp_path: Path) -> None:
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    assert files.abandoned(tmp_path / f"a.npy.{gone.stdout.strip()}{files.ASIDE}", own)
    assert not files.abandoned(tmp_path / f"a.npy.{os.getppid()}{files.ASIDE}", own)
    assert files.abandoned(tmp_path / f"a.npy.{os.getpid()}{files.ASIDE}", own) == own


def test_sha256_reads_all_of_a_long_file(tmp_path: Path) -> None:
    content = os.urandom((1 << 22) + 17)
    (tmp_path / "file").write_bytes(content)
    assert files.sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_a_link_that_waits_where_a_file_is_written_aside_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("somebody else's")
    for name in ("a", f"a.{os.getpid()}{files.ASIDE}"):
        (tmp_path / name).symlink_to(tmp_path / "other")
    files.write_text(tmp_path / "a", "x")
    assert (tmp_path / "other").read_text() == "somebody else's"
    assert (tmp_path / "a").read_text() == "x"
    assert not (tmp_path / "a").is_symlink()


def test_files_and_new_folders_are_their_owner_s_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files.write_text(tmp_path / "a" / "b" / "c.txt", "x")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in sorted((tmp_path / "a").rglob("*"))]
    assert [stat.S_IMODE((tmp_path / "a").stat().st_mode), *modes] == [0o700, 0o700, 0o600]
