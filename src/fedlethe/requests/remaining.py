# SPDX-License-Identifier: MIT
"""What stays in a run folder after a purge, in words: every file that its ledger names is in one of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import Artefact
from fedlethe.history.paths import Kind, erasure_of, kind_of, name_of
from fedlethe.types import ClientId

HOLDS_NOTHING = "which holds nothing of them by the record of how it was made"


def what_remains(
    history: RunFolder,
    held: Iterable[Artefact],
    seq: int,
    erasure: str | None,
    base: str | None,
    coming: Sequence[ClientId] = (),
) -> list[str]:
    """What stays, in words.

    Args:
        history: The run folder.
        held: The files that stay.
        seq: The ledger's last row then.
        erasure: The request's; None in a run that the request's one began from.
        base: The erasure whose model is the run's then.
        coming: Whose influences the purge is to write, where it is still to come.
    """
    kinds = defaultdict[Kind, list[Artefact]](list)
    for artefact in held:
        kinds[kind_of(artefact)].append(artefact)
    said = [_model(erasure_of(one), erasure, base) for one in kinds.pop(Kind.MODEL, ())]
    said += _global_models(kinds.pop(Kind.GLOBAL_CHECKPOINT, []))
    influences = kinds.pop(Kind.INFLUENCE, [])
    since = {one.path: one.client for one in influences if one.client is not None and not _is_of_round(one)}
    if whose := sorted({*coming, *since.values()}):
        of = "the model after" if base == erasure else f"the model of erasure {base}"
        said.append(f"influences of {', '.join(whose)}, rebased on {of}, so that the next erasure can be made")
    kinds[Kind.INFLUENCE] += [one for one in influences if one.path not in since]
    said += [_files(kind, kinds[kind]) for kind in Kind if kinds[kind]]
    if any(event.body["patients"] for event in history.ledger.events("request") if event.seq <= seq):
        said.append(
            "pseudonyms of the patients whom requests name, in the ledger and in certificates: whoever holds the run's "
            "key of them can try names until one fits"
        )
    return [*said, "the ledger: who took part when, weights, losses, evaluations, requests, hashes"]


def _is_of_round(influence: Artefact) -> bool:
    """Whether an influence is the one that training kept, and not one that a purge rebased and named."""
    return name_of(influence).rpartition("/")[2].startswith("round_")


def base_at(history: RunFolder, seq: int) -> str | None:
    """The erasure whose model was the run's when this row of its ledger was the last: that of the last purge."""
    purges = [event.body["erasure"] for event in history.ledger.events("purge") if event.seq <= seq]
    return next((id for id in reversed(purges) if id is not None), None)


def _model(id: str | None, erasure: str | None, base: str | None) -> str:
    if id == erasure:
        return "the model after"
    return (
        f"the run's model now, which is that of erasure {id}"
        if id == base
        else f"the model of erasure {id}, {HOLDS_NOTHING}"
    )


def _global_models(held: Sequence[Artefact]) -> Iterator[str]:
    """From before the erased took part: a purge takes those from then on."""
    rounds = sorted(one.round or 0 for one in held)
    if 0 in rounds:
        yield "the initial model"
    if later := [str(round) for round in rounds if round]:
        yield f"the global models of rounds {', '.join(later)}, which none of them had taken part in yet"


def _files(kind: Kind, held: Sequence[Artefact]) -> str:
    """Files of a sort, how many, and of which clients."""
    clients = sorted({one.client for one in held if one.client is not None})
    words = f"{kind.value} ({len(held)})" + (f", of {', '.join(clients)}" if clients else "")
    if kind is Kind.FINGERPRINTS:
        words += (
            ": keyed, and by them the images are known when they come again under another name; whoever holds the "
            "run's key of them and has an image can tell whether it was among them"
        )
    return words
