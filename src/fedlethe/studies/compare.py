# SPDX-License-Identifier: MIT
"""Every method on the same trained federations, audited against retrainings: one table.

The work is cut into jobs (a training, a retraining, an erasure), each of which leaves one small file that is named by
everything it depends on. Two processes of one thread each do them; what is there is not done again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

from fedlethe import files
from fedlethe.audit import Answers, Evidence, Finding, audit, overall
from fedlethe.config import Recipe, RunConfig, resolve
from fedlethe.data.federated import unknown_client
from fedlethe.document import Document
from fedlethe.erasing import examination
from fedlethe.erasing.erase import retraining_examples, stages_of, unlearned_by
from fedlethe.erasing.examination import Examination
from fedlethe.erasing.order import ErasureOrder, order_for
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.errors import ConfigError, FedletheError
from fedlethe.federation.metered import Meter, MeteredFederation
from fedlethe.federation.train import sample_clients, train
from fedlethe.learners import closed_form
from fedlethe.learners.training import train_run
from fedlethe.parts import code_digest
from fedlethe.privacy.noise import SECRET_BYTES
from fedlethe.progress import bar
from fedlethe.runs.run import OpenRun, Prepared, from_json, opened_run, prepare, to_json
from fedlethe.seeding import derive
from fedlethe.types import ClientId, Cost, Need, Vector
from fedlethe.vector import to_vector
from fedlethe.version import VERSION

UNTOUCHED = "untouched"
"""The row of the trained model, to which nothing is done."""

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


@dataclass(frozen=True, slots=True)
class Row:
    """One method of the comparison.

    Attributes:
        name: The method's or recipe's.
        findings: Of each audit, in the order of AUDITS.
        verdict: One word for all of them.
        cost: Of each seed.
        retraining_examples: Of each seed.
        bytes_kept: Of the history, for this method.
        forgotten_takes_part: Whether the forgotten clients had to.
        guarantee: What is certain; None where there is evidence only.
        stages: Stage to its findings, where there are repair rounds (the reversion audit).
        problem: Why there is nothing else.
    """

    name: str
    findings: tuple[Finding, ...] = ()
    verdict: str = "cannot be shown"
    cost: tuple[Cost, ...] = ()
    retraining_examples: tuple[int, ...] = ()
    bytes_kept: int = 0
    forgotten_takes_part: bool = False
    guarantee: str | None = None
    stages: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    problem: str | None = None

    def finding(self, name: str) -> Finding:
        """What the audit of this name found."""
        return next(finding for finding in self.findings if finding.audit == name)

    @property
    def share(self) -> float:
        """Examples over retraining's, mean over the seeds."""
        pairs = zip(self.cost, self.retraining_examples, strict=True)
        shares = [cost.examples / examples for cost, examples in pairs]
        return sum(shares) / len(shares) if shares else 0.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """The table.

    Attributes:
        out: The folder.
        source: The data set.
        forget: Who is erased.
        seeds: Of the trainings.
        references: How many retrainings the figures are held against.
        rows: The methods, the untouched model first.
    """

    out: Path
    source: str
    forget: tuple[ClientId, ...]
    seeds: tuple[int, ...]
    references: int
    rows: tuple[Row, ...]


def compare(
    config: RunConfig,
    methods: Sequence[str],
    seeds: Sequence[int],
    forget: Sequence[ClientId],
    references: int,
    out: Path,
    workers: int = 2,
) -> Comparison:
    """Train, erase with every method, audit; go on where an earlier call was interrupted.

    Args:
        config: What to train; its partition is the same for all seeds.
        methods: Rows of METHODS or recipes; 'all' for all of both.
        seeds: Of the trainings, at least one.
        forget: Who is erased; empty for the client with the backdoor.
        references: Retrainings of other seeds, at least 3.
        out: Where everything goes.
        workers: Processes, of one thread each.

    Raises:
        FedletheError: A name is not there, or a number is out of range.
    """
    recipes = chosen(config, methods)
    if references < 3:
        raise ConfigError(f"--references {references}: it takes 3 retrainings at least to know their range")
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError("--seeds: name at least one, and none twice, such as 0-4")
    prepared = prepare(config)
    gone = _forgotten(prepared, forget)
    asked = Examination.of(prepared, gone)

    def job(kind: JobKind, seed: int, recipe: Recipe | None = None) -> Job:
        code = code_digest(config.outside(), () if recipe is None else (recipe.method,))
        made = Job(kind, document_with_seed(config, seed), gone, prepared.data.fingerprint + code, out, recipe)
        return (
            made
            if recipe is None
            else replace(made, request=order_for(config, gone, ErasurePlan.of_recipe(recipe)).canonical())
        )

    trainings = [job("training", seed) for seed in seeds]
    others = [derive(config.division_seed, "reference", number) % 2**31 for number in range(references)]
    retrainings = [job("retraining", seed) for seed in others]
    erasures = {name: [job("erasure", seed, recipe) for seed in seeds] for name, recipe in recipes.items()}
    problems = work_off([*trainings, *retrainings], [job for jobs in erasures.values() for job in jobs], workers)
    known = Evidence(asked.task, (), finals(trainings), finals(retrainings))
    rows = [_row(UNTOUCHED, trainings, known)]
    for name, jobs in erasures.items():
        problem = next((problems[job.key] for job in jobs if job.key in problems), None)
        rows.append(_row(name, jobs, known) if problem is None else Row(name, problem=problem))
    return Comparison(out, config.source_name, gone, tuple(seeds), references, tuple(rows))


