# SPDX-License-Identifier: MIT
"""Nothing is signed over a folder in which something is not as it was entered."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fedlethe.errors import FedletheError
from fedlethe.requests.carry_out import erase_unsigned
from fedlethe.runs.opening import opened_run
from tests.requests.acting import EXACT, GONE, PLAIN, RECOMMENDED, carry_out_alone, erased, request


@pytest.mark.parametrize("name", ["global_checkpoints/round_0002.safetensors", "run.toml"])
def test_a_file_that_is_a_link_is_not_signed_over(small: Path, tmp_path: Path, name: str) -> None:
    (small / name).rename(tmp_path / "elsewhere")
    (small / name).symlink_to(tmp_path / "elsewhere")
    id = request(small, GONE)
    with pytest.raises(FedletheError, match=r"is a link, which fedlethe does not make"):
        carry_out_alone(small, id, PLAIN)
    assert not list(small.rglob("certificate*"))


@pytest.mark.parametrize("whose", ["hospital-0", "-images"])
def test_nothing_is_signed_of_files_whose_key_is_gone(closed_form_run: Path, tmp_path: Path, whose: str) -> None:
    run = Path(shutil.copytree(closed_form_run, tmp_path / "run"))
    id = request(run, GONE)
    with opened_run(run) as opened:
        erase_unsigned(opened, id, EXACT)
    (key,) = (run / "keys").glob(f"{whose}.*.key")
    content = key.read_bytes()
    for damaged in (None, b"", content[:3] + bytes([content[3] ^ 1]) + content[4:]):
        key.unlink()
        if damaged is not None:
            key.write_bytes(damaged)
            key.chmod(0o600)
        with pytest.raises(FedletheError, match=rf"{whose}"):
            carry_out_alone(run, id)
        key.write_bytes(content)
    assert not list(run.rglob("certificate*"))
    carry_out_alone(run, id)


def test_an_entry_among_the_keys_is_named_once(run: Path) -> None:
    (run / "keys" / "sub").mkdir()
    (run / "keys" / "sub" / "file").write_bytes(b"x")
    (run / "keys" / "link").symlink_to("nowhere")
    carried = erased(run, GONE, plan=RECOMMENDED)
    assert sorted(words.rpartition("keys/")[2].partition(":")[0] for words in carried.unnamed) == ["link", "sub/file"]
