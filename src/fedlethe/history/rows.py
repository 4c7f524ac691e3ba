# SPDX-License-Identifier: MIT
"""What each kind of row of a ledger may hold. A row is checked when it is read: what does not fit is never acted on.

A chain of valid hashes says that a row is the one that was written, not that fedlethe wrote it: whoever can write the
folder can chain rows of their own. So paths, names and ids of a row lead nowhere but into the run's own folders.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from fedlethe.errors import FedletheError
from fedlethe.history.chain import Event
from fedlethe.history.sealing import SEALED
from fedlethe.names import demand_client_name, inside, is_plain_path

Test: TypeAlias = Callable[[Any], bool]

ENDINGS = (SEALED, ".safetensors", ".json")
"""How the names of a run's own files end; pictures and tables apart."""

FOLDERS: Mapping[str, str] = {
    "global checkpoint": "global_checkpoints",
    "client delta": "client_deltas",
    "norms": "norms",
    "influence": "influence",
    "statistics": "statistics",
    "erasure": "erasures",
    "picture": "erasures",
    "answers": "audits",
    "nodes": "nodes",
    "server state": "server_state",
}
"""Kind of file to the folder that holds it; other kinds have places of their own."""

CONFIGURATIONS = ("run.toml", "recording.toml")
_STUDY = re.compile(r"report/[A-Za-z0-9_-][A-Za-z0-9._-]*\.json")
_OWN_KEY = re.compile(r"-[a-z]+")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\+00:00")
STATES = ("opened", "running", "audited", "completed", "failed", "withdrawn")


def _hex(digits: int) -> Test:
    pattern = re.compile(rf"[0-9a-f]{{{digits}}}")
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0  # True is an int to Python


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_client(value: Any) -> bool:
    try:
        return isinstance(value, str) and demand_client_name(value) == value
    except FedletheError:
        return False


def _has_key(value: Any) -> bool:
    return _is_client(value) or (isinstance(value, str) and _OWN_KEY.fullmatch(value) is not None)


def _matches(pattern: str) -> Test:
    compiled = re.compile(pattern)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def _optional(test: Test) -> Test:
    return lambda value: value is None or test(value)


def _list_of(test: Test) -> Test:
    return lambda value: isinstance(value, list) and all(test(one) for one in value)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _are_patients(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_client(one) and _list_of(_is_text)(value[one]) for one in value)


def _is_left_out(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and {"client", "because"} <= set(value) <= {"client", "because", "images"}
        and _is_client(value["client"])
        and _is_text(value["because"])
        and _optional(_is_count)(value.get("images"))
    )


def _is_json(text: Any) -> bool:
    try:
        return isinstance(text, str) and _is_plain(json.loads(text))
    except (ValueError, RecursionError):
        return False


def _is_json_object(text: Any) -> bool:
    return _is_json(text) and isinstance(json.loads(text), dict)


def _is_plain(value: Any) -> bool:
    """Whether a value holds no NaN and no infinity, wherever they are in it."""
    if isinstance(value, float):
        return math.isfinite(value)
    return all(map(_is_plain, value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()))


def _is_date(value: Any) -> bool:
    try:
        return isinstance(value, str) and dt.date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _is_time(value: str) -> bool:
    try:
        return _TIME.fullmatch(value) is not None and dt.datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _fields(must: Mapping[str, Test], may: Mapping[str, Test]) -> Test:
    fields = _Fields(must, may)
    return lambda value: fields.problem(value) is None


@dataclass(frozen=True, slots=True)
class _Fields:
    """The fields of a kind of row: those that it must have, and those that it may have."""

    must: Mapping[str, Test]
    may: Mapping[str, Test]

    def problem(self, body: Any) -> str | None:
        if not isinstance(body, dict):
            return "is no object"
        if missing := sorted(set(self.must) - set(body)):
            return f"lacks '{missing[0]}'"
        tests = {**self.must, **self.may}
        for name in sorted(body):
            if name not in tests:
                return f"has a field '{name[:40]}' that this kind of row has not"
            if not tests[name](body[name]):
                return f"has a '{name}' that cannot be: {str(body[name])[:60]!r}"
        return None


_ERASURE, _REQUEST = _matches("[0-9]{4,9}"), _matches("R[0-9]{4,9}")

