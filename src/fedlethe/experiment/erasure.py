# SPDX-License-Identifier: MIT
"""One erasure carried through: unlearn, mask, repair; evaluated before, between and after."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedlethe import files, unlearning
from fedlethe.config import Method, Recipe, RunConfig, construct
from fedlethe.errors import FedletheError
from fedlethe.exact.settings import ExactErasure
from fedlethe.experiment import closed_form
from fedlethe.experiment.patients import remaining, retrained
from fedlethe.experiment.run import Run, demand_clients, demand_complete, from_json, to_json
from fedlethe.federation.aggregate import contribution
from fedlethe.federation.client import LocalTraining
from fedlethe.federation.metered import Meter, MeteredFederation
from fedlethe.federation.train import train
from fedlethe.history.disk import RunFolder
from fedlethe.history.history import History
from fedlethe.privacy.mask import IsotropicMask
from fedlethe.progress import bar
from fedlethe.report import plots
from fedlethe.seeding import derive, torch_generator
from fedlethe.types import ClientId, Cost, Need, Stage, Vector
from fedlethe.unlearning import Unlearned
from fedlethe.unlearning.method import entered
from fedlethe.unlearning.retrain import Retrain

EMPTY: Mapping[str, Any] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Repair:
    """Rounds by the retained clients after the unlearning step.

    Attributes:
        rounds: How many; 0 for none.
        epochs: Local epochs in each; None for `ratio` of the run's own.
        ratio: Share of the run's local epochs.
        learning_rate: None for the run's own.
    """

    rounds: int = 1
    epochs: float | None = None
    ratio: float = 1.0
    learning_rate: float | None = None

    def __post_init__(self) -> None:
        if self.rounds < 0:
            raise ValueError(f"repair rounds must be at least 0, not {self.rounds}")
        if not 0 < self.ratio < math.inf:
            raise ValueError(f"ratio must be a finite number above 0, not {self.ratio}")
        self.settings(LocalTraining())

    def settings(self, local: LocalTraining) -> LocalTraining:
        """How clients train in these rounds, given how the run's do."""
        return dataclasses.replace(
            local,
            epochs=self.ratio * local.epochs if self.epochs is None else self.epochs,
            learning_rate=local.learning_rate if self.learning_rate is None else self.learning_rate,
        )


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of one erasure.

    Attributes:
        forget: Who is erased.
        method_name: The method's row in METHODS.
        method: The method itself.
        mask: Noise on the unlearned model.
        repair: Rounds after it.
        after: The id of the erasure from whose result they are erased; None for the trained model.
        patients: Of the clients that are erased in part, their patients, where a network is trained.
    """

    forget: tuple[ClientId, ...]
    method_name: str
    method: Method
    mask: IsotropicMask = field(default_factory=IsotropicMask)
    repair: Repair = field(default_factory=Repair)
    after: str | None = None
    patients: Mapping[ClientId, tuple[str, ...]] = field(default_factory=dict)

    def canonical(self, pseudonym: Callable[[ClientId, str], str] | None = None) -> str:
        """The same text for the same request: JSON, in which infinity, that JSON lacks, is the text 'inf'.

        Args:
            pseudonym: What stands for a patient of a client; a request that names patients needs it.
        """
        method = dataclasses.asdict(self.method)  # type: ignore[arg-type]
        if method.get("patients"):
            assert pseudonym is not None
            method["patients"] = sorted(pseudonym("", patient) for patient in method["patients"])
        options: dict[str, Any] = {
            "forget": sorted(self.forget),
            **({} if not self.patients else {"patients": _named(self.patients, pseudonym)}),
            "method": {
                "name": self.method_name,
                **{name: "inf" if value == math.inf else value for name, value in method.items()},
            },
            "mask": dataclasses.asdict(self.mask),
            "repair": dataclasses.asdict(self.repair),
            **({} if self.after is None else {"after": self.after}),
        }
        return json.dumps(options, sort_keys=True, allow_nan=False)


def _named(
    patients: Mapping[ClientId, tuple[str, ...]], pseudonym: Callable[[ClientId, str], str] | None
) -> dict[ClientId, tuple[str, ...]]:
    assert pseudonym is not None
    return {client: tuple(sorted(pseudonym(client, name) for name in names)) for client, names in patients.items()}


def request_for(
    config: RunConfig,
    clients: Sequence[ClientId],
    recipe: Recipe,
    options: Mapping[str, Any] = EMPTY,
    mask: Mapping[str, Any] = EMPTY,
    repair: Mapping[str, Any] = EMPTY,
    after: str | None = None,
    patients: Mapping[ClientId, tuple[str, ...]] = EMPTY,
) -> Request:
    """A request from plain values, which lie over the recipe's.

    Where nothing names the repair's rounds, there is one, or none after a method in which the retained clients train;
    but one where clients are to come back in it, less some patients.

    Raises:
        FedletheError: No method or option has that name, or a value is out of range.
    """
    method = config.method(recipe.method, {**recipe.options, **options})
    rounds = 0 if isinstance(method, ExactErasure) or Need.RETAINED_DATA in method.needs else 1
    if patients and not isinstance(method, Retrain):
        rounds = 1
        if {**recipe.repair, **repair}.get("rounds") == 0:
            raise FedletheError("repair: the rest of the client comes back in the repair rounds; ask for one at least")
    if isinstance(method, ExactErasure) and {**recipe.repair, **repair}.get("rounds"):
        raise FedletheError("repair: an erasure in closed form is exact, there is nothing to repair; leave it out")
    return Request(
        forget=tuple(clients),
        method_name=recipe.method,
        method=method,
        mask=construct(IsotropicMask, mask, "mask"),
        repair=construct(Repair, {"rounds": rounds, **recipe.repair, **repair}, "repair"),
        after=after,
        patients=dict(patients),
    )


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
        patients: Client to its patients that were taken out, where these were not whole clients.
        joined: Clients that were taken back in.
        found: Figures that the method found on the way, by name.
        pseudonymous: Whether the patients' names are not here, but what stands for them.
    """

    run: Path
    id: str
    model: Path
    request: str
    forget: tuple[ClientId, ...]
    method: str
    guarantee: str | None
    stages: tuple[Stage, ...]
    cost: Cost
    retraining_examples: int
    after: str | None = None
    patients: Mapping[ClientId, tuple[str, ...]] = field(default_factory=dict)
    joined: tuple[ClientId, ...] = ()
    found: Mapping[str, float] = field(default_factory=dict)
    pseudonymous: bool = False

    @property
    def subject(self) -> str:
        """What was done to whom, in words."""
        if self.joined:
            return f"{', '.join(self.joined)} joined"
        held = [f"{self._patients(names)} of {client}" for client, names in self.patients.items()]
        return ", ".join([*(client for client in self.forget if client not in self.patients), *held])

    def _patients(self, names: Sequence[str]) -> str:
        if not self.pseudonymous:
            return ", ".join(names)
        return f"{len(names)} patients" if len(names) > 1 else "a patient"


