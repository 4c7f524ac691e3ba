# SPDX-License-Identifier: MIT
"""The nodes as a run of fedlethe sees them: a federation, an evaluation, and a record of who was asked what."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flwr.app import Message

from fedlethe.closed_form.by_class import ByClass
from fedlethe.config import RunConfig, resolve
from fedlethe.data.federated import Examples, FederatedData, Split
from fedlethe.document import Document, read_toml
from fedlethe.errors import DataError, NodeError
from fedlethe.federation.simulated import SimulatedFederation
from fedlethe.flower.nodes.exchange import Exchange
from fedlethe.flower.nodes.flower_federation import FlowerFederation, problem_of
from fedlethe.flower.nodes.messages import STATISTICS, Computing, NodeRequest, statistics_in
from fedlethe.flower.nodes.recorded_folder import correspondence
from fedlethe.runs.preparing import prepare_with
from fedlethe.runs.remote import remote_data
from fedlethe.types import ClientId, Evaluation, Vector
from fedlethe.vector import Layout


@dataclass(frozen=True, kw_only=True)
class FlowerRemote:
    """See the module's docstring, and `runs.remote.Remote`.

    Attributes:
        exchange: Reaches the nodes.
        known: Classes, image shape, and fingerprint of each client's images.
        flower_run: See `Remote.flower_run`.
        forget: Who is not even asked to evaluate.
        threads: See `Computing`.
        public: A TOML file whose [data] are the server's own unlabelled images; None where it has none.
    """

    exchange: Exchange
    known: Mapping[str, Any]
    flower_run: int
    forget: frozenset[ClientId] = frozenset()
    threads: int = 0
    public: Path | None = None

    def federation(self, config: RunConfig, layout: Layout, *, seed: int, strict: bool) -> FlowerFederation:
        """See `Remote.federation`."""
        fingerprints: Mapping[ClientId, str] = self.known["fingerprints"]
        return FlowerFederation(
            exchange=self.exchange,
            clients=tuple(sorted(fingerprints)),
            layout=layout,
            settings=config.local,
            seed=seed,
            computing=self.computing(config),
            fingerprints=fingerprints,
            server=self._server(config, layout, seed),
            strict=strict,
            aggregator=config.learning.aggregator,
        )

    def evaluate(
        self, config: RunConfig, layout: Layout, model: Vector, split: Split, without: Collection[ClientId] = ()
    ) -> Evaluation:
        """See `Remote.evaluate`: the forgotten clients are not asked."""
        federation = self.federation(config, layout, seed=config.seed, strict=False)
        return federation.without(self.forget & set(self.known["fingerprints"])).evaluate(model, split, without)

    def statistics(self, config: RunConfig) -> Mapping[ClientId, ByClass]:
        """See `Remote.statistics`; they are held against what any rows can have."""
        answers = self._asked(config, STATISTICS, {})
        found = {client: statistics_in(client, reply.content) for client, reply in answers.items()}
        first = next(iter(found))
        for client, held in found.items():
            if not held.fits(found[first]):
                raise DataError(f"{client}: its statistics are of other features or classes than those of {first}")
        return found

    def _asked(self, config: RunConfig, type: str, options: Mapping[str, Any]) -> dict[ClientId, Message]:
        """Every client's answer to a question of the closed-form federation, in which nobody may be missing."""
        clients = sorted(client for client in self.known["fingerprints"] if client not in self.forget)
        computing = self.computing(config)
        contents = {
            client: NodeRequest(client=client, computing=computing, options=options).records() for client in clients
        }
        answers = self.exchange.ask(contents, type, type.rpartition("_")[2])
        problems = {
            client: problem_of(client, answer, self.known["fingerprints"]) for client, answer in answers.items()
        }
        if bad := [f"{client}: {problem}" for client, problem in problems.items() if problem is not None]:
            raise NodeError(f"{'; '.join(bad)}; see to it and run again, since nobody may be missing here")
        return {client: answer for client, answer in answers.items() if isinstance(answer, Message)}

    def computing(self, config: RunConfig) -> Computing:
        """How the nodes are to compute."""
        half = config.execution.precision == "bfloat16"
        return Computing(precision="bfloat16" if half else "float32", threads=self.threads, learner=config.learner)

    def facts(self) -> Document:
        """See `Remote.facts`."""
        return dict(self.known)

    def correspondence(self) -> Document:
        """See `Remote.correspondence`; the forgotten clients stand in it with what they were sent, if only nothing."""
        absences = [asdict(absence) for absence in self.exchange.absences]
        return {
            **correspondence(self.exchange.grid, self.known["fingerprints"], self.forget),
            "absences": absences,
        }

    def _server(self, config: RunConfig, layout: Layout, seed: int) -> SimulatedFederation | None:
        if self.public is None:
            return None
        images = resolve(read_toml(self.public), str(self.public)).source.load()
        everything = FederatedData(
            clients={},
            classes=tuple(self.known["classes"]),
            image_shape=remote_data(self.known).image_shape,
            source_fingerprint=images.fingerprint,
            public=Examples.unlabelled(images.images),
        )
        if images.images.shape[1:] != everything.image_shape:
            raise DataError(f"{self.public}: its images are not of the shape {everything.image_shape}")
        prepared = prepare_with(config, everything)
        return SimulatedFederation(
            network=prepared.network,
            layout=layout,
            data=prepared.data,
            settings=config.local,
            execution=prepared.execution,
            seed=seed,
        )
