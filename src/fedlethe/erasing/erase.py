# SPDX-License-Identifier: MIT
"""One erasure carried through: unlearn, mask, repair; evaluated before, between and after."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from fedlethe import files, unlearning
from fedlethe.closed_form.settings import Subtraction
from fedlethe.config import Method
from fedlethe.erasing.candidates import erasable
from fedlethe.erasing.decoys import drawn
from fedlethe.erasing.masking import Masked, ToMask, decoyed, masked, unclaimed, with_earlier
from fedlethe.erasing.order import ErasureOrder, pseudonyms_of
from fedlethe.erasing.patients import remaining, retrained_without_patients
from fedlethe.erasing.secret import destroy_spent, mask_secret, spent
from fedlethe.errors import FedletheError, RequestError
from fedlethe.federation.aggregate import add_contributions
from fedlethe.federation.metered import Meter, MeteredFederation
from fedlethe.federation.train import train
from fedlethe.history.disk import RunFolder, has_influence
from fedlethe.history.disk import anew as anew_folder
from fedlethe.history.history import History
from fedlethe.history.store import JSON
from fedlethe.history.succession import Succession, all_took_part
from fedlethe.learners import closed_form
from fedlethe.plots import accuracy_curves, style
from fedlethe.privacy.hiding import SPANNED, Hidden
from fedlethe.privacy.noise import SecretNoise
from fedlethe.progress import bar
from fedlethe.runs.kept_prints import keep_prints
from fedlethe.runs.records import from_json, to_json
from fedlethe.runs.run import OpenRun, demand_clients, demand_complete
from fedlethe.seeding import derive
from fedlethe.types import ClientId, Cost, Guarantee, Need, RoundRecord, Stage, Vector
from fedlethe.unlearning import Unlearned
from fedlethe.unlearning.method import entered, method_name
from fedlethe.unlearning.retrain import Retrain

Secret: TypeAlias = Callable[[], bytes]
"""Gives the erasure's secret; it is made when it is first asked for, so not for an erasure that cannot be."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """A completed erasure.

    Attributes:
        run: The run folder.
        id: Names it within the run.
        model: Its model file.
        request: The canonical request.
        guarantee: What is certain of it; None where there is evidence only.
        stages: 'before', 'unlearned', 'masked' (where there is a mask), 'repaired 1', ...
        cost: Of all stages together.
        retraining_examples: The examples that retraining without the clients takes, from the record of the rounds.
        after: The erasure that it began from; None for the trained model.
        patients: Client to what stands for its patients that were taken out, where these were not whole clients.
        joined: Clients that were taken back in.
        found: Figures that the method found on the way, by name.
        hidden: What is hidden of who was erased, and from whom; None where nothing is.
        not_hidden: Why not, where there is a mask nevertheless.
        together: What is hidden from whoever has the models of several erasures of the same clients.
    """

    run: Path
    id: str
    model: Path
    request: str
    forget: tuple[ClientId, ...]
    method: str
    guarantee: Guarantee | None
    stages: tuple[Stage, ...]
    cost: Cost
    retraining_examples: int
    after: str | None = None
    patients: Mapping[ClientId, tuple[str, ...]] = field(default_factory=dict)
    joined: tuple[ClientId, ...] = ()
    found: Mapping[str, float] = field(default_factory=dict)
    hidden: Hidden | None = None
    not_hidden: str | None = None
    together: str | None = None

    @property
    def decoyed(self) -> bool:
        """Whether some of the clients are decoys."""
        return self.hidden is not None and self.hidden.by == "decoys"

    @property
    def hiding(self) -> tuple[str, ...]:
        """What is hidden of who was erased and what is not, in sentences; nothing where nothing is masked."""
        if self.hidden is None:
            return () if self.not_hidden is None else (f"nothing is claimed of the noise; {self.not_hidden}",)
        lines = [self.hidden.statement, f"covered: {self.hidden.covers}", f"not covered: {self.hidden.leaves}"]
        return (*lines, *([] if self.together is None else [f"hidden together: {self.together}"]))

    @property
    def subject(self) -> str:
        """What was done to whom, in words."""
        if self.joined:
            return f"{', '.join(self.joined)} joined"
        held = [f"{self._patients(names)} of {client}" for client, names in self.patients.items()]
        return ", ".join([*(client for client in self.forget if client not in self.patients), *held])

    @staticmethod
    def _patients(names: Sequence[str]) -> str:
        return f"{len(names)} patients" if len(names) > 1 else "a patient"


def erase(run: OpenRun, request: ErasureOrder) -> Erasure:
    """Carry a request out and enter it in the ledger; the trained model and the history stay as they are.

    Raises:
        FedletheError: A client is unknown, named twice, or the last one; the history lacks what the method needs; this
            very request was carried out before; or the mask that is asked for cannot be made.
    """
    with run.history.locked():
        destroy_spent(run.history)
        if earlier := done(run, request):
            done_already = f"{earlier.subject}: erased already in this way"
            if not run.history.store.holds(f"erasures/{earlier.id}/model"):
                raise RequestError(f"{done_already}, by {earlier.id}, whose model went with a purge; nothing was done")
            raise RequestError(f"{done_already}; its model is {earlier.model}")
        return erase_locked(run, request)


def erase_locked(run: OpenRun, request: ErasureOrder) -> Erasure:
    """`erase` by who holds the run's lock already."""
    demand_complete(run)
    if run.config.exact is None:
        demand_clients(run, request.forget)
    past = run.past(request.after)
    if gone := sorted(set(request.forget) - set(past.clients)):
        led = "training" if request.after is None else f"erasure {request.after}"
        raise RequestError(f"{', '.join(gone)}: not in the model that {led} led to; name others")
    stages = [Stage("before", run.evaluate(past.final()), Cost())]
    repaired: dict[ClientId, Vector] = {}
    with bar("erasing, client updates") as advance:
        meter = Meter(notify=advance)
        unlearned = _unlearned(run, request, past, meter)

        def secret() -> bytes:
            return mask_secret(run.history)

        mask = masked_of(run, request, past, unlearned.model, secret)
        for name, model in stages_of(run, request, past, unlearned.model, meter, repaired, mask, secret=secret):
            cost = meter.cost()
            with meter.stopped():
                stages.append(Stage(name, run.evaluate(model), cost))
    return _enter(run, request, past, unlearned, model, stages, repaired, mask)


