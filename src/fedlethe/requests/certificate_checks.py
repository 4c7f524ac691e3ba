# SPDX-License-Identifier: MIT
"""What a certificate says, held against the run that it is of: one check for each part of the statement."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from fedlethe.erasing.auditing import attested
from fedlethe.erasing.claims import CLAIMS, claim_of, stronger, strongest
from fedlethe.erasing.record import Erasure, recorded
from fedlethe.errors import FedletheError, HistoryError
from fedlethe.files import sha256_of
from fedlethe.history.disk import RunFolder
from fedlethe.history.request_log import FINDINGS, findings_about, requests_of
from fedlethe.history.rows import ENDINGS
from fedlethe.requests.certificate_facts import (
    NOT_COVERED,
    OF_REQUEST,
    audit_facts,
    figures_of,
    models_of,
    node_facts,
    request_facts,
)
from fedlethe.requests.checks import Check, Problem, Unchecked, held
from fedlethe.requests.folder_checks import foreign_heads, pages, stray_keys, strays
from fedlethe.requests.run_facts import run_facts
from fedlethe.requests.signed_purge_checks import problem_elsewhere, problem_of_what_stays, purge_problem
from fedlethe.requests.statement import Statement, plain_json
from fedlethe.runs.past import earlier, part_of
from fedlethe.runs.run_toml import config_of, read_run_document


def checks_of_run(statement: Statement, path: Path, history: RunFolder) -> Iterator[Check]:
    """Hold a statement against a run.

    Args:
        statement: What the certificate says.
        path: The certificate.
        history: The run; its ledger is read, and whole.
    """
    ledger = history.ledger
    yield Check("ledger", "ok", f"{ledger.head().seq} rows, each chained to the one before")
    if statement.run["id"] != ledger.run_id:
        yield Check("run", "failed", f"it is of run {statement.run['id']}, and this is {ledger.run_id}")
        return
    yield Check("run", "ok", f"it is of this run, {ledger.run_id}")
    for what, check, words in CHECKS:
        try:
            problem = check(statement, path, history)
        except FedletheError as error:  # what it is to be held against is not as it was entered
            problem = str(error)
        yield _result(what, problem, words)
    if others := [one.run for one in statement.purge.runs if one.run != ledger.run_id]:
        words = f"what it says of the runs that this one began from ({', '.join(others)}): verify each of their ledgers"
        yield Check("earlier runs", "not checked", words)
    yield Check("its time", "not checked", OF_ITS_TIME)
    yield held("files", history.store.problems(), f"{len(ledger.artefacts())} files are as they were entered")
    yield held("certificates", foreign_heads(history), "every certificate in the run holds a head of this ledger")
    left = [*strays(history), *stray_keys(history), *pages(history)]
    nothing = "nothing lies in the run folder that the ledger does not name"
    yield (
        Check("other files", "not checked", f"what they hold: {'; '.join(left)}")
        if left
        else Check("other files", "ok", nothing)
    )


def _result(what: str, problem: Problem, words: str) -> Check:
    match problem:
        case None:
            return Check(what, "ok", words)
        case Unchecked():
            return Check(what, "not checked", problem.words)
        case _:
            return Check(what, "failed", problem)


def _head(statement: Statement, path: Path, history: RunFolder) -> Problem:
    head = statement.ledger
    if history.ledger.hash_of(head.seq) != head.hash:
        return f"row {head.seq} of the ledger is not the one that the certificate names: rows were removed or made anew"
    return None


def _itself(statement: Statement, path: Path, history: RunFolder) -> Problem:
    # By its bytes, not its name: the officer's copy lies elsewhere, under whatever name.
    hash = sha256_of(path)
    held = history.ledger.artefacts().values()
    return None if any(one.sha256 == hash for one in held) else "the ledger does not name it"


def _request(statement: Statement, path: Path, history: RunFolder) -> Problem:
    said, erasure = statement.request, statement.erasure
    known = requests_of(history.ledger).get(said["id"])
    if known is None:
        return f"the ledger holds no request {said['id']}"
    facts = request_facts(known)
    for name in OF_REQUEST:
        if facts[name] != said[name]:
            return f"its {name} is {said[name]!r}, in the ledger {facts[name]!r}"
    if said["plan"] != _plan_then(statement, history):
        return "the ledger has another plan"
    if (facts["clients"], facts["patients"]) != (said["clients"], said["patients"]):
        return "its clients are others than the ledger's"
    found = findings_about(history.ledger, known.clients, statement.ledger.seq)
    if [one for one in found if one["erasure"] != erasure["id"]] != statement.earlier_findings:
        return "what audits found of earlier erasures is otherwise in the ledger"
    canonical = {id: json.loads(text) for text, id in history.ledger.erasures().items()}
    if canonical.get(erasure["id"]) != {name: value for name, value in erasure.items() if name != "id"}:
        return f"erasure {erasure['id']} is another one in the ledger"
    return None


def _plan_then(statement: Statement, history: RunFolder) -> object:
    """The plan that the request was carried out by: one that was begun anew since has another one."""
    id, seq = statement.request["id"], statement.ledger.seq
    rows = [event.body for event in history.ledger.events("state") if event.seq <= seq]
    return next((row["plan"] for row in reversed(rows) if row["request"] == id and row.get("plan")), None)


def _record(statement: Statement, history: RunFolder) -> Erasure:
    return recorded(history, statement.erasure["id"])


def _claim(statement: Statement, path: Path, history: RunFolder) -> Problem:
    said = statement.claim
    record = _record(statement, history)
    with ExitStack() as stack:
        try:
            before = earlier(history.path, stack)
        except HistoryError as error:  # not there: what it says can neither be borne out nor refuted
            return Unchecked(f"what can be claimed rests on a run that this one began from: {error}")
        most = strongest(record, (*before, part_of(history, record.id)))
    if said.kind not in CLAIMS or said.words != CLAIMS[said.kind]:
        return f"'{said.kind}' is no claim that this version knows, or its words are others"
    if said.kind != claim_of(record.guarantee):
        return f"it claims '{said.kind}', the run's record '{claim_of(record.guarantee)}'"
    if said.method != (None if record.guarantee is None else record.guarantee.statement):
        return "the method's statement is another one in the run's record"
    return f"it claims '{said.kind}'; it can be '{most}' at most" if stronger(said.kind, most) else None


def _figures(statement: Statement, path: Path, history: RunFolder) -> Problem:
    known = figures_of(_record(statement, history))
    other = [name for name, value in known.items() if statement.figures[name] != value]
    return f"its {' and '.join(other)} differ from the run's record" if other else None


def _audited(statement: Statement, path: Path, history: RunFolder) -> Problem:
    found = attested(history, statement.erasure["id"])
    known = requests_of(history.ledger).get(statement.request["id"])
    if known is None:
        return f"the ledger holds no request {statement.request['id']}"
    same = known.erasure == statement.erasure["id"]  # else it was begun anew since, and has another one's warnings
    warnings = known.warnings if same else statement.audit.get("warnings", ())
    if plain_json(audit_facts(found, warnings)) != statement.audit:
        return "the run's record of the audit is another"
    if same and known.verdict != statement.audit["verdict"]:
        return f"the ledger says '{known.verdict}' of the request"
    accepted = None if known.accepted is None else dict(known.accepted)
    if statement.accepted_findings != accepted:
        return "who accepted the findings, or why, is otherwise in the ledger"
    if statement.audit["verdict"] in FINDINGS and accepted is None:
        return f"it found '{statement.audit['verdict']}', and nobody accepted that"
    return None


def _other_model(statement: Statement, history: RunFolder, before: bool) -> str | None:
    """That a model is not the one that the erasure began from, or not the one that it led to."""
    names = models_of(history, _record(statement, history))
    path = (statement.before if before else statement.after).path
    same = path in {names[0 if before else 1] + ending for ending in ENDINGS}
    return None if same else f"{path}: is not the model that the erasure {'began from' if before else 'led to'}"


def _before(statement: Statement, path: Path, history: RunFolder) -> Problem:
    name, hash = statement.before.path, statement.before.sha256
    if (problem := _other_model(statement, history, before=True)) is not None:
        return problem
    # The model before goes with the purge, if it holds the client: its tombstone has its hash.
    if (gone := history.ledger.tombstones().get(name)) is not None:
        return None if gone.artefact.sha256 == hash else f"{name}: had another hash"
    held = history.ledger.artefacts().get(name)
    return None if held is not None and held.sha256 == hash else f"{name}: the ledger knows another hash, or none"


def _after(statement: Statement, path: Path, history: RunFolder) -> Problem:
    name, hash = statement.after.path, statement.after.sha256
    if (problem := _other_model(statement, history, before=False)) is not None:
        return problem
    if (gone := history.ledger.tombstones().get(name)) is not None and gone.artefact.sha256 == hash:
        return Unchecked(f"{name} was removed on {gone.at} ({gone.because})")
    if not (history.path / name).is_file():
        return f"{history.path / name}: is missing"
    return None if sha256_of(history.path / name) == hash else f"{history.path / name}: has other bytes"


def _configuration(statement: Statement, path: Path, history: RunFolder) -> Problem:
    same = sha256_of(history.path / "run.toml") == statement.run["configuration_sha256"]
    return None if same else f"{history.path / 'run.toml'}: has other bytes"


def _run(statement: Statement, path: Path, history: RunFolder) -> Problem:
    document = read_run_document(history.path)
    known = plain_json(run_facts(config_of(history.path), document["run"], history))
    if other := [name for name in known if statement.run.get(name) != known[name]]:
        return f"its {' and '.join(other)} differ from what the run folder says"
    trained = document["run"]["version"]
    return None if statement.run["code"]["trained_with"] == trained else f"the run was trained with version {trained}"


def _nodes(statement: Statement, path: Path, history: RunFolder) -> Problem:
    known = plain_json(node_facts(history, statement.erasure["id"]))
    said = {name: value for name, value in statement.extra.items() if name == "nodes"}
    return None if said == known else "the run's record of its nodes is another"


def _not_covered(statement: Statement, path: Path, history: RunFolder) -> Problem:
    same = tuple(statement.not_covered) == NOT_COVERED
    return None if same else "what it says that it does not cover is other than this version says of every erasure"


CHECKS: tuple[tuple[str, Callable[[Statement, Path, RunFolder], Problem], str], ...] = (
    ("head", _head, "the ledger goes on from the row that it names"),
    ("certificate", _itself, "the ledger names this certificate, with its hash"),
    ("request", _request, "the ledger holds this request and this erasure"),
    ("model before", _before, "its hash is the one in the ledger"),
    ("model after", _after, "its bytes are those that the certificate names"),
    ("configuration", _configuration, "run.toml is the one that the certificate names"),
    ("claim", _claim, "the claim is what method, options, learner and rounds lead to, and the record has the same"),
    ("figures", _figures, "evaluations, figures and cost are those of the run's record"),
    ("audit", _audited, "the audit's verdict and findings are those of the run's record"),
    ("description", _run, "model, seeds, data and how clients were known are those of the run folder"),
    ("nodes", _nodes, "what it says of nodes is what the run's record says"),
    ("not covered", _not_covered, "it says all that no certificate covers"),
    (
        "purge",
        purge_problem,
        "its files and keys are all that the ledger says this purge took; the files are gone, and no file in the run "
        "folder or a folder of its keys is one of the destroyed keys",
    ),
    ("what stays", problem_of_what_stays, "what it says that stayed is what the ledger named when it was signed"),
    ("elsewhere", problem_elsewhere, "what the purge reached outside the run folder, and did not, is what it entered"),
)
"""What is checked, how, and what is said where it holds. The ledger comes first: all others lean on it."""

OF_ITS_TIME = (
    "what was so when it was signed: encryption and where keys lay; pages and entries that no ledger named; secrets of "
    "noise that were left; versions of the code that signed; the date that was planned; what the first certificate was "
    "held against"
)
"""What a certificate says that nobody can look up later."""
