# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedlethe import files
from fedlethe.errors import FedletheError
from fedlethe.history.disk import RunFolder
from fedlethe.history.study_files import enter_study, study_content, study_names


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    held = RunFolder(tmp_path, ("a",), frozenset(), create=True)
    yield held
    held.close()


def test_a_study_is_the_one_that_was_entered_last(folder: RunFolder) -> None:
    assert (study_content(folder, "sweep"), study_names(folder)) == (None, ())
    for name, content in (("sweep", "[1, 2, 3]"), ("trace-a", "[]      "), ("sweep", "[4, 5, 6]")):
        enter_study(folder, name, content)
    assert study_content(folder, "sweep") == b"[4, 5, 6]"
    assert study_names(folder) == ("sweep", "trace-a")
    folder.verify()


def test_values_that_were_changed_are_refused(folder: RunFolder) -> None:
    enter_study(folder, "sweep", "[0.9]")
    (folder.path / "report/sweep.json").write_text("[0.8]")
    with pytest.raises(FedletheError, match=r"sweep\.json"):
        study_content(folder, "sweep")


def test_a_study_that_was_cut_off_is_none(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    enter_study(folder, "sweep", "[1, 2, 3]")

    def dies(path: Path, text: str) -> None:
        path.write_text(text[:1])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_text", dies)
        with pytest.raises(KeyboardInterrupt):
            enter_study(folder, "sweep", "[4, 5, 6]")
    assert study_content(folder, "sweep") is None
    folder.verify()  # what lies there is nobody's word
    enter_study(folder, "sweep", "[4, 5, 6]")
    assert study_content(folder, "sweep") == b"[4, 5, 6]"
