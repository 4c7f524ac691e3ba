# SPDX-License-Identifier: MIT
"""What runs on a node: it says who it is, trains, and evaluates, on its own images."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from fedlethe.closed_form.by_class import ByClass
from fedlethe.closed_form.sent import rows
from fedlethe.config.learning import OF_LEARNER, LearnerName
from fedlethe.data.federated import SPLITS
from fedlethe.data.prints import prints_of, sketch
from fedlethe.document import Document, assignments, entry, in_tables, layered, read_toml
from fedlethe.erasing.examination import relearning
from fedlethe.errors import ConfigError
from fedlethe.federation.evaluation import log_probabilities, metrics, predict
from fedlethe.flower.nodes import messages
from fedlethe.flower.nodes.messages import Counts, NodeRequest
from fedlethe.flower.nodes.release import demand_as_released, has_released, note_plain, released
from fedlethe.flower.nodes.site import Site, own_name, site
from fedlethe.models import HEAD, MODELS
from fedlethe.types import Vector
from fedlethe.vector import load_vector


def client_app(config: Path) -> ClientApp:
    """The app of a node.

    Args:
        config: The federation's configuration, a TOML file as for `fedlethe train`, shipped with the app.

    Returns:
        A ClientApp that answers what `server_app` asks.
    """
    app, node = ClientApp(), Answering(config)
    app.query("fedlethe_who")(node.who)
    app.query("fedlethe_describe")(node.describe)
    app.train("fedlethe")(node.train)
    app.evaluate("fedlethe")(node.evaluate)
    app.query("fedlethe_answer")(node.answer)
    app.query("fedlethe_statistics")(node.send_statistics)
    return app


@dataclass(frozen=True, slots=True)
class Answering:
    """How a node answers: each method takes one kind of message.

    Attributes:
        config: The federation's configuration, a TOML file.
    """

    config: Path

    def who(self, message: Message, context: Context) -> Message:
        """Who the node is, as it knows itself."""
        said = own_name(context.node_config)
        if said is None:
            raise ConfigError("set client-uid in its --node-config, or register its key with --name")
        kind, name = said
        asking = message.content.config_records["who"]
        describe = bool(asking["describe"])
        if not describe and kind == "client-uid":
            return Message(RecordDict({"reply": ConfigRecord({"client": name, "kind": kind})}), reply_to=message)
        here = site(app_document(self.config, context.run_config, "fedavg"), context.node_config, None)
        key = self._sketched(here, context, str(asking.get("key", "")))
        return Message(description(here, kind, describe, key), reply_to=message)

    def describe(self, message: Message, context: Context) -> Message:
        """What images the node holds."""
        request, here = self._asked(message, context)
        key = self._sketched(here, context, str(request.options.get("key", "")))
        return Message(description(here, "registered key", True, key), reply_to=message)

    def train(self, message: Message, context: Context) -> Message:
        """Training on the node's images, one round."""
        request, here = self._asked(message, context)
        refuse_beside_noise(here, "trains nothing, and tells no number of training images")
        federation = here.computing(request.computing, int(request.options["seed"]))
        (update,) = federation.train(
            request.models["model"],
            (here.client,),
            round=int(request.options["round"]),
            settings=messages.settings_of(message.content),
            objective=messages.objective_of(request),
        )
        return Message(messages.training_reply(messages.reply(here.client, here.fingerprint), update), reply_to=message)

    def evaluate(self, message: Message, context: Context) -> Message:
        """How well a model reads the node's images, as counts."""
        request, here = self._asked(message, context)
        content = messages.reply(here.client, here.fingerprint)
        if request.options["split"] == "train":
            refuse_beside_noise(here, "tells no counts of its training images")
        content["counts"] = counts(here, request, request.models["model"]).record()
        return Message(content, reply_to=message)

    def answer(self, message: Message, context: Context) -> Message:
        """What models answer to single images of the node, where its owner allows audits."""
        request, here = self._asked(message, context)
        simulated = (own_name(context.node_config) or ("", ""))[0] == "partition-id"
        if not simulated and context.node_config.get("audit") is not True:
            raise ConfigError(
                "this node gives no answers to single images; add audit=true to its --node-config to allow audits"
            )
        content = messages.reply(here.client, here.fingerprint)
        refuse_beside_noise(here, "gives no answers to training images")
        content["answers"] = answers(here, request)
        return Message(content, reply_to=message)

    def send_statistics(self, message: Message, context: Context) -> Message:
        """The statistics of a closed-form federation."""
        request, here = self._asked(message, context)
        content = messages.reply(here.client, here.fingerprint)
        return Message(messages.with_statistics(content, statistics(here, request)), reply_to=message)

    def _asked(self, message: Message, context: Context) -> tuple[NodeRequest, Site]:
        request = NodeRequest.of(message.content)
        document = app_document(self.config, context.run_config, request.computing.learner)
        here = site(document, context.node_config, request.client)
        if here.client != request.client:
            raise ConfigError(f"this node is asked as {request.client}, and its --node-config says {here.client}")
        if here.own:
            demand_as_released(here.simulated, here.images, here.learning.noisy)
        return request, here

    def _sketched(self, here: Site, context: Context, key: str) -> str:
        """The key of the images' fingerprints; "" for none beside noise: of few images they tell how many there are."""
        whole = app_document(self.config, context.run_config, "closed-form")
        noisy = "epsilon" in whole.get("closed_form", {}) or has_released(here.simulated)
        return "" if here.own and noisy else key


