# SPDX-License-Identifier: MIT
"""A run folder that an attacker made, every hash valid: nothing outside it is written, overwritten or unlinked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from typer.main import get_command

from fedlethe.cli.app import app
from fedlethe.errors import FedletheError
from fedlethe.history.chain import canonical
from fedlethe.pages.report import report
from fedlethe.requests.signing import new_key
from fedlethe.runs.opening import opened_run
from tests.requests.acting import RECOMMENDED, document, erased, request, trained
from tests.requests.rechaining import rechained

VICTIM = "hospital-1"
OUTSIDE = "outside"
COMMAND_LINE = get_command(app)

Attack = Callable[[Path, Path], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an erasure that was purged, one that is requested, and a page."""
    run = trained(tmp_path_factory.mktemp("hostile") / "run", document(rounds=1))
    erased(run, "hospital-2", plan=RECOMMENDED)
    with opened_run(run) as opened:
        report(opened)
    assert request(run, VICTIM) == "R0002"
    return run


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy, beside the folder of somebody else: a run of its own, and what else one has."""
    shutil.copytree(made, tmp_path / OUTSIDE / "run")
    shutil.copytree(made / "keys", tmp_path / OUTSIDE / "keys")
    (tmp_path / OUTSIDE / "secret.sealed").write_bytes(b"somebody else's")
    (tmp_path / OUTSIDE / "secret.0123456789abcdef.key").write_bytes(b"somebody else's")
    new_key(tmp_path / OUTSIDE / "signing")
    return Path(shutil.copytree(made, tmp_path / "run"))


def _held(folder: Path) -> dict[str, str]:
    """Every path below a folder, with what it holds and whose it is to read."""
    found = {}
    for path in sorted(folder.rglob("*")):
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes().hex() if path.is_file() else "folder"
        found[path.relative_to(folder).as_posix()] = f"{path.lstat().st_mode:o} {sha256(content.encode()).hexdigest()}"
    return found


# Attacks: on the rows


def _rows(kind: str, name: str, value: Any, of: Callable[[dict[str, Any]], bool] = lambda body: True) -> Attack:
    """Every such row of the ledger holds something else in a field."""

    def attack(run: Path, outside: Path) -> None:
        changed = []

        def change(found: str, body: dict[str, Any]) -> None:
            if found == kind and name in body and of(body):
                body[name] = value.replace("OUTSIDE", str(outside)) if isinstance(value, str) else value
                changed.append(body)

        rechained(run, change)
        assert changed

    return attack


def _more(kind: str, body: dict[str, Any]) -> Attack:
    def attack(run: Path, outside: Path) -> None:
        rechained(run, lambda kind, body: None, (kind, canonical(body)))

    return attack


def _of_victim(body: dict[str, Any]) -> bool:
    return bool(body["client"] == VICTIM and body["kind"] == "influence")


# On files that the rows name, with their hashes


def _file(name: str, edit: Callable[[str], str]) -> Attack:
    def attack(run: Path, outside: Path) -> None:
        text = edit((run / name).read_text())
        assert text != (run / name).read_text()
        (run / name).write_text(text)
        content = (run / name).read_bytes()

        def change(kind: str, body: dict[str, Any]) -> None:
            if kind == "artefact" and body["path"] == name:
                body |= {"sha256": sha256(content).hexdigest(), "bytes": len(content)}

        rechained(run, change)

    return attack


def _fact(line: str) -> Attack:
    """One more line in the table [run] of run.toml, or another one in its place."""
    key = line.partition(" =")[0]

    def edit(text: str) -> str:
        before, _, facts = text.rpartition("[run]\n")
        kept = [one for one in facts.splitlines() if one.partition(" =")[0] != key]
        return f"{before}[run]\n{line}\n" + "\n".join(kept) + "\n"

    return _file("run.toml", edit)


def _image_list(name: str, value: Any) -> Attack:
    return _file("erasures/images-R0001.json", lambda text: json.dumps({**json.loads(text), name: value}))


# On folders


def _linked(folder: str) -> Attack:
    """A folder of the run is a link to one outside, with the same files."""

    def attack(run: Path, outside: Path) -> None:
        target = outside / "target"
        (run / folder).parent.mkdir(exist_ok=True)
        if (run / folder).exists():
            shutil.move(run / folder, target)
        else:
            target.mkdir()
        (run / folder).symlink_to(target)

    return attack


def _linked_file(name: str) -> Attack:
    def attack(run: Path, outside: Path) -> None:
        if (run / name).exists():
            shutil.move(run / name, outside / "target")
        else:
            (outside / "target").touch()
        (run / name).symlink_to(outside / "target")

    return attack


ATTACKS: dict[str, Attack] = {
    "a path upwards": _rows("artefact", "path", f"../{OUTSIDE}/secret.sealed", _of_victim),
    "a path upwards from its folder": _rows("artefact", "path", f"influence/../../{OUTSIDE}/secret.sealed", _of_victim),
    "an absolute path": _rows("artefact", "path", "OUTSIDE/secret.sealed", _of_victim),
    "a path of another kind": _rows("artefact", "path", "run.toml", _of_victim),
    "a file's client": _rows("artefact", "client", f"../../{OUTSIDE}/secret", _of_victim),
    "who took part": _rows("participation", "client", f"../{OUTSIDE}/secret", lambda body: body["client"] == VICTIM),
    "who asked": _rows("request", "clients", [f"../{OUTSIDE}/secret"], lambda body: body["id"] == "R0002"),
    "whose patients": _rows("request", "patients", {f"../{OUTSIDE}": ["0" * 32]}, lambda body: body["id"] == "R0002"),
    "a key's client": _rows("key", "client", f"../../{OUTSIDE}/secret", lambda body: body["client"] == VICTIM),
    "a key's id": _rows("key", "id", f"../../{OUTSIDE}/x", lambda body: body["client"] == VICTIM),
    "a key destroyed": _more(
        "key", {"client": f"../../{OUTSIDE}/secret", "id": "0123456789abcdef", "what": "destroyed"}
    ),
    "an image list's path": _rows("purge", "images", f"../{OUTSIDE}/secret"),
    "an image list's array": _image_list("array", f"../../../{OUTSIDE}/secret"),
    "an image list's array, absolute": _image_list("array", "/etc/secret"),
    "an image list's array, of no text": _image_list("array", ["x"]),
    "a removed file": _more("removed", {"path": f"../{OUTSIDE}/secret.sealed", "because": "x"}),
    "an erasure's id": _rows("erasure", "id", f"../../{OUTSIDE}"),
    "an erasure of a state": _rows("state", "erasure", f"../../{OUTSIDE}"),
    "a request's id": _rows("request", "id", f"../{OUTSIDE}", lambda body: body["id"] == "R0002"),
    "an erasure that a purge ends in": _rows("purge", "erasure", f"../../{OUTSIDE}/run/erasures/0001"),
    "after: a number": _fact("after = 3"),
    "after: a list": _fact("after = ['../outside/run/erasures/0001']"),
    "after: outside": _fact(f"after = '../{OUTSIDE}'"),
    "after: no erasure's id": _fact(f"after = '../{OUTSIDE}/run/erasures/..'"),
    "after: no erasure's folder": _fact(f"after = '../{OUTSIDE}/run/keys/0001'"),
    "after: of no run": _fact(f"after = '../{OUTSIDE}/erasures/0001'"),
    "after: an erasure that there is not": _fact(f"after = '../{OUTSIDE}/run/erasures/0002'"),
    "after: itself": _fact("after = 'erasures/0001'"),
    "clients outside": _fact(f"clients = ['../{OUTSIDE}/secret', 'hospital-0']"),
    "clients: a number": _fact("clients = 3"),
    "beginning: a number": _fact("beginning = 3"),
    "an erasure after itself": _file(
        "erasures/0001/erasure.json", lambda text: json.dumps({**json.loads(text), "after": "0001"})
    ),
    **{
        f"{folder} is a link": _linked(folder)
        for folder in (
            "report",
            "report/0001",
            "report/0002",
            "erasures",
            "erasures/0001",
            "erasures/0002",
            f"influence/{VICTIM}",
            "keys",
        )
    },
    **{
        f"{name} is a link": _linked_file(name)
        for name in ("ledger.db", "ledger.db-wal", "ledger.db-journal", "ledger.head")
    },
}


def _commands(run: Path) -> list[tuple[str, ...]]:
    key = str(run.parent / OUTSIDE / "signing")
    return [
        ("ledger", "verify", str(run)),
        ("report", str(run)),
        ("train", "--out", str(run)),
        ("erase", str(run), "--client", VICTIM),
        ("erase", str(run), "--request", "R0002", "--key", key),
        ("purge", str(run), "--key", key),
        ("requests", str(run)),
    ]


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_nothing_outside_the_run_is_touched(attack: Attack, run: Path) -> None:
    outside = run.parent / OUTSIDE
    attack(run, outside)
    before = _held(outside)
    ended = {}
    for command in _commands(run):
        done = CliRunner().invoke(COMMAND_LINE, command, standalone_mode=False)
        ended[" ".join(part for part in command[:3] if part.islower() and part != str(run))] = done.exception
        # What ends otherwise than by a FedletheError would end in a traceback.
        assert done.exception is None or isinstance(done.exception, FedletheError), (command, done.exception)
        assert "\n" not in str(done.exception)
    assert _held(outside) == before
    refused = {name for name, error in ended.items() if error is not None}
    assert {"train --out", "erase --client", "erase --request"} <= refused
    assert (run / "influence" / VICTIM).exists()  # nothing of the victim was purged by it
