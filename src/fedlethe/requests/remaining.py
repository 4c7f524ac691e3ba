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
    bases, rebased = _bases(history, seq), {base: {*coming}}
    for one in kinds[Kind.INFLUENCE]:
        if one.client is not None and (on := bases.get(_named(one))) is not None:
            rebased.setdefault(on, set()).add(one.client)
    kinds[Kind.INFLUENCE] = [one for one in kinds[Kind.INFLUENCE] if _named(one) not in bases]
    said += [_influences(whose, on, erasure, base) for on, whose in rebased.items() if whose]
    if base is not None and not rebased[base] and _had_influences(history):
        said.append("no influence of those who stay: none fits the model, or they would tell of the erased")
    said += [_files(kind, kinds[kind]) for kind in Kind if kinds[kind]]
    if any(event.body["patients"] for event in history.ledger.events("request") if event.seq <= seq):
        said.append(
            "pseudonyms of the patients whom requests name, in the ledger and in certificates: whoever holds the run's "
            "key of them can try names until one fits"
        )
    return [*said, "the ledger: who took part when, weights, losses, evaluations, requests, hashes"]


def _had_influences(history: RunFolder) -> bool:
    """Whether the training kept each client's influence, or the deltas that it adds up from."""
    gone = (one.artefact for one in history.ledger.tombstones().values())
    held = (*history.ledger.artefacts().values(), *gone)
    return any(kind_of(one) in (Kind.INFLUENCE, Kind.CLIENT_DELTA) for one in held)


def _named(influence: Artefact) -> str:
    """What an influence is named after: the round up to which training kept it, or the purge that rebased it."""
    return name_of(influence).rpartition("/")[2]


def _influences(clients: Iterable[ClientId], on: str | None, erasure: str | None, base: str | None) -> str:
    """Of whom a purge rebased influences, and on which erasure's model: those on an earlier one than `base` wait."""
    of = "the model after" if on == erasure else f"the model of erasure {on}"
    use = ", so that the next erasure can be made" if on == base else ""
    return f"influences of {', '.join(sorted(clients))}, rebased on {of}{use}"


def base_at(history: RunFolder, seq: int) -> str | None:
    """The erasure whose model was the run's when this row of its ledger was the last: that of the last purge."""
    return next(reversed(_bases(history, seq).values()), None)


def _bases(history: RunFolder, seq: int) -> dict[str, str]:
    """Each purge of this run up to a row, by its request, to the erasure whose model is the run's since."""
    purges = (event.body for event in history.ledger.events("purge") if event.seq <= seq)
    return {purge["request"]: purge["erasure"] for purge in purges if purge["erasure"] is not None}


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
