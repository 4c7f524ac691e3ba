# SPDX-License-Identifier: MIT
"""The errors are one family, of kinds that a caller can catch."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import fedlethe
from fedlethe import errors
from fedlethe.errors import ConfigError, DataError, FedletheError, HistoryError, IntegrityError, NodeError, RequestError

KINDS = [ConfigError, DataError, HistoryError, IntegrityError, NodeError, RequestError]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_of_the_family_and_escapes_what_others_wrote(kind: type[FedletheError]) -> None:
    assert str(kind("a\x1b[31mb")) == r"a\x1b[31mb"
    assert [str(pickle.loads(pickle.dumps(kind("x")))), issubclass(kind, FedletheError)] == ["x", True]
    assert len({*kind.__mro__} & {*KINDS}) == 1  # no kind is another's


def test_the_public_face_has_all_of_them() -> None:
    made = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert made == {name for name in fedlethe.__all__ if name.endswith("Error")}


def test_callers_can_tell_the_kinds_apart(tmp_path: Path) -> None:
    with pytest.raises(HistoryError):
        fedlethe.open_run(tmp_path)
    with pytest.raises(ConfigError):
        fedlethe.train(out=tmp_path / "run", local={"epoch": 1})
    with pytest.raises(DataError):
        fedlethe.train(data={"source": "medmnist", "flag": "bloodmnist", "root": str(tmp_path)}, out=tmp_path / "run")
    (tmp_path / "cert.json").write_text("{}")
    with pytest.raises(IntegrityError):
        fedlethe.verify(tmp_path / "cert.json", tmp_path / "no.pub")