def _unlearned(run: OpenRun, request: ErasureOrder, past: History, meter: Meter) -> Unlearned:
    if request.patients and isinstance(request.method, Retrain):
        federation = MeteredFederation(remaining(run, past, request.forget, request.patients), meter)
        return retrained_without_patients(request.method, request.forget, request.patients, past, federation)
    return unlearned_by(run, request.forget, request.method, past, meter)


def unlearned_by(run: OpenRun, forget: Sequence[ClientId], method: Method, history: History, meter: Meter) -> Unlearned:
    """The unlearning step alone: the method sees the history and the retained clients, metered.

    Raises:
        FedletheError: The history lacks what the method needs, or its model is not finite.
    """
    if isinstance(method, Subtraction):
        return closed_form.subtract(run, forget, method, history, meter)
    kept = run.history.keep.intersection(*(part.keep for part in run.earlier))
    anew = isinstance(history, Succession) and any(part.anew for part in history.parts)
    for need in sorted(method.needs, key=lambda need: need.name):
        if anew and need.of_history and need not in (Need.INITIAL, Need.INFLUENCE):
            raise RequestError(
                f"an earlier erasure trained the model anew, and {need.value} is of the training before it; erase by "
                "influence or retrain"
            )
        if need.of_history and need not in kept:
            name = method_name(method)
            gone = [part.history for part in run.earlier if need not in part.keep]
            holder = next((one for one in gone if isinstance(one, RunFolder)), run.history)
            raise RequestError(f"{name}: {holder.lacks(need)}")
    return unlearning.unlearn(method, forget, history, MeteredFederation(remaining(run, history, (), {}), meter))


def masked_of(run: OpenRun, request: ErasureOrder, history: History, model: Vector, secret: Secret) -> Masked | None:
    """The unlearned model, shape (P,), with the request's mask, drawn by a secret; None where there is none.

    Raises:
        FedletheError: See `masking.masked`.
    """
    if not request.mask.adds_noise or (not request.mask.guarantees and not _took_part(request, history)):
        return None

    def noise() -> SecretNoise:
        return SecretNoise(secret(), "mask", request.canonical(run.history.store.keys.pseudonym))

    if request.patients:
        return unclaimed(
            run, history, model, request.mask, noise, "single patients: their client comes back in the repair"
        )

    def unlearned(clients: Sequence[ClientId]) -> Vector:
        return unlearned_by(run, clients, request.method, history, Meter()).model

    erased = ToMask(
        forget=request.forget,
        model=model,
        method=request.method,
        method_name=request.method_name,
        unlearned=unlearned,
        repairers=repairers(run, request, history, secret),
        after=request.after is not None,
    )
    return masked(run, history, erased, request.mask, noise)


def repairers(run: OpenRun, request: ErasureOrder, history: History, secret: Secret) -> tuple[ClientId, ...] | None:
    """Who repairs the model: a few, drawn by a secret; None for all who are left, empty for nobody.

    Raises:
        FedletheError: So many are not there, or they would leave nobody to hide among.
    """
    if not request.repair.rounds:
        return ()
    if request.repair.clients is None:
        return None
    left = set(remaining(run, history, request.forget, request.patients).clients) - set(request.forget)
    spare = 1 if request.mask.adds_noise else 0
    return drawn(secret, request.forget, left, request.repair.clients, spare, _repaired_before(run, request, history))


