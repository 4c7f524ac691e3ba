# SPDX-License-Identifier: MIT
"""The nodes as a run sees them: in closed form nobody may be missing, or send what no images can have."""

from __future__ import annotations

import pytest
import torch
from flwr.app import Array, Message

from fedlethe.flower.nodes.messages import STATISTICS
from fedlethe.runs.run_toml import opened_folder
from tests.flower.apps import App


def test_statistics_that_no_images_can_have_are_refused(app: App, caplog: pytest.LogCaptureFixture) -> None:
    def tamper(message: Message, reply: Message) -> Message:
        if message.metadata.message_type == STATISTICS and reply.metadata.src_node_id == 102:
            record = reply.content.array_records["statistics"]
            record["gram"] = Array(-record["gram"].numpy())
        return reply

    line = app.refused(caplog, app.grid(tamper), mode="closed-form")
    assert "hospital-0: the second moments are not positive semi-definite" in line
    app.call(mode="closed-form")  # nothing of it was recorded, so the run begins where it was


def test_in_the_closed_form_nobody_may_be_missing(app: App, caplog: pytest.LogCaptureFixture) -> None:
    def fails(message: Message, reply: Message) -> Message:
        if message.metadata.message_type == STATISTICS and reply.metadata.src_node_id == 103:
            raise RuntimeError("no memory")
        return reply

    line = app.refused(caplog, app.grid(fails), mode="closed-form")
    assert line.startswith("fedlethe: hospital-1: answered with an error: RuntimeError: no memory; see to it")


def test_a_network_on_features_is_distilled_from_public_images_features(app: App) -> None:
    """The server's own images go through the map, as those of the nodes do."""
    table = '[model]\nname = "small-cnn"\nnorm = "batch"\n'
    head = '[features]\nscales = 2\nangles = 4\n[model]\nname = "head"\nhidden = 8\n'
    assert table in app.config.read_text()
    app.config.write_text(app.config.read_text().replace(table, head))
    public = app.folder / "public.toml"
    public.write_text('[data]\nsource = "phantom"\nhospitals = 1\nimages_per_hospital = 20\nsize = 16\nseed = 9\n')
    app.call()
    app.call(mode="erase", erase="hospital-1", method="kd", public=str(public))
    with opened_folder(app.run) as (config, history):
        assert config.model_name == "head"
        assert not torch.equal(history.erased_model("0001"), history.final())
