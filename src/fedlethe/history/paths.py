# SPDX-License-Identifier: MIT
"""What each file of a run is: one Kind for each sort of file, and the name that a file of this kind has.

A ledger's row says as what a file was entered. For most files that says all. An erasure's folder holds files of many
sorts, all entered as 'erasure', and a closed-form training's holds four, all entered as 'statistics'. This module alone
reads which one a file is out of its path; everything else asks for its kind.

    erasures/0001/model.safetensors                 MODEL
    erasures/0001/repair/CLIENT.sealed              REPAIR
    erasures/0001/certificate.json                  CERTIFICATE
    statistics/chosen.json                          CHOSEN
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from fedlethe.history.entries import Artefact
from fedlethe.history.rows import ENDINGS, FOLDERS
from fedlethe.types import ClientId


class Kind(Enum):
    """What a file of a run is, in words."""

    CONFIGURATION = "configuration"
    PICTURE = "picture"
    STUDY = "study"
    ANSWERS = "answers"
    GLOBAL_CHECKPOINT = "global checkpoint"
    CLIENT_DELTA = "client delta"
    NORMS = "norms"
    INFLUENCE = "influence"
    NODES = "nodes"
    SERVER_STATE = "server state"

    STATISTICS = "statistics"
    SUMS = "sums of all clients' statistics"
    FEATURES = "which features the statistics are of"
    CHOSEN = "choices that were made by the sums"

    MODEL = "model of an erasure"
    BESIDE = "what an app of one's own sends beside an erasure's model"
    RECORD = "record of an erasure"
    REPAIR = "what a client's repair rounds added"
    INFLUENCE_ANEW = "influence in an erasure that trained anew"
    REVISED_STATISTICS = "statistics without some patients"
    AUDIT = "findings of an erasure's audits"
    FINGERPRINTS = "fingerprints of erased images"
    FIRST_CERTIFICATE = "certificate before the purge"
    CERTIFICATE = "certificate"
    ERASED_IMAGES = "list of the images that a purge took"

    UNKNOWN = "unknown"
    """A file that this version has no name for: it may hold anything."""


CERTIFICATES = frozenset({Kind.FIRST_CERTIFICATE, Kind.CERTIFICATE})

_OF_ERASURE: Mapping[str, Kind] = {
    "model": Kind.MODEL,
    "beside": Kind.BESIDE,
    "erasure": Kind.RECORD,
    "nodes": Kind.NODES,
    "audit": Kind.AUDIT,
    "fingerprints": Kind.FINGERPRINTS,
    "certificate-before-purge": Kind.FIRST_CERTIFICATE,
    "certificate": Kind.CERTIFICATE,
}
"""Name of a file in an erasure's folder to what it is."""

_OF_CLIENT: Mapping[str, Kind] = {
    "repair": Kind.REPAIR,
    "influence": Kind.INFLUENCE_ANEW,
    "statistics": Kind.REVISED_STATISTICS,
}
"""Folder in an erasure's folder, which holds one file for each client, to what these are."""

_OF_CLOSED_FORM: Mapping[str, Kind] = {"round_0001": Kind.SUMS, "features": Kind.FEATURES, "chosen": Kind.CHOSEN}
"""Name of a file of a closed-form training that is of no single client to what it is."""

_NAMES: Mapping[Kind, str] = {kind: name for name, kind in (*_OF_ERASURE.items(), *_OF_CLIENT.items())}
_IMAGES = "images-"


def kind_of(artefact: Artefact) -> Kind:
    """What a file of a run is.

    Example:
        >>> kind_of(Artefact("erasures/0001/repair/north.sealed", "erasure", "north", None, 10, "0" * 64))
        <Kind.REPAIR: "what a client's repair rounds added">
    """
    if artefact.kind not in ("erasure", "statistics"):
        return Kind(artefact.kind)
    _, *folders, last = name_of(artefact).split("/")
    if artefact.kind == "statistics":
        return Kind.STATISTICS if artefact.client is not None else _OF_CLOSED_FORM.get(last, Kind.UNKNOWN)
    match folders:
        case []:
            return Kind.ERASED_IMAGES if last.startswith(_IMAGES) else Kind.UNKNOWN
        case [_]:
            return _OF_ERASURE.get(last, Kind.UNKNOWN) if artefact.client is None else Kind.UNKNOWN
        case [_, folder]:
            # A client's folder holds files of clients alone: without one it is nothing that fedlethe wrote.
            return _OF_CLIENT.get(folder, Kind.UNKNOWN) if artefact.client is not None else Kind.UNKNOWN
        case _:
            return Kind.UNKNOWN


def name_of(artefact: Artefact) -> str:
    """The place of a file in the run folder without its ending, as the store takes it.

    Example:
        >>> name_of(Artefact("erasures/0001/repair/st.mary.sealed", "erasure", "st.mary", None, 10, "0" * 64))
        'erasures/0001/repair/st.mary'
    """
    for ending in ENDINGS:
        if artefact.path.endswith(ending):
            return artefact.path.removesuffix(ending)
    return artefact.path


def erasure_of(artefact: Artefact) -> str | None:
    """The id of the erasure whose folder a file lies in; None for a file that is of no single erasure."""
    folder, *rest = artefact.path.split("/")
    return rest[0] if folder == FOLDERS["erasure"] and len(rest) > 1 else None


def of_erasure(id: str, kind: Kind, client: ClientId | None = None) -> str:
    """The name of a file in an erasure's folder.

    Args:
        id: The erasure's.
        kind: What the file is.
        client: Whose it is, for REPAIR, INFLUENCE_ANEW and REVISED_STATISTICS.

    Example:
        >>> of_erasure("0001", Kind.MODEL), of_erasure("0001", Kind.REPAIR, "north")
        ('erasures/0001/model', 'erasures/0001/repair/north')
    """
    return "/".join([FOLDERS["erasure"], id, _NAMES[kind], *([] if client is None else [client])])


def erased_images_of(purge: str) -> str:
    """The name of the list of images that a purge took."""
    return f"{FOLDERS['erasure']}/{_IMAGES}{purge}"
