# SPDX-License-Identifier: MIT
"""A chain of valid hashes with a row that fedlethe would not write is refused, by its number, and never acted on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fedlethe.errors import FedletheError
from fedlethe.history.chain import Chain, ChainHead
from fedlethe.history.ledger import Ledger

WHEN = "2026-01-02T03:04:05+00:00"
FILE = {"kind": "influence", "client": "a", "round": 1, "bytes": 1, "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        *(
            ("artefact", {**FILE, "path": path})
            for path in (
                "../x.sealed",
                "influence/../../x",
                "/etc/x",
                "influence\\x",
                "influence//x",
                "norms/a/x",
                "influence/./x",
            )
        ),
        ("artefact", {**FILE, "path": "influence/a/x", "client": "../a"}),
        ("artefact", {**FILE, "path": "influence/a/x", "bytes": "1"}),
        ("artefact", {**FILE, "path": "influence/a/x", "kind": "configuration"}),
        ("key", {"client": "../../a", "id": "0" * 16, "what": "made"}),
        ("key", {"client": "a", "id": "../0", "what": "made"}),
        ("key", {"client": "a", "id": "0" * 16, "what": "destroyed"}),
        ("removed", {"path": "influence/a/never", "because": "x"}),
        ("erasure", {"id": "..", "request": "{}"}),
        ("purge", {"request": "R0001", "erasure": None, "clients": ["a"], "images": "../x"}),
        ("round", {"round": 2, "evaluation": "null", "seconds": 0.0, "recording_seconds": 0.0}),
        ("round", {"round": 1, "evaluation": "null", "seconds": True, "recording_seconds": 0.0}),
        ("round", {"round": 1, "evaluation": "null", "seconds": 0.0}),
        ("participation", {"round": 1, "client": "a", "more": 1}),
        ("novel", {}),
    ],
)
def test_a_row_that_cannot_be_is_named(kind: str, body: dict[str, Any], tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db", create=True)
    head = ledger.head()
    ledger.close()
    chain = Chain(tmp_path / "ledger.db")
    chain.append(ChainHead(head.seq, head.hash), WHEN, [(kind, body)])
    chain.close()
    with pytest.raises(FedletheError, match=r"row 2 \("):
        Ledger(tmp_path / "ledger.db")
