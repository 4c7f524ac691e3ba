# SPDX-License-Identifier: MIT
"""What an outsider can check: a ledger against its files, a certificate against its key, and against the run."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from fedlethe.erasing.auditing import attested_in
from fedlethe.erasing.claims import CLAIMS, claim_of, stronger, strongest
from fedlethe.erasing.record import Erasure
from fedlethe.errors import FedletheError, IntegrityError
from fedlethe.files import sha256_of
from fedlethe.history.disk import RunFolder
from fedlethe.history.request_log import FINDINGS, findings_about, requests_of, subject_of
from fedlethe.requests import signing
from fedlethe.requests.certificate import PREDICATE, STATEMENT, audit_facts, figures_of, plain_json
from fedlethe.requests.folder_checks import foreign_heads, key_problems, pages, stray_keys, strays
from fedlethe.runs.past import earlier, part_of
from fedlethe.runs.records import from_json
from fedlethe.runs.run_toml import read_run_document

Result: TypeAlias = Literal["ok", "failed", "not checked"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what of, with which result, and in words."""

    what: str
    result: Result
    words: str


@dataclass(frozen=True, slots=True)
class Verified:
    """All that was looked at.

    Attributes:
        subject: The ledger or certificate.
        checks: In their order.
    """

    subject: Path
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """Those that do not hold."""
        return tuple(check for check in self.checks if check.result == "failed")


def verify_ledger(path: Path) -> Verified:
    """Hold a run's ledger against itself, its head, its files, its keys, and the certificates in the run.

    Raises:
        FedletheError: A row was changed, removed or put elsewhere, so that nothing else of it can be trusted; the
            message names the first.
    """
    with _ledger_and_files(path) as history:
        head = history.ledger.head()
        checks = [
            Check("rows", "ok", f"{head.seq} rows, each chained to the one before, up to {head.hash}"),
            _held("ledger file", history.ledger.damage(), "SQLite's pages, table and header are as they were made"),
            _held(
                "files", history.store.problems(), f"{len(history.ledger.artefacts())} files are as they were entered"
            ),
            _held("strays", strays(history), "no file is there that the ledger does not name"),
            _pages(history),
            _held(
                "keys",
                (*key_problems(history), *stray_keys(history)),
                "all keys are there and open what they sealed; no others are",
            ),
            _held("modes", _open_to_others(history), "files and folders are their owner's alone"),
            _held("certificates", foreign_heads(history), "every certificate in the run holds a head of this ledger"),
            Check(
                "the whole chain",
                "not checked",
                "whoever can write the folder can make it anew; hold it against a certificate that somebody else kept",
            ),
        ]
    return Verified(history.ledger.path, tuple(checks))


@contextmanager
def _ledger_and_files(path: Path) -> Iterator[RunFolder]:
    """The history of a run, or of a recording (see `flower`), whatever else is wrong with the folder."""
    if not (path / "ledger.db").is_file():
        read_run_document(path)  # which says what the folder is not
    history = RunFolder(path, (), frozenset())
    try:
        yield history
    finally:
        history.close()


def _held(what: str, problems: Iterable[str], words: str) -> Check:
    found = list(problems)
    return Check(what, "failed", "; ".join(found)) if found else Check(what, "ok", words)


def _pages(history: RunFolder) -> Check:
    if not (found := pages(history)):
        return Check("pages", "ok", "no pages or pictures lie in report/ that the ledger does not name")
    words = f"{len(found)} pages and pictures are known by their names, and nobody entered what they hold"
    return Check("pages", "not checked", f"{words}: {', '.join(found)}")


def _open_to_others(history: RunFolder) -> Iterator[str]:
    for path in history.path.rglob("*"):
        if not path.is_symlink() and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
            yield f"{path}: others can read or write it (mode {mode:o}); run: chmod -R go= {history.path}"


# A certificate


