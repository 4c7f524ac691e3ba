# SPDX-License-Identifier: MIT
"""Everything that a purge leaves, taken together, does not give the erased client's influence away.

The attack is least squares over all vectors that are kept, opened with the keys that are left: coefficients that are
fitted to the true influence on half of the coordinates, which no attacker has, and judged on the other half. A client
whose own influence is known, from its first delta say, shows there as a residual of rounding.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fedlethe.config import resolve
from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.errors import FedletheError, RequestError
from fedlethe.history.disk import RunFolder
from fedlethe.history.history import InMemoryHistory
from fedlethe.history.request_log import find
from fedlethe.history.succession import Part, Succession
from fedlethe.learners.training import train_run
from fedlethe.requests.rebased import _Since, shares_of_rest
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import opened_folder
from fedlethe.types import ClientId
from tests.fakes import linear_federation, trained_history
from tests.requests.acting import carry, document, erased, request, trained

Floats = npt.NDArray[np.float64]
BARE = ErasurePlan(method="recommended", options={}, mask={}, repair={"rounds": 0})


def _kept(folder: Path, initial: Floats) -> Iterator[Floats]:
    """All vectors of a run folder, its models as steps from the initial one."""
    with opened_folder(folder) as (_, history):
        for artefact in history.ledger.artefacts().values():
            try:
                vector = history.store.load(artefact, history.layout).double().numpy()
            except FedletheError:
                continue  # a record, a picture: no vector
            step = vector - initial if artefact.client is None else vector
            if np.linalg.norm(step) > 0:
                yield step


def _residual(columns: list[Floats], target: Floats) -> float:
    """What is left of a target that columns are fitted to on every second coordinate, on the others: 1 is all of it."""
    known, kept = np.stack(columns, axis=1), np.arange(len(target)) % 2 == 0
    coefficients, *_ = np.linalg.lstsq(known[kept], target[kept], rcond=None)
    return float(np.linalg.norm(target[~kept] - known[~kept] @ coefficients) / np.linalg.norm(target[~kept]))


def _influences(run: Path) -> dict[ClientId, Floats]:
    with opened_folder(run) as (_, history):
        clients = [client for client in history.clients if bool(history.influence(client).any())]
        return {client: history.influence(client).double().numpy().copy() for client in clients}


def _demand_nothing_told(folders: list[Path], truth: dict[ClientId, Floats], gone: set[ClientId]) -> None:
    """The kept vectors tell hardly more than what the others' updates have in common with the erased client's anyway.

    That much anybody can tell who has the others' influences as they were, which nothing of an erasure went into.
    """
    with opened_folder(folders[0]) as (_, history):
        initial = history.initial().double().numpy()
    columns = [initial, *(vector for folder in folders for vector in _kept(folder, initial))]
    own = [vector for client, vector in truth.items() if client not in gone]
    for client in gone & set(truth):
        assert _residual(columns, truth[client]) > 0.6 * _residual([*own, columns[0]], truth[client]) > 0.05


def test_a_client_of_round_one_alone_from_the_command_line(tmp_path: Path) -> None:
    """hospital-0 took part in round 1 only; what is kept of it would be the way in."""
    run, key = tmp_path / "run", tmp_path / "key"
    training = "--data phantom --rounds 3 --local-epochs 1 --participation 0.6 --seed 4 --methods influence,fed_eraser"
    commands = (
        ["key", "new", str(key)],
        ["train", *training.split(), "--set", "data.images_per_hospital=60", "--size", "16", "--out", str(run)],
        ["request", str(run), "--client", "hospital-2", "--reason", "withdrew"],
        ["erase", str(run), "--request", "R0001", "--key", str(key), "--repair-rounds", "0"],
    )
    truth = {}
    for command in commands:
        if command[0] == "request":
            truth = _influences(run)
            with opened_folder(run) as (_, history):
                rounds = [set(history.weights(round)) for round in (1, 2, 3)]
            assert "hospital-0" in rounds[0] - rounds[1] - rounds[2]
        subprocess.run([sys.executable, "-m", "fedlethe", *command], check=True, capture_output=True)
    _demand_nothing_told([run], truth, {"hospital-2"})


@pytest.mark.parametrize("seed", range(6))
def test_random_runs_and_random_erasures(seed: int, tmp_path: Path) -> None:
    draw = np.random.default_rng(seed)
    federation = {"rounds": int(draw.integers(1, 4)), "participation": float(draw.choice([0.5, 0.75, 1.0]))}
    methods = ["influence", *(["fed_eraser"] if draw.random() < 0.5 else [])]
    history = {"keep": "everything"} if draw.random() < 0.5 else {"keep": "needed", "methods": methods}
    config = document(hospitals=5, federation=federation, history=history, seed=seed)
    run = trained(tmp_path / "run", config)
    truth, gone, folders = _influences(run), set[ClientId](), [run]
    after = draw.random() < 0.34
    for number, client in enumerate(draw.permutation(sorted(truth))[: min(2, len(truth) - 2)]):
        plan = replace(BARE, repair={"rounds": int(draw.integers(0, 2))})
        if number and after:  # the second is erased from a run that began from what the first one's erasure left
            second = trained_after(run, tmp_path / "second", config, gone)
            folders.append(second)
        erased(folders[-1], str(client), plan=plan)
        gone.add(str(client))
        _demand_nothing_told(folders, truth, gone)


@pytest.mark.parametrize("seed", range(8))
def test_random_runs_of_unlike_clients_that_train_alone(seed: int, tmp_path: Path) -> None:
    """One-class clients, one or two in a round, two learners' worth of requests: nothing tells more than the model."""
    draw = np.random.default_rng([seed, 1])
    federation = {"rounds": int(draw.integers(1, 4)), "participation": float(draw.choice([0.2, 0.4]))}
    history = {"keep": "everything"} if draw.random() < 0.5 else {"keep": "needed", "methods": ["influence"]}
    partition = {"scheme": "dirichlet", "clients": 5, "alpha": 0.3, "allow_one_class": True}
    config = document(hospitals=5, federation=federation, history=history, partition=partition, seed=seed)
    run = trained(tmp_path / "run", config)
    truth, gone, folders = _influences(run), set[ClientId](), [run]
    after = draw.random() < 0.34
    for number, client in enumerate(draw.permutation(sorted(truth))[:3]):
        if number and after and len(folders) == 1:
            folders.append(trained_after(run, tmp_path / "second", config, gone))
        asked = request(folders[-1], str(client))
        with suppress(RequestError):
            carry(folders[-1], asked, BARE)
        with opened_folder(folders[-1]) as (_, opened):
            held = find(opened.ledger, asked)
        if held.state != "completed":
            said = "nobody who stays trained since|the models that stay tell|influence: .* went with a purge"
            assert re.search(said, str(held.note))
            # One round of repair covers what is left, and is like it; what is asked here is that nothing tells of it.
            less = "nobody who stays" not in str(held.note)
            mended = replace(BARE, method="retrain") if less else replace(BARE, repair={"rounds": 1})
            try:
                carry(folders[-1], asked, mended)
            except FedletheError as error:  # its influence went with the last purge, and nobody else is left
                if "nobody is left to train them again" not in str(error):
                    raise
                return
        gone.add(str(client))
        _demand_no_more_than_the_model_tells(folders, truth, str(client))


