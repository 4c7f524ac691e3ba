# SPDX-License-Identifier: MIT
"""Kill an erasure request (SIGKILL) at fifty random moments over request, erase, audit, certify and purge.

Each is gone on from, and killed again one time in three; the end must be the model of an erasure that nobody killed,
one completed request, a ledger and a certificate that hold. At each kill: nothing is purged before the new model and
its certificate are there.
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
from pathlib import Path

import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedlethe.config import resolve
from fedlethe.document import Document
from fedlethe.experiment import opened_run, train_run
from fedlethe.experiment.act import Plan, carry_out
from fedlethe.experiment.requests import listed, open_request
from fedlethe.experiment.run import opened_folder
from fedlethe.experiment.verification import verify_ledger
from fedlethe.signing import SigningKey

MOMENTS = 50
GONE = "hospital-1"
MODEL, CERTIFICATE = "erasures/0001/model.safetensors", "erasures/0001/certificate-before-purge.json"
KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
PLAN = Plan(method="recommended", options={}, mask={}, repair={}, references=3)
DOCUMENT: Document = {
    "data": {"source": "phantom", "size": 16, "hospitals": 3, "images_per_hospital": 40},
    "federation": {"rounds": 2},
    "local": {"epochs": 1, "learning_rate": 0.05},
    "history": {"keep": "everything"},
}


def act(run: Path) -> None:
    """Open the request where that is still to be done, and carry it out."""
    with opened_run(run) as opened:
        if not listed(run).requests:
            open_request(opened, (GONE,), (), "withdrew", "the benchmark")
        (request,) = listed(run).requests
        begun = request.state in ("running", "audited", "completed")
        carried = carry_out(opened, "R0001", None if begun else PLAN, KEY)
        if carried.request.stopped:
            carry_out(opened, "R0001", None, KEY, accepted={"why": "it is a benchmark", "by": "the benchmark"})


def in_a_process(run: Path, kill_after: float | None) -> bool:
    """Do it in a process of its own, killed so many seconds later; whether it came to its end."""
    process = os.fork()
    if process == 0:
        try:
            act(run)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"{run}: the erasure failed")
    return not os.WIFSIGNALED(status)


def kept_until_certified(run: Path, whole: set[str]) -> bool:
    """Whether all that was there is there, or else the new model and its certificate are, as the ledger names them."""
    there = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    if whole <= there:
        return True
    with opened_folder(run) as (_, history):
        known = history.ledger.artefacts()
        held = {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in (MODEL, CERTIFICATE)}
        return all(name in known and known[name].sha256 == hash for name, hash in held.items())


def ends_well(run: Path, model: bytes) -> bool:
    """The same model, one completed request, and a ledger that holds, certificates included."""
    states = [request.state for request in listed(run).requests]
    return (run / MODEL).read_bytes() == model and states == ["completed"] and not verify_ledger(run).failed


def trial(trained: Path, run: Path, moment: float, again: float | None, model: bytes) -> tuple[bool, bool]:
    """Kill a copy of a run at a moment, perhaps once more, and go on; whether the rule held, and the end is right."""
    shutil.copytree(trained, run)
    whole = {path.relative_to(run).as_posix() for path in run.rglob("*.s*") if path.is_file()}
    rule = True
    for after in (moment, again):
        if after is not None:
            in_a_process(run, after)
            rule &= kept_until_certified(run, whole)
    in_a_process(run, None)
    return rule, ends_well(run, model)


def prepared(folder: Path) -> tuple[Path, float, bytes]:
    """A trained run, how long its erasure takes, and the model that it leads to."""
    torch.set_num_threads(1)  # a process with threads cannot be forked
    trained, whole = folder / "trained", folder / "whole"
    train_run(resolve(DOCUMENT), trained)
    shutil.copytree(trained, whole)
    start = time.perf_counter()
    in_a_process(whole, None)
    return trained, time.perf_counter() - start, (whole / MODEL).read_bytes()


def main() -> None:
    """Print a line for each moment; exit with 1 if any ended elsewhere."""
    right = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.setdefault("FEDLETHE_CACHE", str(folder / "cache"))
        trained, length, model = prepared(folder)
        for number in range(MOMENTS):
            draw = random.Random(number)
            moment, again = draw.uniform(0, length), draw.uniform(0, length) if number % 3 == 0 else None
            rule, end = trial(trained, folder / str(number), moment, again, model)
            shutil.rmtree(folder / str(number))
            right &= rule and end
            words = f"{'the same' if end else 'DIFFERENT'}{'' if rule else ', PURGED TOO EARLY'}"
            print(f"killed after {moment:.2f} of {length:.2f} s{' and again' if again else ''}: {words}", flush=True)
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
