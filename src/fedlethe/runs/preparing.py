# SPDX-License-Identifier: MIT
"""From a configuration to a run that can be trained: data loaded and divided, network built, device chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fedlethe.config import RunConfig
from fedlethe.data.division import divide
from fedlethe.data.erased import ErasedImages, reading_without, without
from fedlethe.data.federated import FederatedData
from fedlethe.document import Document
from fedlethe.errors import ConfigError, HistoryError
from fedlethe.federation.aggregator import MEAN
from fedlethe.federation.given_aggregator import FACT, GivenAggregator
from fedlethe.models import HEAD, initialise
from fedlethe.models.given import GivenModel
from fedlethe.outside.plugins import GIVEN
from fedlethe.runs.beginning import BEGINNING, Beginning
from fedlethe.runs.images_erased import applicable
from fedlethe.runs.remote import REMOTE, Remote
from fedlethe.runs.run import Prepared
from fedlethe.runs.run_toml import OUTSIDE
from fedlethe.vector import Layout
from fedlethe.version import VERSION


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
    return divide(config.source.load(reading_without(erased)), config.partition, config.division_seed)


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
    data = config.learning.inputs(images)
    if config.model_name == HEAD and math.prod(data.image_shape[1:]) > 1:
        raise ConfigError(
            f"model '{HEAD}': takes rows of numbers, and not images; name a feature map, or another model"
        )
    network = initialise(config.model, data.image_shape[0], len(data.classes), config.seed)
    layout = Layout.of(network)
    try:
        execution = config.execution.resolve(network)
    except ValueError as error:
        raise HistoryError(str(error)) from None
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


def demand_given(prepared: Prepared, facts: Document, where: str) -> None:
    """Refuse a network, loss or aggregator that was handed over and is not the one that a run was trained with.

    Args:
        prepared: With what was handed over now.
        facts: The run's table [run].
        where: Names the run.

    Raises:
        ConfigError: One of them is another.
    """
    model = prepared.config.model
    if isinstance(model, GivenModel):
        model.demand(facts.get(GIVEN, {}), prepared.data.image_shape, len(prepared.data.classes), where)
    demand_given_aggregator(prepared, facts, where)


def demand_given_aggregator(prepared: Prepared, facts: Document, where: str) -> None:
    """The same of the aggregator alone: a run may go on with another network's weights, and by one aggregator only."""
    aggregator = prepared.config.learning.aggregator
    if isinstance(aggregator, GivenAggregator):
        aggregator.demand(facts.get(GIVEN, {}), facts["clients"], where)


def aggregation(document: Document) -> tuple[str, ...]:
    """How a run's rounds are made, as its document has it: its aggregator in words, options included, and its code.

    One that was handed over is asked besides (see `demand_given_aggregator`): the same code can call other functions.
    """
    table, run = document.get("aggregator", {"name": MEAN}), document["run"]
    options = ", ".join(f"{name} = {value}" for name, value in table.items() if name != "name")
    code = run.get(OUTSIDE, {}).get("aggregator", {}).get("sha256", "")
    words = f"the aggregator '{table['name']}'{f' with {options}' if options else ''}"
    if table["name"] == GIVEN:
        words = "an aggregator that was handed over from Python"
    return words, code, run.get(GIVEN, {}).get(FACT, "")


def _given(prepared: Prepared) -> dict[str, str]:
    """What a run keeps of what was handed over, to know it again (see `demand_given`)."""
    model, aggregator = prepared.config.model, prepared.config.learning.aggregator
    found: dict[str, str] = {}
    if isinstance(model, GivenModel):
        found |= model.facts(prepared.data.image_shape, len(prepared.data.classes))
    return found | (aggregator.facts(prepared.data.clients) if isinstance(aggregator, GivenAggregator) else {})


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
        **({GIVEN: given} if (given := _given(prepared)) else {}),
    }
    return {**prepared.config.document(), "run": facts}
