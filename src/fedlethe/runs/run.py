# SPDX-License-Identifier: MIT
"""A run, prepared or opened: configuration, data, network, federation and run folder, checked against each other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

import tomlkit
from pydantic import TypeAdapter, ValidationError

from fedlethe import files
from fedlethe.closed_form.featurised import features_of, featurise
from fedlethe.config import RunConfig, resolve
from fedlethe.data.division import divide
from fedlethe.data.erased import ErasedImages, blanking, client_fingerprint, without
from fedlethe.data.federated import Examples, FederatedData, Split
from fedlethe.data.given import GivenSource
from fedlethe.document import Document, parse_toml
from fedlethe.errors import HistoryError
from fedlethe.federation.client import CROSS_ENTROPY
from fedlethe.federation.evaluation import evaluate
from fedlethe.federation.execution import Execution
from fedlethe.federation.federation import Federation
from fedlethe.federation.objective import GivenLoss, Objective
from fedlethe.federation.simulated import SimulatedFederation
from fedlethe.history.disk import RunFolder
from fedlethe.history.ledger import demand_as_entered
from fedlethe.history.succession import Part, Succession
from fedlethe.later import nn
from fedlethe.models import initialise
from fedlethe.models.given import GivenModel
from fedlethe.names import demand_client_name
from fedlethe.parts import is_code
from fedlethe.plugins import GIVEN
from fedlethe.runs.beginning import BEGINNING, Beginning
from fedlethe.runs.remote import REMOTE, OutOfReach, Remote, remote_data
from fedlethe.types import ClientId, Evaluation, Need, Vector
from fedlethe.vector import Layout
from fedlethe.version import VERSION

T = TypeVar("T")

MOST_TRIED = 4
"""Erasures of patients of which each is tried by itself to have left the data; of more, all at once."""

OUTSIDE = "outside"
"""The table of [run] that says what code from outside the training used."""

_ERASURE = re.compile(r"(.*/)?erasures/[0-9]{4,9}")
"""The folder of an erasure."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a configuration stands for on this machine, `config.execution` resolved.

    Attributes:
        config: The configuration.
        fingerprint: Of the images as the source has them, and of who holds which.
        images: Every client's images.
        data: What the network takes: the images, or the features of them.
        network: The network.
        layout: Its layout.
        remote: Reaches the clients where they are on other machines; `data` then names them and holds no image.
    """

    config: RunConfig
    fingerprint: str = ""
    images: FederatedData
    data: FederatedData
    network: nn.Module
    layout: Layout
    remote: Remote | None = None

    @property
    def execution(self) -> Execution:
        """Device and precision, resolved."""
        return self.config.execution

    def federation(self, seed: int | None = None, strict: bool = True) -> Federation:
        """The clients, to be asked to train; their shuffles are derived from `seed`, by default the run's."""
        if self.remote is not None:
            chosen = self.config.seed if seed is None else seed
            return self.remote.federation(self.config, self.layout, seed=chosen, strict=strict)
        return SimulatedFederation(
            network=self.network,
            layout=self.layout,
            data=self.data,
            settings=self.config.local,
            execution=self.execution,
            seed=self.config.seed if seed is None else seed,
            loss=self._loss,
        )

    @property
    def _loss(self) -> Objective:
        """What clients descend."""
        model = self.config.model
        given = model.loss if isinstance(model, GivenModel) else None
        return CROSS_ENTROPY if given is None else GivenLoss(given)

    def inputs(self, examples: Examples) -> Examples:
        """Some images as the network takes them."""
        if self.config.exact is None:
            return examples
        return features_of(examples, self.config.exact.feature_map, self.images.image_shape)

    def evaluate(self, model: Vector, split: Split = "test") -> Evaluation:
        """A model, shape (P,), on every client's images."""
        if self.remote is not None:
            return self.remote.evaluate(self.config, self.layout, model, split)
        return evaluate(self.network, self.layout, model, self.data, self.execution, split)


