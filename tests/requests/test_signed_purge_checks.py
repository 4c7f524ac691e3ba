# SPDX-License-Identifier: MIT
"""Every value that a certificate holds is held against the run, or stands in what is said not to be checked."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedlethe.errors import FedletheError
from fedlethe.history.chain import canonical
from fedlethe.history.disk import RunFolder
from fedlethe.requests import signing
from fedlethe.requests.certificate_checks import CHECKS
from fedlethe.requests.statement import Statement
from fedlethe.requests.verify import verify_certificate
from fedlethe.runs.run_toml import opened_folder
from tests.requests.acting import KEY, results, signed_statement

MOMENT = (
    ("_type",),  # which are what it is read by
    ("predicateType",),
    ("predicate", "purge", "encrypted"),
    ("predicate", "purge", "keys_apart"),
    ("predicate", "purge", "backups"),
    ("predicate", "purge", "unnamed"),
    ("predicate", "purge", "pages"),
    ("predicate", "purge", "first_certificate"),
    ("predicate", "purge", "runs", 0, "keys_elsewhere"),
    ("predicate", "run", "code", "fedlethe"),
    ("predicate", "run", "code", "torch"),
    ("predicate", "run", "code", "python"),
)
"""What was so when it was signed; `certificate_checks.OF_ITS_TIME` says that it is not checked."""

Place = tuple[Any, ...]


def _leaves(value: Any, place: Place = ()) -> Iterator[Place]:
    """The place of each plain value, of long lists the first few; of an empty list or object, its own."""
    inside = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    found = [leaf for name, part in inside for leaf in _leaves(part, (*place, name))]
    yield from found or [place]


def _other(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case str():
            return f"{value}?"
        case int() | float():
            return value + 1
        case None:
            return "?"
        case list():
            return [*value, "?"]
        case dict():
            return {**value, "?": "?"}


def _put(statement: Any, place: Place) -> None:
    *above, last = place
    for name in above:
        statement = statement[name]
    statement[last] = _other(statement[last])


def _forged(done: Path, folder: Path, statement: Any) -> list[str]:
    """What does not hold of a statement that the key's holder signed, but the certificate's own hash."""
    path = folder / "forged.json"
    path.write_bytes(signing.signed(canonical(statement).encode(), KEY))
    checked = verify_certificate(path, done.parent / "key.pub", done)
    return [what for what, result in results(checked).items() if result == "failed" and what != "certificate"]


def test_no_value_of_a_certificate_can_be_changed_unseen(done: Path, tmp_path: Path) -> None:
    path = done / "erasures/0001/certificate.json"
    honest = signed_statement(path)
    assert _forged(done, tmp_path, honest) == []
    with opened_folder(done) as (_, history):
        unseen = [place for place in _leaves(honest) if _unseen(honest, place, path, history)]
    assert unseen == []


def _unseen(honest: Any, place: Place, path: Path, history: RunFolder) -> bool:
    """Whether no check finds that a value was changed, and nothing says that it is not checked."""
    forged = copy.deepcopy(honest)
    _put(forged, place)
    if any(place[: len(one)] == one for one in MOMENT):
        return False
    try:
        statement = Statement.from_dict(forged)
        return not any(isinstance(check(statement, path, history), str) for _, check, _ in CHECKS)
    except (FedletheError, LookupError, TypeError, ValueError):  # which `verify` refuses in one line
        return False


@pytest.mark.parametrize("place", [("purge", "runs", 0, "files"), ("purge", "not_reached"), ("not_covered",)])
def test_what_is_left_out_of_a_certificate_is_seen(place: Place, done: Path, tmp_path: Path) -> None:
    forged = signed_statement(done / "erasures/0001/certificate.json")
    held = forged["predicate"]
    for name in place:
        held = held[name]
    held.pop()
    assert _forged(done, tmp_path, forged) != []


def test_a_certificate_of_a_purge_that_the_ledger_does_not_know_does_not_hold(done: Path, tmp_path: Path) -> None:
    forged = json.loads(json.dumps(signed_statement(done / "erasures/0001/certificate.json")).replace("R0001", "R0009"))
    assert {"request", "purge", "what stays", "elsewhere"} <= set(_forged(done, tmp_path, forged))


def test_a_purge_that_is_still_to_come_is_not_checked(done: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(done, tmp_path / "run"))
    checked = verify_certificate(run / "erasures/0001/certificate-before-purge.json", done.parent / "key.pub", run)
    assert {results(checked)[what] for what in ("purge", "what stays", "elsewhere")} == {"not checked"}
