# SPDX-License-Identifier: MIT
"""The closed-form federation from the command line: train, erase, join, patients, others who come later."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from fedlethe.closed_form.by_class import ByClass
from fedlethe.closed_form.ridge import solve
from fedlethe.closed_form.settings import ClosedFormSettings
from fedlethe.closed_form.sums import scratch
from fedlethe.config import resolve
from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.errors import FedletheError
from fedlethe.federation.evaluation import log_probabilities
from fedlethe.history.entries import removals
from fedlethe.history.sent_statistics import statistics_of
from fedlethe.learners.closed_form import ClosedFormLearner
from fedlethe.learners.statistics_training import vector_of
from fedlethe.learners.sums_left import sums_of
from fedlethe.learners.training import train_run
from fedlethe.runs.opening import opened_run
from fedlethe.studies.trace import trace
from tests.conftest import Fedlethe

CLOSED_FORM = [
    "--learner",
    "closed-form",
    "--data",
    "table",
    "--size",
    "16",
    "--channels",
    "1",
    "--set",
    "features.scales=2",
]
HOSPITALS = ("north", "south", "west")


def images_of(folder: Path, hospitals: tuple[str, ...], seed: int) -> Path:
    """Eight patients of four images at each hospital, two of a class with a brighter stripe."""
    generator = np.random.default_rng(seed)
    lines = ["path,label,client,patient,split"]
    for hospital in hospitals:
        for patient in range(8):
            for image in range(4):
                pixels = generator.integers(0, 120, (16, 16)).astype(np.uint8)
                pixels[:, 4:8] += np.uint8(40 * (image % 2))
                name = f"{hospital}-{patient}-{image}.png"
                folder.mkdir(exist_ok=True)
                Image.fromarray(pixels).save(folder / name)
                split = "test" if patient >= 6 else "train"
                lines.append(f"{name},{('no', 'yes')[image % 2]},{hospital},{hospital}{patient},{split}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    return folder / "table.csv"


@pytest.fixture(scope="module")
def run(fedlethe: Fedlethe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("closed-form")
    table = images_of(folder / "images", HOSPITALS, seed=0)
    trained = fedlethe("train", *CLOSED_FORM, "--path", table, "--out", folder / "run")
    assert trained["rounds"] == 1
    assert trained["bytes_sent"] == (folder / "run/statistics/north/round_0001.sealed").stat().st_size
    assert trained["auc"] > 0.8
    return folder / "run"


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


def model(path: Path) -> np.ndarray:
    tensors = safetensors.numpy.load_file(path)
    return np.concatenate([tensors["weight"].ravel(), tensors["bias"]])


def naive(run: Path, kept: Callable[[str, str], bool]) -> np.ndarray:
    """The head of the rows that are kept, by client and patient, from the features themselves."""
    with opened_run(run) as opened:
        sent = []
        for client, data in sorted(opened.data.clients.items()):
            groups = data.train.groups
            assert groups is not None
            own = [index for index, patient in enumerate(groups.tolist()) if kept(client, patient)]
            features = [data.train.images[data.train.indices[index]].ravel() for index in own]
            if own:
                sent.append(ByClass.of(np.stack(features), data.train.labels[own], 2))
        head = scratch(lambda: iter(sent), ClosedFormSettings()).head
        return np.concatenate([head.weight.ravel(), head.bias])


def test_erasures_joins_and_patients_in_any_order_equal_training_on_what_is_left(
    fedlethe: Fedlethe, copy: Path
) -> None:
    steps: list[tuple[list[str], Callable[[str, str], bool]]] = [
        (["erase", "--client", "south"], lambda client, _: client != "south"),
        (
            ["erase", "--patient", "north2", "--patient", "north3", "--after", "0001"],
            lambda client, patient: client != "south" and patient not in ("north2", "north3"),
        ),
        (["join", "--client", "south", "--after", "0002"], lambda _, patient: patient not in ("north2", "north3")),
        (
            ["erase", "--patient", "south0", "--client", "south", "--after", "0003"],
            lambda _, patient: patient not in ("north2", "north3", "south0"),
        ),
        (
            ["erase", "--client", "north", "--after", "0004"],
            lambda client, patient: client != "north" and patient != "south0",
        ),
    ]
    for number, ((command, *options), kept) in enumerate(steps, start=1):
        record = fedlethe(command, copy, *options)
        assert record["id"] == f"{number:04d}"
        assert record["guarantee"]["kind"] == "exact"
        assert record["found"]["retrain_equivalence_residual"] <= 1e-8
        assert record["examples"] == 0
        assert record["retraining_at_most"] == (number > 1)  # patients are out from the second step on
        expected = naive(copy, kept)
        found = model(Path(record["model"]))
        assert np.linalg.norm(found - expected) <= 1e-6 * np.linalg.norm(expected)  # the file is float32
        before, after = record["stages"][0], record["stages"][-1]
        assert before["auc"] is not None
        assert after["auc"] is not None
    record = json.loads((copy / "erasures/0002/erasure.json").read_text())
    assert len(record["patients"]["north"]) == 2
    assert not {"north2", "north3"} & set(record["patients"]["north"])  # what stands for them does
    assert (copy / "erasures/0002/statistics/north.sealed").is_file()
    fedlethe("history", "--check", copy)
    page = fedlethe("report", copy)
    text = Path(page["page"]).read_text()
    assert "2 patients of north" in text
    assert "south joined" in text
    assert text.count("retraining takes at most ") == 4


def test_the_same_request_gives_the_same_bytes(spawned: Fedlethe, run: Path, tmp_path: Path) -> None:
    models = []
    for name in ("one", "two"):
        copy = Path(shutil.copytree(run, tmp_path / name))
        models.append(Path(spawned("erase", copy, "--client", "west")["model"]).read_bytes())
    assert models[0] == models[1]


def test_where_the_sums_of_all_are_gone_they_are_made_of_what_is_left(
    fedlethe: Fedlethe, run: Path, copy: Path
) -> None:
    fast = Path(fedlethe("erase", Path(shutil.copytree(run, copy.parent / "fast")), "--client", "west")["model"])
    with opened_run(copy) as opened:
        opened.history.ledger.append(removals(["statistics/round_0001.safetensors"], "a test"))
    (copy / "statistics/round_0001.safetensors").unlink()
    slow = Path(fedlethe("erase", copy, "--client", "west")["model"])
    np.testing.assert_allclose(model(slow), model(fast), rtol=1e-5, atol=1e-7)


def test_hospitals_with_new_images_join_and_all_can_leave(fedlethe: Fedlethe, copy: Path, tmp_path: Path) -> None:
    fedlethe("erase", copy, "--client", "south")
    table = images_of(tmp_path / "more", ("east", "south"), seed=9)
    out = tmp_path / "second"
    fedlethe(
        *("train", *CLOSED_FORM, "--path", table, "--after", copy / "erasures/0001", "--out", out),
        *("--take-back", "south"),
    )
    with opened_run(out) as opened, opened_run(copy) as before:
        sent = [statistics_of(before.history, client) for client in ("north", "west")]
        sent += [statistics_of(opened.history, client) for client in ("east", "south")]
        assert opened.past().clients == ("east", "north", "south", "west")
    for erased, kept in (("north", [1, 2, 3]), ("south", [0, 1, 2])):
        record = fedlethe("erase", out, "--client", erased)
        expected = scratch(partial(iter, [sent[index] for index in kept]), ClosedFormSettings()).head
        np.testing.assert_allclose(
            model(Path(record["model"])), np.concatenate([expected.weight.ravel(), expected.bias]), rtol=1e-5, atol=1e-6
        )


def test_what_cannot_be_erased_is_said(copy: Path) -> None:
    with opened_run(copy) as opened:

        def refused(match: str, clients: tuple[str, ...] = (), after: str | None = None, **options: Any) -> None:
            with pytest.raises(FedletheError, match=match):
                erase(opened, order_erasure(opened, clients, ErasurePlan(options=options, after=after)))

        refused("no other patients", patients=[f"north{number}" for number in range(6)])
        refused("'nobody' has no image", patients=["nobody"])
        refused("'east' is not in the model", patients=["north1"], of=["east"])
        refused("no client would be left", HOSPITALS)
        refused("east: not in the model that training led to", ("east",))
        refused("there is no erasure '0001'", after="0001", join=["west"])
        erase(opened, order_erasure(opened, ("south",), ErasurePlan()))
        refused("south: not in the model that erasure 0001 led to", ("south",), after="0001")
        refused("'west' is in the model already", after="0001", join=["west"])
        refused("'east' was not taken out", after="0001", join=["east"])
        erase(opened, order_erasure(opened, (), ErasurePlan(options={"patients": ["west1"]}, after="0001")))
        refused("'west1' was taken out of west already", after="0002", patients=["west1"])
        with pytest.raises(FedletheError, match="no method 'influence'; there is closed-form"):
            order_erasure(opened, ("west",), ErasurePlan(method="influence"))
        with pytest.raises(FedletheError, match="nothing to repair"):
            order_erasure(opened, ("west",), ErasurePlan(method="closed-form", repair={"rounds": 1}))
        with pytest.raises(FedletheError, match="trained in closed form, in one round"):
            trace(opened, "closed-form", opened.config.method("closed-form", {}), "west")


def test_a_training_that_cannot_be_leaves_nothing(run: Path, copy: Path, tmp_path: Path) -> None:
    with opened_run(copy) as opened:
        erase(opened, order_erasure(opened, ("south",), ErasurePlan()))
        document = opened.config.document()
    for changed, after, match in (
        ({"features": {"name": "scattering", "scales": 2, "log": False}}, "0001", "was trained on other features"),
        ({"closed_form": {"class_weights": [1.0]}}, None, "1 weights for 2 classes"),
    ):
        folder = None if after is None else copy / "erasures" / after
        with pytest.raises(FedletheError, match=match):
            train_run(resolve({**document, **changed}), tmp_path / "out", after=folder)
        assert not (tmp_path / "out").exists()
    for wrong, match in (
        ({"local": {"epochs": 2}}, r"\[local\] is of learner 'fedavg'"),
        ({"learner": "fedavg"}, r"\[closed_form\] is of learner 'closed-form'"),
        ({"features": {"name": "scatering"}}, "did you mean 'scattering'"),
    ):
        with pytest.raises(FedletheError, match=match):
            resolve({**document, **wrong})


def test_an_interrupted_training_is_trained_again_to_the_same_bytes(fedlethe: Fedlethe, run: Path, copy: Path) -> None:
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (copy / name).unlink(missing_ok=True)
    (copy / "statistics/north/round_0001.sealed").write_bytes(b"half")
    fedlethe("train", "--out", copy)
    name = "global_checkpoints/round_0001.safetensors"
    assert (copy / name).read_bytes() == (run / name).read_bytes()
    with opened_run(copy) as again, opened_run(run) as opened:  # a sealed file has a nonce of its own
        theirs, ours = (statistics_of(one.history, "north") for one in (again, opened))
        np.testing.assert_array_equal(theirs.gram, ours.gram)


def test_noise_on_the_statistics_hides_rows_and_still_subtracts(fedlethe: Fedlethe, run: Path, tmp_path: Path) -> None:
    table = run.parent / "images" / "table.csv"
    noise = ["--set", "closed_form.epsilon=5.0", "--dimension", "8", "--set", "closed_form.penalty=1.0"]
    fedlethe("train", *CLOSED_FORM, "--path", table, *noise, "--out", tmp_path / "run")
    record = fedlethe("erase", tmp_path / "run", "--client", "west")
    assert record["found"]["retrain_equivalence_residual"] <= 1e-8
    with opened_run(tmp_path / "run") as opened, pytest.raises(FedletheError, match="statistics with noise"):
        erase(opened, order_erasure(opened, (), ErasurePlan(options={"patients": ["north1"]})))


def test_compare_finds_the_exact_erasure_gone(fedlethe: Fedlethe, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        'learner = "closed-form"\n[data]\nsize = 16\nhospitals = 3\nimages_per_hospital = 60\n[features]\nscales = 2\n'
        '[backdoor]\nclient = "hospital-1"\nfraction = 0.5\n'
    )
    found = fedlethe(
        "compare", config, "--seeds", "0-2", "--references", "3", "--out", tmp_path / "out", "--workers", "1"
    )
    rows = {row["name"]: row for row in found["rows"]}
    assert set(rows) == {"untouched", "closed-form"}
    assert rows["untouched"]["verdict"] == "still there"
    assert rows["closed-form"]["verdict"] == "gone"
    assert rows["closed-form"]["share"] == 0


def test_where_sites_are_unlike_an_erasure_is_a_retraining_with_choices_of_its_own(
    real_data: Path, tmp_path: Path
) -> None:
    """With the training's penalty and class weights kept, a quarter of the answers were others."""
    config: dict[str, Any] = {
        "learner": "closed-form",
        "data": {"source": "isic2019", "root": str(real_data / "isic2019_ham"), "size": 32, "channels": 1},
        "partition": {"scheme": "site", "allow_one_class": True},
        "closed_form": {"dimension": 256},
    }
    train_run(resolve(config), tmp_path / "run")
    chosen = json.loads((tmp_path / "run/statistics/chosen.json").read_text())
    otherwise = {}
    with opened_run(tmp_path / "run") as run:
        tests = [held.test for held in run.data.clients.values()]
        for site in run.data.clients:
            erasure = erase(run, order_erasure(run, [site], ErasurePlan(method="closed-form")))
            retrained = ClosedFormLearner().retrain(run, set(run.data.clients) - {site}, run.config.seed)
            assert erasure.guarantee is not None
            assert erasure.guarantee.kind == "exact"
            assert run.history.erased_model(erasure.id).numpy() == pytest.approx(retrained.numpy(), rel=1e-6, abs=1e-8)
            sums = sums_of((run.parts()[-1].with_erased(frozenset([site])),)).total
            head = solve(sums.weighted(chosen["class_weights"]), chosen["penalty"])
            place = (run.network, run.layout, run.execution)
            answers = [
                log_probabilities(*place, model, tests).argmax(axis=1)
                for model in (retrained, vector_of(run.layout, head))
            ]
            otherwise[site] = float((answers[0] != answers[1]).mean())
    assert otherwise["vidir_molemax"] > 0.1
    assert otherwise["vienna_dias"] < 0.02