def refuse_beside_noise(here: Site, what: str) -> None:
    """Refuse what would tell of the training images that the noise on the statistics hides.

    Raises:
        FedletheError: There is noise.
    """
    if here.learning.noisy:
        raise ConfigError(f"closed_form.epsilon: beside statistics with noise this node {what}")


def answers(here: Site, request: NodeRequest) -> ArrayRecord:
    """What each of the request's models answers to the client's test images, and to every n-th training image.

    With the option `relearn` the losses of short trainings on these, too: see `erasing.examination`.
    """
    federation = here.computing(request.computing, int(request.options["seed"]))
    data = federation.data.clients[here.client]
    sets = {"test": data.test, "train": data.train.only(np.arange(len(data.train)) % int(request.options["step"]) == 0)}
    held: dict[str, npt.NDArray[Any]] = {f"labels/{name}": examples.labels for name, examples in sets.items()}
    answer = partial(log_probabilities, federation.network, federation.layout, federation.execution)
    for name, model in request.models.items():
        for which, examples in sets.items():
            held[f"{name}/{which}"] = answer(model, [examples])
        if request.options["relearn"]:
            train = {here.client: data.train}
            held[f"{name}/relearn"] = relearning(federation, federation.settings, train, answer, model)
    return ArrayRecord({name: Array(np.ascontiguousarray(array)) for name, array in held.items()})


def statistics(here: Site, request: NodeRequest) -> ByClass:
    """What the client sends in a closed-form federation, with noise one release alone (see `flower.nodes.release`).

    Raises:
        FedletheError: The request brings weights, which do not concern a node; or the federation trains a network.
    """
    if "class_weights" in request.options:
        raise ConfigError("statistics are sent by class, without weights; the request's class_weights are refused")
    settings = here.learning.settings
    data = here.computing(request.computing).data
    if settings.epsilon is None:
        note_plain(here.simulated)
        return rows(data.clients[here.client].train, settings, len(data.classes))
    return released(here.simulated, data, here.images, settings)


def description(here: Site, kind: str, describe: bool, key: str = "") -> RecordDict:
    """Who a node is and, where it is wanted, what images it holds.

    Args:
        here: The node.
        kind: How it is known.
        describe: Whether it is wanted.
        key: Of the images' fingerprints, in hexadecimal (see `data.prints`); "" for none.
    """
    if not describe:
        return RecordDict({"reply": ConfigRecord({"client": here.client, "kind": kind})})
    data = here.images
    shape = [str(side) for side in data.image_shape]
    facts: dict[str, list[str]] = {"classes": list(data.classes), "image_shape": shape}
    if key:
        facts["sketch"] = sketch(prints_of(bytes.fromhex(key), data.clients[here.client]))
    return messages.reply(here.client, here.fingerprint, kind=kind, **facts)


def app_document(config: Path, run_config: Mapping[str, object], learner: LearnerName | None = None) -> Document:
    """The app's configuration, with the assignments of the run config's key `set` over it.

    One app may have the tables of both learners; those of the other one are left out.

    Args:
        config: The app's file.
        run_config: The run's.
        learner: Which learner; None for the one that the file names.
    """
    typed = in_tables(assignments(shlex.split(str(run_config.get("set", "")))))
    whole = layered(read_toml(config), typed)
    chosen = learner or whole.get("learner", "fedavg")
    others = {table for other, tables in OF_LEARNER.items() if other != chosen for table in tables}
    if chosen == "fedavg" and "features" in whole and _of_closed_form(whole, config):
        others |= {"features"}
    return {**{name: held for name, held in whole.items() if name not in others}, "learner": chosen}


def _of_closed_form(whole: Document, config: Path) -> bool:
    """Whether the features of a file are the closed form's alone: beside a network that takes images they are.

    Raises:
        ConfigError: They can be either's.
    """
    both, network = "closed_form" in whole, whole.get("model", {}).get("name", "")
    if both and network and network not in MODELS.rows:
        raise ConfigError(
            f"{config}: [features] can be of the closed form or of model '{network}'; give each learner a file of its "
            "own"
        )
    return network != HEAD and (network in MODELS.rows or (both and not network))


def counts(here: Site, request: NodeRequest, model: Vector) -> Counts:
    """How well a model, shape (P,), reads this client's images of a split."""
    federation = here.computing(request.computing)
    split = entry("split", str(request.options["split"]), {name: name for name in SPLITS})
    examples = federation.data.clients[here.client].split(split)
    classes = len(federation.data.classes)
    if not len(examples):
        return Counts((0,) * classes, ((0,) * classes,) * classes)
    load_vector(federation.network, federation.layout, model)
    found = metrics(examples.labels, predict(federation.network, federation.execution, examples))
    held = np.bincount(examples.labels, minlength=classes)
    return Counts(tuple(held.tolist()), found.confusion, found.auc, found.auc_interval)
