# SPDX-License-Identifier: MIT
"""The audits of an erasure over nodes."""

from __future__ import annotations

import json
from pathlib import Path

from flwr.app import Context, Message

from fedlethe.audit import Evidence, audit
from fedlethe.erasing.examination import Examination
from fedlethe.federation.train import train
from fedlethe.flower.nodes.messages import WHO
from fedlethe.models import initialise
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import opened_folder
from fedlethe.seeding import derive
from fedlethe.vector import to_vector
from tests.flower.apps import HOSPITALS, App


def test_an_audit_asks_the_retained_hospitals_alone(app: App) -> None:
    app.call(set="federation.rounds=1")
    app.call(mode="erase", erase="hospital-1")
    grid = app.grid()
    asked: set[int] = set()

    def seen(message: Message, context: Context) -> Message:
        if message.metadata.message_type != WHO:
            asked.add(message.metadata.dst_node_id)
        return inner(message, context)

    inner, grid.app = grid.app, seen
    app.call(grid, mode="audit", erasure="0001", references=3)
    assert asked == {101, 102}  # hospitals 2 and 0
    found = json.loads((app.run / "erasures/0001/audit.json").read_text())
    words = {one["audit"]: one["verdict"] for one in found["findings"]}
    assert words["utility"] in ("useful", "not useful", "cannot be shown")
    assert words["membership"] == words["relearn"] == "cannot be shown"
    assert found["asked"] == ["hospital-0", "hospital-2"]
    with opened_folder(app.run) as (_, history):
        assert history.ledger.artefacts()["erasures/0001/audit.json"].kind == "erasure"


def test_a_hospital_that_wants_to_see_for_itself_is_asked_and_answers_as_in_one_process(
    finished: App, in_process: Path
) -> None:
    finished.call(mode="audit", erasure="0001", references=3, ask_erased=True)
    found = json.loads((finished.run / "erasures/0001/audit.json").read_text())
    assert found["asked"] == list(HOSPITALS)
    with opened_run(in_process) as run:
        examination = Examination.of(run, ["hospital-1"])
        models = [run.history.erased_model("0001"), run.history.final()]
        for seed in (derive(0, "reference", number) % 2**31 for number in range(3)):
            model = to_vector(initialise(run.config.model, 1, 2, seed), run.layout)
            retained = run.federation(seed).without(["hospital-1"])
            for record in train(retained, model, [(round, retained.clients) for round in (1, 2)]):
                model = record.after
            models.append(model)
        candidate, untouched, *references = (examination.ask(run, vector, relearn=True) for vector in models)
        findings = audit(Evidence(examination.task, [candidate], [untouched], references))
    assert [(one["audit"], one["verdict"], one["statement"]) for one in found["findings"]] == [
        (finding.audit, finding.verdict, finding.statement) for finding in findings
    ]
