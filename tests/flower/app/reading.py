# SPDX-License-Identifier: MIT
"""Reads what an app left in its run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fedlethe.history.entries import Participation
from fedlethe.history.sent_statistics import statistics_of
from fedlethe.runs.run_toml import opened_folder


def final(run: Path, rounds: int = 2) -> bytes:
    return (run / f"global_checkpoints/round_{rounds:04d}.safetensors").read_bytes()


def erased(run: Path, id: str = "0001") -> bytes:
    return (run / f"erasures/{id}/model.safetensors").read_bytes()


def participation(run: Path, round: int) -> list[Participation]:
    with opened_folder(run) as (_, history):
        return history.ledger.participation(round)


def nodes(run: Path, place: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / place).read_text())
    return found


def stages(run: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((run / "erasures/0001/erasure.json").read_text())["stages"]
    return found


def sent(run: Path, client: str) -> bytes:
    """The statistics of a client, out of their seal."""
    with opened_folder(run) as (_, history):
        return statistics_of(history, client).content()


def newest(run: Path) -> str:
    """The id of the erasure that was made last."""
    return max(path.name for path in (run / "erasures").iterdir())
