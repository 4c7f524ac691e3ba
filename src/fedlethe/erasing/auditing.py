# SPDX-License-Identifier: MIT
"""The audits of one erasure: its model against retrainings that never saw the forgotten clients' images.

One erasure gives one model, so audits that compare many unlearned models (membership, forget quality) cannot be made
of it, and say so; `fedlethe compare` makes them for a method. What models answered is kept while the request is under
way, so that a kill loses no retraining, and goes with the purge: it was made of the forgotten images.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fedlethe.audit import Answers, Evidence, Finding, Verdict, audit, built_audits, overall
from fedlethe.erasing.examination import Examination, answers_from_bytes, answers_to_bytes
from fedlethe.erasing.order import ErasureOrder
from fedlethe.erasing.patients import OfClients, less
from fedlethe.erasing.record import Erasure
from fedlethe.errors import RequestError
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import REPLACED, removals
from fedlethe.history.history import History
from fedlethe.history.paths import Kind, of_erasure
from fedlethe.history.store import JSON
from fedlethe.learners.references import reference_seeds
from fedlethe.learners.which import learner_of
from fedlethe.progress import track
from fedlethe.runs.records import from_json, from_plain, to_plain
from fedlethe.runs.run import OpenRun
from fedlethe.types import ClientId, Vector

FOLDER = "audits"
"""Of what models answered, in the run folder."""


@dataclass(frozen=True, slots=True)
class Attested:
    """What the audits found of an erasure.

    Attributes:
        references: How many retrainings it was held against.
        seeds: Theirs.
        verdict: One word for all of them.
        findings: Of each audit.
        asked: Whose images were looked at; None for those of all.
    """

    references: int
    seeds: tuple[int, ...]
    verdict: Verdict
    findings: tuple[Finding, ...]
    asked: tuple[ClientId, ...] | None = None

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Attested:
        """What `to_dict` gave.

        Raises:
            HistoryError: It is something else.
        """
        return from_plain(facts, cls)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as audit.json and certificates have them."""
        return to_plain(self, Attested)


LEAST_REFERENCES = 3
"""Retrainings below which a verdict would rest on one or two figures, and some audits cannot be made at all."""


def demand_references(references: int, least: int = 0) -> None:
    """Refuse a number of retrainings that no audit can be made of.

    Args:
        references: It.
        least: 0 where none stands for no audit.

    Raises:
        FedletheError: It is below LEAST_REFERENCES, and not 0 where that may be.
    """
    if references < LEAST_REFERENCES and (least or references):
        none = "" if least else "; 0 is for no audit"
        raise RequestError(f"references {references}: the audits take {LEAST_REFERENCES} retrainings at least{none}")


def attest(run: OpenRun, erasure: Erasure, request: ErasureOrder, references: int) -> None:
    """Audit an erasure and enter the findings; nothing is done for no references, or where they are entered already.

    Findings against fewer retrainings are replaced.

    Args:
        run: The run, locked.
        erasure: The erasure.
        request: What it was asked for.
        references: How many retrainings to make.
    """
    store = run.history.store
    if not references or _is_entered(run.history, erasure.id, references):
        return
    built_audits()  # one that cannot be used is told before anything is retrained
    past = run.past(request.after)
    patients = request.patients or learner_of(run.config).patients_taken(run, request.method, past)
    gone = tuple(sorted({*request.forget, *patients}))
    asked = Examination.of(run, gone, patients)
    seeds = reference_seeds(run.config, references)

    def ask(which: str, model: Callable[[], Vector]) -> Answers:
        place = f"{FOLDER}/{erasure.id}/{which}"
        if not store.holds(place):
            content = answers_to_bytes(asked.ask(run, model(), relearn=not patients))
            run.history.ledger.add_artefacts([store.write("answers", place, None, [content])])
        held = store.find(place)
        return answers_from_bytes(store.content(held), run.path / held.path)

    candidate = ask("candidate", lambda: run.history.erased_model(erasure.id))
    untouched = ask("untouched", past.final)
    held = [
        ask(f"reference-{seed}", partial(_retrained, run, past, gone, patients, seed))
        for seed in track(seeds, references, "retrainings")
    ]
    findings = audit(Evidence(asked.task, [candidate], [untouched], held))
    enter(run.history, erasure.id, Attested(references, seeds, overall(findings), tuple(findings)))


def _is_entered(history: RunFolder, id: str, references: int) -> bool:
    """Whether findings against so many retrainings are entered; those against fewer are taken out of the ledger."""
    found = attested(history, id)
    if found is None or found.references >= references:
        return found is not None
    history.ledger.append(removals([of_erasure(id, Kind.AUDIT) + JSON], REPLACED))
    return False


def enter(history: RunFolder, id: str, found: Attested) -> None:
    """Write what was found of an erasure, and enter it in the ledger."""
    kept = replace(found, findings=tuple(map(_to_three_digits, found.findings)))
    content = json.dumps(kept.to_dict(), indent=1).encode()
    written = history.store.write("erasure", of_erasure(id, Kind.AUDIT), None, [content], ending=JSON)
    history.ledger.add_artefacts([written])


def _to_three_digits(finding: Finding) -> Finding:
    """A finding as it is kept: to all its digits a figure is an equation in the erased images that outlives them."""

    def short(value: float | None) -> float | None:
        return value if value is None or not math.isfinite(value) else float(f"{value:.2e}")

    def all_of(values: tuple[float, ...] | None) -> tuple[float, ...] | None:
        return None if values is None else tuple(short(value) or 0.0 for value in values)

    found = finding.measured
    if found is not None:
        found = replace(
            found,
            candidates=all_of(found.candidates) or (),
            untouched=all_of(found.untouched) or (),
            references=all_of(found.references) or (),
            floor=short(found.floor),
            power=all_of(found.power),
            details={name: short(value) or 0.0 for name, value in found.details.items()},
        )
    return replace(finding, measured=found, limit=short(finding.limit))


def attested(history: RunFolder, id: str) -> Attested | None:
    """What a run folder holds of an erasure's audit, checked against the ledger; None where it was not audited."""
    store, name = history.store, of_erasure(id, Kind.AUDIT)
    if not store.holds(name):
        return None
    return Attested.from_dict(from_json(store.content(store.find(name)), dict[str, Any]))


def _retrained(run: OpenRun, past: History, gone: Sequence[ClientId], patients: OfClients, seed: int) -> Vector:
    """A training from a start of its own without the forgotten images, and without who was erased before."""
    whole = set(gone) - set(patients)
    # Who was erased before is in the data still, and not in the history.
    stay = (set(run.data.clients) & set(past.clients)) - whole
    return learner_of(run.config).retrain(replace(run, data=less(run.data, patients)), stay, seed)
