# SPDX-License-Identifier: MIT
"""The work of a comparison: jobs (a training, a retraining, an erasure), and the processes that do them.

Each job leaves one small file that is named by everything it depends on; what is there is not done again. Two
processes of one thread each do them, an erasure once its training is done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

from fedlethe import files
from fedlethe.audit import Answers
from fedlethe.config import RunConfig, resolve
from fedlethe.config.learning import Recipe
from fedlethe.document import Document
from fedlethe.erasing import examination
from fedlethe.erasing.entering import certain
from fedlethe.erasing.erase import stages_of
from fedlethe.erasing.examination import Examination
from fedlethe.erasing.order import order_for
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.record import retraining_examples
from fedlethe.erasing.unlearn_step import unlearned_by
from fedlethe.errors import ConfigError, FedletheError
from fedlethe.federation.metered import Meter
from fedlethe.history.succession import all_took_part
from fedlethe.learners.training import train_run
from fedlethe.learners.which import learner_of
from fedlethe.privacy.noise import SECRET_BYTES
from fedlethe.progress import bar
from fedlethe.runs.opening import opened_run
from fedlethe.runs.preparing import prepare
from fedlethe.runs.records import to_json
from fedlethe.runs.run import Prepared
from fedlethe.seeding import derive
from fedlethe.types import ClientId, Cost, Vector
from fedlethe.version import VERSION

FINAL = "final"
JobKind = Literal["training", "retraining", "erasure"]


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work for one process.

    Attributes:
        kind: What to do.
        document: The configuration, its seed that of the job.
        forget: Who is erased.
        fingerprint: Of the data, and of code that does not come with fedlethe.
        out: The comparison's folder.
        recipe: Of an erasure.
        request: The same in full, as the ledger would have it.
    """

    kind: JobKind
    document: Document
    forget: tuple[ClientId, ...]
    fingerprint: str
    out: Path
    recipe: Recipe | None = None
    request: str = ""

    @property
    def seed(self) -> int:
        """The seed of the training, or of the retraining."""
        seed: int = self.document["seed"]
        return seed

    @property
    def key(self) -> str:
        """Names the job by everything that its outcome depends on."""
        tables = {
            name: table
            for name, table in self.document.items()
            # What an outcome does not depend on is left out, so that a new recipe makes no old training due again.
            if name not in ("method", "recipe", "history", "encrypt")
        }
        facts = [self.kind, tables, self.forget, self.fingerprint, self.request, VERSION]
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:24]

    @property
    def run(self) -> Path:
        """The run folder of the job's training."""
        return self.out / "runs" / f"seed-{self.seed}"

    def answers(self, stage: str) -> Path:
        """Where the answers of one stage are."""
        return self.out / "jobs" / f"{self.key}-{stage.replace(' ', '-')}.safetensors"

    @property
    def outcome(self) -> Path:
        """Where the outcome is, once the job is done."""
        return self.out / "jobs" / f"{self.key}.json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job left, beside its answers.

    Attributes:
        stages: Each has answers; the last one's include relearning.
        cost: Of all stages.
        retraining_examples: What retraining takes.
        guarantee: What is certain.
        bytes_kept: What the method needs of the history.
    """

    stages: tuple[str, ...]
    cost: Cost = field(default_factory=Cost)
    retraining_examples: int = 0
    guarantee: str | None = None
    bytes_kept: int = 0


def document_with_seed(config: RunConfig, seed: int) -> Document:
    """The configuration with another seed, dividing the data as before and keeping all of the history."""
    # Else each seed would deal the images anew, and seeds would differ by who holds what.
    partition = replace(config.partition, seed=config.division_seed)
    history = replace(config.history, keep="everything")
    return replace(config, seed=seed, partition=partition, history=history).document()


def finals(jobs: Sequence[Job]) -> list[Answers]:
    """What the models of trainings or retrainings answered."""
    return [examination.load_answers(job.answers(FINAL)) for job in jobs]


def work_off(first: Sequence[Job], then: Sequence[Job], workers: int) -> dict[str, str]:
    """Do what is not done, an erasure once its training is; gives back the keys of erasures that failed, and why."""
    due = [job for job in first if not job.outcome.is_file()]
    later = [job for job in then if not job.outcome.is_file()]
    problems: dict[str, str] = {}
    if not due and not later:
        return problems
    running: dict[Future[None], Job] = {}
    with bar("comparing, jobs", len(due) + len(later)) as advance, _pool(workers) as pool:
        running |= {pool.submit(work, job): job for job in due}
        training = {job.run for job in due if job.kind == "training"}
        while running or later:
            # An erasure waits for its own training alone, and not for all of them.
            ready = [job for job in later if job.run not in training]
            later = [job for job in later if job.run in training]
            running |= {pool.submit(work, job): job for job in ready}
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                advance()
                training.discard(job.run if job.kind == "training" else Path())
                try:
                    future.result()
                except BrokenProcessPool as error:
                    raise ConfigError(
                        "workers: one ended before its work was done; a script has to call compare below `if __name__ "
                        "== '__main__':`, since each worker reads it again; else take fewer workers, or more memory"
                    ) from error
                except FedletheError as error:
                    # Without a training or a retraining there is nothing to compare with; a method that fails is a row.
                    if job.kind != "erasure":
                        raise
                    problems[job.key] = str(error)
    return problems


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_alone)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _alone() -> None:
    """In a worker: one thread, so that a figure does not depend on how many workers there are; end with the parent."""
    import os
    import signal
    import sys
    import threading
    import time

    import torch

    # Sums depend on how they are split, and so on the number of threads.
    torch.set_num_threads(1)
    # What a part of somebody else's prints does not get between the results of who compares.
    sys.stdout = sys.stderr
    # Ctrl-C reaches all processes of a terminal: the parent alone answers, with one line.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()

    def watch() -> None:
        # A parent that was killed cannot tell its workers; without it they would train on for hours.
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def work(job: Job) -> None:
    """Do a job and leave its outcome; in a worker."""
    if job.kind == "training":
        outcome = _train(job)
    elif job.kind == "retraining":
        outcome = _retrain(job)
    else:
        outcome = _erase(job)
    # Last of all, after the answers: where it is, the job is done, and a kill before leaves it due.
    files.write_text(job.outcome, to_json(outcome, Outcome))


def _train(job: Job) -> Outcome:
    train_run(resolve(job.document), job.run, finished_too=True)
    with opened_run(job.run) as run:
        _ask(job, run, FINAL, run.history.final())
        return Outcome((FINAL,), retraining_examples=retraining_examples(run.parts(), job.forget))


def _retrain(job: Job) -> Outcome:
    prepared = prepare(resolve(job.document))
    learner, meter = learner_of(prepared.config), Meter()
    kept = set(prepared.data.clients) - set(job.forget)
    model = learner.retrain(prepared, kept, prepared.config.seed, meter)
    cost = meter.cost() if learner.by_steps else Cost()  # to solve once more costs nothing that is worth a figure
    _ask(job, prepared, FINAL, model)
    return Outcome((FINAL,), cost, cost.examples)


def _erase(job: Job) -> Outcome:
    recipe = job.recipe
    assert recipe is not None
    with opened_run(job.run) as run:
        request = order_for(run.config, job.forget, ErasurePlan.of_recipe(recipe))
        meter = Meter()
        unlearned = unlearned_by(run, job.forget, request.method, run.history, meter)
        stages: list[str] = []
        secret = derive(run.config.seed, "compare").to_bytes(SECRET_BYTES, "big")  # nothing is released
        for name, model in stages_of(run, request, run.history, unlearned.model, meter, {}, secret=lambda: secret):
            # To examine a model is no part of what erasing costs.
            with meter.stopped():
                last = len(stages) == request.repair.rounds
                _ask(job, run, name, model, relearn=last)
                stages.append(name)
        certainly = certain(unlearned.guarantee, stages, everybody=all_took_part(run.parts()))
        return Outcome(
            stages=tuple(stages),
            cost=meter.cost(),
            retraining_examples=retraining_examples(run.parts(), job.forget),
            guarantee=None if certainly is None else str(certainly),
            bytes_kept=learner_of(run.config).bytes_kept(run.history, request.method),
        )


def _ask(job: Job, prepared: Prepared, stage: str, model: Vector, relearn: bool = True) -> None:
    examination.save_answers(job.answers(stage), Examination.of(prepared, job.forget).ask(prepared, model, relearn))
