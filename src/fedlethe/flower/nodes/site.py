# SPDX-License-Identifier: MIT
"""What a node holds: its client's images and a network to train.

The images are those of the app's configuration, of which the node takes its own client's; or those of the node's own
TOML file, named by the key `data` of its --node-config, whose tables [data] and [partition] lie over the app's; paths
in it are relative to the file. Decoded images come from the cache on the node's disk (see `data.cache`), so a new
process for every message reads and does not decode.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from fedlethe.config import RunConfig, resolve
from fedlethe.config.learning import Learning
from fedlethe.data.division import divide
from fedlethe.data.federated import FederatedData, unknown_client
from fedlethe.document import Document, layered, read_toml
from fedlethe.errors import ConfigError
from fedlethe.federation.simulated import SimulatedFederation
from fedlethe.flower.nodes.messages import Computing
from fedlethe.flower.nodes.release import keyed
from fedlethe.later import torch
from fedlethe.models import initialise
from fedlethe.types import ClientId
from fedlethe.vector import Layout

OWN_TABLES = ("data", "partition")
"""What a node's own file may set."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """One client, at home.

    Attributes:
        client: Its id.
        images: Its images.
        federation: Of this client alone; its data are the images, or the features of them.
        learning: The learner of the app.
        own: Whether the images are of a file of the node's own: then it is one hospital's, under whatever name it is
            asked.
    """

    client: ClientId
    images: FederatedData
    federation: SimulatedFederation
    learning: Learning
    own: bool

    @property
    def simulated(self) -> ClientId | None:
        """The client that it plays, where the images are divided by the app; None where they are its own."""
        return None if self.own else self.client

    @property
    def fingerprint(self) -> str:
        """Of its images and their division, with a key of the node's: nobody else can try images against it."""
        return keyed(self.images.fingerprint)

    def computing(self, how: Computing, seed: int = 0) -> SimulatedFederation:
        """The client with this seed, at the precision and with the number of threads that all nodes are asked for."""
        if how.threads:
            torch.set_num_threads(how.threads)
        execution = replace(self.federation.execution, precision=how.precision)
        return replace(self.federation, execution=execution, seed=seed)


def own_name(node: Mapping[str, object]) -> tuple[Literal["client-uid", "partition-id"], str] | None:
    """What a --node-config says that the node is: by which key, and the value; None if it says nothing."""
    if "client-uid" in node:
        return "client-uid", str(node["client-uid"])
    if "partition-id" in node:
        return "partition-id", str(node["partition-id"])
    return None


def site(document: Document, node: Mapping[str, object], asked_as: ClientId | None) -> Site:
    """The site of a node.

    Args:
        document: The app's configuration.
        node: The node's own, as --node-config gives it: `client-uid` or `partition-id`, and `data`.
        asked_as: Whom the server takes the node for; needed only where the node says nothing itself.

    Raises:
        FedletheError: The node says nothing and is asked as nobody, or it holds no images of this client.
    """
    said = own_name(node)
    if said is None and asked_as is None:
        raise ConfigError("this node does not say who it is; set client-uid in its --node-config")
    own = str(node["data"]) if "data" in node else None
    if own is not None:
        document = layered(document, _own(Path(own)))
    kind, name = said or ("client-uid", asked_as or "")
    return _site(json.dumps(document), kind, name, own is not None)


@lru_cache(maxsize=8)
def _site(document: str, kind: str, name: str, own: bool) -> Site:
    """Read the images and build the network, once in a process."""
    read = json.loads(document)
    read.pop("aggregator", None)  # the server's alone: a hospital needs none of its code
    config = resolve(read)
    if "weights" in config.model.__class__.__dataclass_fields__:  # type: ignore[attr-defined]
        # Each request brings the model, and the file of weights lies on the server.
        config = replace(config, model=replace(config.model, weights=None))  # type: ignore[type-var]  # the server's
    data = _data(config, name if own and kind == "client-uid" else None)
    names = sorted(data.clients)
    if kind == "partition-id":
        if not name.isdecimal() or int(name) >= len(names):
            raise ConfigError(f"partition-id {name}: the data have the clients 0 to {len(names) - 1}")
        name = names[int(name)]
    if name not in data.clients:
        raise ConfigError(f"this node's data: {unknown_client(name, names)}")
    images = replace(data, clients={name: data.clients[name]}, public=None, left_out={})
    alone = config.learning.inputs(images)
    network = initialise(config.model, alone.image_shape[0], len(alone.classes), config.seed)
    execution = config.execution.resolve(network)
    federation = SimulatedFederation(
        network=execution.place(network),
        layout=Layout.of(network),
        data=alone,
        settings=config.local,
        execution=execution,
        seed=config.seed,
    )
    return Site(client=name, images=images, federation=federation, learning=config.learning, own=own)


def _data(config: RunConfig, owner: ClientId | None) -> FederatedData:
    """The images, divided; where a node's own file names no clients, all of them are the node's."""
    images, partition = config.source.load(), config.partition
    # Its own file is one hospital's: it is not divided again, whatever the app says of simulated clients.
    if owner is not None and images.sites is None:
        images = replace(images, sites=np.full(len(images.labels), owner))
    if owner is not None:
        partition = replace(partition, scheme="site", quantities=(), clients=None, alpha=None)
    data = divide(images, partition, config.division_seed)
    backdoor = config.backdoor
    if backdoor is None or backdoor.client not in data.clients:
        return data
    return backdoor.plant(data, config.division_seed)


def _own(path: Path) -> Document:
    if not path.is_absolute():
        raise ConfigError(f"{path}: 'data' of --node-config must be an absolute path on the node")
    document = read_toml(path)
    for table in document:
        if table not in OWN_TABLES:
            raise ConfigError(f"{path}: '{table}' is the federation's to set; a node sets {' and '.join(OWN_TABLES)}")
    data = document.get("data", {})
    for key in ("path", "root"):
        if isinstance(data, dict) and key in data:
            data[key] = str(path.parent / Path(str(data[key])).expanduser())
    return document