def _repaired_before(run: OpenRun, request: ErasureOrder, history: History) -> list[set[ClientId]]:
    """Who repaired, in each earlier masked erasure of the same clients."""
    known = set(erasable(run, history))
    same = [one for one in erasures(run) if one.after == request.after and set(one.forget) == set(request.forget)]
    return [known - set(one.hidden.among) for one in same if one.hidden is not None and not one.decoyed]


def _took_part(request: ErasureOrder, history: History) -> bool:
    return bool(entered(history).intersection(request.forget))


def stages_of(
    run: OpenRun,
    request: ErasureOrder,
    history: History,
    model: Vector,
    meter: Meter,
    repaired: dict[ClientId, Vector],
    mask: Masked | None = None,
    *,
    secret: Secret,
) -> Iterator[tuple[str, Vector]]:
    """The unlearned model, shape (P,), and what the request's mask and repair rounds make of it, each by its name.

    What each client's updates add in the repair rounds is summed up in `repaired`; `secret` draws who repairs, where
    few do. Clients who took part in no round are not repaired after, unless they are to be hidden among others who are.
    """
    yield "unlearned", model
    if not (request.mask.guarantees or request.decoys or _took_part(request, history)):
        return
    if mask is not None:
        model = mask.model
        yield "masked", model
    if not request.repair.rounds:
        return
    for record in repair_rounds(run, request, history, model, repairers(run, request, history, secret), meter):
        add_contributions(repaired, record)
        yield f"repaired {record.round}", record.after


def repair_rounds(
    run: OpenRun,
    request: ErasureOrder,
    history: History,
    model: Vector,
    chosen: tuple[ClientId, ...] | None,
    meter: Meter,
) -> Iterator[RoundRecord]:
    """The request's repair of a model, shape (P,), by the chosen clients; None for all who are left."""
    retained = remaining(run, history, request.forget, request.patients, derive(run.config.seed, "repair"))
    if chosen:
        retained = retained.without(set(retained.clients) - set(chosen))
    federation = MeteredFederation(retained, meter)
    schedule = [(round, federation.clients) for round in range(1, request.repair.rounds + 1)]
    return train(federation, model, schedule, request.repair.settings(run.config.local))


def _enter(
    run: OpenRun,
    request: ErasureOrder,
    past: History,
    unlearned: Unlearned,
    model: Vector,
    stages: list[Stage],
    repaired: Mapping[ClientId, Vector],
    mask: Masked | None,
) -> Erasure:
    id, store = f"{len(run.history.ledger.erasures()) + 1:04d}", run.history.store
    folder = run.path / "erasures" / id
    exact = request.method if isinstance(request.method, Subtraction) else Subtraction()
    patients = request.patients or closed_form.patients_by_client(run, exact, past)
    erasure = Erasure(
        run=run.path,
        id=id,
        model=folder / "model.safetensors",
        request=request.canonical(store.keys.pseudonym),
        forget=tuple(sorted(request.forget)),
        method=request.method_name,
        guarantee=certain(
            unlearned.guarantee, stages, None if mask is None else mask.hidden, all_took_part(run.parts(request.after))
        ),
        stages=tuple(stages),
        cost=stages[-1].cost,
        retraining_examples=retraining_examples(
            run, set(request.forget) - set(request.patients), request.after, exact.join
        ),
        after=request.after,
        patients=pseudonyms_of(patients, store.keys.pseudonym),
        joined=exact.join,
        found=dict(unlearned.found),
        **_hidden(run, request, mask),
    )
    drawn = style.save(accuracy_curves.erasure_stages(erasure.stages, erasure.forget), folder)
    pictures = [drawn.with_suffix(ending).relative_to(run.path).as_posix() for ending in (".png", ".svg", ".csv")]
    artefacts = [store.artefact("picture", picture) for picture in pictures]
    artefacts += [store.save("erasure", f"erasures/{id}/model", None, model, run.layout)]
    files.write_text(folder / "erasure.json", to_json(erasure, Erasure))
    artefacts.append(store.artefact("erasure", f"erasures/{id}/erasure.json"))
    if run.remote is not None:
        nodes = json.dumps(run.remote.correspondence(), indent=1).encode()
        artefacts.append(store.write("erasure", f"erasures/{id}/nodes", None, [nodes], ending=JSON))
    artefacts += keep_prints(run, id, request.forget, patients)
    for client in erasure.patients if store.encrypt else ():
        store.keys.renewed(client)  # what comes after the erasure outlives the key of what was before it
    if Need.INFLUENCE in run.history.keep:
        for client, added in sorted(repaired.items()):
            artefacts.append(store.save("erasure", f"erasures/{id}/repair/{client}", client, added, run.layout))
    if has_influence(run.history.keep):  # those of the training were made in the presence of who is gone
        for client, influence in sorted(unlearned.influences.items()):
            artefacts.append(store.save("erasure", f"{anew_folder(id)}{client}", client, influence, run.layout))
    for client, statistics in closed_form.revised(run, exact, past).items():
        name = f"erasures/{id}/statistics/{client}"
        artefacts.append(store.write("erasure", name, client, [statistics.content()]))
    run.history.ledger.add_erasure(id, erasure.request, artefacts, spent(run.history))
    destroy_spent(run.history)
    return erasure