def verify_certificate(path: Path, public: Path, run: Path | None) -> Verified:
    """Check a certificate's signature and form, and, where the run is at hand, all that it says of it.

    Args:
        path: The certificate.
        public: The public half of the key that must have signed it.
        run: The run folder; None where there is only the certificate.

    Raises:
        FedletheError: The certificate is not what this key signed, byte for byte, or is no statement of an erasure;
            or the run's ledger was changed.
    """
    key = signing.read_public_key(public)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise IntegrityError(f"{path}: cannot be read ({error.strerror or error})") from None
    statement = _statement(signing.opened(content, key, path), path)
    checks = [Check("signature", "ok", f"Ed25519, by the key {key.id[:16]}...")]
    try:
        checks += _said(statement, path, run)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise IntegrityError(
            f"{path}: is signed, but is not written as this version writes certificates; use the version that wrote it"
        ) from None
    checks.append(Check("what nobody can check here", "not checked", "copies elsewhere; the audits' figures; the data"))
    return Verified(path, tuple(checks))


def _said(statement: dict[str, Any], path: Path, run: Path | None) -> Iterator[Check]:
    """What a certificate says by itself, and of a run."""
    yield _form(statement)
    if run is None:
        words = "no run folder was given (--run): models, ledger, files and purge are as the certificate says, or not"
        yield Check("the run", "not checked", words)
    else:
        with _ledger_and_files(run) as history:
            yield from _of_run(statement, path, history)


def _statement(payload: bytes, path: Path) -> dict[str, Any]:
    statement = json.loads(payload)
    if not isinstance(statement, dict) or (statement.get("_type"), statement.get("predicateType")) != (
        STATEMENT,
        PREDICATE,
    ):
        raise IntegrityError(f"{path}: is signed, but no certificate of an erasure that this version knows")
    return statement


def _form(statement: dict[str, Any]) -> Check:
    predicate = statement["predicate"]
    claim, request = predicate["claim"], predicate["request"]
    audit, accepted = predicate["audit"], predicate["accepted_findings"]
    held = f"audit: {audit['verdict']}" + (f" (against {audit['references']} retrainings)" if audit["made"] else "")
    subject = subject_of(request["clients"], request["patients"])
    words = f"{subject} erased by request {request['id']}; claim: {claim['kind']}; {held}"
    if accepted is not None:
        words += f"; what the audit found was accepted by {accepted['by']}: {accepted['why']}"
    if found := [f"{one['erasure']} '{one['verdict']}'" for one in predicate["earlier_findings"]]:
        words += f"; earlier erasures, by their audits: {', '.join(found)}"
    return Check("statement", "ok", words)


def _of_run(statement: dict[str, Any], path: Path, history: RunFolder) -> Iterator[Check]:
    predicate, ledger = statement["predicate"], history.ledger
    yield Check("ledger", "ok", f"{ledger.head().seq} rows, each chained to the one before")
    if predicate["run"]["id"] != ledger.run_id:
        yield Check("run", "failed", f"it is of run {predicate['run']['id']}, and this is {ledger.run_id}")
        return
    yield Check("run", "ok", f"it is of this run, {ledger.run_id}")
    checks: tuple[tuple[str, Callable[[dict[str, Any], Path, RunFolder], str | None], str], ...] = (
        ("head", _head, "the ledger goes on from the row that it names"),
        ("certificate", _itself, "the ledger names this certificate, with its hash"),
        ("request", _request, "the ledger holds this request and this erasure"),
        ("model before", _before, "its hash is the one in the ledger"),
        ("model after", _after, "its bytes are those that the certificate names"),
        ("configuration", _configuration, "run.toml is the one that the certificate names"),
        ("claim", _claim, "the claim is what method, options, learner and rounds lead to, and the record has the same"),
        ("figures", _figures, "evaluations, figures and cost are those of the run's record"),
        ("audit", _audited, "the audit's verdict and findings are those of the run's record"),
        (
            "purge",
            _purge,
            "the files are gone, tombstones hold their hashes, and no file in the run folder or a folder of its keys "
            "is one of the destroyed keys",
        ),
    )
    for what, check, words in checks:
        problem = check(statement, path, history)
        if problem is not None and problem.startswith("not checked: "):
            yield Check(what, "not checked", problem.removeprefix("not checked: "))
        else:
            yield Check(what, "ok" if problem is None else "failed", problem or words)
    if others := [one["run"] for one in predicate["purge"].get("runs", ()) if one["run"] != ledger.run_id]:
        words = f"what it says of the runs that this one began from ({', '.join(others)}): verify each of their ledgers"
        yield Check("earlier runs", "not checked", words)
    yield _held("files", history.store.problems(), f"{len(ledger.artefacts())} files are as they were entered")
    yield _held("certificates", foreign_heads(history), "every certificate in the run holds a head of this ledger")
    left = [*strays(history), *stray_keys(history), *pages(history)]
    nothing = "nothing lies in the run folder that the ledger does not name"
    yield (
        Check("other files", "not checked", f"what they hold: {'; '.join(left)}")
        if left
        else Check("other files", "ok", nothing)
    )