def _demand_no_more_than_the_model_tells(folders: list[Path], truth: dict[ClientId, Floats], client: ClientId) -> None:
    """The kept vectors against the newest model alone, or the others' own updates, which are alike where data are."""
    with opened_folder(folders[0]) as (_, history):
        initial = history.initial().double().numpy()
    with opened_folder(folders[-1]) as (_, history):
        assert history.base is not None
        step = history.erased_model(history.base).double().numpy() - initial
    columns = [initial, *(vector for folder in folders for vector in _kept(folder, initial))]
    own = [vector for other, vector in truth.items() if other != client]
    alone = min(_residual([initial, step], truth[client]), _residual([initial, *own], truth[client]))
    assert _residual(columns, truth[client]) > 0.6 * alone > 0.01


def trained_after(run: Path, out: Path, config: dict[str, Any], gone: set[ClientId]) -> Path:
    """A training from the result of a run's last erasure."""
    (erasure,) = (path.parent for path in run.glob("erasures/*/model.safetensors"))
    train_run(resolve(config), out, after=erasure)
    return out


def test_the_best_linear_estimate_from_what_is_kept_is_the_one_from_the_model() -> None:
    """`shares_of_rest` on independent updates: Gauss and Markov's weights, against those of the sum.

    Three clients keep I_k + s_k r. With I_k of variance n_k the best unbiased estimate of r weighs each by s_k / n_k:
    its variance is 1 / sum of s_k^2 / n_k. From the sum, which is the model's step, it is the sum of the n_k.
    """
    past = _past([(1, "abc"), (2, "ab"), (3, "ac")])
    covers = _covers(past, "d")
    own = shares_of_rest(covers, ())
    assert sum(own.values()) == pytest.approx(1)
    best = 1 / sum(own[client] ** 2 / covers[client] for client in covers)
    assert best == pytest.approx(sum(float(past.influence(client).square().sum()) for client in past.clients))


