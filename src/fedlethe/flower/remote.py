# SPDX-License-Identifier: MIT
"""The nodes as a run of fedlethe sees them: a federation, an evaluation, and a record of who was asked what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fedlethe.config import Document, RunConfig, read_toml, resolve
from fedlethe.data.federated import Examples, FederatedData, Split
from fedlethe.errors import FedletheError
from fedlethe.experiment.remote import remote_data
from fedlethe.experiment.run import prepare_with
from fedlethe.federation.simulated import SimulatedFederation
from fedlethe.flower.exchange import Exchange
from fedlethe.flower.federation import FlowerFederation
from fedlethe.flower.messages import Computing
from fedlethe.flower.recorded import correspondence
from fedlethe.types import ClientId, Evaluation, Vector
from fedlethe.vector import Layout


@dataclass(frozen=True, kw_only=True)
class FlowerRemote:
    """See the module's docstring, and `experiment.remote.Remote`.

    Attributes:
        exchange: Reaches the nodes.
        known: Classes, image shape, and fingerprint of each client's images.
        forget: Who is not even asked to evaluate.
        threads: See `Computing`.
        public: A TOML file whose [data] are the server's own unlabelled images; None where it has none.
    """

    exchange: Exchange
    known: Mapping[str, Any]
    forget: frozenset[ClientId] = frozenset()
    threads: int = 0
    public: Path | None = None

    def federation(self, config: RunConfig, layout: Layout, *, seed: int, strict: bool) -> FlowerFederation:
        """See `Remote.federation`."""
        fingerprints: Mapping[ClientId, str] = self.known["fingerprints"]
        precision = config.execution.precision
        return FlowerFederation(
            exchange=self.exchange,
            clients=tuple(sorted(fingerprints)),
            layout=layout,
            settings=config.local,
            seed=seed,
            computing=Computing(precision="bfloat16" if precision == "bfloat16" else "float32", threads=self.threads),
            fingerprints=fingerprints,
            server=self._server(config, layout, seed),
            strict=strict,
        )

    def evaluate(self, config: RunConfig, layout: Layout, model: Vector, split: Split) -> Evaluation:
        """See `Remote.evaluate`: the forgotten clients are not asked."""
        federation = self.federation(config, layout, seed=config.seed, strict=False)
        return federation.without(self.forget).evaluate(model, split)

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
            raise FedletheError(f"{self.public}: its images are not of the shape {everything.image_shape}")
        prepared = prepare_with(config, everything)
        return SimulatedFederation(
            network=prepared.network,
            layout=layout,
            data=everything,
            settings=config.local,
            execution=prepared.execution,
            seed=seed,
        )
