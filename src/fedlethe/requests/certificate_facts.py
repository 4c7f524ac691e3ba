# SPDX-License-Identifier: MIT
"""What a certificate says, gathered from the run: nothing in it is taken from an earlier certificate.

Its words are careful: 'exact' where the model is what training without the client leads to, 'guaranteed' where
something else is certain, else 'evidence'. It says what it does not cover.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fedlethe.config import RunConfig
from fedlethe.erasing.auditing import Attested, attested
from fedlethe.erasing.claims import CLAIMS, Claim, claim_of, stronger, strongest
from fedlethe.erasing.record import Erasure, recorded
from fedlethe.erasing.secret import left_over
from fedlethe.errors import RequestError
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import Artefact
from fedlethe.history.paths import Kind, name_of, of_erasure
from fedlethe.history.request_log import NOT_AUDITED, ErasureRequest, findings_about
from fedlethe.history.store import of_round
from fedlethe.history.succession import Part
from fedlethe.later import torch
from fedlethe.requests.purge_facts import purge_facts
from fedlethe.requests.run_facts import run_facts
from fedlethe.requests.statement import SignedClaim, SignedHead, SignedModel, Statement, plain_json
from fedlethe.runs.past import Lineage
from fedlethe.runs.run_toml import read_run_document
from fedlethe.types import Evaluation
from fedlethe.version import VERSION

NOT_COVERED = (
    "Copies of models and files that left the run folder before the purge: released models, exports, pages of "
    "`report`, backups of unsealed files, and of sealed ones together with their keys.",
    "The images themselves, at the clients or where the data's source reads them, and whatever else the clients hold.",
    "What the retained clients' updates took up from global models that held the erased client's, where the claim is "
    "'evidence'.",
    "Blocks that a drive keeps after a file was deleted.",
)
"""What every certificate says that it does not cover."""

OF_REQUEST = ("id", "opened", "reason", "by", "legal_ground", "deadline")
"""What a certificate says of a request in the request's own names."""


def statement_of(
    lineage: Lineage, config: RunConfig, request: ErasureRequest, purged: bool, due: str | None
) -> Statement:
    """What is to be signed.

    Args:
        lineage: The run's, locked.
        config: The run's.
        request: The request; its erasure is in the ledger.
        purged: Whether the purge is made.
        due: The date until which the traces are kept; None where they go at once, or are gone.

    Raises:
        FedletheError: A file is not the one that was entered, or the record claims more than the ledger allows.
    """
    assert request.erasure is not None
    history = lineage.history
    erasure = recorded(history, request.erasure)
    before, after = models_of(history, erasure)
    kind, head = claimed(lineage.parts(erasure.id), erasure), history.ledger.head()
    found = findings_about(history.ledger, request.clients)
    return Statement(
        before=SignedModel.of(_model(history, before)),
        after=SignedModel.of(_model(history, after)),
        claim=SignedClaim(kind, CLAIMS[kind], None if erasure.guarantee is None else erasure.guarantee.statement),
        request=request_facts(request),
        erasure={"id": erasure.id, **erasure.request},
        audit=audit_facts(attested(history, erasure.id), request.warnings),
        earlier_findings=[one for one in found if one["erasure"] != erasure.id],
        accepted_findings=None if request.accepted is None else dict(request.accepted),
        figures=figures_of(erasure),
        extra={**_secrets(history, erasure), **node_facts(history, erasure.id)},
        purge=purge_facts(lineage, request, purged, due),
        run=_run(config, history),
        ledger=SignedHead(head.seq, head.hash),
        not_covered=NOT_COVERED,
    )


def models_of(history: RunFolder, erasure: Erasure) -> tuple[str, str]:
    """The names of the models that an erasure began from and led to."""
    trained = of_round("global checkpoint", history.rounds)
    before = trained if erasure.after is None else of_erasure(erasure.after, Kind.MODEL)
    return before, of_erasure(erasure.id, Kind.MODEL)


def figures_of(erasure: Erasure) -> dict[str, Any]:
    """The figures of an erasure's record that a certificate has, plain JSON values."""
    stages = erasure.stages
    figures: dict[str, Any] = plain_json(
        {
            "figures": dict(erasure.found),
            "evaluation": {"before": _measured(stages[0].evaluation), "after": _measured(stages[-1].evaluation)},
            "cost": {
                **asdict(erasure.cost),
                "retraining_examples": erasure.retraining_examples,
                # Only where it is so: certificates that were signed before there was such a word still hold.
                **({"retraining_at_most": True} if erasure.retraining_at_most else {}),
            },
            "hiding": {
                "words": erasure.hiding,
                "figures": None if erasure.hidden is None else erasure.hidden.figures,
            },
        }
    )
    return figures


