# SPDX-License-Identifier: MIT
"""The Federation Protocol over a Grid: every unlearning method runs on Flower unchanged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from flwr.app import Message, RecordDict

from fedlethe.data.federated import Split, unknown_client
from fedlethe.errors import DataError, NodeError
from fedlethe.federation.aggregate import refusal
from fedlethe.federation.aggregator import Aggregator
from fedlethe.federation.client import CROSS_ENTROPY, LocalTraining
from fedlethe.federation.objective import Objective
from fedlethe.federation.simulated import SimulatedFederation
from fedlethe.federation.weighted_mean import WEIGHTED_MEAN
from fedlethe.flower.nodes.exchange import Exchange
from fedlethe.flower.nodes.messages import (
    EVALUATE,
    TRAIN,
    Computing,
    Counts,
    NodeRequest,
    no_update,
    summed_counts,
    training,
    update_of,
)
from fedlethe.types import ClientId, Evaluation, Update, Vector
from fedlethe.vector import Layout


@dataclass(frozen=True, kw_only=True)
class FlowerFederation:
    """Clients on nodes.

    Attributes:
        exchange: Reaches them.
        clients: Who can be asked, sorted.
        layout: Of the model.
        settings: How clients train unless a call says otherwise.
        seed: The run's, from which every shuffle is derived.
        computing: How nodes compute.
        fingerprints: What each client's images hash to; a client whose images are others is refused.
        server: Trains on the public images, where the server has such.
        strict: Stop where an update is missing or cannot be used. Methods need it: most of them would take a missing
            update for no change. The loop of `train` records the problem and goes on.
        aggregator: See `Federation.aggregator`: the server's; nodes know nothing of it.
    """

    exchange: Exchange
    clients: tuple[ClientId, ...]
    layout: Layout
    settings: LocalTraining
    seed: int
    computing: Computing = field(default_factory=Computing)
    fingerprints: Mapping[ClientId, str] = field(default_factory=dict)
    server: SimulatedFederation | None = None
    strict: bool = True
    aggregator: Aggregator = WEIGHTED_MEAN

    def train(
        self,
        model: Vector,
        clients: Sequence[ClientId],
        *,
        round: int,
        settings: LocalTraining | None = None,
        objective: Objective = CROSS_ENTROPY,
    ) -> Iterator[Update]:
        """See `Federation.train`.

        All clients train at the same time; updates come in the order of `clients`, since sums of floats depend on it.

        Raises:
            FedletheError: A client is not there; too few answered; or, where it is strict, one did not.
        """
        requests: dict[ClientId, RecordDict] = {}
        for client in clients:
            self._demand(client)
            requests[client] = training(
                client,
                self.computing,
                model,
                round=round,
                seed=self.seed,
                settings=settings or self.settings,
                objective=objective,
            )
        answers = self.exchange.ask(requests, TRAIN, f"round {round}")
        updates = [self._update(client, answer) for client, answer in answers.items()]
        # Before the first is handed out: a method must not have used some of a round that is then refused.
        self._demand_enough(updates, model)
        yield from updates

    def train_on_public(
        self, model: Vector, *, round: int, objective: Objective, settings: LocalTraining | None = None
    ) -> Update:
        """See `Federation.train_on_public`."""
        if self.server is None:
            raise DataError("the server has no public images; name some with the run config's key 'public'")
        return self.server.train_on_public(model, round=round, objective=objective, settings=settings)

    def without(self, forget: Iterable[ClientId]) -> FlowerFederation:
        """See `Federation.without`: no message can be addressed to them any more."""
        gone = frozenset(forget)
        for client in sorted(gone):
            self._demand(client)
        kept = tuple(client for client in self.clients if client not in gone)
        if not kept:
            raise DataError(f"{', '.join(sorted(gone))}: no client would be left; keep at least one")
        return replace(self, exchange=self.exchange.without(gone), clients=kept)

    def evaluate(self, model: Vector, split: Split = "test", without: Collection[ClientId] = ()) -> Evaluation:
        """A model, shape (P,), on every client's images of a split; each counts at home.

        Raises:
            FedletheError: A client did not answer (too few, where absences are let pass).
        """
        contents = {
            client: NodeRequest(
                client=client, computing=self.computing, models={"model": model}, options={"split": split}
            ).records()
            for client in self.clients
        }
        answers = self.exchange.ask(contents, EVALUATE, "evaluation")
        read = {client: self._counts(client, answer) for client, answer in sorted(answers.items())}
        problems = {client: held for client, held in read.items() if isinstance(held, str)}
        self._stop(problems, len(read) - len(problems))
        counts = {client: held for client, held in read.items() if isinstance(held, Counts) and any(held.images)}
        retained = {client: held for client, held in counts.items() if client not in without}
        return Evaluation(
            overall=summed_counts(counts).metrics(),
            clients={client: held.metrics() for client, held in counts.items()},
            retained=summed_counts(retained).metrics() if without and retained else None,
        )

    def _update(self, client: ClientId, answer: Message | str) -> Update:
        problem = problem_of(client, answer, self.fingerprints)
        if problem is not None or isinstance(answer, str):
            return no_update(client, problem or "")
        try:
            return update_of(client, answer.content)
        except ValueError as error:
            return no_update(client, str(error))

    def _counts(self, client: ClientId, answer: Message | str) -> Counts | str:
        problem = problem_of(client, answer, self.fingerprints)
        if problem is not None or isinstance(answer, str):
            return problem or ""
        try:
            return Counts.of(answer.content.metric_records["counts"])
        except (KeyError, TypeError, ValueError) as error:
            return f"its answer holds no counts ({type(error).__name__}: {error})"

    def _demand(self, client: ClientId) -> None:
        if client not in self.clients:
            raise DataError(unknown_client(client, self.clients))

    def _demand_enough(self, updates: Sequence[Update], model: Vector) -> None:
        problems = {update.client: refusal(update, model) for update in updates}
        bad = {client: reason for client, reason in problems.items() if reason is not None}
        self._stop(bad, len(updates) - len(bad))

    def _stop(self, problems: Mapping[ClientId, str], usable: int) -> None:
        """Raise where the problems are too many."""
        least = min(self.exchange.patience.least, usable + len(problems))
        if problems and (self.strict or usable < least):
            listed = "; ".join(f"{client}: {problem}" for client, problem in sorted(problems.items()))
            hint = "see to it and run again: what is recorded is whole, and the run goes on where it was"
            raise NodeError(f"{listed}; {hint}")


def problem_of(client: ClientId, answer: Message | str, fingerprints: Mapping[ClientId, str]) -> str | None:
    """Why an answer cannot be used, whatever is in it: there is none, or it is another client's or of other images."""
    if isinstance(answer, str):
        return answer
    if "reply" not in answer.content.config_records:
        return "its answer is none of fedlethe's"
    said = answer.content.config_records["reply"]
    # A node that is somebody else now (its configuration was changed) would answer in this client's name.
    if said.get("client") != client:
        return f"it says that it is {said.get('client')!s}"
    if fingerprints.get(client, said.get("fingerprint")) != said.get("fingerprint"):
        return "its images, or their division, are not those that the run began with"
    return None
