# SPDX-License-Identifier: MIT
"""Any Flower strategy, recorded: numbers worked out by hand, resume, refusals, and an erasure from the record."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import (
    DifferentialPrivacyServerSideAdaptiveClipping,
    DifferentialPrivacyServerSideFixedClipping,
    FedAdam,
    FedAvg,
    FedAvgM,
    Strategy,
)

from fedlethe.errors import FedletheError
from fedlethe.flower import Erasing, LocalGrid, LocalNode, Recording, RetainedGrid
from fedlethe.flower.nodes.recorded_folder import Recorded
from fedlethe.flower.wrap.client_name import named
from fedlethe.flower.wrap.model_arrays import ModelArrays
from fedlethe.requests.verify import verify_ledger
from tests.requests.traces import kept_of

TARGETS = {"a": 4.0, "b": 8.0, "c": -4.0}
EXAMPLES = {"a": 1, "b": 1, "c": 2}

Answer = Callable[[str, int, dict[str, Any]], dict[str, Any]]


def honest(client: str, round: int, arrays: dict[str, Any]) -> dict[str, Any]:
    return arrays


def linear_app(answer: Answer = honest) -> ClientApp:
    """Each client goes half of the way to its own target; `answer` changes what it sends."""
    app = named(ClientApp())

    @app.train()
    def train(message: Message, context: Context) -> Message:
        client = str(context.node_config["client-uid"])
        held = {name: array.numpy() for name, array in message.content.array_records["arrays"].items()}
        weight = held["weight"]
        trained = {
            "weight": weight + np.float32(0.5) * (np.float32(TARGETS[client]) - weight),
            "steps": held["steps"] + 1,
        }
        round = message.content.config_records["config"]["server-round"]
        assert isinstance(round, int)
        sent = answer(client, round, trained)
        content = RecordDict(
            {
                "arrays": ArrayRecord({name: Array(np.asarray(array)) for name, array in sent.items()}),
                "metrics": MetricRecord({"num-examples": EXAMPLES[client]}),
            }
        )
        return Message(content, reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        metrics = MetricRecord({"num-examples": EXAMPLES[str(context.node_config["client-uid"])], "loss": 1.0})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return app


def grid(answer: Answer = honest, clients: str = "cab") -> LocalGrid:
    return LocalGrid(linear_app(answer), [LocalNode({"client-uid": client}) for client in clients], {})


def initial() -> ArrayRecord:
    return ArrayRecord({"weight": Array(np.zeros(2, np.float32)), "steps": Array(np.array(0))})


def weight(arrays: ArrayRecord) -> float:
    first, second = arrays["weight"].numpy()
    assert first == second
    return float(first)


def plain() -> FedAvg:
    return FedAvg(min_train_nodes=1, min_evaluate_nodes=1, min_available_nodes=1)


def test_what_each_client_put_into_the_model_is_on_record(tmp_path: Path) -> None:
    recording = Recording(plain(), run=tmp_path / "run", keep="everything")
    result = recording.start(grid(), initial(), num_rounds=2)
    # Round 1: models 2, 4, -2 with weights 1/4, 1/4, 1/2: 0.5. Round 2: 2.25, 4.25, -1.75: 0.75.
    assert weight(result.arrays) == 0.75
    assert int(result.arrays["steps"].numpy()) == 2
    assert sorted(result.train_metrics_clientapp) == [1, 2]
    with Recorded.of(tmp_path / "run").opened() as history:
        assert history.rounds == 2
        assert history.clients == ("a", "b", "c")
        assert history.weights(1) == {"a": 0.25, "b": 0.25, "c": 0.5}
        # p x delta: a 0.25 x (2 + 1.75), b 0.25 x (4 + 3.75), c 0.5 x (-2 - 2.25)
        assert {client: float(history.influence(client)[0]) for client in "abc"} == {
            "a": 0.9375,
            "b": 1.9375,
            "c": -2.125,
        }
        assert float(history.final()[1]) == 0.75
        history.verify()
        for record in history.replay():
            assert record.after.tolist() == history.global_model(record.round).tolist()


@pytest.mark.parametrize(
    "held",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        np.arange(6, dtype=">f4").reshape(2, 3),
        np.arange(6, dtype=np.float64).reshape(2, 3),
        np.array(3.0, np.float32),
    ],
    ids=["plain", "by columns", "big-endian", "float64", "a number"],
)
def test_an_array_is_read_whatever_form_it_has(held: Any) -> None:
    first = ArrayRecord({"weight": Array(held.astype(np.float32)), "bias": Array(np.ones(1, np.float32))})
    named = ModelArrays.of(first)
    sent = ArrayRecord({"weight": Array(held), "bias": Array(np.ones(1, np.float32))})
    assert named.vector(sent).tolist() == [1.0, *held.ravel().tolist()]


def test_whoever_answers_first_the_mean_is_the_same(tmp_path: Path) -> None:
    def noisy(client: str, round: int, arrays: dict[str, Any]) -> dict[str, Any]:
        drawn = np.random.default_rng(ord(client)).normal(size=1000).astype(np.float32)
        return {**arrays, "weight": arrays["weight"] + drawn}

    many = ArrayRecord({"weight": Array(np.zeros(1000, np.float32)), "steps": Array(np.array(0))})
    results = [
        Recording(plain(), run=tmp_path / clients).start(grid(noisy, clients), many, num_rounds=3)
        for clients in ("abc", "cba", "bca")
    ]
    assert len({result.arrays["weight"].data for result in results}) == 1


STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "FedAvg": plain,
    "FedAvgM": lambda: FedAvgM(
        min_train_nodes=1,
        min_evaluate_nodes=1,
        min_available_nodes=1,
        server_learning_rate=0.5,
        server_momentum=0.9,
    ),
    "FedAdam": lambda: FedAdam(min_train_nodes=1, min_evaluate_nodes=1, min_available_nodes=1, eta=0.1, beta_1=0.9),
    "fixed clipping": lambda: DifferentialPrivacyServerSideFixedClipping(plain(), 0.0, 1.0, 3),
    "adaptive clipping": lambda: DifferentialPrivacyServerSideAdaptiveClipping(
        plain(), noise_multiplier=0.0, num_sampled_clients=3, initial_clipping_norm=1.0, clipped_count_stddev=0.0
    ),
}


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_a_server_that_died_goes_on_with_the_strategys_own_state(name: str, tmp_path: Path) -> None:
    make = STRATEGIES[name]
    bare = make().start(grid(clients="abc"), initial(), num_rounds=5)
    whole = Recording(make(), run=tmp_path / "whole").start(grid(), initial(), num_rounds=5)

    def dies(client: str, round: int, arrays: dict[str, Any]) -> dict[str, Any]:
        if round == 4 and client == "b":
            raise KeyboardInterrupt
        return arrays

    with pytest.raises(KeyboardInterrupt):
        Recording(make(), run=tmp_path / "died").start(grid(dies), initial(), num_rounds=5)
    rounds: list[int] = []

    def seen(client: str, round: int, arrays: dict[str, Any]) -> dict[str, Any]:
        rounds.append(round)
        return arrays

    resumed = Recording(make(), run=tmp_path / "died").start(grid(seen), initial(), num_rounds=5)
    assert sorted(set(rounds)) == [4, 5]
    assert sorted(resumed.train_metrics_clientapp) == [4, 5]
    assert resumed.arrays["weight"].data == whole.arrays["weight"].data
    assert weight(whole.arrays) == pytest.approx(weight(bare.arrays))  # Flower sums in an order of its own
    again = Recording(make(), run=tmp_path / "died").start(grid(), initial(), num_rounds=5)
    assert again.arrays["weight"].data == whole.arrays["weight"].data  # all rounds are there; nobody is asked
    with Recorded.of(tmp_path / "died").opened() as history:
        history.verify()
        assert len([one for one in history.ledger.artefacts().values() if one.kind == "server state"]) == 1


def test_what_is_recorded_is_what_entered_the_mean(tmp_path: Path) -> None:
    Recording(STRATEGIES["fixed clipping"](), run=tmp_path / "run").start(grid(), initial(), num_rounds=1)
    with Recorded.of(tmp_path / "run").opened() as history:
        # c's delta is (-2, -2), of norm 2.83, clipped with its counter to norm 1: it entered with half of that.
        assert np.linalg.norm(history.influence("c").numpy()) <= 0.5


def test_an_update_that_cannot_be_used_does_not_reach_the_strategy(tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"weight": np.full(2, np.nan, np.float32), "steps": np.array(1)}, "NaN or infinite"),
        ({"weight": np.zeros(3, np.float32), "steps": np.array(1)}, "'weight' has shape (3,)"),
        ({"weight": np.zeros(2, np.int32), "steps": np.array(1)}, "'weight' is int32, not float32"),
        ({"weight": np.zeros(2, np.float32)}, "other arrays"),
    ]
    for number, (sent, reason) in enumerate(cases):

        def answer(client: str, round: int, arrays: dict[str, Any], sent: dict[str, Any] = sent) -> dict[str, Any]:
            return sent if client == "b" else arrays

        run = tmp_path / str(number)
        result = Recording(plain(), run=run).start(grid(answer), initial(), num_rounds=1)
        assert weight(result.arrays) == pytest.approx((2 - 2 * 2) / 3)  # a and c, 1 : 2
        with Recorded.of(run).opened() as history:
            rows = {row.client: row for row in history.ledger.participation(1)}
        assert reason in str(rows["b"].refused)
        assert rows["a"].weight == pytest.approx(1 / 3)


def test_who_fails_or_is_away_is_on_record(tmp_path: Path) -> None:
    def fails(client: str, round: int, arrays: dict[str, Any]) -> dict[str, Any]:
        if client == "b":
            raise RuntimeError("no memory")
        return arrays

    Recording(plain(), run=tmp_path / "run").start(grid(fails), initial(), num_rounds=1)
    with Recorded.of(tmp_path / "run").opened() as history:
        rows = {row.client: row.refused for row in history.ledger.participation(1)}
    assert rows == {"a": None, "b": "answered with an error: RuntimeError: no memory", "c": None}


def test_erasing_from_the_record(tmp_path: Path) -> None:
    run = tmp_path / "run"
    Recording(plain(), run=run).start(grid(), initial(), num_rounds=2)
    erasing = Erasing(run=run, forget=["b"], options={"scale": 0.5})
    arrays = erasing.arrays()
    assert weight(arrays) == 0.75 - 0.5 * 1.9375
    assert int(arrays["steps"].numpy()) == 2  # a counter is nobody's
    asked: list[str] = []

    def seen(client: str, round: int, arrays: dict[str, Any]) -> dict[str, Any]:
        asked.append(client)
        return arrays

    retained = erasing.grid(grid(seen))
    result = plain().start(retained, initial_arrays=arrays, num_rounds=1)
    model = erasing.enter(result.arrays, retained)
    assert sorted(asked) == ["a", "c"]
    record = json.loads((model.parent / "nodes.json").read_text())
    assert record["forgotten"] == ["b"]
    assert record["messages"] == {"a": {"evaluate": 1, "train": 1}, "b": {}, "c": {"evaluate": 1, "train": 1}}
    assert record["identities"]["b"] == {"kind": "client-uid", "key": None}
    with Recorded.of(run).opened() as history:
        assert float(history.erased_model("0001")[0]) == weight(result.arrays)
        history.verify()
    assert verify_ledger(run).failed == ()
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    assert [check.what for check in verify_ledger(run).failed] == ["files"]


def test_what_is_kept_of_who_was_erased_is_purged_and_the_next_is_erased_from_there(tmp_path: Path) -> None:
    run = tmp_path / "run"
    Recording(plain(), run=run, keep="everything").start(grid(), initial(), num_rounds=2)
    with Recorded.of(run).opened() as history:
        kept = kept_of(history, "b")
        theirs = {client: history.influence(client) for client in "abc"}
    erasing = Erasing(run=run, forget=["b"], options={"scale": 0.5})
    with pytest.raises(FedletheError, match="enter the erasure of b first"):
        erasing.purge()
    erasing.enter(erasing.arrays(), erasing.grid(grid()))
    erasing.purge()
    erasing.purge()  # as after a kill
    assert kept
    assert sorted(path.name for path in (run / "global_checkpoints").iterdir()) == ["round_0000.safetensors"]
    assert {path.parts[-2] for path in run.rglob("*.sealed")} == {"a", "c"}
    assert not list((run / "keys").glob("b.*"))
    assert verify_ledger(run).failed == ()
    with Recorded.of(run).opened() as history:
        assert {name for name in kept if "(" not in name} <= set(history.ledger.tombstones())
        rest = history.erased_model("0001") - history.initial() - theirs["a"] - theirs["c"]
        torch.testing.assert_close(
            rest, theirs["b"] / 2
        )  # what the erasure left of b, now the others' by their squared weights
        for client, share in {"a": 1 / 5, "c": 4 / 5}.items():
            torch.testing.assert_close(history.influence(client), theirs[client] + share * rest)
        after = float(history.erased_model("0001")[0] - history.influence("a")[0])
    again = Erasing(run=run, forget=["a"], options={"scale": 1.0})
    assert weight(again.arrays()) == after
    assert int(again.arrays()["steps"].numpy()) == 2
    assert again.grid(grid()).forget == {"a", "b"}
    with pytest.raises(FedletheError, match="'b' took part in no round"):
        Erasing(run=run, forget=["b"]).arrays()
    with pytest.raises(FedletheError, match="cannot go on"):
        Recording(plain(), run=run, keep="everything").start(grid(), initial(), num_rounds=3)


def test_what_cannot_be_erased_is_said(tmp_path: Path) -> None:
    run = tmp_path / "run"
    Recording(plain(), run=run).start(grid(), initial(), num_rounds=1)
    with pytest.raises(FedletheError, match=r"'z' took part in no round of .*those are a, b, c"):
        Erasing(run=run, forget=["z"]).arrays()
    with pytest.raises(FedletheError, match="did not keep"):
        Erasing(run=run, forget=["a"], method="rollback").arrays()
    whole = tmp_path / "whole"
    Recording(plain(), run=whole, keep="everything").start(grid(), initial(), num_rounds=1)
    with pytest.raises(FedletheError, match="fedlethe flower new"):
        Erasing(run=whole, forget=["a"], method="retrain").arrays()
    with pytest.raises(FedletheError, match=r"holds no recording"):
        Erasing(run=tmp_path / "nothing", forget=["a"])


def test_a_message_to_a_forgotten_client_or_a_stranger_is_not_sent(tmp_path: Path) -> None:
    inner = grid()
    retained = RetainedGrid(inner, {"b"})
    assert list(retained.get_node_ids()) == [101, 102]  # c and a
    for node in (103, 999):
        messages = [
            Message(RecordDict({"config": ConfigRecord()}), dst_node_id=id, message_type="train") for id in (101, node)
        ]
        with pytest.raises(FedletheError, match="is forgotten or not known"):
            retained.push_messages(messages)
        with pytest.raises(FedletheError, match="is forgotten or not known"):
            retained.send_and_receive(messages)
    assert not retained.sent
    assert not inner.pull_messages(["1", "2", "3"])  # the first message was not sent either


def test_a_node_that_cannot_say_who_it_is_goes_by_its_id(tmp_path: Path) -> None:
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        content = RecordDict(
            {"arrays": message.content.array_records["arrays"], "metrics": MetricRecord({"num-examples": 1})}
        )
        return Message(content, reply_to=message)

    nodes = LocalGrid(app, [LocalNode({}), LocalNode({}, name="hospital-7")], {})
    strategy = FedAvg(fraction_evaluate=0.0)
    Recording(strategy, run=tmp_path / "run").start(nodes, initial(), num_rounds=1)
    with Recorded.of(tmp_path / "run").opened() as history:
        assert history.clients == ("hospital-7", "node-101")
    record = json.loads((tmp_path / "run/nodes/0001.json").read_text())
    assert record["identities"]["hospital-7"]["kind"] == "registered key"


def test_another_model_strategy_or_record_in_the_folder_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    Recording(plain(), run=run).start(grid(), initial(), num_rounds=1)
    with pytest.raises(FedletheError, match="its strategy is FedAvg, not FedAdam"):
        Recording(STRATEGIES["FedAdam"](), run=run).start(grid(), initial(), num_rounds=2)
    with pytest.raises(FedletheError, match="its keep is needed, not everything"):
        Recording(plain(), run=run, keep="everything").start(grid(), initial(), num_rounds=2)
    other = ArrayRecord({"weight": Array(np.zeros(3, np.float32)), "steps": Array(np.array(0))})
    with pytest.raises(FedletheError, match="holds the rounds of another model"):
        Recording(plain(), run=run).start(grid(), other, num_rounds=2)
    with pytest.raises(FedletheError, match="must be an absolute path"):
        Recording(plain(), run="run")
    wrong = ArrayRecord({"weight": Array(np.zeros(2))})
    with pytest.raises(FedletheError, match="float64; fedlethe records float32"):
        Recording(plain(), run=tmp_path / "wrong").start(grid(), wrong, num_rounds=2)


def test_a_privacy_accountant_that_would_start_anew_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    make = STRATEGIES["fixed clipping"]
    Recording(make(), run=run).start(grid(), initial(), num_rounds=1)
    accounted: Any = make()
    accounted.accountant = object()
    with pytest.raises(FedletheError, match="would count from zero"):
        Recording(accounted, run=run).start(grid(), initial(), num_rounds=2)


# SecAgg+


def test_secure_aggregation_is_refused_with_the_reason(tmp_path: Path) -> None:
    from flwr.server import LegacyContext, ServerConfig
    from flwr.server.client_manager import SimpleClientManager
    from flwr.server.strategy import FedAvg as LegacyFedAvg
    from flwr.server.workflow.default_workflows import default_init_params_workflow

    reason = "SecAgg\\+ hides each client's update from the server.*train without it"
    with pytest.raises(FedletheError, match=reason):
        Recording(LegacyFedAvg(), run=tmp_path / "legacy")  # type: ignore[arg-type]
    recording: Any = Recording(plain(), run=tmp_path / "workflow")
    context = LegacyContext(
        Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={}),
        config=ServerConfig(num_rounds=1),
        strategy=recording,
        client_manager=SimpleClientManager(),
    )
    with pytest.raises(FedletheError, match=reason):  # where every run with SecAggPlusWorkflow begins
        default_init_params_workflow(grid(), context)


def test_nodes_that_mask_their_updates_are_refused_with_the_reason(tmp_path: Path) -> None:
    from flwr.client.mod import secaggplus_mod

    app = named(ClientApp(mods=[secaggplus_mod]))

    @app.train()
    def train(message: Message, context: Context) -> Message:
        raise AssertionError("the mod does not come so far")

    nodes = LocalGrid(app, [LocalNode({"client-uid": client}) for client in "abc"], {})
    with pytest.raises(FedletheError, match="SecAgg\\+ hides each client's update"):
        Recording(plain(), run=tmp_path / "run").start(nodes, initial(), num_rounds=1)


def test_a_full_disk_stops_the_recording_at_a_whole_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Recording(plain(), run=tmp_path / "whole").start(grid(), initial(), num_rounds=3)
    run = tmp_path / "run"

    def full(descriptor: int) -> None:
        if (run / "global_checkpoints/round_0002.safetensors").exists():  # in the middle of the second round
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(FedletheError, match="No space left on device"):
            Recording(plain(), run=run).start(grid(), initial(), num_rounds=3)
    with Recorded.of(run).opened() as history:
        assert 0 < history.rounds < 3
        history.verify()
    resumed = Recording(plain(), run=run).start(grid(), initial(), num_rounds=3)
    assert resumed.arrays["weight"].data == whole.arrays["weight"].data


@pytest.mark.parametrize(
    "first",
    [
        "fedlethe.flower.wrap.client_name",
        "fedlethe.flower.wrap.model_arrays",
        "fedlethe.flower.wrap.recording",
        "fedlethe.flower",
    ],
)
def test_no_name_is_a_module_in_one_order_of_imports_and_a_function_in_another(first: str) -> None:
    program = f"import {first}\nfrom fedlethe.flower import Recording, named\nprint(*map(callable, (named, Recording)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"