def test_who_took_part_only_before_the_erased_client_came_carries_nothing_of_it() -> None:
    """w_2 - w_0, which somebody may have, is what 'a' and 'b' did: of 'a', who was there later, it tells a part."""
    past = _past([(1, "ab"), (2, "ab"), (3, "ac")], erased=frozenset("c"))
    covers = _covers(past, "c")
    squares = [past.parts[0].history.weights(round)["a"] ** 2 for round in (1, 2, 3)]
    since = float(past.influence("a").double().square().sum()) * squares[2] / sum(squares)
    assert covers == {"a": pytest.approx(since), "b": 0.0}
    assert shares_of_rest(covers, ()) == {"a": 1.0, "b": 0.0}


def test_what_was_put_in_before_a_later_training_does_not_count_for_its_rounds() -> None:
    """'a' put in much in the first training, and little in the second, in which 'c' came."""
    first, second = (_past([(1, "ab")]), _past([(1, "ac")], erased=frozenset("c")))
    much = replace(first.parts[0], repair={"a": torch.full_like(first.final(), 50.0)})
    past = Succession([much, *second.parts], second.final())
    own = float(second.parts[0].history.influence("a").double().square().sum())
    assert _covers(past, "c") == {"a": pytest.approx(own), "b": 0.0}


def test_beside_a_client_that_only_repaired_those_who_repaired_carry_what_is_left_of_it() -> None:
    """The rounds before are known from their models."""
    repair = {"b": torch.full_like(_past([(1, "ab")]).final(), 0.5)}
    past = _past([(1, "ab"), (2, "ab")], erased=frozenset("c"), repair=repair, trained=frozenset("bc"))
    assert shares_of_rest(_covers(past, "c"), ()) == {"a": 0.0, "b": 1.0}


def test_who_put_in_next_to_nothing_carries_next_to_nothing() -> None:
    assert shares_of_rest({"a": 3.0, "b": 1.0, "c": 0.0}, ()) == {"a": 0.75, "b": 0.25, "c": 0.0}
    assert shares_of_rest({"a": 0.0, "b": 0.0}, ("a", "b")) == {"a": 0.5, "b": 0.5}


