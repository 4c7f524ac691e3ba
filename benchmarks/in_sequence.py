# SPDX-License-Identifier: MIT
"""Clients erased one after the other, a purge after each: `python benchmarks/in_sequence.py --root DATA --out OUT`.

The first comparison's federation (benchmarks/pneumoniamnist.toml) with six clients. Three of them are erased by three
requests in sequence, each carried out, certified and purged before the next is opened. After each one the model is
audited for all that were erased up to then, against retrainings without them, with the limits of `fedlethe compare`.

DATA is the folder that holds pneumoniamnist.npz. Trainings and retrainings that are in OUT are not done again; the
table is OUT/table.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

import fedlethe
from fedlethe.audit import Answers, Evidence, audit, overall  # of all who were erased up to then
from fedlethe.config import RunConfig, resolve  # what the jobs of `compare` take
from fedlethe.config.learning import RECOMMENDED, Recipe  # a recipe by its name
from fedlethe.document import read_toml  # a configuration that is changed before it is used
from fedlethe.erasing.examination import Examination  # asks the models of all erased up to then
from fedlethe.erasing.record import Erasure  # for its type
from fedlethe.learners.kept_bytes import bytes_for  # as in the table of `compare`
from fedlethe.learners.references import reference_seeds  # the retrainings of `compare`
from fedlethe.pages.comparison_table import HEADER, cells  # the table of `compare`
from fedlethe.progress import bar  # a benchmark of an hour says how far it is
from fedlethe.runs.opening import opened_run  # the model as a vector, to be asked
from fedlethe.runs.preparing import prepare  # the images, to ask models of
from fedlethe.runs.run import Prepared  # for its type
from fedlethe.studies.compare import UNTOUCHED, Row  # the table of `compare`
from fedlethe.studies.jobs import Job, JobKind, document_with_seed, finals, work_off  # trains as `compare` does
from fedlethe.types import ClientId, Vector  # for their types

SEQUENCE: tuple[ClientId, ...] = ("client-2", "client-0", "client-4")
"""The one with the backdoor first: two more erasures have to keep it out."""


def configured(root: Path) -> RunConfig:
    """The first comparison's configuration, with six clients."""
    document = read_toml(Path(__file__).with_name("pneumoniamnist.toml"))
    document["data"]["root"] = str(root)
    document["partition"]["clients"] = 6
    return resolve(document)


@contextmanager
def cache(folder: Path) -> Iterator[None]:
    """Decoded images in a cache of their own: the purge overwrites those of erased clients, which the audits need."""
    before = os.environ.get("FEDLETHE_CACHE")
    os.environ["FEDLETHE_CACHE"] = str(folder)
    try:
        yield
    finally:
        del os.environ["FEDLETHE_CACHE"]
        if before is not None:
            os.environ["FEDLETHE_CACHE"] = before


def in_sequence(trained: Path, run: Path, recipe: Recipe) -> list[tuple[Erasure, Vector]]:
    """Three erasures of a copy of a trained run, each with the model, shape (P,), that it left."""
    plan = fedlethe.ErasurePlan(method=recipe.method, options=recipe.options, repair=recipe.repair)
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(trained, run)
    found = []
    with cache(run.parent / "cache"), tempfile.TemporaryDirectory() as keys:
        key = fedlethe.new_key(Path(keys) / "erasure.key").private
        opened = fedlethe.open_run(run)
        for client in SEQUENCE:
            id = opened.request(client, reason="withdrew", by="the benchmark").id
            carried = opened.carry_out(id, key, plan)
            assert carried.request.purge == "done"
            with opened_run(run) as held:
                found.append((carried.erasure, held.history.erased_model(carried.erasure.id)))
    shutil.rmtree(run.parent / "cache", ignore_errors=True)
    return found


def rows(
    config: RunConfig, prepared: Prepared, seeds: Sequence[int], references: int, recipes: dict[str, Recipe], out: Path
) -> Iterator[tuple[str, Row]]:
    """With what was erased up to then: a row for the untouched models, one for each recipe, after each erasure."""
    others = reference_seeds(config, references)
    gone = [tuple(sorted(SEQUENCE[: step + 1])) for step in range(len(SEQUENCE))]

    def jobs(kind: JobKind, step: int, seeds: Sequence[int]) -> list[Job]:
        fingerprint = prepared.data.fingerprint
        return [Job(kind, document_with_seed(config, seed), gone[step], fingerprint, out) for seed in seeds]

    steps = range(len(SEQUENCE))
    # One after the other: the trainings of the later steps are those of the first.
    work_off([*jobs("training", 0, seeds), *(job for step in steps for job in jobs("retraining", step, others))], [], 2)
    work_off([job for step in steps[1:] for job in jobs("training", step, seeds)], [], 1)
    known = [
        Evidence(
            Examination.of(prepared, gone[step]).task,
            (),
            finals(jobs("training", step, seeds)),
            finals(jobs("retraining", step, others)),
        )
        for step in steps
    ]
    for step in steps:
        yield ", ".join(gone[step]), _row(UNTOUCHED, known[step], known[step].untouched, [])
    for name, recipe in recipes.items():
        asked: list[list[Answers]] = [[] for _ in steps]
        erasures: list[list[Erasure]] = [[] for _ in steps]
        with bar(f"erasing by {name}", len(seeds)) as advance:
            for job in jobs("training", 0, seeds):
                for step, (erasure, model) in enumerate(
                    in_sequence(job.run, out / "erased" / name / job.run.name, recipe)
                ):
                    erasures[step].append(erasure)
                    asked[step].append(Examination.of(prepared, gone[step]).ask(prepared, model, relearn=True))
                advance()
        needs = config.method(recipe.method, recipe.options).needs
        layout, clients = prepared.layout, len(prepared.data.clients)
        kept = bytes_for(needs, layout.size, len(layout.shapes), clients, config.federation.rounds)
        for step in steps:
            row = _row(name, known[step], asked[step], erasures[step])
            yield ", ".join(gone[step]), replace(row, bytes_kept=kept)


def _row(name: str, known: Evidence, candidates: Sequence[Answers], erasures: Sequence[Erasure]) -> Row:
    findings = tuple(audit(replace(known, candidates=candidates)))
    return Row(
        name,
        findings,
        overall(findings),
        cost=tuple(erasure.cost for erasure in erasures),
        retraining_examples=tuple(erasure.retraining_examples for erasure in erasures),
    )


def main() -> None:
    """Print the table, and leave it in OUT."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--first-seed", type=int, default=5)
    parser.add_argument("--trainings", type=int, default=5)
    parser.add_argument("--references", type=int, default=10)
    parser.add_argument("--recipes", default=RECOMMENDED, help="names of the configuration, with commas between")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = configured(arguments.root)
    recipes = {name: config.recipe(name) for name in arguments.recipes.split(",")}
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.trainings)
    lines = [("erased", *HEADER), ("---",) * (1 + len(HEADER))]
    for erased, row in rows(config, prepare(config), seeds, arguments.references, recipes, arguments.out):
        lines.append((erased, *cells(row)))
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    (arguments.out / "table.md").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
