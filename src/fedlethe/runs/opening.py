# SPDX-License-Identifier: MIT
"""Opens a run folder with its data, held against each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fedlethe.config import RunConfig
from fedlethe.data.given import GivenSource
from fedlethe.errors import ConfigError, HistoryError
from fedlethe.federation.given_aggregator import GivenAggregator
from fedlethe.models.given import GivenModel
from fedlethe.outside.plugins import GIVEN
from fedlethe.runs.images_erased import all_retained, erased_images
from fedlethe.runs.past import earlier
from fedlethe.runs.preparing import demand_given, prepare, prepare_with
from fedlethe.runs.remote import REMOTE, OutOfReach, Remote, remote_data
from fedlethe.runs.run import OpenRun
from fedlethe.runs.run_toml import opened_folder, read_run_document


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a run's configuration cannot name, since it was handed over from Python.

    Attributes:
        model: The network, and the loss; None where the run's model has a name.
        source: The data; None where their source has a name.
        aggregator: The aggregator; None where it has a name.
    """

    model: GivenModel | None = None
    source: GivenSource | None = None
    aggregator: GivenAggregator | None = None

    def put_into(self, config: RunConfig) -> RunConfig:
        """The configuration with what was given in its places.

        Raises:
            ConfigError: A part that was given has a name there.
        """
        learning = config.learning
        for what, given, name in (
            ("model", self.model, config.model_name),
            ("data", self.source, config.source_name),
            ("aggregator", self.aggregator, learning.aggregator_name or learning.name),
        ):
            if given is not None and name != GIVEN:
                raise ConfigError(f"{what}: the run knows it by its name, '{name}'; leave it out")
        if self.aggregator is not None:  # the learner has one, or its name were not 'given'
            learning = replace(learning, aggregator=self.aggregator)  # type: ignore[arg-type]
        return replace(config, model=self.model or config.model, source=self.source or config.source, learning=learning)


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
        if prepared.fingerprint != fingerprint and not all_retained(prepared.images, erased):
            message = (
                "the images or their division are not those it was trained on; where an erased client's files left "
                "data that are divided at random, put them back, or go on from the erasure's model (after)"
            )
            raise HistoryError(
                f"{path}: {message} (fingerprint {prepared.fingerprint[:12]}, not {str(fingerprint)[:12]})"
            )
        demand_given(prepared, facts, str(path))
        if difference := prepared.layout.difference(history.layout.shapes):
            raise HistoryError(f"{path}: holds a run of another model: {difference}")
        if isinstance(config.model, GivenModel):
            # Its owner may have trained it meanwhile, and a retraining from a model that held the client is none.
            began = parts[0].history if parts else history
            begins = config.model.starting_with(began.initial(), prepared.layout)
            prepared = replace(prepared, config=replace(prepared.config, model=begins))
        yield OpenRun(**vars(prepared), path=path, history=history, earlier=parts)
