# SPDX-License-Identifier: MIT
"""A history and a resume for any Flower strategy, by wrapping it.

    strategy = Recording(FedAvg(...), run="/srv/fedlethe/run")

Nothing else of the app changes. After each round the global model, what each client put into it and the strategy's own
state are on disk; a server that died goes on at the round that it had reached.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy

from fedlethe.errors import ConfigError, HistoryError, IntegrityError
from fedlethe.flower.nodes.grid import RetainedGrid
from fedlethe.flower.nodes.recorded_folder import Recorded
from fedlethe.flower.wrap.begin_after import arrays_after, begun_grid
from fedlethe.flower.wrap.model_arrays import ModelArrays
from fedlethe.flower.wrap.replies import NO_SECURE_AGGREGATION, SECURE_AGGREGATION, Replies
from fedlethe.flower.wrap.strategy_state import pack, plain_values, restore, state, unpack
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import NOT_EVALUATED
from fedlethe.runs.where_to_begin import refuse_taking_back
from fedlethe.types import ClientId, RoundRecord, Update, Vector

LOG = logging.getLogger("flwr")


class Recording(Strategy):
    """Wraps a strategy, and records its rounds.

    Formal guarantees:
        A round is on disk, whole, before the next one begins. Replies are handed to the strategy in the order of the
        clients' names, so that a mean of them is the same whoever answers first. An update that is not finite, of
        another shape, or without a weight is refused, and the others go on.

    Edge cases:
        What is recorded of a client is what the strategy averaged: where it clips updates, the clipped ones. With
        server-side momentum or moments a round's step is not the mean of the updates: influences then do not add up to
        the model, and methods that replay the rounds replay the mean.

    Args:
        inner: Any strategy of Flower's message API.
        run: The run folder: an absolute path on the server.
        keep: 'needed' keeps what `methods` need; 'everything' every client's model of every round.
        methods: The unlearning methods that must be possible later.
        after: The folder of an erasure that `Erasing` entered, /srv/run/erasures/0001: the training begins from its
            model, whatever values `start` is given, and without the nodes of those who were erased on the way there.
        take_back: Who was erased there and takes part again.

    Raises:
        FedletheError: It is no such strategy, the path is not absolute, or a method is not there.
    """

    def __init__(
        self,
        inner: Strategy,
        run: str | Path,
        *,
        keep: Literal["needed", "everything"] = "needed",
        methods: Sequence[str] = ("influence",),
        after: str | Path | None = None,
        take_back: Sequence[ClientId] = (),
    ) -> None:
        if not isinstance(inner, Strategy):
            raise ConfigError(
                f"{type(inner).__name__}: is no strategy of flwr.serverapp.strategy; {NO_SECURE_AGGREGATION}"
            )
        self.inner = inner
        self.recorded = Recorded.named(Path(run), type(inner).__name__, keep, methods)
        self.after = None if after is None else Path(after)
        self.take_back = tuple(dict.fromkeys(take_back))
        if self.after is None:
            refuse_taking_back(self.take_back)
        self._fresh = plain_values(inner)
        self._done = 0
        self._history: RunFolder | None = None
        self._named: ModelArrays | None = None
        self._sent: ArrayRecord | None = None
        self._asked: dict[str, ClientId] = {}
        self._messages: list[Message] = []
        self._grid: RetainedGrid | None = None
        self._started = 0.0

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int = 3,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Callable[[int, ArrayRecord], MetricRecord | None] | None = None,
    ) -> Result:
        """As `Strategy.start`; where the run folder holds rounds already, go on after the last of them.

        Raises:
            FedletheError: The folder holds the rounds of another model or strategy.
        """
        with self._opened(initial_arrays) as arrays:
            self._grid = begun_grid(self._opened_history, self.after, self.take_back, grid)
            if self._done >= num_rounds:
                LOG.info("fedlethe: all %d rounds are recorded already", self._done)
                return Result(arrays=arrays)
            done = self._done
            result = super().start(
                self._grid,
                arrays,
                num_rounds - done,
                timeout,
                train_config,
                evaluate_config,
                None if evaluate_fn is None else lambda round, held: evaluate_fn(round + done, held),
            )
            self._opened_history.ledger.add_artefacts([self.recorded.nodes(self._grid, self._opened_history)])
        for name in ("train_metrics_clientapp", "evaluate_metrics_clientapp", "evaluate_metrics_serverapp"):
            setattr(result, name, {round + done: held for round, held in getattr(result, name).items()})
        return result

    @contextmanager
    def _opened(self, initial: ArrayRecord) -> Iterator[ArrayRecord]:
        """The run folder, locked, and the arrays to go on from."""
        with self.recorded.opened(create=True) as history, history.locked():
            self._named = ModelArrays.of(initial)
            if self.after is not None and not history.rounds:
                initial = arrays_after(self.after, self._named)
            self._history = history
            try:
                history.begin(self._named.vector(initial), self._named.layout)
                if difference := history.layout.difference(self._named.layout.shapes):
                    raise HistoryError(f"{history.path}: holds the rounds of another model: {difference}")
                self._done = history.rounds
                yield self._resumed(history) if self._done else initial
            finally:
                self._history = None

    def _resumed(self, history: RunFolder) -> ArrayRecord:
        LOG.info("fedlethe: going on after round %d of %s", self._done, history.path)
        content = history.server_state()
        if content is None:
            raise HistoryError(f"{history.path}: holds no state of the strategy, so it cannot go on; begin a new run")
        arrays, plain = unpack(content, history.path / "server_state")
        try:
            whole = {name: arrays.pop(f"whole:{name}") for name in plain.pop("whole")}
            plain.pop("names")
        except (KeyError, TypeError):
            raise IntegrityError(f"{history.path}: its server_state is no recording's; restore it") from None
        restore(self.inner, arrays, plain)
        return self._of.arrays(history.final(), whole)

    # Flower's hooks

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """See `Strategy.configure_train`."""
        self._started = time.perf_counter()
        self._sent = arrays
        self._messages = list(self.inner.configure_train(server_round + self._done, arrays, config, grid))
        # Before a message is sent: what comes back masked can neither be recorded nor be taken back.
        if any(SECURE_AGGREGATION in message.content for message in self._messages):
            raise ConfigError(NO_SECURE_AGGREGATION)
        return self._messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """See `Strategy.aggregate_train`: hand on what can be averaged, and record the round."""
        round, arrays = server_round + self._done, self._sent
        assert arrays is not None
        before = self._of.vector(arrays)
        asked = {message.metadata.message_id: self._client(message) for message in self._messages}
        held = Replies.of(replies, asked, self._read, before)
        aggregated, metrics = self.inner.aggregate_train(round, [*held.accepted.values(), *held.errors])
        trained = time.perf_counter() - self._started
        updates = held.averaged(self._read)
        numbers = {client: self._of.number(reply.content, self._weight) for client, reply in held.accepted.items()}
        if aggregated is None:  # the strategy took nothing (too few answered): nobody has put anything into the model
            updates, numbers = {}, {}
        after = arrays if aggregated is None else aggregated
        self._record(round, before, after, updates, numbers, held.refused, trained)
        return aggregated, metrics

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """See `Strategy.configure_evaluate`."""
        return self.inner.configure_evaluate(server_round + self._done, arrays, config, grid)

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """See `Strategy.aggregate_evaluate`; in the order of the clients' names."""
        grid = self._grid
        assert grid is not None
        ordered = sorted(replies, key=lambda reply: grid.client(reply.metadata.src_node_id) or "")
        return self.inner.aggregate_evaluate(server_round + self._done, ordered)

    def summary(self) -> None:
        """See `Strategy.summary`."""
        LOG.info("\t├──> Recorded by fedlethe in %s", self.recorded.path)
        self.inner.summary()

    # What Flower's older API, and with it SecAgg+, would call

    def initialize_parameters(self, client_manager: Any) -> None:
        """Refuse: this is the way in of workflows such as SecAgg+'s."""
        raise ConfigError(NO_SECURE_AGGREGATION)

    def _record(
        self,
        round: int,
        before: Vector,
        arrays: ArrayRecord,
        updates: Mapping[ClientId, Update],
        numbers: Mapping[ClientId, float],
        refused: Mapping[ClientId, str],
        seconds: float,
    ) -> None:
        history = self._opened_history
        weights = {client: number / sum(numbers.values()) for client, number in numbers.items()}
        record = RoundRecord(round, before, self._of.vector(arrays), updates, weights, refused, seconds)
        # An app says nowhere who its clients are: they are those who were asked.
        history.clients = tuple(sorted({*history.clients, *updates, *refused}))
        held, plain = state(self.inner, self._fresh)
        whole = self._of.rest(arrays)
        held |= {f"whole:{name}": array for name, array in whole.items()}
        history.append(record, NOT_EVALUATED, pack(held, {**plain, "whole": sorted(whole), "names": self._of.names}))

    def _read(self, client: ClientId, content: RecordDict) -> Update:
        return self._of.update(client, content, self._weight)

    def _client(self, message: Message) -> ClientId:
        assert self._grid is not None
        node = message.metadata.dst_node_id
        return self._grid.client(node) or f"node-{node}"

    @property
    def _of(self) -> ModelArrays:
        assert self._named is not None
        return self._named

    @property
    def _opened_history(self) -> RunFolder:
        assert self._history is not None
        return self._history

    @property
    def _weight(self) -> str:
        """The metric that a client's weight is, as the strategy has it."""
        inner: Any = self.inner
        while isinstance(getattr(inner, "strategy", None), Strategy):
            inner = inner.strategy
        return str(getattr(inner, "weighted_by_key", "num-examples"))
