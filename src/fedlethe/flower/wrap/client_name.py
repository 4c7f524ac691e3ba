# SPDX-License-Identifier: MIT
"""Lets the nodes of an app of one's own say who they are: one line at the client.

    app = named(ClientApp())

It is not needed where the nodes' keys are registered under names. Without either a node is known by its node id, which
is new whenever it restarts.
"""

from __future__ import annotations

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from fedlethe.errors import ConfigError
from fedlethe.flower.nodes.site import own_name


def named(app: ClientApp) -> ClientApp:
    """The same app, which now answers from its --node-config who it is: `client-uid`, or else `partition-id`."""

    @app.query("fedlethe_who")
    def who(message: Message, context: Context) -> Message:
        said = own_name(context.node_config)
        if said is None:
            raise ConfigError("set client-uid in its --node-config, or register its key with --name")
        kind, name = said
        client = f"partition-{name}" if kind == "partition-id" else name
        return Message(RecordDict({"reply": ConfigRecord({"client": client, "kind": kind})}), reply_to=message)

    return app
