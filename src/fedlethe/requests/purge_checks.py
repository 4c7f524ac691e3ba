# SPDX-License-Identifier: MIT
"""What a purge asks for before anything of it is signed: every key in its place, no other request in its way."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

from fedlethe.errors import RequestError
from fedlethe.history.keyring import LOST
from fedlethe.history.request_log import ErasureRequest, requests_of
from fedlethe.requests.condemned import Condemned, condemned
from fedlethe.requests.purge_record import is_purged
from fedlethe.runs.past import Lineage


def demand_keys(lineage: Lineage, request: ErasureRequest, base: str) -> None:
    """Refuse a purge whose keys are not all there, before anything of it is signed.

    Args:
        lineage: The run's, locked.
        request: Whose purge it is; nothing is asked of one that is begun.
        base: The erasure whose model stays.

    Raises:
        FedletheError: A key is missing, damaged, or goes by another name, too; or a file has another name.
    """
    if is_purged(lineage.history, request.id):
        return
    for target in condemned(lineage, request, base):
        demand_whole(target)


def demand_finished(lineage: Lineage, request: ErasureRequest) -> None:
    """Refuse to purge where a request of an earlier run is under way: it needs the models that would go.

    Raises:
        FedletheError: One is; nothing is asked of a purge that is begun.
    """
    if is_purged(lineage.history, request.id):
        return
    for folder, other in ((one, other) for one in lineage.folders[1:] for other in requests_of(one.ledger).values()):
        # A model of its own that it made and has not certified would be condemned with the rest.
        if other.state in ("running", "audited"):
            raise RequestError(f"{folder.path}: its request {other.id} is {other.state}; finish it first")
        if other.purge not in (None, "done"):
            until = "has a purge that was cut off" if other.purge_cut_off else f"keeps its traces until {other.purge}"
            raise RequestError(
                f"{folder.path}: its request {other.id} {until}; purge it first, when it is due: "
                f"fedlethe purge {folder.path}"
            )


def enter_lost(lineage: Lineage, request: ErasureRequest, lost: Mapping[str, str]) -> None:
    """Enter of every key that is to be destroyed and cannot be found: somebody says it is lost.

    Args:
        lineage: The run's, locked.
        request: Whose keys are to be destroyed; not the new one of a client that lost patients alone.
        lost: Who says so ('by'), and why ('why').
    """
    for folder in lineage.folders:
        keys = folder.store.keys
        # A client that lost patients alone has a new key since, which seals what stays of it: that one is not asked
        # for.
        again = request.patients if folder is lineage.history and request.erasure is not None else ()
        # Of missing keys alone: one that lies in its place is destroyed, whatever anybody says of it.
        gone = [
            (client, id)
            for client in request.clients
            for id in keys.missing(client, keys.living(client))
            if client not in again or id != keys.newest(client)
        ]
        if gone:
            with nullcontext() if folder is lineage.history else folder.locked():
                folder.ledger.append(
                    [("key", {"client": client, "id": id, "what": LOST, **lost}) for client, id in gone]
                )


def demand_whole(target: Condemned) -> None:
    """Refuse to condemn what would live on elsewhere: a key that is not in its place, a file with another name.

    Raises:
        FedletheError: A key is missing or damaged, or a file is a link or has a second name.
    """
    _demand_keys_there(target)
    _demand_one_name(target)


def _demand_keys_there(target: Condemned) -> None:
    keys = target.folder.store.keys
    for client, ids in target.keys.items():
        # A key that was entered as lost is none of the living: nobody expects it in its place.
        keys.demand(client, [id for id in ids if id in keys.living(client)])


def _demand_one_name(target: Condemned) -> None:
    for artefact in target.artefacts:
        path = target.folder.store.place(artefact.path)
        # A purge removes a name. Of a link it would remove the link, and leave what it leads to.
        if path.is_symlink():
            raise RequestError(f"{path}: is a link, which fedlethe does not make; put the file itself in its place")
        if path.exists() and (names := path.stat().st_nlink) > 1:
            raise RequestError(
                f"{path}: has {names - 1} other names (hard links), under which the purge would leave it; remove them "
                f"first: find / -xdev -samefile {path}"
            )
