# SPDX-License-Identifier: MIT
"""Code is known by the bytes of its file, wherever that lies."""

from __future__ import annotations

from functools import wraps
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from fedlethe.errors import FedletheError
from fedlethe.outside.source_file import SourceFile


def here() -> None:
    """Written in this file."""


@wraps(here)
def wrapped() -> None:
    here()


def _kind(path: Path, code: str) -> Any:
    path.write_text(code)
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.made


def test_it_is_the_file_that_the_code_is_written_in() -> None:
    for kind in (here, wrapped):
        code = SourceFile.of("mine", kind)
        assert (code.name, code.path) == ("mine", __file__)
        assert code.sha256 == sha256(Path(__file__).read_bytes()).hexdigest()


def test_the_same_bytes_at_another_place_are_the_same_code(tmp_path: Path) -> None:
    one, other = (
        SourceFile.of("mine", _kind(tmp_path / name, "def made(): pass\n")) for name in ("one.py", "other.py")
    )
    assert one.path != other.path
    other.demand(vars(one), "RUN: its model")


def test_other_bytes_are_refused_with_both_places(tmp_path: Path) -> None:
    one = SourceFile.of("mine", _kind(tmp_path / "one.py", "def made(): pass\n"))
    other = SourceFile.of("mine", _kind(tmp_path / "other.py", "def made(): return 1\n"))
    with pytest.raises(FedletheError, match=r"^RUN: its model 'mine': .*other.py is not the file .*one.py\), or train"):
        other.demand(vars(one), "RUN: its model")


def test_what_is_in_no_file_cannot_be_kept() -> None:
    scope: dict[str, Any] = {}
    exec("class Typed: pass", scope)
    with pytest.raises(FedletheError, match="is written in no file"):
        SourceFile.of("typed", scope["Typed"])