def erase(run: Run, request: Request) -> Erasure:
    """Carry a request out and enter it in the ledger; the trained model and the history stay as they are.

    Raises:
        FedletheError: A client is unknown, named twice, or the last one; the history lacks what the method needs; or
            this very request was carried out before.
    """
    with run.history.locked():
        if earlier := done(run, request):
            raise FedletheError(f"{earlier.subject}: erased already in this way; its model is {earlier.model}")
        return erase_locked(run, request)


def erase_locked(run: Run, request: Request, pseudonymous: bool = False) -> Erasure:
    """`erase` by who holds the run's lock already; `pseudonymous` if the record is not to name patients."""
    demand_complete(run)
    if run.config.exact is None:
        demand_clients(run, request.forget)
    past = run.past(request.after)
    if gone := sorted(set(request.forget) - set(past.clients)):
        led = "training" if request.after is None else f"erasure {request.after}"
        raise FedletheError(f"{', '.join(gone)}: not in the model that {led} led to; name others")
    stages = [Stage("before", run.evaluate(past.final()), Cost())]
    repaired: dict[ClientId, Vector] = {}
    with bar("erasing, client updates") as advance:
        meter = Meter(notify=advance)
        unlearned = _unlearned(run, request, past, meter)
        for name, model in stages_of(run, request, past, unlearned.model, meter, repaired):
            cost = meter.cost()
            with meter.stopped():
                stages.append(Stage(name, run.evaluate(model), cost))
    return _enter(run, request, past, unlearned, model, stages, repaired, pseudonymous)


def _unlearned(run: Run, request: Request, past: History, meter: Meter) -> Unlearned:
    if request.patients and isinstance(request.method, Retrain):
        federation = MeteredFederation(remaining(run, past, request.forget, request.patients), meter)
        return retrained(request.method, request.forget, request.patients, past, federation)
    return unlearn(run, request.forget, request.method, past, meter)


def unlearn(run: Run, forget: Sequence[ClientId], method: Method, history: History, meter: Meter) -> Unlearned:
    """The unlearning step alone: the method sees the history and the retained clients, metered.

    Raises:
        FedletheError: The history lacks what the method needs, or its model is not finite.
    """
    if isinstance(method, ExactErasure):
        return closed_form.unlearn(run, forget, method, history, meter)
    kept = run.history.keep.intersection(*(part.keep for part in run.earlier))
    for need in sorted(method.needs, key=lambda need: need.name):
        if need.of_history and need not in kept:
            raise run.history.lacks(need)
    return unlearning.unlearn(method, forget, history, MeteredFederation(remaining(run, history, (), {}), meter))


