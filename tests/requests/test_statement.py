# SPDX-License-Identifier: MIT
"""A statement is read in one form alone."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedlethe.errors import FedletheError
from fedlethe.history import chain
from fedlethe.history.chain import canonical
from fedlethe.requests import signing
from fedlethe.requests.statement import Statement, plain_json
from fedlethe.requests.verify import verify_certificate
from tests.requests.acting import GONE, KEY, PLAIN, certified, erased, signed_statement


def test_a_certificate_of_nothing_ends_in_one_line(small: Path, public: Path) -> None:
    path = certified(erased(small, GONE, plan=PLAIN))
    whole = json.loads(signing.unchecked(path.read_bytes(), path))
    for subject in ([], [whole["subject"][0]]):
        path.write_bytes(signing.signed(canonical({**whole, "subject": subject}).encode(), KEY))
        with pytest.raises(FedletheError, match="is not written as this version writes certificates"):
            verify_certificate(path, public, small)


@given(st.data())
def test_any_flipped_byte_of_a_certificate(done: Path, data: st.DataObject) -> None:
    content = bytearray((done / "erasures/0001/certificate.json").read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    flipped = done.parent / "flipped.json"
    flipped.write_bytes(content)
    with pytest.raises(FedletheError, match=r"flipped\.json"):
        verify_certificate(flipped, done.parent / "key.pub", None)


@pytest.mark.parametrize("lacking", ["claim", "audit", "request", "erasure", "ledger", "purge", "run"])
def test_a_statement_that_is_signed_and_lacks_a_part_is_refused_in_one_line(
    lacking: str, done: Path, tmp_path: Path
) -> None:
    statement = signed_statement(done / "erasures/0001/certificate.json")
    del statement["predicate"][lacking]
    path = tmp_path / "short.json"
    path.write_bytes(signing.signed(chain.canonical(statement).encode(), KEY))
    with pytest.raises(FedletheError, match="not written as this version"):
        verify_certificate(path, done.parent / "key.pub", done)


@pytest.mark.parametrize("name", ["certificate", "certificate-before-purge"])
def test_what_was_read_is_written_again_to_the_byte(done: Path, name: str) -> None:
    whole = signed_statement(done / f"erasures/0001/{name}.json")
    assert canonical(Statement.from_dict(whole).to_dict()) == canonical(whole)


def test_numbers_that_json_lacks_are_text() -> None:
    found = plain_json({"a": (1.5, math.inf), "b": [-math.inf, {"c": 2}]})
    assert found == {"a": [1.5, "inf"], "b": ["-inf", {"c": 2}]}