@dataclass(frozen=True, kw_only=True)
class OpenRun(Prepared):
    """A run folder and what it was trained on.

    Attributes:
        path: The folder.
        history: What it holds.
        earlier: The trainings and erasures that it began from, the first one first; empty where it began anew.
    """

    path: Path
    history: RunFolder
    earlier: tuple[Part, ...] = ()

    def parts(self, after: str | None = None) -> tuple[Part, ...]:
        """All trainings that led to this run's final model, or to the result of the erasure `after`."""
        return (*self.earlier, part_of(self.history, after or self.history.base))

    def past(self, after: str | None = None) -> RunFolder | Succession:
        """The history of `parts` as one; after a purge it goes on from the model of its erasure."""
        after = after or self.history.base
        if not self.earlier and after is None:
            return self.history
        for id, facts in chain_of(self.history, after):
            if set(facts["forget"]) & set(facts.get("patients", ())) and id > (self.history.base or ""):
                raise HistoryError(f"erasure {id} took patients out; finish its request first, with its purge")
        final = self.history.final() if after is None else self.history.erased_model(after)
        return Succession(self.parts(after), final)


def part_of(history: RunFolder, after: str | None) -> Part:
    """A run's training, and what its erasures took from it, from the first of their chain up to `after`.

    Raises:
        FedletheError: There is no such erasure.
    """
    erased: set[ClientId] = set()
    repair: dict[ClientId, Vector] = {}
    patients: dict[ClientId, frozenset[str]] = {}
    revised: dict[ClientId, str] = {}
    anew = False
    chain = chain_of(history, after)
    # A purge after an erasure that is not among these rebased the influences on that one's model: they are not of ours.
    of_another = history.base is not None and history.base not in {id for id, _ in chain}
    for id, facts in chain:
        whole = set(facts["forget"]) - set(facts.get("patients", ()))
        erased = (erased | whole) - set(facts.get("joined", ()))
        if influences := history.anew(id):
            repair, anew = influences, True
        for client, vector in history.repair(id).items():
            repair[client] = repair[client] + vector if client in repair else vector
        for client, names in facts.get("patients", {}).items():
            patients[client] = patients.get(client, frozenset()) | set(names)
            revised[client] = f"erasures/{id}/statistics/{client}"
    return Part(
        history=history,
        keep=history.keep - {Need.INFLUENCE} if of_another else history.keep,
        erased=frozenset(erased),
        repair=repair,
        patients=patients,
        revised=revised,
        erasure=after,
        anew=anew,
    )


def chain_of(history: RunFolder, after: str | None) -> list[tuple[str, dict[str, Any]]]:
    """The erasures that led to an erasure, itself the last: id and what erasure.json holds."""
    chain: list[tuple[str, dict[str, Any]]] = []
    while after is not None:
        history.demand_erasure(after)
        facts = json.loads(history.erasure_record(after))
        chain.append((after, facts))
        after = facts.get("after")
        if after is not None and not (isinstance(after, str) and after < chain[-1][0]):
            raise HistoryError(
                f"{history.path}: erasure {chain[-1][0]} cannot come after '{str(after)[:40]}'; restore the run from a "
                "backup"
            )
    return chain[::-1]


def load_data(config: RunConfig, erased: Sequence[ErasedImages] = ()) -> FederatedData:
    """Read the images and divide them among the clients; those that were erased are blank."""
    data = divided(config, erased)
    backdoor = config.backdoor
    if backdoor is None or (
        backdoor.client not in data.clients and any(backdoor.client in one.clients for one in erased)
    ):
        return data
    return backdoor.plant(data, config.division_seed)


def divided(config: RunConfig, erased: Sequence[ErasedImages] = ()) -> FederatedData:
    """The images as the source has them, without a backdoor."""
    with blanking(erased):
        return divide(config.source.load(), config.partition, config.division_seed)


