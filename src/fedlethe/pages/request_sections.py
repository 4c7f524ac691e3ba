# SPDX-License-Identifier: MIT
"""The erasure requests of a run for its page: the request, what the audits found, the certificate."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from fedlethe.audit import Finding, figure_of
from fedlethe.erasing.auditing import attested
from fedlethe.history.disk import RunFolder
from fedlethe.history.request_log import ErasureRequest, requests_of
from fedlethe.pages.page import PageTable, Picture, Section
from fedlethe.plots.audit_verdicts import Audited, audits, sentence
from fedlethe.plots.style import Plot
from fedlethe.requests import signing
from fedlethe.requests.certificate import newest_certificate

INTERVALS = {"utility": ("accuracy_low", "accuracy_high"), "backdoor": ("success_low", "success_high")}
"""Of which audits an interval is in the details, and under which names."""


def request_sections(history: RunFolder, picture: Callable[[Plot, str], Picture]) -> Iterator[Section]:
    """A section for each request.

    Args:
        history: The run folder.
        picture: Saves a plot in a folder of the run.
    """
    for request in requests_of(history.ledger).values():
        tables, pictures = [_facts(request)], []
        text = [_story(request)]
        if request.erasure is not None:
            found = _audited(history, request.erasure)
            text += [sentence(audit) for audit in found]
            if any(audit.after is not None for audit in found):
                pictures.append(picture(audits(found, request.subject), f"report/{request.erasure}"))
            if not found:
                text.append(
                    "No audit was made: the model was not held against models trained without the erased images."
                )
        if (statement := _statement(history, request)) is not None:
            tables += _certificate(statement)
        yield Section(f"Request {request.id}: {request.subject}", text, tables, pictures)


def _story(request: ErasureRequest) -> str:
    ends = {
        "opened": "It is still to be carried out.",
        "running": "It is being carried out.",
        "audited": "The audits found something, and nobody has decided yet: nothing is certified or purged."
        if request.stopped
        else "The model is made; its certificate or the purge is still to come.",
        "completed": f"It was carried out on {request.since[:10]} by erasure {request.erasure}.",
        "failed": f"It could not be carried out: {request.note}.",
        "withdrawn": f"It was withdrawn on {request.since[:10]}: {request.note}.",
    }
    purge = ""
    if request.state == "completed":
        purge = (
            f"What the purge takes is held until {request.held_until}."
            if request.held_until is not None
            else "The purge is made: the certificate lists what went, and what stays."
        )
    if request.purge_cut_off:
        purge = "Its purge was cut off: what was kept of the erased images may still be there. Run fedlethe purge."
    verdict = "" if request.verdict is None else f"The audits say: {request.verdict}. "
    verdict += "".join(f"Warning: {warning}. " for warning in request.warnings)
    if request.accepted is not None:
        verdict += f"{request.accepted['by']} went on in spite of it: {request.accepted['why']}. "
    asked = f"On {request.opened[:10]} {request.by} asked for {request.subject} to be erased."
    return f"{asked} {verdict}{ends[request.state]} {purge}"


def _facts(request: ErasureRequest) -> PageTable:
    late = " (overdue)" if request.overdue else ""
    rows = [
        ("reason", request.reason),
        ("legal ground", request.legal_ground),
        ("opened", request.opened),
        ("deadline", request.deadline + late),
        ("state", f"{request.state}, since {request.since}"),
    ]
    return PageTable("The request", ("", "on record"), rows)


def _audited(history: RunFolder, id: str) -> list[Audited]:
    found = attested(history, id)
    return [] if found is None else [_shown(finding) for finding in found.findings]


def _shown(finding: Finding) -> Audited:
    measured, figure = finding.measured, figure_of(finding)
    if measured is None:
        return Audited(finding.audit, figure, finding.verdict, finding.statement)
    names = INTERVALS.get(finding.audit, ())
    known = all(name in measured.details for name in names) and measured.figure is None
    interval = (measured.details[names[0]], measured.details[names[1]]) if names and known else None
    return Audited(
        finding.audit,
        measured.figure or figure,
        finding.verdict,
        finding.statement,
        before=measured.untouched[0],
        after=measured.candidates[0],
        retrainings=measured.references,
        interval=interval,
    )


def _statement(history: RunFolder, request: ErasureRequest) -> dict[str, Any] | None:
    path = newest_certificate(history, request)
    if path is None:
        return None
    name = path.relative_to(history.path).as_posix()
    content = history.store.content(history.ledger.artefacts()[name])
    statement: dict[str, Any] = json.loads(signing.unchecked(content, path))
    return {**statement, "path": name}


def _certificate(statement: dict[str, Any]) -> list[PageTable]:
    predicate = statement["predicate"]
    purge, claim = predicate["purge"], predicate["claim"]
    files = sum(len(one["files"]) for one in purge["runs"])
    rows = [
        ("file", statement["path"]),
        ("claim", f"{claim['kind']}. {claim['words']}"),
        ("the method's statement", claim["method"] or "none"),
        *(
            ("an earlier erasure", f"{one['erasure']}: its audit found '{one['verdict']}'")
            for one in predicate["earlier_findings"]
        ),
        *((subject["name"], subject["digest"]["sha256"]) for subject in statement["subject"]),
        ("purge", f"{purge['state']}; {files} files"),
        ("copies", purge["backups"]),
        ("pages", purge["pages"]),
        *([("the certificate before the purge", purge["first_certificate"])] if "first_certificate" in purge else []),
        *(("cleaned outside the run folder", said) for said in purge.get("reached", ())),
        *(("not reached", said) for said in purge.get("not_reached", ())),
        *(("in the run folder, and not in its ledger", said) for said in purge.get("unnamed", ())),
        *(("what stays", "; ".join(one["remains"])) for one in purge["runs"]),
        ("ledger", f"row {predicate['ledger']['seq']}, {predicate['ledger']['hash']}"),
        ("how clients are known", predicate["run"]["identity"]),
        ("what the training began from", predicate["run"]["began_from"]),
    ]
    check = f"fedlethe verify {statement['path']} --key erasure.key.pub --run ."
    gaps = [(str(number), text) for number, text in enumerate(predicate["not_covered"], start=1)]
    return [
        PageTable(f"The certificate; to check it, in the run folder: {check}", ("", "it says"), rows),
        PageTable("What the certificate does not cover", ("", "not covered"), gaps),
    ]
