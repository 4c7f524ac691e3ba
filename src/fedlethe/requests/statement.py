# SPDX-License-Identifier: MIT
"""The statement that a certificate is the signature of: its form, as written and as read.

It is an in-toto statement, version 1 (https://github.com/in-toto/attestation): two subjects, which are the models
before and after, and a predicate, which is what is said of them. What is held against the run as a whole, and never
taken apart, is a plain mapping here: evaluations, costs, findings, the plan.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from fedlethe.erasing.claims import Claim
from fedlethe.history.entries import Artefact

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:fedlethe:erasure:3"

PURGED = "done"
"""The state of a purge that was made."""
ORDERED = "ordered: it follows this certificate at once"
"""Of one that is to be made next; `held_until` of one that waits."""

Plain: TypeAlias = Mapping[str, Any]
"""Plain JSON values by name."""


def held_until(date: str) -> str:
    """The state of a purge that waits."""
    return f"held: the traces are kept until {date}"


@dataclass(frozen=True, slots=True)
class SignedModel:
    """A model that a statement is about: its path in the run folder, and the SHA-256 of its file."""

    path: str
    sha256: str

    @classmethod
    def of(cls, artefact: Artefact) -> SignedModel:
        """A model as the ledger has it."""
        return cls(artefact.path, artefact.sha256)

    @classmethod
    def from_dict(cls, subject: Plain) -> SignedModel:
        """A subject as the statement has it."""
        return cls(subject["name"].partition(": ")[2], subject["digest"]["sha256"])

    def to_dict(self, which: str) -> dict[str, Any]:
        """As the statement has it; `which` is the word before the path."""
        return {"name": f"{which}: {self.path}", "digest": {"sha256": self.sha256}}


@dataclass(frozen=True, slots=True)
class SignedClaim:
    """What is claimed: the kind, the words that stand for it, and the method's own statement, if it has one.

    The kind is as it was written: one that was read can be none of CLAIMS, and `verify` looks.
    """

    kind: Claim
    words: str
    method: str | None

    @classmethod
    def from_dict(cls, claim: Plain) -> SignedClaim:
        """As the statement has it."""
        return cls(claim["kind"], claim["words"], claim["method"])

    def to_dict(self) -> dict[str, Any]:
        """As the statement has it."""
        return {"kind": self.kind, "words": self.words, "method": self.method}


@dataclass(frozen=True, slots=True)
class SignedHead:
    """The last row of the ledger when the statement was made."""

    seq: int
    hash: str

    @classmethod
    def from_dict(cls, head: Plain) -> SignedHead:
        """As the statement has it."""
        return cls(head["seq"], head["hash"])

    def to_dict(self) -> dict[str, Any]:
        """As the statement has it."""
        return {"seq": self.seq, "hash": self.hash}


@dataclass(frozen=True, slots=True)
class SignedFolder:
    """What is gone, or is to go, from one run folder.

    Attributes:
        run: The run's id.
        files: The path of each file, to the SHA-256 that it had.
        facts: What stays, 'remains'; and after the purge what became of the keys: 'keys_destroyed' and what could not
            be found.
    """

    run: str
    files: Mapping[str, str]
    facts: Plain = field(default_factory=dict)

    @classmethod
    def from_dict(cls, listed: Plain) -> SignedFolder:
        """As the statement has it."""
        files = {file["path"]: file["sha256"] for file in listed["files"]}
        return cls(listed["run"], files, {name: listed[name] for name in listed if name not in ("run", "files")})

    def to_dict(self) -> dict[str, Any]:
        """As the statement has it."""
        files = [{"path": path, "sha256": hash} for path, hash in self.files.items()]
        return {"run": self.run, "files": files, **self.facts}


@dataclass(frozen=True, slots=True)
class SignedPurge:
    """The purge, as it was done or is to be done.

    Attributes:
        state: PURGED, or in words when it is to come.
        runs: The run itself first, then those that it began from.
        facts: What was not reached, and how files and keys were kept.
    """

    state: str
    runs: tuple[SignedFolder, ...]
    facts: Plain

    @classmethod
    def from_dict(cls, purge: Plain) -> SignedPurge:
        """As the statement has it."""
        facts = {name: purge[name] for name in purge if name not in ("state", "runs")}
        return cls(purge["state"], tuple(SignedFolder.from_dict(one) for one in purge["runs"]), facts)

    def to_dict(self) -> dict[str, Any]:
        """As the statement has it."""
        return {"state": self.state, "runs": [one.to_dict() for one in self.runs], **self.facts}


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """What a certificate says.

    Attributes:
        before: The model that the erasure began from.
        after: The model that it led to.
        claim: What is certain.
        request: The request, as `request_facts` gives it.
        erasure: The erasure's id, and what was asked for.
        audit: What the audits found, as `audit_facts` gives it.
        earlier_findings: What audits found of other erasures of the same clients.
        accepted_findings: Who went on in spite of a finding, and why; None where nobody had to.
        figures: 'figures', 'evaluation', 'cost' and 'hiding' of the erasure's record.
        extra: 'secrets' where noise was drawn, 'nodes' where clients were on Flower nodes.
        purge: What is gone or is to go.
        run: The run: its 'id', its configuration's hash, model, data and code.
        ledger: Where the ledger ended.
        not_covered: What the certificate does not cover, in sentences.
    """

    before: SignedModel
    after: SignedModel
    claim: SignedClaim
    request: Plain
    erasure: Plain
    audit: Plain
    earlier_findings: Sequence[Plain]
    accepted_findings: Plain | None
    figures: Plain
    extra: Plain
    purge: SignedPurge
    run: Plain
    ledger: SignedHead
    not_covered: Sequence[str]

    @classmethod
    def from_dict(cls, whole: Plain) -> Statement:
        """A statement as a certificate's payload has it.

        Raises:
            LookupError, TypeError, ValueError, AttributeError: It is not written as this version writes statements.
        """
        before, after = whole["subject"]  # two, in this order: any other number is refused
        predicate = dict(whole["predicate"])
        return cls(
            before=SignedModel.from_dict(before),
            after=SignedModel.from_dict(after),
            claim=SignedClaim.from_dict(predicate["claim"]),
            ledger=SignedHead.from_dict(predicate["ledger"]),
            purge=SignedPurge.from_dict(predicate["purge"]),
            figures={name: predicate[name] for name in FIGURES},
            # Only where there is something to say: a run in one process has no nodes.
            extra={name: predicate[name] for name in EXTRA if name in predicate},
            **{name: predicate[name] for name in PLAIN},
        )

    def to_dict(self) -> dict[str, Any]:
        """As a certificate's payload has it, plain JSON values."""
        predicate = {
            "claim": self.claim.to_dict(),
            "ledger": self.ledger.to_dict(),
            "purge": self.purge.to_dict(),
            **self.figures,
            **self.extra,
            **{name: getattr(self, name) for name in PLAIN},
        }
        whole: dict[str, Any] = plain_json(
            {
                "_type": STATEMENT,
                "predicateType": PREDICATE,
                "subject": [self.before.to_dict("model before"), self.after.to_dict("model after")],
                "predicate": predicate,
            }
        )
        return whole


FIGURES = ("figures", "evaluation", "cost", "hiding")
EXTRA = ("secrets", "nodes")
PLAIN = ("request", "erasure", "audit", "earlier_findings", "accepted_findings", "run", "not_covered")
"""Parts of the predicate that have the same names in a Statement."""


def is_statement(payload: object) -> bool:
    """Whether a payload says of itself that it is a statement of an erasure in this form."""
    return isinstance(payload, dict) and (payload.get("_type"), payload.get("predicateType")) == (STATEMENT, PREDICATE)


def plain_json(value: Any) -> Any:
    """Plain JSON values: tuples as lists, numbers that JSON lacks as text."""
    if isinstance(value, Mapping):
        return {str(name): plain_json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