@pytest.mark.parametrize("seed", [8, 16, 18, 22, 30, 47, 49, 53])
def test_nor_does_one_of_an_earlier_run_cover_what_the_model_between_them_lays_bare(seed: int, tmp_path: Path) -> None:
    """Beside the model that the later run began from, who trained in the earlier one covers nothing."""
    config = document(
        hospitals=5,
        federation={"rounds": 2, "participation": 0.4},
        partition={"scheme": "dirichlet", "clients": 5, "alpha": 0.3, "allow_one_class": True},
        history={"keep": "needed", "methods": ["influence"]},
        seed=seed,
    )
    config["data"]["images_per_hospital"] = 30
    first, second = trained(tmp_path / "first", config), tmp_path / "second"
    before = set(_influences(first))
    erased(first, sorted(before)[0], plan=BARE)
    train_run(resolve({**config, "seed": seed + 500}), second, after=first / "erasures/0001")
    truth = _influences(second)
    client = sorted(set(truth) - before)[0]
    asked = request(second, client)
    try:
        carry(second, asked, replace(BARE, method="influence", options={"scale": 0.75}))
    except RequestError:
        with opened_folder(second) as (_, history):
            note = str(find(history.ledger, asked).note)
        assert "nobody who stays trained since" in note or "the models that stay tell" in note
        return
    with opened_folder(first) as (_, history):
        between = history.erased_model("0001").double().numpy()
    with opened_folder(second) as (_, history):
        step = history.erased_model("0001").double().numpy() - between
    columns = [between, step, *_kept(first, between), *_kept(second, between)]
    told = _residual(columns, truth[client])
    assert told > 0.1


def _past(rounds: list[tuple[int, str]], **more: Any) -> Succession:
    history = trained_history(linear_federation(), rounds)
    assert isinstance(history, InMemoryHistory)
    return Succession([Part(history=history, keep=history.keep, **more)], history.final())


def _covers(past: Succession, gone: str) -> dict[ClientId, float]:
    since = _Since.of(past, frozenset(gone))
    return {client: since.covered_by(client, {}) for client in past.clients}


def test_who_took_part_in_nothing_carries_nothing_though_nobody_took_part_since(tmp_path: Path) -> None:
    """Round 1 is hospital-3's, round 2 that of hospital-2, who is erased; the others' influence is known to be zero."""
    config = document(rounds=2, federation={"rounds": 2, "participation": 0.25}, seed=12)
    run = trained(tmp_path / "run", config)
    with opened_folder(run) as (_, history):
        assert [set(history.weights(round)) for round in (1, 2)] == [{"hospital-3"}, {"hospital-2"}]
    truth = _influences(run)["hospital-2"]
    erased(run, "hospital-2", plan=BARE)
    with opened_folder(run) as (_, history):
        assert not history.influence("hospital-0").any()
        assert not history.influence("hospital-1").any()
        assert history.contributors() == {"hospital-3", "hospital-2"}  # so that their erasure has nothing to do
        released = (history.final() - history.initial()).double().numpy()
        torch.testing.assert_close(history.influence("hospital-3").double().numpy(), released, atol=1e-7, rtol=0)
    assert _residual([released], truth) > 0.05


def test_a_client_that_came_late_where_everything_is_kept(tmp_path: Path) -> None:
    federation = {"rounds": 6, "participation": 0.4}
    run = trained(tmp_path / "run", document(hospitals=5, federation=federation))
    with opened_folder(run) as (_, history):
        rounds = [set(history.weights(round)) for round in range(1, 7)]
        came = {client: min(r for r in range(6) if client in rounds[r]) for client in set().union(*rounds)}
    truth, late = _influences(run), max(came, key=lambda client: (came[client], client))
    assert came[late] >= 1
    erased(run, late, plan=BARE)
    _demand_nothing_told([run], truth, {late})


