# SPDX-License-Identifier: MIT
"""What stays is measured against what the erased put in, before that goes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fedlethe.config import resolve
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.errors import FedletheError, RequestError
from fedlethe.learners.training import train_run
from fedlethe.requests.request import listed
from fedlethe.requests.told import _Measure
from fedlethe.runs.run_toml import opened_folder
from fedlethe.types import Need
from tests.requests.acting import carry, certified, document, predicate, request, trained, verified

PLAIN = ErasurePlan(method="influence", options={"scale": 0.75}, mask={}, repair={"rounds": 0})
DEFAULTS = ErasurePlan(method="recommended", options={}, mask={}, repair={})
UNLIKE: dict[str, Any] = {"scheme": "dirichlet", "alpha": 0.3, "allow_one_class": True}


@pytest.mark.parametrize("seed", range(5))
def test_what_is_left_of_a_vector_is_that_of_least_squares(seed: int) -> None:
    """Also among vectors of unlike lengths, one that is zero, and one that stands twice; in blocks as at once."""
    generator = torch.Generator().manual_seed(seed)
    vectors = [torch.randn(40, generator=generator) * 10.0**power for power in (-6, 0, 3)]
    vectors += [torch.zeros(40), vectors[1].clone(), torch.randn(40, generator=generator)]
    groups = {
        "known": vectors[:5],
        "zeros": vectors[3:4],
        "other": [vectors[0] - 2 * vectors[5]],
        "target": vectors[5:],
    }
    measure = _Measure.of(groups)
    (target,) = measure.places["target"]
    assert _Measure.of(groups, at_once=7).products == pytest.approx(measure.products)
    known = torch.stack(vectors[:5], dim=1).double().numpy()
    wanted = vectors[5].double().numpy()
    fit, *_ = np.linalg.lstsq(known, wanted, rcond=None)
    expected = np.linalg.norm(wanted - known @ fit) / np.linalg.norm(wanted)
    assert measure.apart(measure.columns("known"), target) == pytest.approx(expected)
    # With a vector that it is made of, to rounding, nothing is left; of zeros all of it is.
    assert measure.apart(measure.columns("known", "other"), target) < 1e-4
    assert measure.apart(measure.columns("zeros"), target) == 1.0
    first, *_ = measure.columns("known")
    (other,) = measure.columns("other")
    assert measure.apart([first - other], target) < 1e-4


def _cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(one.double(), other.double(), dim=0))


def test_influences_that_would_tell_do_not_stay(tmp_path: Path) -> None:
    """Of those who stay one put in little, as the other did, and the erased one something else.

    Rebased, the larger influence less the smaller, as far as it is like it, was the erased one's.
    """
    partition = {**UNLIKE, "clients": 3, "alpha": 0.1}
    run = trained(tmp_path / "run", document(hospitals=3, partition=partition, seed=11))
    carried = carry(run, request(run, "client-1"), DEFAULTS)
    assert not [path for path in (run / "influence").rglob("*") if path.is_file()]
    remains = " ".join(predicate(certified(carried))["purge"]["runs"][0]["remains"])
    assert "no influence of those who stay: none fits the model, or they would tell of the erased" in remains
    assert not verified(run, certified(carried)).failed
    with opened_folder(run) as (_, history):
        assert Need.INFLUENCE not in history.keep
    with pytest.raises(FedletheError, match=r"influence: .* went with a purge; erase by retraining"):
        carry(run, request(run, "client-0"), PLAIN)
    assert carry(run, "R0002", replace(PLAIN, method="retrain", options={})).request.purge == "done"


def test_where_those_who_stay_are_like_the_erased_their_influences_stay(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", document(hospitals=5))
    carried = carry(run, request(run, "hospital-1"), DEFAULTS)
    assert {path.parent.name for path in (run / "influence").rglob("R0001*")} == {f"hospital-{n}" for n in (0, 2, 3, 4)}
    assert not verified(run, certified(carried)).failed


def test_without_influences_no_model_of_a_round_stays_beside_the_one_after(tmp_path: Path) -> None:
    """client-3 alone trained since round 2, with a weight of .068: less that of round 2 the model was client-4's."""
    partition = {**UNLIKE, "clients": 5}
    config = document(
        hospitals=5,
        federation={"rounds": 4, "participation": 0.4},
        partition=partition,
        history={"keep": "needed", "methods": ["rollback"]},
        seed=3,
    )
    config["data"]["images_per_hospital"] = 30
    run = trained(tmp_path / "run", config)
    carry(run, request(run, "client-4"), replace(PLAIN, method="fine_tune", options={}))
    assert [path.stem for path in (run / "global_checkpoints").iterdir()] == ["round_0000"]