def masked(run: Run, model: Vector, mask: IsotropicMask, *key: str | int) -> Vector:
    """The model with the mask's noise, its running variances floored; `key` names the draw."""
    return run.layout.floor_variances(mask.apply(model, torch_generator(run.config.seed, "mask", *key)), model)


def stages_of(
    run: Run, request: Request, history: History, model: Vector, meter: Meter, repaired: dict[ClientId, Vector]
) -> Iterator[tuple[str, Vector]]:
    """The unlearned model, shape (P,), and what the request's mask and repair rounds make of it, each by its name.

    What each client's updates add in the repair rounds is summed up in `repaired`.
    """
    yield "unlearned", model
    if not entered(history).intersection(request.forget):
        return
    if request.mask.sigma > 0:
        model = masked(run, model, request.mask, *sorted(request.forget))
        yield "masked", model
    if not request.repair.rounds:
        return
    seed = derive(run.config.seed, "repair")
    federation = MeteredFederation(remaining(run, history, request.forget, request.patients, seed), meter)
    schedule = [(round, federation.clients) for round in range(1, request.repair.rounds + 1)]
    for record in train(federation, model, schedule, request.repair.settings(run.config.local)):
        for client, update in record.updates.items():
            added = contribution(update.model, record.before, record.weights[client])
            repaired[client] = repaired[client] + added if client in repaired else added
        yield f"repaired {record.round}", record.after


def _enter(
    run: Run,
    request: Request,
    past: History,
    unlearned: Unlearned,
    model: Vector,
    stages: list[Stage],
    repaired: Mapping[ClientId, Vector],
    pseudonymous: bool,
) -> Erasure:
    id, store = f"{len(run.history.ledger.erasures()) + 1:04d}", run.history.store
    folder = run.path / "erasures" / id
    exact = request.method if isinstance(request.method, ExactErasure) else ExactErasure()
    patients = request.patients or closed_form.patients_by_client(run, exact, past)
    erasure = Erasure(
        run=run.path,
        id=id,
        model=folder / "model.safetensors",
        request=request.canonical(store.keys.pseudonym),
        forget=tuple(sorted(request.forget)),
        method=request.method_name,
        guarantee=None if unlearned.guarantee is None else unlearned.guarantee.statement,
        stages=tuple(stages),
        cost=stages[-1].cost,
        retraining_examples=retraining_examples(run, set(request.forget) - set(request.patients), request.after),
        after=request.after,
        patients=_named(patients, store.keys.pseudonym if pseudonymous else lambda _, name: name),
        pseudonymous=pseudonymous,
        joined=exact.join,
        found=dict(unlearned.found),
    )
    plots.save(plots.erasure_stages(erasure.stages, erasure.forget), folder)
    artefacts = [store.save("erasure", f"erasures/{id}/model", None, model, run.layout)]
    files.write_text(folder / "erasure.json", to_json(erasure, Erasure))
    artefacts.append(store.artefact("erasure", f"erasures/{id}/erasure.json"))
    for client in erasure.patients if store.encrypt else ():
        store.keys.renewed(client)  # what comes after the erasure outlives the key of what was before it
    if Need.INFLUENCE in run.history.keep:
        for client, added in sorted(repaired.items()):
            artefacts.append(store.save("erasure", f"erasures/{id}/repair/{client}", client, added, run.layout))
    for client, statistics in closed_form.revised(run, exact, past).items():
        name = f"erasures/{id}/statistics/{client}"
        artefacts.append(store.write("erasure", name, client, [statistics.content()]))
    run.history.ledger.add_erasure(id, erasure.request, artefacts)
    return erasure


def retraining_examples(run: Run, forget: Iterable[ClientId], after: str | None = None) -> int:
    """Images that retraining without these clients, and without those erased before, puts through a gradient step."""
    gone, total = set(forget), 0
    for part in reversed(run.parts(after)):
        gone |= part.erased
        if isinstance(part.history, RunFolder):
            entries = part.history.ledger.participation()
            total += sum(entry.examples_processed or 0 for entry in entries if entry.client not in gone)
    return total


def erasures(run: Run) -> list[Erasure]:
    """The completed erasures of a run, in their order."""
    return [_read(run, id) for id in run.history.ledger.erasures().values()]


def done(run: Run, request: Request) -> Erasure | None:
    """The erasure that carried out this very request, if there was one."""
    id = run.history.ledger.erasures().get(request.canonical(run.history.store.keys.pseudonym))
    return None if id is None else _read(run, id)


def _read(run: Run, id: str) -> Erasure:
    return from_json((run.path / "erasures" / id / "erasure.json").read_bytes(), Erasure)
