# SPDX-License-Identifier: MIT
"""One erasure carried through: unlearn, mask, repair; evaluated before, between and after."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedlethe import files, unlearning
from fedlethe.config import Method, Recipe, RunConfig, construct
from fedlethe.errors import FedletheError
from fedlethe.exact.settings import ExactErasure
from fedlethe.experiment import closed_form
from fedlethe.experiment.run import Run, demand_clients, demand_complete, from_json, to_json
from fedlethe.federation.aggregate import contribution
from fedlethe.federation.client import LocalTraining
from fedlethe.federation.federation import Federation
from fedlethe.federation.metered import Meter, MeteredFederation
from fedlethe.federation.train import train
from fedlethe.history.disk import RunFolder
from fedlethe.history.history import History, not_kept
from fedlethe.privacy.mask import IsotropicMask
from fedlethe.progress import bar
from fedlethe.report import plots
from fedlethe.seeding import derive, torch_generator
from fedlethe.types import ClientId, Cost, Need, Stage, Vector
from fedlethe.unlearning import Unlearned
from fedlethe.unlearning.method import entered

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
    """

    forget: tuple[ClientId, ...]
    method_name: str
    method: Method
    mask: IsotropicMask = field(default_factory=IsotropicMask)
    repair: Repair = field(default_factory=Repair)
    after: str | None = None

    def canonical(self) -> str:
        """The same text for the same request: JSON, in which infinity, that JSON lacks, is the text 'inf'."""
        method = dataclasses.asdict(self.method)  # type: ignore[arg-type]
        options: dict[str, Any] = {
            "forget": sorted(self.forget),
            "method": {
                "name": self.method_name,
                **{name: "inf" if value == math.inf else value for name, value in method.items()},
            },
            "mask": dataclasses.asdict(self.mask),
            "repair": dataclasses.asdict(self.repair),
            **({} if self.after is None else {"after": self.after}),
        }
        return json.dumps(options, sort_keys=True, allow_nan=False)


def request_for(
    config: RunConfig,
    clients: Sequence[ClientId],
    recipe: Recipe,
    options: Mapping[str, Any] = EMPTY,
    mask: Mapping[str, Any] = EMPTY,
    repair: Mapping[str, Any] = EMPTY,
    after: str | None = None,
) -> Request:
    """A request from plain values, which lie over the recipe's.

    Where nothing names the repair's rounds, there is one, or none after a method in which the retained clients train.

    Raises:
        FedletheError: No method or option has that name, or a value is out of range.
    """
    method = config.method(recipe.method, {**recipe.options, **options})
    rounds = 0 if isinstance(method, ExactErasure) or Need.RETAINED_DATA in method.needs else 1
    if isinstance(method, ExactErasure) and {**recipe.repair, **repair}.get("rounds"):
        raise FedletheError("repair: an erasure in closed form is exact, there is nothing to repair; leave it out")
    return Request(
        forget=tuple(clients),
        method_name=recipe.method,
        method=method,
        mask=construct(IsotropicMask, mask, "mask"),
        repair=construct(Repair, {"rounds": rounds, **recipe.repair, **repair}, "repair"),
        after=after,
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

    @property
    def subject(self) -> str:
        """What was done to whom, in words."""
        if self.joined:
            return f"{', '.join(self.joined)} joined"
        held = [f"{', '.join(names)} of {client}" for client, names in self.patients.items()]
        return ", ".join([*self.forget, *held])


def erase(run: Run, request: Request) -> Erasure:
    """Carry a request out and enter it in the ledger; the trained model and the history stay as they are.

    Raises:
        FedletheError: A client is unknown, named twice, or the last one; the history lacks what the method needs; or
            this very request was carried out before.
    """
    demand_complete(run)
    if run.config.exact is None:
        demand_clients(run, request.forget)
    with run.history.locked():
        past = run.past(request.after)
        if gone := sorted(set(request.forget) - set(past.clients)):
            led = "training" if request.after is None else f"erasure {request.after}"
            raise FedletheError(f"{', '.join(gone)}: not in the model that {led} led to; name others")
        if earlier := done(run, request):
            raise FedletheError(f"{earlier.subject}: erased already in this way; its model is {earlier.model}")
        stages = [Stage("before", run.evaluate(past.final()), Cost())]
        repaired: dict[ClientId, Vector] = {}
        with bar("erasing, client updates") as advance:
            meter = Meter(notify=advance)
            unlearned = unlearn(run, request.forget, request.method, past, meter)
            for name, model in stages_of(run, request, past, unlearned.model, meter, repaired):
                cost = meter.cost()
                with meter.stopped():
                    stages.append(Stage(name, run.evaluate(model), cost))
        return _enter(run, request, past, unlearned, model, stages, repaired)


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
            raise not_kept(need)
    return unlearning.unlearn(method, forget, history, MeteredFederation(_of(run, history), meter))


def _of(run: Run, history: History, seed: int | None = None) -> Federation:
    """The run's clients less those that were erased before."""
    return run.federation(seed).without(set(run.data.clients) - set(history.clients))


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
    retained = _of(run, history, seed=derive(run.config.seed, "repair")).without(request.forget)
    federation = MeteredFederation(retained, meter)
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
) -> Erasure:
    id, store = f"{len(run.history.ledger.erasures()) + 1:04d}", run.history.store
    folder = run.path / "erasures" / id
    exact = request.method if isinstance(request.method, ExactErasure) else ExactErasure()
    erasure = Erasure(
        run=run.path,
        id=id,
        model=folder / "model.safetensors",
        request=request.canonical(),
        forget=tuple(sorted(request.forget)),
        method=request.method_name,
        guarantee=None if unlearned.guarantee is None else unlearned.guarantee.statement,
        stages=tuple(stages),
        cost=stages[-1].cost,
        retraining_examples=retraining_examples(run, request.forget, request.after),
        after=request.after,
        patients=closed_form.patients_by_client(run, exact, past),
        joined=exact.join,
        found=dict(unlearned.found),
    )
    plots.save(plots.erasure_stages(erasure.stages, erasure.forget), folder)
    artefacts = [store.save("erasure", f"erasures/{id}/model", None, model, run.layout)]
    files.write_text(folder / "erasure.json", to_json(erasure, Erasure))
    artefacts.append(store.artefact("erasure", f"erasures/{id}/erasure.json"))
    if Need.INFLUENCE in run.history.keep:
        for client, added in sorted(repaired.items()):
            artefacts.append(store.save("erasure", f"erasures/{id}/repair/{client}", client, added, run.layout))
    for client, statistics in closed_form.revised(run, exact, past).items():
        name = f"erasures/{id}/statistics/{client}"
        artefacts.append(store.write("erasure", name, client, [statistics.content()]))
    run.history.ledger.add_erasure(id, erasure.request, artefacts)
    return erasure


def retraining_examples(run: Run, forget: Sequence[ClientId], after: str | None = None) -> int:
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
    id = run.history.ledger.erasures().get(request.canonical())
    return None if id is None else _read(run, id)


def _read(run: Run, id: str) -> Erasure:
    return from_json((run.path / "erasures" / id / "erasure.json").read_bytes(), Erasure)
