# SPDX-License-Identifier: MIT
"""What an outsider can check: a ledger against its files, a certificate against its key, and against the run."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from fedlethe.errors import IntegrityError
from fedlethe.history.disk import RunFolder
from fedlethe.history.request_log import subject_of
from fedlethe.requests import signing
from fedlethe.requests.certificate_checks import checks_of_run
from fedlethe.requests.checks import Check, held
from fedlethe.requests.folder_checks import foreign_heads, key_problems, pages, stray_keys, strays
from fedlethe.requests.statement import Statement, is_statement
from fedlethe.runs.run_toml import read_run_document


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
            held("ledger file", history.ledger.damage(), "SQLite's pages, table and header are as they were made"),
            held(
                "files", history.store.problems(), f"{len(history.ledger.artefacts())} files are as they were entered"
            ),
            held(
                "strays", strays(history), "besides the ledger itself and pages, no file is there that it does not name"
            ),
            _pages(history),
            held(
                "keys",
                (*key_problems(history), *stray_keys(history)),
                "every key that is not destroyed or lost is there and opens what it sealed; no others are",
            ),
            held(
                "modes",
                _open_to_others(history),
                "the run folder, the folders of its keys and all in them are their owner's alone",
            ),
            held("certificates", foreign_heads(history), "every certificate in the run holds a head of this ledger"),
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


def _pages(history: RunFolder) -> Check:
    if not (found := pages(history)):
        return Check("pages", "ok", "no pages or pictures lie in report/ that the ledger does not name")
    words = f"{len(found)} pages and pictures are known by their names, and nobody entered what they hold"
    return Check("pages", "not checked", f"{words}: {', '.join(found)}")


def _open_to_others(history: RunFolder) -> Iterator[str]:
    """The run folder itself, the folders of its keys that lie elsewhere, and all that is in them."""
    run, keys = history.path.resolve(), [place.folder for place in history.store.keys.places]
    for root in (history.path, *(folder for folder in keys if run not in folder.resolve().parents)):
        for path in (root, *root.rglob("*")) if root.is_dir() else ():
            # A link in a folder is named as a stray; a folder that was named by one is what it leads to.
            if (path == root or not path.is_symlink()) and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
                yield f"{path}: others can read or write it (mode {mode:o}); run: chmod -R go= {quote(str(root))}"


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
    payload = _payload(signing.opened(content, key, path), path)
    checks = [Check("signature", "ok", f"Ed25519, by the key {key.id[:16]}...")]
    try:
        checks += _said(Statement.from_dict(payload), path, run)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise IntegrityError(
            f"{path}: is signed, but is not written as this version writes certificates; use the version that wrote it"
        ) from None
    checks.append(Check("what nobody can check here", "not checked", "copies elsewhere; the audits' figures; the data"))
    return Verified(path, tuple(checks))


def _said(statement: Statement, path: Path, run: Path | None) -> Iterator[Check]:
    """What a certificate says by itself, and of a run."""
    yield _form(statement)
    if run is None:
        words = "no run folder was given: models, ledger, files and purge are as the certificate says, or not"
        yield Check("the run", "not checked", words)
    else:
        with _ledger_and_files(run) as history:
            yield from checks_of_run(statement, path, history)


def _payload(content: bytes, path: Path) -> dict[str, Any]:
    payload = json.loads(content)
    if not is_statement(payload):
        raise IntegrityError(f"{path}: is signed, but no certificate of an erasure that this version knows")
    whole: dict[str, Any] = payload
    return whole


def _form(statement: Statement) -> Check:
    request, audit, accepted = statement.request, statement.audit, statement.accepted_findings
    audited = f"audit: {audit['verdict']}" + (f" (against {audit['references']} retrainings)" if audit["made"] else "")
    subject = subject_of(request["clients"], request["patients"])
    words = f"it says: {subject} erased by request {request['id']}; claim: {statement.claim.kind}; {audited}"
    words += "".join(f"; warning: {warning}" for warning in audit.get("warnings", ()))
    if accepted is not None:
        words += f"; what the audit found was accepted by {accepted['by']}: {accepted['why']}"
    if found := [f"{one['erasure']} '{one['verdict']}'" for one in statement.earlier_findings]:
        words += f"; earlier erasures, by their audits: {', '.join(found)}"
    return Check("statement", "ok", words)