def _head(statement: dict[str, Any], path: Path, history: RunFolder) -> str | None:
    head = statement["predicate"]["ledger"]
    if history.ledger.hash_of(head["seq"]) != head["hash"]:
        return (
            f"row {head['seq']} of the ledger is not the one that the certificate names: rows were removed or made anew"
        )
    return None


def _itself(statement: dict[str, Any], path: Path, history: RunFolder) -> str | None:
    hash = sha256_of(path)
    held = history.ledger.artefacts().values()
    return None if any(one.sha256 == hash for one in held) else "the ledger does not name it"


def _request(statement: dict[str, Any], path: Path, history: RunFolder) -> str | None:
    predicate = statement["predicate"]
    said, erasure = predicate["request"], predicate["erasure"]
    known = requests_of(history.ledger).get(said["id"])
    if known is None:
        return f"the ledger holds no request {said['id']}"
    for name in ("opened", "reason", "by", "legal_ground", "deadline"):
        if getattr(known, name) != said[name]:
            return f"its {name} is {said[name]!r}, in the ledger {getattr(known, name)!r}"
    if list(known.clients) != said["clients"] or {c: list(p) for c, p in known.patients.items()} != said["patients"]:
        return "its clients are others than the ledger's"
    found = findings_about(history.ledger, known.clients, predicate["ledger"]["seq"])
    if [one for one in found if one["erasure"] != erasure["id"]] != predicate["earlier_findings"]:
        return "what audits found of earlier erasures is otherwise in the ledger"
    canonical = {id: json.loads(text) for text, id in history.ledger.erasures().items()}
    if canonical.get(erasure["id"]) != {name: value for name, value in erasure.items() if name != "id"}:
        return f"erasure {erasure['id']} is another one in the ledger"
    return None


def _record(statement: dict[str, Any], history: RunFolder) -> Erasure:
    return from_json(history.erasure_record(statement["predicate"]["erasure"]["id"]), Erasure)


def _claim(statement: dict[str, Any], path: Path, history: RunFolder) -> str | None:
    said = statement["predicate"]["claim"]
    try:
        record = _record(statement, history)
        with ExitStack() as stack:
            most = strongest(record, (*earlier(history.path, stack), part_of(history, record.id)))
    except FedletheError as error:
        return str(error)
    if said["kind"] not in CLAIMS or said["words"] != CLAIMS[said["kind"]]:
        return f"'{said['kind']}' is no claim that this version knows, or its words are others"
    if said["kind"] != claim_of(record.guarantee):
        return f"it claims '{said['kind']}', the run's record '{claim_of(record.guarantee)}'"
    if said["method"] != (None if record.guarantee is None else record.guarantee.statement):
        return "the method's statement is another one in the run's record"
    return f"it claims '{said['kind']}'; it can be '{most}' at most" if stronger(said["kind"], most) else None


