# SPDX-License-Identifier: MIT
"""Writes a completed erasure beside the run's model and enters it in the ledger, all at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fedlethe.erasing.claims import borne_out
from fedlethe.erasing.masking import Masked, decoyed, with_earlier
from fedlethe.erasing.order import ErasureOrder, pseudonyms_of
from fedlethe.erasing.record import Erasure, erasures, patients_left, retraining_examples
from fedlethe.erasing.secret import destroy_spent, spent
from fedlethe.history.disk import RunFolder, has_influence
from fedlethe.history.entries import Artefact
from fedlethe.history.history import History
from fedlethe.history.paths import Kind, of_erasure
from fedlethe.history.store import CHECKPOINT, JSON
from fedlethe.history.succession import all_took_part
from fedlethe.learners.which import learner_of
from fedlethe.plots import accuracy_curves, style
from fedlethe.privacy.hiding import SPANNED, Hidden
from fedlethe.runs.kept_prints import keep_prints
from fedlethe.runs.past import Lineage
from fedlethe.runs.remote import Remote
from fedlethe.runs.run import OpenRun
from fedlethe.types import ClientId, Guarantee, Need, Stage, Vector
from fedlethe.unlearning import Unlearned


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Unentered:
    """What an erasure came to, before any of it is written.

    Attributes:
        past: The history that it began from.
        unlearned: What the method made.
        model: After the last stage, shape (P,).
        stages: What each stage came to.
        repaired: What each client's updates added in the repair, shape (P,) each.
        mask: The mask; None where there is none.
    """

    past: History
    unlearned: Unlearned
    model: Vector
    stages: tuple[Stage, ...]
    repaired: Mapping[ClientId, Vector]
    mask: Masked | None

    @property
    def hidden(self) -> Hidden | None:
        """What the mask hides."""
        return None if self.mask is None else self.mask.hidden


def enter_erasure(run: OpenRun, request: ErasureOrder, carried: Unentered) -> Erasure:
    """Write an erasure's files, then name them all in the ledger at once.

    Args:
        run: The run, locked.
        request: What was asked for.
        carried: What came of it.
    """
    # 1. The record and its files. A crash leaves files that no ledger names; the next erasure has the same id and
    #    writes over them. This very one gives the same bytes again, since its secret is still there.
    id, store = f"{len(run.history.ledger.erasures()) + 1:04d}", run.history.store
    patients = request.patients or learner_of(run.config).patients_taken(run, request.method, carried.past)
    erasure = _record(run.lineage, id, request, carried, pseudonyms_of(patients, store.keys.pseudonym))
    artefacts = _written(run.history, run.remote, erasure, carried.model)
    artefacts += keep_prints(run, id, request.forget, patients)
    # 2. New keys for clients who lost patients: what comes after the erasure outlives the key of what was before it. A
    #    crash leaves a key that seals nothing.
    for client in erasure.patients if store.encrypt else ():
        store.keys.renewed(client)
    artefacts += _vectors(run, id, request, carried)
    # 3. One entry in the ledger for all of it, which also says that the secret is destroyed. From here on it is done.
    run.history.ledger.add_erasure(id, request.canonical(store.keys.pseudonym), artefacts, spent(run.history))
    # 4. The secret itself. A crash before leaves its file, and the next erasure begins by destroying it.
    destroy_spent(run.history)
    return erasure


def _record(
    lineage: Lineage, id: str, request: ErasureOrder, carried: Unentered, patients: Mapping[ClientId, tuple[str, ...]]
) -> Erasure:
    """The record of an erasure; its patients by what stands for them."""
    parts, history = lineage.parts(request.after), lineage.history
    whole = set(request.forget) - set(patients)
    everybody = not whole or all_took_part(parts)
    made = Erasure(
        run=history.path,
        id=id,
        model=history.path / f"{of_erasure(id, Kind.MODEL)}{CHECKPOINT}",
        request=request.to_dict(history.store.keys.pseudonym),
        forget=tuple(sorted(request.forget)),
        method=request.method_name,
        guarantee=certain(carried.unlearned.guarantee, [one.name for one in carried.stages], carried.hidden, everybody),
        stages=carried.stages,
        cost=carried.stages[-1].cost,
        retraining_examples=retraining_examples(parts, whole, request.joined),
        after=request.after,
        patients=patients,
        retraining_at_most=bool(patients) or patients_left(parts, whole, request.joined),
        joined=request.joined,
        found=dict(carried.unlearned.found),
        **_hidden(history, request, carried.mask),
    )
    return replace(made, guarantee=borne_out(made, parts))  # not more than signing will bear out


def _written(history: RunFolder, remote: Remote | None, erasure: Erasure, model: Vector) -> list[Artefact]:
    """The files that everybody may see: pictures, the model, the record, and who was asked on other machines."""
    store, record = history.store, json.dumps(erasure.to_dict(), indent=1).encode()
    Erasure.from_dict(json.loads(record), history.path)  # a record that cannot be read again would close the run
    folder = (history.path / of_erasure(erasure.id, Kind.MODEL)).parent
    drawn = style.save(accuracy_curves.erasure_stages(erasure.stages, erasure.forget), folder)
    pictures = [drawn.with_suffix(ending).relative_to(history.path).as_posix() for ending in (".png", ".svg", ".csv")]
    artefacts = [store.artefact("picture", picture) for picture in pictures]
    artefacts += [store.save("erasure", of_erasure(erasure.id, Kind.MODEL), None, model, history.layout)]
    artefacts.append(store.write("erasure", of_erasure(erasure.id, Kind.RECORD), None, [record], ending=JSON))
    if remote is not None:
        nodes = json.dumps(remote.correspondence(), indent=1).encode()
        artefacts.append(store.write("erasure", of_erasure(erasure.id, Kind.NODES), None, [nodes], ending=JSON))
    return artefacts


def _vectors(run: OpenRun, id: str, request: ErasureOrder, carried: Unentered) -> list[Artefact]:
    """The files that a next erasure needs, sealed with the keys of the clients whose they are."""
    store, keep, artefacts = run.history.store, run.history.keep, list[Artefact]()
    if Need.INFLUENCE in keep:
        for client, added in sorted(carried.repaired.items()):
            artefacts.append(store.save("erasure", of_erasure(id, Kind.REPAIR, client), client, added, run.layout))
    if has_influence(keep):  # those of the training were made in the presence of who is gone
        for client, influence in sorted(carried.unlearned.influences.items()):
            artefacts.append(
                store.save("erasure", of_erasure(id, Kind.INFLUENCE_ANEW, client), client, influence, run.layout)
            )
    for client, statistics in learner_of(run.config).revised(run, request.method, carried.past).items():
        name = of_erasure(id, Kind.REVISED_STATISTICS, client)
        artefacts.append(store.write("erasure", name, client, [statistics.content()]))
    return artefacts


def certain(
    guarantee: Guarantee | None, stages: Sequence[str], hidden: Hidden | None = None, everybody: bool = True
) -> Guarantee | None:
    """What is certain of the model after the last of these stages, given what is certain of the unlearned one.

    Noise and repair rounds by those who are left put nothing of the erased clients into a model that held nothing of
    them; but no retraining makes them, so 'exact' does not outlast them. Noise in the directions in which candidates
    differ is made of models that held the erased clients: nothing is certain then. And where not everybody took part
    in every round, the rounds are those that were drawn with the erased clients among who could be drawn; a training
    without them would draw others. Of patients that is not so: their clients stay among who could be drawn.
    """
    if hidden is not None and hidden.by in SPANNED:
        return None
    later = [name for name in stages if name not in ("before", "unlearned")]
    if guarantee is None:
        return None
    kind, statement = guarantee.kind, guarantee.statement
    if kind == "exact" and not everybody:
        drawn = "in rounds that were drawn with the erased clients among who could be drawn: a training without them"
        kind, statement = "guaranteed", f"{statement}, {drawn} draws others"
    if later:  # whatever was said is said of the model before these, and not of the one that is handed over
        ends = "no longer a retraining" if guarantee.kind == "exact" else "what is said is of the model before that"
        kind, statement = "guaranteed", f"{statement}; then {', '.join(later)}, without the erased images: {ends}"
    return Guarantee(kind, statement)


def _hidden(history: RunFolder, request: ErasureOrder, mask: Masked | None) -> dict[str, Any]:
    """The fields of an Erasure that tell what is hidden."""
    hidden = decoyed(request.forget, request.decoys) if request.decoys else None if mask is None else mask.hidden
    return {
        "hidden": hidden,
        "not_hidden": None if mask is None else mask.problem,
        "together": None if hidden is None else _together(history, request, hidden),
    }


def _together(history: RunFolder, request: ErasureOrder, hidden: Hidden) -> str | None:
    """What earlier erasures from the same model that share a client with this one, decoys included, leave hidden."""
    gone = set(request.forget)
    others = [one for one in erasures(history) if one.after == request.after and not gone.isdisjoint(one.forget)]
    unlike = [one.id for one in others if set(one.forget) != gone]
    return with_earlier(hidden, {one.id: one.hidden for one in others}, unlike)