def prepare(config: RunConfig, erased: Sequence[ErasedImages] = ()) -> Prepared:
    """Load the data and build the initial network.

    Args:
        config: What the run is configured to be.
        erased: Images that it must not have any more.

    Raises:
        FedletheError: The data, the weights file or the device cannot be used.
    """
    images = load_data(config, erased)
    return prepare_with(config, without(images, applicable(images, erased)), fingerprint=images.fingerprint)


def prepare_with(
    config: RunConfig, images: FederatedData, remote: Remote | None = None, fingerprint: str | None = None
) -> Prepared:
    """Build the initial network for these images.

    Args:
        config: What the run is configured to be.
        images: Every client's.
        remote: Reaches the clients where they are on other machines.
        fingerprint: Of the images as the source has them; None where these are they.

    Raises:
        FedletheError: The weights file or the device cannot be used.
    """
    data = images if config.exact is None else featurise(images, config.exact.feature_map)
    network = initialise(config.model, data.image_shape[0], len(data.classes), config.seed)
    try:
        execution = config.execution.resolve(network)
    except ValueError as error:
        raise HistoryError(str(error)) from None
    layout = Layout.of(network)
    resolved = RunConfig(**{**vars(config), "execution": execution})
    return Prepared(
        config=resolved,
        fingerprint=images.fingerprint if fingerprint is None else fingerprint,
        images=images,
        data=data,
        network=execution.place(network),
        layout=layout,
        remote=remote,
    )


def run_document(prepared: Prepared, begun: Beginning) -> Document:
    """What run.toml holds: the configuration in full, and what it was found to be.

    Args:
        prepared: The run.
        begun: Where it begins.
    """
    facts = {
        **({} if begun.after is None else {"after": begun.after, BEGINNING: begun.facts()}),
        "version": VERSION,
        "data_fingerprint": prepared.fingerprint,
        "clients": sorted(prepared.data.clients),
        **({} if prepared.remote is None else {REMOTE: prepared.remote.facts()}),
        **({OUTSIDE: outside} if (outside := prepared.config.outside()) else {}),
    }
    return {**prepared.config.document(), "run": facts}


def read_run_document(path: Path) -> Document:
    """The run.toml of a run folder, held against the ledger where there is one.

    Raises:
        FedletheError: The folder is not a run, or the file is not the one that was entered when the training began.
    """
    if not path.is_dir():
        raise HistoryError(f"{path}: there is no such run folder; make one with: fedlethe train --out {path}")
    if not (path / "run.toml").is_file():
        raise HistoryError(f"{path}: is not a run folder (it has no run.toml)")
    content = files.content_of(path / "run.toml")
    demand_as_entered(path, "run.toml", content)
    document = parse_toml(content, path / "run.toml")
    if not isinstance(document.get("run"), dict):
        raise HistoryError(f"{path / 'run.toml'}: the table [run] is missing; restore the file from a backup")
    if (problem := _facts_problem(document["run"])) is not None:
        raise HistoryError(f"{path / 'run.toml'}: the table [run] {problem}; restore the file from a backup")
    return document


def _facts_problem(facts: Document) -> str | None:
    """Why a table [run] cannot be one that a training wrote; None where it can."""
    clients, after = facts.get("clients"), facts.get("after")
    if not isinstance(clients, list) or not all(isinstance(client, str) for client in clients):
        return "names no clients"
    for client in clients:
        demand_client_name(client)
    if not all(isinstance(facts.get(name), str) for name in ("version", "data_fingerprint")):
        return "has no text as its version or its data_fingerprint"
    if not is_code(facts.get(OUTSIDE, {})):
        return "does not say which code the training used"
    if after is not None and not (isinstance(after, str) and _ERASURE.fullmatch(after)):
        return "begins after something that is no erasure's folder, such as RUN/erasures/0001"
    return None


