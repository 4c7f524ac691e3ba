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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedlethe import files
from fedlethe.audit import Answers, Evidence, audit, overall
from fedlethe.config import RunConfig, resolve
from fedlethe.document import read_toml
from fedlethe.erasing.examination import Examination
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.record import Erasure
from fedlethe.learners.kept_bytes import bytes_for
from fedlethe.learning import RECOMMENDED, Recipe
from fedlethe.pages.comparison_table import HEADER, cells
from fedlethe.progress import bar
from fedlethe.requests.carry_out import carry_out
from fedlethe.requests.request import open_request
from fedlethe.requests.signing import SigningKey
from fedlethe.runs.opening import opened_run
from fedlethe.runs.preparing import prepare
from fedlethe.runs.run import Prepared
from fedlethe.seeding import derive
from fedlethe.studies.compare import UNTOUCHED, Row
from fedlethe.studies.jobs import Job, JobKind, document_with_seed, finals, work_off
from fedlethe.types import ClientId, Vector

SEQUENCE: tuple[ClientId, ...] = ("client-2", "client-0", "client-4")
"""The one with the backdoor first: two more erasures have to keep it out."""

KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


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
    plan = ErasurePlan(method=recipe.method, options=recipe.options, mask={}, repair=recipe.repair)
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(trained, run)
    found = []
    with cache(run.parent / "cache"):
        for client in SEQUENCE:
            with opened_run(run) as opened:
                id = open_request(opened, (client,), (), "withdrew", "the benchmark").id
                carried = carry_out(opened, id, plan, KEY)
                assert carried.request.purge == "done"
                found.append((carried.erasure, opened.history.erased_model(carried.erasure.id)))
    shutil.rmtree(run.parent / "cache", ignore_errors=True)
    return found


def rows(
    config: RunConfig, prepared: Prepared, seeds: Sequence[int], references: int, recipes: dict[str, Recipe], out: Path
) -> Iterator[tuple[str, Row]]:
    """With what was erased up to then: a row for the untouched models, one for each recipe, after each erasure."""
    others = [derive(config.division_seed, "reference", number) % 2**31 for number in range(references)]
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
    files.write_text(arguments.out / "table.md", text)
    print(text, end="")


if __name__ == "__main__":
    main()