def claimed(parts: Sequence[Part], erasure: Erasure) -> Claim:
    """What an erasure's record claims, whose model these trainings led to.

    Raises:
        FedletheError: It is more than its method, its options and the ledger allow.
    """
    # The record alone is not believed: a method can say more of itself than its options and the rounds bear out.
    said, most = claim_of(erasure.guarantee), strongest(erasure, parts)
    if stronger(said, most):
        raise RequestError(
            f"erasure {erasure.id}: its record claims '{said}', and by its method, options and rounds it can be "
            f"'{most}' at most; nothing is signed. Erase by another method; an audited request is withdrawn first"
        )
    return said


def _model(history: RunFolder, name: str) -> Artefact:
    """A model by its name, also where its file is gone: a later request's purge can have come first."""
    gone = {path: tombstone.artefact for path, tombstone in history.ledger.tombstones().items()}
    known = {**gone, **history.ledger.artefacts()}  # a living file before one that is gone
    return next(artefact for artefact in known.values() if name_of(artefact) == name)


def request_facts(request: ErasureRequest) -> dict[str, Any]:
    """What a certificate says of the request."""
    patients = {client: list(pseudonyms) for client, pseudonyms in request.patients.items()}
    facts = {name: getattr(request, name) for name in OF_REQUEST}
    return {**facts, "clients": list(request.clients), "patients": patients, "plan": dict(request.plan or {})}


def _measured(evaluation: Evaluation) -> dict[str, Any]:
    clients = {client: asdict(metrics) for client, metrics in evaluation.clients.items()}
    return {"all": asdict(evaluation.overall), "clients": clients}


def audit_facts(found: Attested | None, warnings: Sequence[str]) -> dict[str, Any]:
    """What a certificate says of the audits, and beside them of the model (see `ErasureRequest.warnings`)."""
    told = {"warnings": list(warnings)} if warnings else {}  # certificates from before there was such a word still hold
    if found is None:
        words = "No audit was made: the model was not held against retrainings."
        return {"made": False, "verdict": NOT_AUDITED, "words": words, **told}
    words = (
        f"Held against {found.references} retrainings without the erased data. 'gone': the figure lies where the "
        "retrainings' do; 'cannot be shown': the audit has no power here, or needs more models than one erasure gives."
    )
    return {"made": True, "words": words, **found.to_dict(), **told}


def node_facts(history: RunFolder, id: str) -> dict[str, Any]:
    """Who the clients' nodes were, how that was known, and how many messages each was sent in the erasure."""
    store, name = history.store, of_erasure(id, Kind.NODES)
    if not store.holds(name):
        return {}
    held = json.loads(store.content(store.find(name)))
    # Not the whole record: where Flower keeps its state is of no use to who holds the certificate.
    told = ("identities", "messages", "questions_of_identity", "forgotten")
    return {"nodes": {name: held[name] for name in told}}


def _secrets(history: RunFolder, erasure: Erasure) -> dict[str, Any]:
    """Whether what was drawn by a secret can be drawn again, as it was looked up now; nothing where nothing was."""
    asked, stages = erasure.request, {stage.name for stage in erasure.stages}
    noise = "masked" in stages
    drawn = [
        *(["noise"] if noise else []),
        *(["who was erased along with them"] if asked.get("decoys") else []),
        *(["who repaired"] if asked["repair"].get("clients") is not None and asked["repair"]["rounds"] else []),
    ]
    if not drawn:
        return {}
    # Files are looked for, rather than the ledger asked: what it says was destroyed can have been put back.
    left = [path.name for path in left_over(history)]
    words = (
        f"Drawn from a secret of this erasure's own: {', '.join(drawn)}. Who has it can draw the same again"
        f"{', and take the noise off' if noise else ''}. When this was written, the folders of the run's keys held "
        f"{', '.join(left) if left else 'no such secret'}. Copies that somebody made of that file while the erasure "
        "was under way cannot be known."
    )
    return {"secrets": {"left": left, "words": words}}


def _run(config: RunConfig, history: RunFolder) -> dict[str, Any]:
    facts = read_run_document(history.path)["run"]
    code = {
        "fedlethe": VERSION,
        "trained_with": facts["version"],
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    return {**run_facts(config, facts, history), "code": code}
