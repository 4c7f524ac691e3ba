# SPDX-License-Identifier: MIT
"""What a Python program hands to the public face: what has a name becomes a table, and the rest is kept as it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedlethe.document import Document, layered
from fedlethe.errors import ConfigError
from fedlethe.types import ClientId

if TYPE_CHECKING:
    from fedlethe.config import RunConfig
    from fedlethe.models.given import Loss
    from fedlethe.runs.opening import Given

Data = Mapping[ClientId, Any]
"""Client to its data: arrays (x, y), a torch Dataset, or a source; see `data.given.of_clients`."""


NAMED_BY = {"model": ("name", "resnet18"), "data": ("source", "medmnist"), "aggregator": ("name", "median")}
"""The key that names each part in its table, and an example."""


def tables_of_parts(model: Any, data: Any, rounds: int | None, seed: int | None) -> Document:
    """The tables that `train`'s own arguments stand for."""
    from fedlethe.outside.plugins import GIVEN

    layers: Document = {} if seed is None else {"seed": seed}
    if model is not None:
        layers["model"] = table_of_part("model", model) or {"name": GIVEN}
    if data is not None:
        layers["data"] = table_of_part("data", data) or {"source": GIVEN}
    if rounds is not None:
        layers["federation"] = {"rounds": rounds}
    return layers


def table_of_part(what: str, part: Any) -> Document | None:
    """The table of a part that has a name, alone or with options; None of one that was handed over itself.

    Args:
        what: Which part, of NAMED_BY.
        part: It.

    Raises:
        ConfigError: It is a table of options in which the name is missing.
    """
    key, example = NAMED_BY[what]
    if isinstance(part, str):
        return {key: part}
    if not isinstance(part, Mapping):
        return None
    if isinstance(part.get(key), str):
        return dict(part)
    if what != "data" or any(isinstance(value, str) for value in part.values()):  # no client's data are a text
        client = "; or give each client its data" if what == "data" else ""
        raise ConfigError(f"{what}: '{key}' is missing; say which one, as in {{'{key}': '{example}'}}{client}")
    return None


def handed_over(what: str, part: Any) -> Any:
    """What was handed over itself; None where it has a name (see `table_of_part`)."""
    return None if table_of_part(what, part) else part


def aggregator_parts(part: Any) -> tuple[Document, Any]:
    """The table that names an aggregator, and the aggregator itself where no table could make it again."""
    from fedlethe.federation.given_aggregator import GivenAggregator, table_of
    from fedlethe.outside.plugins import GIVEN

    own = None
    if part is not None and (table := table_of_part("aggregator", part)) is None:
        given = GivenAggregator.of(part)
        if (table := table_of(part)) is None:
            table, own = {"name": GIVEN, **given.options}, part
    return ({} if part is None else {"aggregator": table}), own


def given_parts(model: Any, data: Any, loss: Loss | None, aggregator: Any = None) -> Given:
    """What was handed over from Python, for a run's configuration to find.

    Raises:
        ConfigError: It is no network, no loss or no aggregator.
        DataError: The data cannot be used.
    """
    from fedlethe.data.given import GivenSource, of_clients
    from fedlethe.federation.given_aggregator import GivenAggregator
    from fedlethe.models.given import GivenModel
    from fedlethe.runs.opening import Given

    if loss is not None and model is None:
        raise ConfigError("loss: goes with a torch.nn.Module; a model with a name is trained on cross-entropy")
    network = None if model is None else GivenModel.of(model, loss)
    source = None if data is None else GivenSource(images=of_clients(data))
    own = None if aggregator is None else GivenAggregator.of(aggregator)
    return Given(model=network, source=source, aggregator=own)


def resolved_with(given: Given, document: Document, out: Path | None = None) -> RunConfig:
    """The configuration of a training, with what was handed over in its places."""
    from fedlethe.runs.run_toml import config_for

    if given.source is not None:  # whose data are whose is known: nothing is divided unless somebody says so
        document = layered({"partition": {"scheme": "site"}}, document)
    return given.put_into(config_for(document, out))