def certain(
    guarantee: Guarantee | None, stages: Sequence[Stage], hidden: Hidden | None = None, everybody: bool = True
) -> Guarantee | None:
    """What is certain of the model after the last stage, given what is certain of the unlearned one.

    Noise and repair rounds by those who are left put nothing of the erased clients into a model that held nothing of
    them; but no retraining makes them, so 'exact' does not outlast them. Noise in the directions in which candidates
    differ is made of models that held the erased clients: nothing is certain then. And where not everybody took part
    in every round, the rounds are those that were drawn with the erased clients among who could be drawn; a training
    without them would draw others.
    """
    if hidden is not None and hidden.by in SPANNED:
        return None
    later = [stage.name for stage in stages if stage.name not in ("before", "unlearned")]
    if guarantee is not None and guarantee.kind == "exact" and not everybody:
        drawn = "in rounds that were drawn with the erased clients among who could be drawn: a training without them"
        guarantee = Guarantee("guaranteed", f"{guarantee.statement}, {drawn} draws others")
    if guarantee is None or guarantee.kind != "exact" or not later:
        return guarantee
    made = f"{guarantee.statement}; then {', '.join(later)}, without the erased clients' images: no longer a retraining"
    return Guarantee("guaranteed", made)


def _hidden(run: OpenRun, request: ErasureOrder, mask: Masked | None) -> dict[str, Any]:
    """The fields of an Erasure that tell what is hidden."""
    hidden = decoyed(request.forget, request.decoys) if request.decoys else None if mask is None else mask.hidden
    return {
        "hidden": hidden,
        "not_hidden": None if mask is None else mask.problem,
        "together": None if hidden is None else _together(run, request, hidden),
    }


def _together(run: OpenRun, request: ErasureOrder, hidden: Hidden) -> str | None:
    """What earlier erasures from the same model that share a client with this one, decoys included, leave hidden."""
    gone = set(request.forget)
    others = [one for one in erasures(run) if one.after == request.after and not gone.isdisjoint(one.forget)]
    unlike = [one.id for one in others if set(one.forget) != gone]
    return with_earlier(hidden, {one.id: one.hidden for one in others}, unlike)


def retraining_examples(
    run: OpenRun, forget: Iterable[ClientId], after: str | None = None, joined: Iterable[ClientId] = ()
) -> int:
    """Images that retraining without these clients, and without those erased before, puts through a gradient step.

    Args:
        run: The run.
        forget: Who is erased.
        after: The erasure that it begins from.
        joined: Who was erased before, and comes back.
    """
    gone, total = set(forget), 0
    for part in reversed(run.parts(after)):
        gone = (gone | part.erased) - set(joined)
        if isinstance(part.history, RunFolder):
            entries = part.history.ledger.participation()
            total += sum(entry.examples_processed or 0 for entry in entries if entry.client not in gone)
    return total


def erasures(run: OpenRun) -> list[Erasure]:
    """The completed erasures of a run, in their order."""
    return [recorded(run, id) for id in run.history.ledger.erasures().values()]


def done(run: OpenRun, request: ErasureOrder) -> Erasure | None:
    """The erasure that carried out this very request, if there was one."""
    id = run.history.ledger.erasures().get(request.canonical(run.history.store.keys.pseudonym))
    return None if id is None else recorded(run, id)


def recorded(run: OpenRun, id: str) -> Erasure:
    """What was entered of an erasure.

    Raises:
        FedletheError: There is no such erasure, its record is not the one that the ledger names, or it is of an
            earlier version.
    """
    content = run.history.erasure_record(id)
    try:
        held = from_json(content, Erasure)
    except FedletheError:
        path = run.path / "erasures" / id / "erasure.json"
        raise RequestError(f"{path}: is of an earlier version; read it with that one, or train anew") from None
    return replace(held, run=run.path, model=run.path / "erasures" / id / "model.safetensors")
