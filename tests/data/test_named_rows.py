# SPDX-License-Identifier: MIT
from __future__ import annotations

import hashlib
from pathlib import Path

from fedlethe.data.cache import identity
from fedlethe.data.named_rows import only_named
from tests.data.pictures import SCANS, images_of


def test_naming_decodes_and_writes_nothing(cache: Path, folder: Path) -> None:
    (folder / SCANS[3]).write_bytes(b"no image")
    with only_named() as named:
        assert not images_of(folder).any()
    assert named == [tuple(identity(hashlib.sha256((folder / name).read_bytes()).hexdigest()) for name in SCANS)]
    assert not [path for path in cache.rglob("*") if path.is_file()]