def config_of(path: Path) -> RunConfig:
    """The configuration of a run."""
    document = read_run_document(path)
    facts = document.pop("run")
    return resolve(document, str(path / "run.toml"), facts.get(OUTSIDE, {}))


@contextmanager
def opened_folder(path: Path, create: bool = False) -> Iterator[tuple[RunConfig, RunFolder]]:
    """A run's configuration and history, without its data."""
    document = read_run_document(path)
    facts = document.pop("run")
    config = resolve(document, str(path / "run.toml"), facts.get(OUTSIDE, {}))
    history = RunFolder(path, facts["clients"], config.keep, create, config.encrypt)
    try:
        history.store.demand_no_links()
        yield config, history
    finally:
        history.close()


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a run's configuration cannot name, since it was handed over from Python.

    Attributes:
        model: The network, and the loss; None where the run's model has a name.
        source: The data; None where their source has a name.
    """

    model: GivenModel | None = None
    source: GivenSource | None = None

    def put_into(self, config: RunConfig) -> RunConfig:
        """The configuration with what was given in its places; parts that have a name stay."""
        if self.model is not None and config.model_name == GIVEN:
            config = replace(config, model=self.model)
        if self.source is not None and config.source_name == GIVEN:
            config = replace(config, source=self.source)
        return config


@contextmanager
def opened_run(path: Path, remote: Remote | None = None, given: Given | None = None) -> Iterator[OpenRun]:
    """A finished or unfinished run with its data.

    Args:
        path: The run folder.
        remote: Reaches the clients of a run whose images lie on other machines.
        given: What its configuration cannot name.

    Raises:
        FedletheError: The folder is no run, or its data or model are not those it was trained with.
    """
    facts = read_run_document(path)["run"]
    fingerprint, known = facts.get("data_fingerprint"), facts.get(REMOTE)
    with ExitStack() as stack:
        config, history = stack.enter_context(opened_folder(path))
        config = config if given is None else given.put_into(config)
        config.demand_code(str(path))
        parts = earlier(path, stack)
        erased = erased_images(history)
        if known is None:
            prepared = prepare(config, erased)
        else:
            prepared = prepare_with(config, remote_data(known), remote or OutOfReach(path, known))
        if prepared.fingerprint != fingerprint and not _all_retained(prepared.images, erased):
            message = (
                "the images or their division are not those it was trained on; where an erased client's files left "
                "data that are divided at random, put them back, or go on from the erasure's model: train --after"
            )
            raise HistoryError(
                f"{path}: {message} (fingerprint {prepared.fingerprint[:12]}, not {str(fingerprint)[:12]})"
            )
        if difference := prepared.layout.difference(history.layout.shapes):
            raise HistoryError(f"{path}: holds a run of another model: {difference}")
        yield OpenRun(**vars(prepared), path=path, history=history, earlier=parts)


def erased_images(history: RunFolder) -> tuple[ErasedImages, ...]:
    """The images that the run must not have: those erased in what it began from, and what its purges took since."""
    document = read_run_document(history.path) if (history.path / "run.toml").is_file() else {"run": {}}
    return (*Beginning.of(document["run"]).erased, *purged_images(history))


def purged_images(history: RunFolder) -> tuple[ErasedImages, ...]:
    """The images that the run's purges took from it, in their order."""
    names = [event.body["images"] for event in history.ledger.events("purge") if event.body["images"] is not None]
    held = history.store
    return tuple(from_json(held.content(held.find(name)), ErasedImages) for name in names)


def applicable(images: FederatedData, erased: Sequence[ErasedImages]) -> Sequence[ErasedImages]:
    """The erased images as they are to be taken out of the data as they are now.

    Of patients it is known at which places their images were. Where their files left the data, those places are
    others' now; the fingerprints of what stayed tell of which erasures that is so.
    """
    placed = [number for number, one in enumerate(erased) if one.positions]
    if not placed or _all_retained(without(images, erased), erased):
        return erased
    choices = (
        [placed]
        if len(placed) > MOST_TRIED
        else [chosen for count in range(1, len(placed) + 1) for chosen in combinations(placed, count)]
    )
    for gone in choices:
        left = [replace(one, positions={}) if number in gone else one for number, one in enumerate(erased)]
        if _all_retained(without(images, left), erased):
            return left
    return erased