_PLAN = _fields(
    {"method": _is_text, "options": _is_object, "mask": _is_object, "repair": _is_object},
    {
        "after": _optional(_ERASURE),
        "references": _is_count,
        "keep_for": _is_count,
        "result": _optional(_ERASURE),
    },
)

_FIELDS: Mapping[str, _Fields] = {
    "run": _Fields({"id": _hex(32), "format": _is_count}, {}),
    "began": _Fields(
        {"after": _is_text, "take_back": _list_of(_is_client), "left_out": _list_of(_is_left_out)},
        {"not_checked": _list_of(_is_text), "came_with": _are_patients},
    ),
    "round": _Fields(
        {"round": _is_count, "evaluation": _is_json, "seconds": _is_number, "recording_seconds": _is_number}, {}
    ),
    "participation": _Fields(
        {"round": _is_count, "client": _is_client},
        {
            "num_examples": _is_count,
            "weight": _is_number,
            "examples_processed": _is_count,
            "steps": _is_count,
            "loss": _is_number,
            "refused": _is_text,
        },
    ),
    "artefact": _Fields(
        {
            "path": is_plain_path,
            "kind": _is_text,
            "client": _optional(_is_client),
            "round": _optional(_is_count),
            "bytes": _is_count,
            "sha256": _hex(64),
        },
        {},
    ),
    "removed": _Fields({"path": is_plain_path, "because": _is_text}, {}),
    "erasure": _Fields({"id": _ERASURE, "request": _is_json_object}, {}),
    "keys": _Fields({"place": _is_text}, {}),
    "key": _Fields(
        {
            "client": _has_key,
            "id": _hex(16),
            "what": lambda what: what in ("made", "destroyed", "overwritten", "gone", "lost"),
        },
        {"why": _is_text, "by": _is_text},
    ),
    "request": _Fields(
        {
            "id": _REQUEST,
            "clients": lambda clients: bool(clients) and _list_of(_is_client)(clients),
            "patients": _are_patients,
            "reason": _is_text,
            "by": _is_text,
            "legal_ground": _is_text,
            "deadline": _is_date,
        },
        {"mentions": _are_patients},
    ),
    "state": _Fields(
        {"request": _REQUEST, "state": lambda state: state in STATES},
        {
            "plan": _optional(_PLAN),
            "erasure": _optional(_ERASURE),
            "purge": _optional(lambda purge: purge == "done" or _is_date(purge)),
            "note": _optional(_is_text),
            "verdict": _optional(_is_text),
            "accepted": _optional(_fields({"why": _is_text, "by": _is_text}, {})),
            "by": _optional(_is_text),
            "hiding": _list_of(_is_text),
            "warnings": _list_of(_is_text),
        },
    ),
    "purge": _Fields(
        {
            "request": _is_text,
            "erasure": _optional(_ERASURE),
            "clients": _list_of(_is_client),
            "images": _optional(is_plain_path),
        },
        {"folder": _optional(_is_text)},
    ),
    "elsewhere": _Fields(
        {"request": _is_text, "reached": _list_of(_is_text), "not_reached": _list_of(_is_text)},
        {},
    ),
}


def problem(event: Event) -> str | None:
    """Why a row cannot be one that this version writes; None where it can."""
    # Refused, not passed over: a later version may have written what changes the meaning of the rows that are known.
    if event.kind not in _FIELDS:
        return f"is of a kind '{event.kind[:40]}' that this version does not know"
    if (found := _FIELDS[event.kind].problem(event.body)) is not None:
        return found
    if not _is_time(event.at):
        return f"was written at '{event.at[:40]}', which is no time"
    # A file is purged, sealed and shown by its kind, so a kind must not stand at another one's place.
    if event.kind == "artefact" and not _in_its_place(event.body["kind"], event.body["path"]):
        return f"names a file '{event.body['path'][:60]}' that is not where a {event.body['kind'][:40]} lies"
    if (event.kind == "run") != (event.seq == 1):
        return "is the run's first, and not in its place" if event.kind == "run" else "is first, and not the run's"
    return None


def _in_its_place(kind: str, path: str) -> bool:
    if kind == "configuration":
        return path in CONFIGURATIONS
    if kind == "study":
        return _STUDY.fullmatch(path) is not None
    return inside(FOLDERS, kind, path)