def test_a_client_that_only_repaired_leaves_no_influence_beside_a_model_that_tells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Round 1 is hospital-4's alone: its model less the initial one would be the influence that carries the rest."""
    drawn = {"rounds": 2, "participation": 0.2}
    run = trained(tmp_path / "run", document(hospitals=5, federation=drawn, seed=6))
    monkeypatch.setattr("fedlethe.erasing.repairing.drawn", lambda *_: ("hospital-3",))
    with opened_run(run) as opened:
        plan = replace(BARE, method="influence", options={"scale": 1.0}, repair={"rounds": 1, "clients": 1})
        earlier = erase(opened, order_erasure(opened, ["hospital-1"], replace(BARE, method="influence")))
        repaired = erase(opened, order_erasure(opened, ["hospital-1"], plan))
        trained_in = [*(set(opened.history.weights(round)) for round in (1, 2)), set(repaired.cost.clients)]
        assert trained_in == [{"hospital-4"}, {"hospital-1"}, {"hospital-3"}]
    with opened_folder(run) as (_, history):
        truth = {"hospital-3": history.repair(repaired.id)["hospital-3"].double().numpy()}
        truth["hospital-4"] = history.influence("hospital-4").double().numpy()
    asked = replace(BARE, method="influence", options={"scale": 0.75}, after=repaired.id)
    assert erased(run, "hospital-3", plan=asked).erasure.model.exists()
    assert not earlier.model.exists()  # made before hospital-3 came: what was left is the step from there
    _demand_nothing_told([run], truth, {"hospital-3"})
    assert [path.stem for path in (run / "global_checkpoints").iterdir()] == ["round_0000"]


def test_a_client_that_came_in_a_later_run_takes_the_models_of_the_rounds_before_along(tmp_path: Path) -> None:
    """They tell what the earlier run had of others, whose influences the later one keeps with a share of the rest."""
    drawn = document(hospitals=5, federation={"rounds": 2, "participation": 0.2}, seed=6)
    run = trained(tmp_path / "run", drawn)
    erased(run, "hospital-0", plan=BARE)  # who took part in no round: all models of rounds stay
    assert len(list((run / "global_checkpoints").iterdir())) == 3
    second = trained_after(run, tmp_path / "second", {**drawn, "seed": 7}, {"hospital-0"})
    with opened_folder(second) as (_, history):
        came = history.contributors() - {"hospital-4", "hospital-1"}
    erased(second, min(came), plan=replace(BARE, method="influence"))
    for folder in (run, second):
        assert [path.stem for path in (folder / "global_checkpoints").iterdir()] == ["round_0000"]


def test_norms_and_first_deltas_are_refused_by_name_after_a_purge(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", document(hospitals=3, rounds=2))
    erased(run, "hospital-1", plan=BARE)
    with opened_run(run) as opened:
        assert isinstance(opened.history, RunFolder)
        kinds = {artefact.kind for artefact in opened.history.ledger.artefacts().values() if artefact.client}
        assert kinds == {"influence"}
        for ask in (opened.history.norms, opened.history.delta):
            with pytest.raises(FedletheError, match="went with a purge"):
                ask(1, "hospital-0")
    with pytest.raises(FedletheError, match="went with a purge"):
        erased(run, "hospital-0", plan=ErasurePlan(method="fed_eraser", options={}, mask={}, repair={}))


def test_closed_form_statistics_that_stay_do_not_give_those_of_the_erased_away(tmp_path: Path) -> None:
    config = {
        "learner": "closed-form",
        "data": {"source": "phantom", "size": 16, "hospitals": 4, "images_per_hospital": 40},
        "closed_form": {"dimension": 40},
    }
    run = trained(tmp_path / "run", config)
    truth = _statistics(run)
    erased(run, "hospital-1", plan=BARE)
    erased(run, "hospital-2", plan=BARE)
    kept = _statistics(run)
    assert set(kept) == {"hospital-0", "hospital-3"}
    for client in ("hospital-1", "hospital-2"):
        assert _residual(list(kept.values()), truth[client]) > 0.02
        assert all(not np.array_equal(vector, truth[client]) for vector in kept.values())


def _statistics(run: Path) -> dict[ClientId, Floats]:
    """What is kept of each client's statistics, as one vector."""
    with opened_folder(run) as (_, history):
        found = {}
        for artefact in history.ledger.artefacts().values():
            if artefact.kind == "statistics" and artefact.client is not None:
                content = history.store.content(artefact)
                start = 8 + int.from_bytes(content[:8], "little")
                usable = (len(content) - start) // 8 * 8
                found[artefact.client] = np.frombuffer(content[start : start + usable], np.float64).copy()
        return found
