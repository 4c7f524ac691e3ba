# SPDX-License-Identifier: MIT
"""The certificate of an erasure: a statement about the models before and after, signed, in the erasure's folder.

Two are issued. The first is there before anything is purged, and says what will be; the second holds what was. Before
anything is signed the ledger and every file that it names are held against each other, in this run and in those that it
began from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedlethe.config import RunConfig
from fedlethe.errors import RequestError
from fedlethe.history.chain import canonical
from fedlethe.history.disk import RunFolder
from fedlethe.history.paths import Kind, of_erasure
from fedlethe.history.request_log import ErasureRequest
from fedlethe.history.store import JSON
from fedlethe.requests.certificate_facts import statement_of
from fedlethe.requests.folder_checks import demand_sound
from fedlethe.requests.signed_purge_checks import signed_until
from fedlethe.requests.signing import SigningKey, key_id_of, opened, signed, unchecked
from fedlethe.requests.statement import Statement
from fedlethe.runs.past import Lineage

CHANGING = ("purge", "ledger", "secrets")
"""What the final certificate may say otherwise than the one before the purge; and of the run its 'code'."""

COMPARED = "says the same, save of the purge, the ledger, secrets and the code's versions, which were not compared"


def issue(
    lineage: Lineage, config: RunConfig, request: ErasureRequest, key: SigningKey, kind: Kind, due: str | None
) -> None:
    """Sign a certificate and enter it in the ledger.

    Args:
        lineage: The run's, locked.
        config: The run's.
        request: The request; its erasure is in the ledger.
        key: Signs it.
        kind: FIRST_CERTIFICATE or CERTIFICATE.
        due: The date until which the traces are kept; None where they go at once, or are gone.

    Raises:
        FedletheError: A file is not the one that was entered, or the record claims more than the ledger allows.
    """
    for folder in lineage.folders:
        demand_sound(folder)
    store = lineage.history.store
    said = statement_of(lineage, config, request, kind is Kind.CERTIFICATE, due)
    if kind is Kind.CERTIFICATE:
        words = _demand_same(lineage.history, request, said, key)
        said = replace(said, purge=replace(said.purge, facts={**said.purge.facts, "first_certificate": words}))
    content = signed(canonical(said.to_dict()).encode(), key)
    artefact = store.write("erasure", _name(request, kind), None, [content], ending=JSON)
    lineage.history.ledger.add_artefacts([artefact])


def is_issued(history: RunFolder, request: ErasureRequest, kind: Kind) -> bool:
    """Whether a certificate of a request's erasure is in the run."""
    return history.store.holds(_name(request, kind))


def newest_certificate(history: RunFolder, request: ErasureRequest) -> Path | None:
    """The newest certificate of a request; None where there is none yet."""
    if request.erasure is None:
        return None
    for kind in (Kind.CERTIFICATE, Kind.FIRST_CERTIFICATE):
        if is_issued(history, request, kind):
            return history.path / history.store.find(_name(request, kind)).path
    return None


def _name(request: ErasureRequest, kind: Kind) -> str:
    assert request.erasure is not None
    return of_erasure(request.erasure, kind)


def demand_as_certified(lineage: Lineage, config: RunConfig, request: ErasureRequest, key: SigningKey) -> None:
    """Refuse to purge where something is not as it was entered, or not as the first certificate says.

    Raises:
        FedletheError: It is not; nothing was purged.
    """
    for folder in lineage.folders:
        demand_sound(folder)
    _demand_same(lineage.history, request, statement_of(lineage, config, request, False, None), key)
    assert request.erasure is not None
    # The ledger's date was entered after that certificate, so its head does not stand for it.
    if (until := signed_until(lineage.history, request.erasure)) != request.held_until:
        raise RequestError(
            f"request {request.id}: its first certificate keeps the traces until {until}, the ledger until "
            f"{request.held_until}; nothing is purged. Restore the run from a backup"
        )


def _demand_same(history: RunFolder, request: ErasureRequest, said: Statement, key: SigningKey) -> str:
    """Refuse a final certificate that differs from the first one in more than the purge: the run's record was changed.

    Returns:
        What was held against what, in words. A first one by another key (the former may be lost) cannot be checked.

    Raises:
        FedletheError: It does, or the first one is not what this key signed.
    """
    store = history.store
    held = store.find(_name(request, Kind.FIRST_CERTIFICATE))
    path = history.path / held.path
    content = store.content(held)
    signer = key_id_of(content, path)
    # The signing key may have been lost between the two, which must not stop the purge.
    own = signer == key.public.id
    first = json.loads(opened(content, key.public, path) if own else unchecked(content, path))
    one, other = (_comparable(whole) for whole in (first, said.to_dict()))
    # As plain values, not as Statements: a part that this version does not know counts as a difference, too.
    if changed := [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]:
        raise RequestError(
            f"{path}: says otherwise of {', '.join(changed)} than the run's record does now, which was changed since; "
            "nothing is signed or purged. Restore the run from a backup"
        )
    if own:
        return f"It was signed with the same key, and {COMPARED}."
    return f"It was signed with another key, {signer[:16]}, which was not checked here, and {COMPARED}."


def _comparable(whole: Mapping[str, Any]) -> dict[str, Any]:
    """What a certificate says and the next may not say otherwise."""
    said = {**whole["predicate"], "subject": whole["subject"]}
    said |= {"run": {name: value for name, value in whole["predicate"]["run"].items() if name != "code"}}
    return {name: value for name, value in said.items() if name not in CHANGING}