def _figures(statement: dict[str, Any], path: Path, history: RunFolder) -> str | None:
    try:
        known = figures_of(_record(statement, history))
    except FedletheError as error:
        return str(error)
    predicate = statement["predicate"]
    other = [name for name, value in known.items() if predicate.get(name) != value]
    return f"its {' and '.join(other)} differ from the run's record" if other else None


def _audited(statement: dict[str, Any], path: Path, history: RunFolder) -> str | None:
    predicate = statement["predicate"]
    try:
        found = attested_in(history, predicate["erasure"]["id"])
    except FedletheError as error:
        return str(error)
    if plain_json(audit_facts(found)) != predicate["audit"]:
        return "the run's record of the audit is another"
    known = requests_of(history.ledger)[predicate["request"]["id"]]
    if known.erasure == predicate["erasure"]["id"] and known.verdict != predicate["audit"]["verdict"]:
        return f"the ledger says '{known.verdict}' of the request"
    accepted = None if known.accepted is None else dict(known.accepted)
    if predicate["accepted_findings"] != accepted:
        return "who accepted the findings, or why, is otherwise in the ledger"
    if predicate["audit"]["verdict"] in FINDINGS and accepted is None:
        return f"it found '{predicate['audit']['verdict']}', and nobody accepted that"
    return None


def _digest(statement: dict[str, Any], index: int) -> tuple[str, str]:
    subject = statement["subject"][index]
    return subject["name"].partition(": ")[2], subject["digest"]["sha256"]


def _before(statement: dict[str, Any], path: Path, history: RunFolder) -> str | None:
    name, hash = _digest(statement, 0)
    if (gone := history.ledger.tombstones().get(name)) is not None:
        return None if gone.artefact.sha256 == hash else f"{name}: had another hash"
    held = history.ledger.artefacts().get(name)
    return None if held is not None and held.sha256 == hash else f"{name}: the ledger knows another hash, or none"


def _after(statement: dict[str, Any], path: Path, history: RunFolder) -> str | None:
    name, hash = _digest(statement, 1)
    if (gone := history.ledger.tombstones().get(name)) is not None and gone.artefact.sha256 == hash:
        return f"not checked: {name} was removed on {gone.at} ({gone.because})"
    if not (history.path / name).is_file():
        return f"{history.path / name}: is missing"
    return None if sha256_of(history.path / name) == hash else f"{history.path / name}: has other bytes"


def _configuration(statement: dict[str, Any], path: Path, history: RunFolder) -> str | None:
    same = sha256_of(history.path / "run.toml") == statement["predicate"]["run"]["configuration_sha256"]
    return None if same else f"{history.path / 'run.toml'}: has other bytes"


def _purge(statement: dict[str, Any], path: Path, history: RunFolder) -> str | None:
    predicate = statement["predicate"]
    purge = predicate["purge"]
    if purge["state"] != "done":
        return f"not checked: when it was signed, the purge was {purge['state']}"
    (own, *_) = (one for one in purge["runs"] if one["run"] == history.ledger.run_id)
    tombstones = history.ledger.tombstones()
    for file in own["files"]:
        gone = tombstones.get(file["path"])
        if gone is None or gone.artefact.sha256 != file["sha256"]:
            return f"{file['path']}: the ledger holds no tombstone with its hash"
        if os.path.lexists(history.path / file["path"]):
            return f"{history.path / file['path']}: is there"
    for client, ids in own["keys_destroyed"].items():
        keys = history.store.keys
        if left := set(ids) - set(keys.missing(client, ids)):
            return f"{client}.{min(left)}.key: this key is there"
    return next(history.store.keys.copies_of_destroyed(own["keys_destroyed"]), None)