def test_of_patients_the_hospital_s_influence_with_them_is_not_to_be_told(tmp_path: Path) -> None:
    """north has ten times the others' images: next to it they put in nothing."""
    lines = ["path,label,client,patient,split"]
    for hospital, patients, images in (("north", 10, 8), ("south", 2, 3), ("west", 2, 3)):
        for patient in range(patients + 2):
            draw = np.random.default_rng([patient, len(hospital), patients])
            for image in range(images):
                test = patient >= patients
                label = image % 2 if hospital == "north" or test else 0
                pixels = draw.integers(0, 120, (16, 16)).astype(np.uint8)
                pixels[:, 4:8] += np.uint8(40 * label)
                name = f"{hospital}-{patient}-{image}.png"
                Image.fromarray(pixels).save(tmp_path / name)
                lines.append(f"{name},{label},{hospital},{hospital} {patient:04d},{'test' if test else 'train'}")
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    data = {"source": "table", "path": str(tmp_path / "table.csv"), "size": 16, "channels": 1}
    run = trained(tmp_path / "run", document(data=data, partition={"allow_one_class": True}, seed=3))
    with opened_folder(run) as (_, history):
        before, initial = history.influence("north"), history.initial()
    gentle = replace(PLAIN, repair={"learning_rate": 0.001})
    for erased in ((), ("north 0003",)):
        copy = Path(shutil.copytree(run, tmp_path / f"copy-{len(erased)}"))
        asked = request(copy, "north", patients=erased)
        with pytest.raises(RequestError, match=r"the models that stay tell all but \d+% of what"):
            carry(copy, asked, gentle)
        with opened_folder(copy) as (_, history):
            assert _cosine(history.erased_model("0001") - initial, before) > 0.95  # what would have stayed


def test_a_request_of_which_nothing_is_known_any_more_is_carried_out(tmp_path: Path) -> None:
    """The deltas of the run that this one began from went with its purge."""
    config = document(rounds=2, history={"methods": ["fed_accum"]})
    run = trained(tmp_path / "run", config)
    carry(run, request(run, "hospital-1"), replace(PLAIN, method="retrain", options={}))
    later = train_run(resolve(config), tmp_path / "later", after=run / "erasures/0001").run
    carried = carry(later, request(later, "hospital-2"), replace(PLAIN, method="puf", options={}, repair={"rounds": 1}))
    assert carried.request.state == "completed"
    assert not verified(later, certified(carried)).failed


@pytest.mark.parametrize("methods", [["fed_accum"], ["influence"]])
def test_what_a_refusal_says_to_do_can_be_done(methods: list[str], tmp_path: Path) -> None:
    """One of three put in nearly all; where only deltas are kept, 'influence' is no way out."""
    drawn = {"rounds": 1, "participation": 1.0}
    config = document(hospitals=3, federation=drawn, history={"methods": methods})
    config["partition"] = {**UNLIKE, "clients": 3, "alpha": 0.1}
    config["seed"] = 5
    run = trained(tmp_path / "run", config)
    with opened_folder(run) as (_, history):
        weights = history.weights(1)
    large = max(weights, key=lambda client: weights[client])
    plan = replace(PLAIN, method="fine_tune", options={})
    with pytest.raises(RequestError) as refused:
        carry(run, request(run, large), plan)
    assert listed(run).requests[0].state == "failed"
    assert ("'influence' with a scale of 1" in str(refused.value)) == (methods == ["influence"])
    assert "the method 'retrain'" in str(refused.value)
    other = Path(shutil.copytree(run, tmp_path / "other"))
    assert carry(run, "R0001", replace(PLAIN, method="retrain", options={})).request.purge == "done"
    if methods == ["influence"]:
        assert carry(other, "R0001", replace(PLAIN, options={"scale": 1.0})).request.purge == "done"


def test_what_waits_for_a_purge_of_its_own_counts_as_known(tmp_path: Path) -> None:
    """Beside the first one's influence, which stays for 30 days, those of who stay would tell the second one's."""
    partition = {**UNLIKE, "clients": 4, "alpha": 0.1}
    run = trained(tmp_path / "run", document(hospitals=4, partition=partition, seed=5, rounds=2))
    with opened_folder(run) as (_, history):
        sizes = {client: float(history.influence(client).norm()) for client in history.clients}
    *_, second, first = sorted(sizes, key=lambda client: sizes[client])
    carry(run, request(run, first), replace(PLAIN, keep_for=30))
    asked = request(run, second)
    with pytest.raises(RequestError, match=f"to wait for the purge of {first}, whose files stay until then"):
        carry(run, asked, replace(PLAIN, after="0001"))
    retrained = carry(run, asked, replace(PLAIN, method="retrain", options={}, after="0001"))
    assert not verified(run, certified(retrained)).failed


def test_what_several_put_in_together_is_not_to_be_told_either(tmp_path: Path) -> None:
    """The model after less the initial one has a cosine of .99 with the sum of the three, and with none of them."""
    partition = {**UNLIKE, "clients": 5}
    config = document(hospitals=5, partition=partition, federation={"rounds": 2, "participation": 0.6}, seed=116)
    config["data"]["images_per_hospital"] = 30
    config.pop("history")
    run = trained(tmp_path / "run", config)
    gone = ("client-4", "client-1", "client-3")
    with opened_folder(run) as (_, history):
        together = torch.stack([history.influence(client) for client in gone]).double().sum(dim=0)
        initial = history.initial().double()
    asked = request(run, *gone)
    with pytest.raises(RequestError, match="the models that stay tell all but"):
        carry(run, asked, replace(DEFAULTS, repair={"rounds": 0}))
    with opened_folder(run) as (_, history):
        assert _cosine(history.erased_model("0001").double() - initial, together) > 0.95
