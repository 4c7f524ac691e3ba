# SPDX-License-Identifier: MIT
"""What a certificate says of the run that it is of, read from the run folder alone, so that `verify --run` can hold it.

How clients and a network were known is told by what this run did, never by what runs do as a rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedlethe.config import RunConfig
from fedlethe.config.origins import began_from
from fedlethe.document import Document
from fedlethe.federation.given_aggregator import FACT
from fedlethe.history.disk import RunFolder
from fedlethe.models.given import ANSWERS, SOURCE
from fedlethe.outside.plugins import GIVEN
from fedlethe.runs.remote import REMOTE

ON_NODES = "on Flower nodes; how each was known, and what it was sent in this erasure, stands under 'nodes'"
"""How clients were told apart, where they were on machines of their own."""

IN_PROCESS = "in one process: the clients are parts of the data on one machine"
"""The same where they were not; `_divided` says by what."""


CODE = "by how it prints and by its source, as far as Python finds that"
NAME = "by how it prints and by its name, since Python found no source of it, or not of all of it"


def run_facts(config: RunConfig, facts: Document, history: RunFolder) -> dict[str, Any]:
    """What is said of a run, plain JSON values.

    Args:
        config: The configuration.
        facts: The table [run] of run.toml.
        history: The run folder.
    """
    given: Mapping[str, str] = facts.get(GIVEN, {})
    return {
        "id": history.ledger.run_id,
        "seed": config.seed,
        "division_seed": config.division_seed,
        "model": known_again(given) if config.model_name == GIVEN else config.model_name,
        "began_from": began_from(config),
        **({"aggregator": _aggregator(name, given)} if (name := config.learning.aggregator_name) else {}),
        "rounds": history.rounds,
        "data": {
            "source": config.source_name,
            "fingerprint": facts["data_fingerprint"],
            "clients": facts["clients"],
        },
        "configuration_sha256": history.ledger.artefacts()["run.toml"].sha256,
        "identity": ON_NODES if REMOTE in facts else f"{IN_PROCESS}, {_divided(config)}",
    }


def _divided(config: RunConfig) -> str:
    """By what the data were divided among the clients."""
    by_program = config.source_name == GIVEN
    sites = "as the Python program named them" if by_program else "by the sites that the source names"
    drawn = "which the division's seed divided among them"
    match config.partition.scheme:
        case "site":
            return sites
        case None:  # the data say which of the two, and the run folder does not hold them
            return f"{sites}; where there are none, {drawn}"
        case scheme:
            return f"{drawn} ({scheme})"


def known_again(given: Mapping[str, str]) -> str:
    """How a network and a loss that were handed over are known again.

    Args:
        given: The table [run.given] of run.toml (see `models.given.GivenModel.facts`).

    Example:
        >>> known_again({"network": "0c7e", "network_answers": "", "loss": ""})[-100:]
        'alone: it gave no answers to fixed questions; the loss is cross-entropy; not by all that they can do'
    """
    loss = f"the loss is known again {_by(given, 'loss')}" if given.get("loss") else "the loss is cross-entropy"
    network = f"handed over by a Python program; the network is known again {_by(given, 'network')}"
    return f"{network}; {loss}; not by all that they can do"


def _aggregator(name: str, given: Mapping[str, str]) -> str:
    """An aggregator by its name, or how one that was handed over is known again."""
    if name != GIVEN:
        return name
    return f"handed over by a Python program; known again {_by(given, FACT)}; not by all that it can do"


def _by(given: Mapping[str, str], part: str) -> str:
    code = NAME if given.get(f"{part}{SOURCE}") else CODE
    if given.get(f"{part}{ANSWERS}"):
        return f"{code}, and by its answers to a few fixed questions"
    return f"{code}, alone: it gave no answers to fixed questions"
