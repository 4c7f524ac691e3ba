# SPDX-License-Identifier: MIT
"""Kill an erasure (SIGKILL) at sixty random moments over train, request, erase, audit, certify and purge.

Each is gone on from by the same steps, and killed again one time in three. The end must be that of an erasure that
nobody killed: its model, its files, one completed request, a ledger and certificates that hold, no file half written.
At each kill: nothing is purged before the new model and its certificate are there.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import fedlethe
from fedlethe.runs.run_toml import opened_folder  # the ledger's rows, as a kill left them

MOMENTS = 60
ROUNDS = 2
GONE = "hospital-1"
NOT_BEGUN = "not begun"
MODEL, CERTIFICATE = "erasures/0001/model.safetensors", "erasures/0001/certificate-before-purge.json"
KEY = "erasure.key"
PLAN = fedlethe.ErasurePlan(method="recommended", references=3)
ACCEPTED = {"why": "it is a benchmark", "by": "the benchmark"}
DOCUMENT: dict[str, Any] = {
    "data": {"source": "phantom", "size": 16, "hospitals": 3, "images_per_hospital": 40},
    "federation": {"rounds": ROUNDS},
    "local": {"epochs": 1, "learning_rate": 0.05},
    "history": {"keep": "everything"},
}


def act(path: Path) -> None:
    """Train, open the request, and carry it out, each where it is still to be done."""
    if stage(path) in (NOT_BEGUN, *(trained_for(rounds) for rounds in range(ROUNDS))):
        fedlethe.train(config=DOCUMENT, out=path)
    run, key = fedlethe.open_run(path), path.parent.parent / KEY
    if not run.requests().requests:
        run.request(GONE, reason="withdrew", by="the benchmark")
    begun = run.requests().requests[0].state in ("running", "audited", "completed")
    carried = run.carry_out("R0001", key, None if begun else PLAN)
    if carried.request.stopped:  # two rounds make a model of no use
        run.carry_out("R0001", key, accepted=ACCEPTED)


def _requested(run: Path) -> bool:
    try:
        return bool(fedlethe.open_run(run).requests().requests)
    except fedlethe.FedletheError:
        return False


def in_a_process(folder: Path, kill_after: float | None) -> bool:
    """Do it in a process of its own, killed so many seconds later; whether it came to its end."""
    process = os.fork()
    if process == 0:
        try:
            os.environ["FEDLETHE_CACHE"] = str(folder / "cache")
            act(folder / "run")
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"{folder}: the erasure failed")
    return not os.WIFSIGNALED(status)


def trained_for(rounds: int) -> str:
    """The stage of a run without a request."""
    return f"trained for {rounds} rounds"


def stage(run: Path) -> str:
    """How far a run is."""
    try:
        requests = fedlethe.open_run(run).requests().requests
        with opened_folder(run) as (_, history):
            if not requests:
                return trained_for(history.rounds)
            purged = ", purged" if history.ledger.events("purge") else ""
            return f"request {requests[0].state}{', erased' if history.ledger.erasures() else ''}{purged}"
    except fedlethe.FedletheError:
        return NOT_BEGUN


def kept_until_certified(run: Path, before: set[str]) -> bool:
    """Whether all that was in the ledger is, or else the new model and its certificate are in their place."""
    if not before:
        return True
    with opened_folder(run) as (_, history):
        known = history.ledger.artefacts()
        missing = [name for name in before if name not in known or not (run / name).is_file()]
        if not missing:
            return True
        held = {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in (MODEL, CERTIFICATE)}
        return all(name in known and known[name].sha256 == hash for name, hash in held.items())


def named(run: Path) -> set[str]:
    """The files of a client or of a model after a training that is complete."""
    if not _requested(run):
        return set()
    with opened_folder(run) as (_, history):
        return {name for name, held in history.ledger.artefacts().items() if held.kind not in ("answers", "picture")}


@dataclass(frozen=True)
class End:
    """What an erasure comes to."""

    model: bytes
    states: tuple[str, ...]
    rounds: int
    files: frozenset[str]
    gone: frozenset[str]
    keys: tuple[tuple[str, int], ...]
    there: frozenset[str]
    failed: tuple[str, ...]
    caught_up: bool


def end_of(folder: Path) -> End:
    """What is there at the end; names of key files are drawn at random, and are counted by client."""
    run = folder / "run"
    with opened_folder(run) as (_, history):
        ledger, keys = history.ledger, history.store.keys
        clients = Counter(path.name.split(".")[0] for path in keys.files.folder.glob("*"))
        return End(
            model=(run / MODEL).read_bytes(),
            states=tuple(request.state for request in fedlethe.open_run(run).requests().requests),
            rounds=ledger.rounds(),
            files=frozenset(ledger.artefacts()),
            gone=frozenset(ledger.tombstones()),
            keys=tuple(sorted(clients.items())),
            there=frozenset(str(path.relative_to(folder)) for path in _files(folder)),
            failed=tuple(check.words for check in fedlethe.verify(run).failed),
            caught_up=(run / "ledger.head").read_text() == f"{ledger.head().seq} {ledger.head().hash}\n",
        )


def _files(folder: Path) -> list[Path]:
    """All files of a folder but the keys and what SQLite has while it is open."""
    there = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in there if path.suffix != ".key" and not path.name.startswith("ledger.db-")]


def differences(end: End, whole: End) -> list[str]:
    """In what two ends differ."""
    return [name for name in End.__dataclass_fields__ if getattr(end, name) != getattr(whole, name)]


def trial(folder: Path, moment: float, again: float | None, whole: End) -> tuple[str, bool, list[str]]:
    """Kill it at a moment, perhaps once more, and go on; how far it was, whether the rule held, what is different."""
    folder.mkdir()
    rule, stages = True, []
    for after in (moment, again):
        if after is not None:
            before = named(folder / "run")
            in_a_process(folder, after)
            stages.append(stage(folder / "run"))
            rule &= kept_until_certified(folder / "run", before)
    in_a_process(folder, None)
    return ", then ".join(stages), rule, differences(end_of(folder), whole)


def prepared(folder: Path) -> tuple[float, End]:
    """How long it takes when nobody kills it, and what it comes to."""
    torch.set_num_threads(1)  # a process with threads cannot be forked
    (folder / "whole").mkdir()
    fedlethe.new_key(folder / KEY)
    start = time.perf_counter()
    in_a_process(folder / "whole", None)
    return time.perf_counter() - start, end_of(folder / "whole")


def main() -> None:
    """Print a line for each moment; exit with 1 if any ended elsewhere."""
    right = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        length, whole = prepared(folder)
        for number in range(MOMENTS):
            draw = random.Random(number)
            moment = length * (number + draw.random()) / MOMENTS
            again = draw.uniform(0, length) if number % 3 == 0 else None
            stages, rule, different = trial(folder / str(number), moment, again, whole)
            shutil.rmtree(folder / str(number))
            right &= rule and not different
            words = (
                f"{'the same' if not different else f'DIFFERENT: {different}'}{'' if rule else ', PURGED TOO EARLY'}"
            )
            print(f"killed after {moment:.2f} of {length:.2f} s ({stages}): {words}", flush=True)
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