def chosen(config: RunConfig, methods: Sequence[str]) -> dict[str, Recipe]:
    """The rows to compare, by name."""
    names = list(config.methods()) if list(methods) == ["all"] else list(dict.fromkeys(methods))
    found = {name: config.recipe(name) for name in names}
    for recipe in found.values():
        order_for(config, (), ErasurePlan.of_recipe(recipe))
    return found


def _forgotten(prepared: Prepared, forget: Sequence[ClientId]) -> tuple[ClientId, ...]:
    backdoor = prepared.config.backdoor
    gone = tuple(sorted(set(forget))) or (() if backdoor is None else (backdoor.client,))
    if not gone:
        raise ConfigError("nobody is named to be erased; give --client, or a [backdoor] in the configuration")
    for client in gone:
        if client not in prepared.data.clients:
            raise ConfigError(unknown_client(client, prepared.data.clients))
    prepared.data.without(gone)
    return gone


def document_with_seed(config: RunConfig, seed: int) -> Document:
    """The configuration with another seed, dividing the data as before and keeping all of the history."""
    partition = replace(config.partition, seed=config.division_seed)
    history = replace(config.history, keep="everything")
    return replace(config, seed=seed, partition=partition, history=history).document()


# The work


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
            ready = [job for job in later if job.run not in training]
            later = [job for job in later if job.run in training]
            running |= {pool.submit(work, job): job for job in ready}
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                advance()
                training.discard(job.run if job.kind == "training" else Path())
                try:
                    future.result()
                except FedletheError as error:
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
    import threading
    import time

    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()

    def watch() -> None:
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
    files.write_text(job.outcome, to_json(outcome, Outcome))


def _train(job: Job) -> Outcome:
    train_run(resolve(job.document), job.run, finished_too=True)
    with opened_run(job.run) as run:
        _ask(job, run, FINAL, run.history.final())
        return Outcome((FINAL,), retraining_examples=retraining_examples(run, job.forget))


def _retrain(job: Job) -> Outcome:
    prepared = prepare(resolve(job.document))
    config = prepared.config
    if config.exact is not None:
        _ask(job, prepared, FINAL, closed_form.retrain_closed_form(prepared, job.forget))
        return Outcome((FINAL,), Cost())
    meter = Meter()
    federation = MeteredFederation(prepared.federation().without(job.forget), meter)
    schedule = [
        (round, sample_clients(federation.clients, config.federation.participation, config.seed, round))
        for round in range(1, config.federation.rounds + 1)
    ]
    model = to_vector(prepared.network, prepared.layout)
    for record in train(federation, model, schedule):
        model = record.after
    cost = meter.cost()
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
            with meter.stopped():
                last = len(stages) == request.repair.rounds
                _ask(job, run, name, model, relearn=last)
                stages.append(name)
        return Outcome(
            stages=tuple(stages),
            cost=meter.cost(),
            retraining_examples=retraining_examples(run, job.forget),
            guarantee=None if unlearned.guarantee is None else str(unlearned.guarantee),
            bytes_kept=_kept(run, request),
        )


def _ask(job: Job, prepared: Prepared, stage: str, model: Vector, relearn: bool = True) -> None:
    examination.save_answers(job.answers(stage), Examination.of(prepared, job.forget).ask(prepared, model, relearn))


def _kept(run: OpenRun, request: ErasureOrder) -> int:
    if run.config.exact is None:
        tensors = len(run.layout.shapes)
        return bytes_kept(request.method.needs, run.layout.size, tensors, len(run.data.clients), run.history.rounds)
    return sum(held.bytes for held in run.history.ledger.artefacts().values() if held.kind == "statistics")


def bytes_kept(needs: frozenset[Need], size: int, tensors: int, clients: int, rounds: int) -> int:
    """What a history for these needs takes, where all clients join all rounds: float32, the final model with it.

    Args:
        needs: What a method declares; the initial model is kept for every one.
        size: Numbers in a model.
        tensors: Of a model.
        clients: How many.
        rounds: How many.

    Raises:
        KeyError: It is not said here what a need takes, so that nothing is taken for free.
    """
    numbers = {
        Need.INITIAL: size,
        Need.INFLUENCE: size * clients,
        Need.NORMS: tensors * clients * rounds,
        Need.FIRST_DELTAS: size * clients,
        Need.DELTAS: size * clients * rounds,
        Need.GLOBALS: size * rounds,
    }
    kept = {need for need in needs if need.of_history} | {Need.INITIAL}
    return 4 * (size + sum(numbers[need] for need in kept))


# The table


def finals(jobs: Sequence[Job]) -> list[Answers]:
    """What the models of trainings or retrainings answered."""
    return [examination.load_answers(job.answers(FINAL)) for job in jobs]


def _row(name: str, jobs: Sequence[Job], known: Evidence) -> Row:
    outcomes = [from_json(job.outcome.read_bytes(), Outcome) for job in jobs]
    names = outcomes[0].stages
    stages = {
        stage: tuple(audit(replace(known, candidates=[examination.load_answers(job.answers(stage)) for job in jobs])))
        for stage in (names if all(outcome.stages == names for outcome in outcomes) else names[-1:])
    }
    findings = stages[names[-1]]
    return Row(
        name=name,
        findings=findings,
        verdict=overall(findings),
        cost=tuple(outcome.cost for outcome in outcomes),
        retraining_examples=tuple(outcome.retraining_examples for outcome in outcomes),
        bytes_kept=outcomes[0].bytes_kept,
        forgotten_takes_part=any(set(outcome.cost.clients) & set(jobs[0].forget) for outcome in outcomes),
        guarantee=outcomes[0].guarantee,
        stages=stages,
    )
