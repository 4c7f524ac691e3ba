# SPDX-License-Identifier: MIT
"""What a job is named by, in which order jobs are done, and what they leave."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedlethe.config import resolve
from fedlethe.config.learning import Recipe
from fedlethe.errors import ConfigError, FedletheError
from fedlethe.studies import jobs
from fedlethe.studies.jobs import Job, document_with_seed, work, work_off

DOCUMENT: dict[str, Any] = {"seed": 1, "federation": {"rounds": 2}, "method": {"influence": {"scale": 1.0}}}
JOB = Job("erasure", DOCUMENT, ("a",), "f", Path("out"), Recipe(method="influence"), '{"method": "influence"}')


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "training"},
        {"document": {**DOCUMENT, "seed": 2}},
        {"document": {**DOCUMENT, "federation": {"rounds": 3}}},
        {"forget": ("a", "b")},
        {"fingerprint": "g"},
        {"request": '{"method": "pga"}'},
    ],
)
def test_whatever_the_outcome_depends_on_gives_another_name(changes: dict[str, Any]) -> None:
    assert replace(JOB, **changes).key != JOB.key


@pytest.mark.parametrize(
    "changes",
    [
        {"document": {**DOCUMENT, "method": {"influence": {"scale": 0.5}}}},  # the request says how it is erased
        {"document": {**DOCUMENT, "history": {"keep": "needed"}, "encrypt": False}},
        {"document": dict(reversed(DOCUMENT.items()))},
        {"out": Path("elsewhere")},
    ],
)
def test_what_it_does_not_depend_on_leaves_the_name(changes: dict[str, Any]) -> None:
    assert replace(JOB, **changes).key == JOB.key


def test_a_job_says_where_its_files_are() -> None:
    assert JOB.run == Path("out/runs/seed-1")
    assert JOB.outcome == Path(f"out/jobs/{JOB.key}.json")
    assert JOB.answers("repaired 1") == Path(f"out/jobs/{JOB.key}-repaired-1.safetensors")


def test_another_seed_divides_the_data_as_before_and_keeps_all_of_the_history() -> None:
    config = resolve({"seed": 3, "data": {"source": "phantom"}})
    document = document_with_seed(config, 7)
    assert (document["seed"], document["partition"]["seed"], document["history"]["keep"]) == (7, 3, "everything")
    again = document_with_seed(resolve(document), 8)
    assert (again["seed"], again["partition"]["seed"]) == (8, 3)


class AtOnce(Executor):
    """Does a job when it is handed in, in this process."""

    def __init__(self, fails: dict[str, Exception]) -> None:
        self.done: list[Job] = []
        self.fails = fails

    def submit(self, fn: Any, /, *args: Any, **_: Any) -> Future[Any]:
        (job,) = args
        self.done.append(job)
        future: Future[Any] = Future()
        if (error := self.fails.get(job.key)) is not None:
            future.set_exception(error)
        else:
            job.outcome.parent.mkdir(parents=True, exist_ok=True)
            job.outcome.write_text("{}")
            future.set_result(None)
        return future


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> AtOnce:
    """Stands for the processes."""
    made = AtOnce({})

    @contextmanager
    def hand_out(_: int) -> Iterator[AtOnce]:
        yield made

    monkeypatch.setattr(jobs, "_pool", hand_out)
    return made


def of(kind: jobs.JobKind, seed: int, out: Path) -> Job:
    return Job(kind, {**DOCUMENT, "seed": seed}, ("a",), "f", out)


def test_an_erasure_is_done_after_its_training_and_nothing_twice(pool: AtOnce, tmp_path: Path) -> None:
    first = [of("training", 1, tmp_path), of("training", 2, tmp_path), of("retraining", 9, tmp_path)]
    then = [of("erasure", 1, tmp_path), of("erasure", 2, tmp_path)]
    assert work_off(first, then, 2) == {}
    assert sorted(job.key for job in pool.done) == sorted(job.key for job in [*first, *then])
    places = {job.key: place for place, job in enumerate(pool.done)}
    assert all(places[erasure.key] > places[training.key] for training, erasure in zip(first, then, strict=False))
    pool.done.clear()
    assert work_off(first, then, 2) == {}
    assert pool.done == []
    then[0].outcome.unlink()
    work_off(first, then, 2)
    assert pool.done == [then[0]]  # its training is there already


def test_an_erasure_that_fails_is_told_and_a_training_that_fails_ends_it_all(pool: AtOnce, tmp_path: Path) -> None:
    training, erasure, other = of("training", 1, tmp_path), of("erasure", 1, tmp_path), of("training", 2, tmp_path)
    pool.fails[erasure.key] = ConfigError("it takes public images")
    assert work_off([training], [erasure], 1) == {erasure.key: "it takes public images"}
    pool.fails[other.key] = ConfigError("no space")
    with pytest.raises(FedletheError, match="no space"):
        work_off([other], [], 1)
    pool.fails[erasure.key] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):  # a mistake of ours is no row of a table
        work_off([], [erasure], 1)


def test_a_comparison_says_no_more_of_a_retraining_than_an_erasure_does(tmp_path: Path) -> None:
    """Where few take part in a round, a training without the erased would draw others."""
    data = {"source": "phantom", "size": 16, "hospitals": 4, "images_per_hospital": 20}
    document = {"seed": 1, "data": data, "federation": {"rounds": 1, "participation": 0.5}, "local": {"epochs": 1}}
    job = Job("erasure", document, ("hospital-1",), "f", tmp_path, Recipe(method="retrain"))
    work(replace(job, kind="training"))
    work(job)
    guarantee = json.loads(job.outcome.read_text())["guarantee"]
    assert guarantee.startswith("guaranteed: ")
    assert guarantee.endswith("a training without them draws others")


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    """Each worker reads the script again, comes to the call, and ends."""
    config = {"data": {"source": "phantom", "size": 16, "hospitals": 3, "images_per_hospital": 20}}
    told = f"['retrain'], forget=['hospital-1'], out={str(tmp_path / 'out')!r}, references=3, workers=1"
    call = f"fedlethe.compare({config!r}, {told})"
    script = f"import fedlethe\ntry:\n    {call}\nexcept fedlethe.FedletheError as error:\n    print(error)\n"
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run([sys.executable, str(tmp_path / "script.py")], capture_output=True, text=True, check=False)
    assert "workers: one ended before its work was done; a script has to call compare below `if __name__" in done.stdout


def test_what_is_printed_in_a_worker_is_not_on_stdout() -> None:
    program = "from fedlethe.studies.jobs import _pool\nif __name__ == '__main__':\n    with _pool(1) as pool:\n"
    program += "        pool.submit(print, 'aside').result()\n    print('found')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("found\n", "aside\n")
