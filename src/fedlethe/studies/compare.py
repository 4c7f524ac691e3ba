# SPDX-License-Identifier: MIT
"""Every method on the same trained federations, audited against retrainings: one table.

The work is cut into jobs, see `studies.jobs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fedlethe.audit import Evidence, Finding, audit, overall
from fedlethe.config import RunConfig
from fedlethe.config.learning import Recipe
from fedlethe.config.parts import code_digest, without_mean
from fedlethe.data.backdoor import Backdoor
from fedlethe.data.federated import FederatedData, unknown_client
from fedlethe.document import demand_each_once
from fedlethe.erasing import examination
from fedlethe.erasing.examination import Examination
from fedlethe.erasing.order import order_for
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.errors import ConfigError
from fedlethe.learners.references import reference_seeds
from fedlethe.runs.preparing import prepare
from fedlethe.runs.records import from_json
from fedlethe.studies.jobs import Job, JobKind, Outcome, document_with_seed, finals, work_off
from fedlethe.types import ClientId, Cost

UNTOUCHED = "untouched"
"""The row of the trained model, to which nothing is done."""


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
        """Examples over retraining's, mean over the seeds in which there is something to retrain."""
        pairs = zip(self.cost, self.retraining_examples, strict=True)
        shares = [cost.examples / examples for cost, examples in pairs if examples]
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
    workers: int,
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
        raise ConfigError(f"references {references}: it takes 3 retrainings at least to know their range")
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError("seeds: name at least one, and none twice")
    if workers < 1:
        raise ConfigError(f"workers {workers}: must be at least 1")
    if (out / "run.toml").is_file():
        raise ConfigError(f"{out}: is a run folder; choose another one, or a new one, for the comparison")
    prepared = prepare(config)
    gone = _forgotten(prepared.config.backdoor, prepared.data, forget)
    # Before anything is trained, so that what cannot be examined is found at once.
    asked = Examination.of(prepared, gone)

    def job(kind: JobKind, seed: int, recipe: Recipe | None = None) -> Job:
        # In the key, so that an earlier outcome of other code under the same name is not taken for this one's.
        code = code_digest(config.outside(), () if recipe is None else (recipe.method,))
        made = Job(kind, document_with_seed(config, seed), gone, prepared.data.fingerprint + code, out, recipe)
        return (
            made
            if recipe is None
            else replace(made, request=order_for(config, gone, ErasurePlan.of_recipe(recipe)).canonical())
        )

    trainings = [job("training", seed) for seed in seeds]
    retrainings = [job("retraining", seed) for seed in reference_seeds(config, references)]
    erasures = {name: [job("erasure", seed, recipe) for seed in seeds] for name, recipe in recipes.items()}
    # Every erasure is of the same trained models, and all are held against the same retrainings.
    problems = work_off([*trainings, *retrainings], [job for jobs in erasures.values() for job in jobs], workers)
    known = Evidence(asked.task, (), finals(trainings), finals(retrainings))
    rows = [_row(UNTOUCHED, trainings, known)]
    for name, jobs in erasures.items():
        problem = next((problems[job.key] for job in jobs if job.key in problems), None)
        rows.append(_row(name, jobs, known) if problem is None else Row(name, problem=problem))
    rows += [Row(name, problem=why) for name, why in not_possible(config, methods).items()]
    return Comparison(out, config.source_name, gone, tuple(seeds), references, tuple(rows))


def chosen(config: RunConfig, methods: Sequence[str]) -> dict[str, Recipe]:
    """The rows to compare, by name; of 'all' those that go with the aggregator."""
    demand_each_once("method", methods)
    every = list(methods) == ["all"]
    names = [name for name in config.methods() if name not in not_possible(config, methods)] if every else methods
    found = {name: config.recipe(name) for name in names}
    for recipe in found.values():
        # For its checks: a recipe that cannot be made is refused before the first training.
        order_for(config, (), ErasurePlan.of_recipe(recipe))
    return found


def not_possible(config: RunConfig, methods: Sequence[str]) -> dict[str, str]:
    """Which of 'all' methods do not go with the aggregator, and why; none of those that are named."""
    recipes = config.methods() if list(methods) == ["all"] else {}
    problems = {name: without_mean(recipe.method, config.learning.aggregator) for name, recipe in recipes.items()}
    return {name: problem for name, problem in problems.items() if problem is not None}


def _forgotten(backdoor: Backdoor | None, data: FederatedData, forget: Sequence[ClientId]) -> tuple[ClientId, ...]:
    gone = tuple(sorted(set(forget))) or (() if backdoor is None else (backdoor.client,))
    if not gone:
        raise ConfigError("nobody is named to be erased; name a client, or a [backdoor] in the configuration")
    for client in gone:
        if client not in data.clients:
            raise ConfigError(unknown_client(client, data.clients))
    # For its check: somebody has to be left.
    data.without(gone)
    return gone


def _row(name: str, jobs: Sequence[Job], known: Evidence) -> Row:
    outcomes = [from_json(job.outcome.read_bytes(), Outcome) for job in jobs]
    names = outcomes[0].stages
    stages = {
        # Where the seeds did not go through the same stages, only their last ones can be put together.
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