def _all_retained(images: FederatedData, erased: Sequence[ErasedImages]) -> bool:
    """Whether what is there is what the last purge left, though the erased images are not in the source any more."""
    if not erased or not erased[-1].retained or set(images.clients) != set(erased[-1].retained):
        return False
    return all(client_fingerprint(images, client) == known for client, known in erased[-1].retained.items())


def begun_after(path: Path, after: str, stack: ExitStack) -> tuple[RunFolder, str]:
    """The history of the run that a run began from, open as long as `stack` is, and the id of the erasure.

    Raises:
        FedletheError: The folder is no erasure's.
    """
    folder = (path / after).resolve()
    if not _ERASURE.fullmatch(str(folder)):
        raise HistoryError(f"{folder}: is not an erasure's folder; name one such as RUN/erasures/0001")
    _, history = stack.enter_context(opened_folder(folder.parent.parent))
    return history, folder.name


def earlier(path: Path, stack: ExitStack) -> tuple[Part, ...]:
    """The trainings and erasures that a run began from, the first one first; open as long as `stack` is."""
    return begun_parts(path, read_run_document(path)["run"].get("after"), stack)


def begun_parts(path: Path, after: str | None, stack: ExitStack) -> tuple[Part, ...]:
    """The same for a run that is to begin after an erasure, whose folder is given relative to the run's.

    Raises:
        FedletheError: The folder is no erasure's, or the runs began from each other in a circle.
    """
    parts: list[Part] = []
    passed = [path.resolve()]
    while after is not None:
        history, id = begun_after(path, after, stack)
        path = history.path
        if path in passed:
            raise HistoryError(f"{path}: its run.toml leads back to itself (after = '{after}'); restore it")
        passed.append(path)
        parts.append(part_of(history, id))
        after = read_run_document(path)["run"].get("after")
    return tuple(parts[::-1])


def demand_complete(run: OpenRun) -> None:
    """Refuse a run whose training is not complete."""
    rounds, planned = run.history.rounds, run.config.federation.rounds
    if rounds < planned:
        raise HistoryError(
            f"{run.path}: only {rounds} of {planned} rounds are trained; run: fedlethe train --out {run.path}"
        )


def demand_clients(run: OpenRun, clients: tuple[ClientId, ...]) -> None:
    """Refuse a client that is not there, one named twice, and the last one."""
    run.data.without(clients)
    if twice := next((client for client in clients if clients.count(client) > 1), None):
        raise HistoryError(f"client '{twice}' is named twice; name each client once")


def toml_text(document: Document) -> str:
    """A document as TOML."""
    return tomlkit.dumps(document)


def to_json(value: Any, kind: Any) -> str:
    """A dataclass, or a list of them, as JSON."""
    return TypeAdapter(kind).dump_json(value).decode()


def from_json(text: str | bytes, kind: type[T]) -> T:
    """What `to_json` wrote.

    Raises:
        FedletheError: It is no JSON, or that of something else.
    """
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as errors:
        first = errors.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))[:200]
        name = getattr(kind, "__name__", str(kind))
        raise HistoryError(
            f"a record of the run cannot be read as {name} ({place or 'its JSON'}: {first['msg'][:200]}); restore "
            "the run from a backup"
        ) from None


def config_for(document: Document, out: Path | None = None) -> RunConfig:
    """The configuration that a document stands for; an empty one stands for the run that `out` holds, if any.

    Raises:
        FedletheError: A key, name or value is wrong.
    """
    if not document and out is not None and (out / "run.toml").is_file():
        config = config_of(out)
        config.demand_code(str(out))
        return config
    return resolve(document)
