# SPDX-License-Identifier: MIT
"""The public face: its names, and what they do with a network and data of one's own."""

from __future__ import annotations

import dataclasses
import doctest
import inspect
import json
import pydoc
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import numpy.typing as npt
import pytest
import tomlkit
import torch
from torch import nn
from torch.utils.data import TensorDataset

import fedlethe
from fedlethe import results
from fedlethe.data.given import of_clients
from fedlethe.errors import ConfigError, DataError, FedletheError, HistoryError, IntegrityError, NodeError, RequestError

FACE = {
    *("AGGREGATORS", "AUDITS", "DATASETS", "METHODS", "MODELS"),
    *("ConfigError", "DataError", "FedletheError", "HistoryError", "IntegrityError", "NodeError", "RequestError"),
    *("ErasurePlan", "Run", "compare", "new_key", "open_run", "train", "verify"),
    *("cache_content", "clear_cache", "inspect_data"),
}
EXAMPLES = Path(__file__).parents[2] / "examples"
Arrays = tuple[npt.NDArray[Any], npt.NDArray[Any]]


def arrays(seed: int, count: int = 40) -> Arrays:
    generator = np.random.default_rng(seed)
    y = np.arange(count) % 2
    return generator.normal(y[:, None], 1.0, (count, 5)).astype(np.float32), y


@pytest.fixture
def clients() -> dict[str, Any]:
    return {name: arrays(seed) for seed, name in enumerate(("east", "south", "west"))}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(5, 2)


def test_the_face_is_these_names_and_no_others() -> None:
    assert set(fedlethe.__all__) == FACE
    assert set(dir(fedlethe)) == {*FACE, "__version__"}
    for name in FACE:
        value = getattr(fedlethe, name)
        assert value.__doc__, name
    with pytest.raises(AttributeError):
        _ = fedlethe.erase


@pytest.mark.parametrize("name", sorted(FACE))
def test_no_name_of_the_face_is_a_module_in_any_order_of_imports(name: str) -> None:
    program = f"import fedlethe, types\nfor n in [{name!r}, *fedlethe.__all__]:\n assert not isinstance("
    program += "getattr(fedlethe, n), types.ModuleType), n"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_the_face_returns_is_listed_with_each_field_told() -> None:
    """A type that a function returns and `fedlethe.results` does not list has a name that nobody can rely on."""
    returned = {"Trained"}  # an attribute of Run
    for _, function in _documented():
        returned |= set(re.findall(r"[A-Z]\w+", str(inspect.signature(function).return_annotation)))
    elsewhere = {"Path", "Run", "Module", "ClientId"}
    assert returned - elsewhere <= set(results.__all__) == set(dir(results))
    held = {one for name in results.__all__ for one in _dataclasses_in(getattr(results, name))}
    assert held <= set(results.__all__)
    for name in results.__all__:
        kind = getattr(results, name)
        told = re.findall(r"^ +(\w+): ", (kind.__doc__ or "").partition("Attributes:")[2], re.MULTILINE)
        assert {one.name for one in dataclasses.fields(kind)} <= set(told), name
    with pytest.raises(AttributeError):
        _ = results.Nothing


def _dataclasses_in(kind: Any) -> Iterator[str]:
    """The names of the frozen values that are in the fields of one."""
    parts = list(get_type_hints(kind).values())
    while parts:
        parts += get_args(one := parts.pop())
        if dataclasses.is_dataclass(one) and isinstance(one, type):
            yield one.__name__


@pytest.mark.parametrize("name", ["results", "testing"])
def test_the_two_modules_beside_the_face_are_there_once_it_is_imported(name: str) -> None:
    program = f"import fedlethe; print(fedlethe.{name}.__name__)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert found.strip() == f"fedlethe.{name}"


def test_who_returns_a_value_with_warnings_says_so() -> None:
    """From Python nothing else shows them."""
    for function in (fedlethe.train, fedlethe.Run.erase, fedlethe.Run.evaluate):
        assert "warnings`" in (inspect.getdoc(function) or "").partition("Returns:")[2].partition("Raises:")[0]


@pytest.mark.parametrize("module", ["fedlethe", "fedlethe.results"])
def test_the_face_loads_nothing_before_it_is_asked(module: str) -> None:
    heavy = ("torch", "numpy", "pydantic", "matplotlib", "rich")
    program = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"


def _documented() -> Iterator[tuple[str, Any]]:
    for name in fedlethe.__all__:
        if inspect.isfunction(function := getattr(fedlethe, name)):
            yield name, function
    for name, method in inspect.getmembers(fedlethe.Run, inspect.isfunction):
        if not name.startswith("_"):
            yield f"Run.{name}", method


@pytest.mark.parametrize(("name", "function"), list(_documented()))
def test_whoever_reads_the_face_finds_arguments_errors_and_an_example(name: str, function: Any) -> None:
    text = inspect.getdoc(function) or ""
    parts = ["Returns:", "Raises:", "Example:"]
    taken = [one for one in inspect.signature(function).parameters if one != "self"]
    assert [part for part in (*parts, *(["Args:"] if taken else [])) if f"\n{part}\n" not in text] == []
    assert [
        one for one in taken if f"    {one}:" not in text and f"    *{one}:" not in text and f"**{one}" not in text
    ] == []


@pytest.mark.parametrize("kind", [ConfigError, DataError, HistoryError, IntegrityError, NodeError, RequestError])
def test_every_error_is_of_the_family(kind: type[Exception]) -> None:
    assert issubclass(kind, FedletheError)


def test_a_network_and_arrays_of_ones_own(clients: dict[str, Any], tmp_path: Path) -> None:
    mine = network()
    before = [parameter.clone() for parameter in mine.parameters()]
    run = fedlethe.train(mine, clients, out=tmp_path / "run", rounds=2, seed=3, local={"epochs": 1})
    assert all(torch.equal(*pair) for pair in zip(before, mine.parameters(), strict=True))  # it stays the caller's
    assert run.trained is not None
    assert run.trained.rounds == 2
    assert run.clients == ("east", "south", "west")
    erasure = run.erase("south", method="retrain")
    without = {name: held for name, held in clients.items() if name != "south"}
    again = fedlethe.train(network(), without, out=tmp_path / "again", rounds=2, seed=3, local={"epochs": 1})
    assert all(
        torch.equal(*pair) for pair in zip(run.model(erasure.id).parameters(), again.model().parameters(), strict=True)
    )


def test_a_run_is_opened_again_with_what_it_was_given(clients: dict[str, Any], tmp_path: Path) -> None:
    fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    run = fedlethe.open_run(tmp_path / "run", network(), clients)
    assert run.erase("west").id == "0001"
    assert [one.forget for one in run.erasures()] == [("west",)]
    with pytest.raises(FedletheError, match=r"the run's data were handed over from Python.*open_run\(RUN, model"):
        fedlethe.open_run(tmp_path / "run").erase("east")
    with pytest.raises(FedletheError, match=r"the run's network was handed over from Python"):
        fedlethe.open_run(tmp_path / "run", data=clients).erase("east")
    other = {**clients, "east": arrays(9)}
    with pytest.raises(FedletheError, match="are not those it was trained on"):
        fedlethe.open_run(tmp_path / "run", network(), other).erase("east")
    with pytest.raises(FedletheError, match="was trained with another network"):
        fedlethe.open_run(tmp_path / "run", nn.Linear(5, 2, bias=False), clients).erase("east")
    assert fedlethe.open_run(tmp_path / "run").requests().requests == ()  # which needs neither
    command = [sys.executable, "-m", "fedlethe", "erase", str(tmp_path / "run"), "--client", "east"]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (process.returncode, process.stderr.count("\n")) == (2, 1)
    assert "handed over from Python" in process.stderr


def weights(model: nn.Module) -> list[float]:
    return [value for parameter in model.parameters() for value in parameter.flatten().tolist()]


def test_retrainings_begin_from_what_the_run_began_from_whatever_is_handed_over(
    clients: dict[str, Any], tmp_path: Path
) -> None:
    """A reference that begins from a model that held the client would never find the client."""
    mine = network()
    run = fedlethe.train(mine, clients, out=tmp_path / "run", rounds=1, seed=1)
    with torch.no_grad():
        for parameter in mine.parameters():
            parameter.fill_(5)  # the program goes on with its own
    shutil.copytree(tmp_path / "run", tmp_path / "again")
    again = fedlethe.open_run(tmp_path / "again", run.model(), clients)
    found = []
    for one in (run, again):
        retrained = weights(one.model(one.erase("east", method="retrain").id))
        found.append((retrained, one.audit(one.erase("east"), references=3).findings))
    assert found[0] == found[1]
    fresh = {name: held for name, held in clients.items() if name != "east"}
    anew = fedlethe.train(network(), fresh, out=tmp_path / "fresh", rounds=1, seed=1)
    assert found[0][0] == weights(anew.model())


def test_an_interrupted_training_goes_on_with_a_network_in_any_state(clients: dict[str, Any], tmp_path: Path) -> None:
    settings: dict[str, Any] = {"out": tmp_path / "run", "rounds": 2, "local": {"epochs": 1, "batch_size": 8}}
    asked: list[int] = []

    def loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        asked.extend([1] * (len(outputs) == 8))  # not the questions that are put beforehand
        if len(asked) > 14 and fails:  # the second round
            raise KeyboardInterrupt
        return nn.functional.cross_entropy(outputs, labels)

    fails = True
    with pytest.raises(KeyboardInterrupt):
        fedlethe.train(network(), clients, loss=loss, **settings)
    fails = False
    with pytest.raises(ConfigError, match="was trained with another network"):
        fedlethe.train(nn.Linear(5, 2, bias=False), clients, loss=loss, **settings)
    going_on = fedlethe.train(nn.Linear(5, 2), clients, loss=loss, **settings)
    whole = fedlethe.train(network(), clients, loss=loss, **{**settings, "out": tmp_path / "whole"})
    assert weights(going_on.model()) == weights(whole.model())


def test_a_network_that_does_not_fit_leaves_nothing_behind(clients: dict[str, Any], tmp_path: Path) -> None:
    table = nn.Sequential(nn.Linear(5, 4), nn.Unflatten(1, (2, 2)))
    for wrong, match in (
        (nn.Linear(4, 2), ": fails .RuntimeError"),
        (table, " it answers with .4, 2, 2.; give logits"),
    ):
        with pytest.raises(ConfigError, match=rf"^model 'given': on 4 images of shape \(5,\) and 2 classes{match}"):
            fedlethe.train(wrong, clients, out=tmp_path / "run")
        assert not (tmp_path / "run").exists()
    assert fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1).clients


def test_parts_that_a_run_knows_by_name_are_not_handed_over(clients: dict[str, Any], tmp_path: Path) -> None:
    data = {"source": "phantom", "size": 16, "hospitals": 3, "images_per_hospital": 30}
    fedlethe.train(data=data, out=tmp_path / "run", learner="closed-form", features={"scales": 2})
    with pytest.raises(ConfigError, match=r"^data: the run knows it by its name, 'phantom'; leave it out"):
        fedlethe.open_run(tmp_path / "run", data=clients).erase("hospital-1")
    with pytest.raises(ConfigError, match=r"^model: the run knows it by its name"):
        fedlethe.open_run(tmp_path / "run", model=network()).erase("hospital-1")


def test_a_partition_of_the_configuration_divides_what_was_handed_over(clients: dict[str, Any], tmp_path: Path) -> None:
    config = {"partition": {"scheme": "iid", "clients": 4}}
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1, config=config)
    assert run.clients == ("client-0", "client-1", "client-2", "client-3")


def test_a_data_set_a_loss_and_inputs_of_any_rank(tmp_path: Path) -> None:
    x, y = torch.randn(40, 2, 3, 4, 5, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2
    volumes = {name: TensorDataset(x + number, y) for number, name in enumerate("abc")}
    asked: list[tuple[int, ...]] = []

    def loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        asked.append(tuple(outputs.shape))
        return nn.functional.multi_margin_loss(outputs, labels)

    net = nn.Sequential(nn.Conv3d(2, 3, 3, padding=1), nn.Flatten(), nn.LazyLinear(2))
    net(x[:2])
    run = fedlethe.train(net, volumes, out=tmp_path / "run", rounds=1, loss=loss, local={"epochs": 1})
    assert asked
    assert {shape[1:] for shape in asked} == {(2,)}
    plain = fedlethe.train(net, volumes, out=tmp_path / "plain", rounds=1, local={"epochs": 1})
    pair = zip(run.model().parameters(), plain.model().parameters(), strict=True)
    assert not all(torch.equal(*both) for both in pair)
    assert run.erase("b").subject == "b"


def test_the_whole_way_of_a_request(clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=2)
    key = fedlethe.new_key(tmp_path / "key")
    asked = run.request("east", reason="withdrew", by="the tests")
    carried = run.carry_out(asked.id, key.private, fedlethe.ErasurePlan(method="retrain"))
    assert carried.certificate is not None
    assert fedlethe.verify(carried.certificate, key.public, run.path).failed == ()
    assert fedlethe.verify(run.path).failed == run.verify().failed == ()
    assert [one.purge for one in run.requests().requests] == ["done"]
    assert json.loads((run.path / "erasures/0001/erasure.json").read_text())["method"] == "retrain"
    with pytest.raises(ConfigError, match="name the public key"):
        fedlethe.verify(carried.certificate)


def test_an_audit_of_an_erasure_is_kept(clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    erasure = run.erase("west", plan=fedlethe.ErasurePlan(method="retrain"))
    found = run.audit(erasure, references=3)
    assert found == run.audit("0001", references=3)
    with pytest.raises(FedletheError, match=r"references 0: the audits take 3 retrainings at least$"):
        run.audit(erasure, references=0)  # which would hand back what an earlier audit found
    assert found.references == 3
    with pytest.raises(FedletheError, match="take 3 retrainings at least"):
        run.audit(erasure, references=2)


def test_a_closed_form_run_by_name(tmp_path: Path) -> None:
    data = {"source": "phantom", "size": 16, "hospitals": 3, "images_per_hospital": 30}
    run = fedlethe.train(data=data, out=tmp_path / "run", learner="closed-form", features={"scales": 2})
    erasure = run.erase("hospital-1")
    assert erasure.guarantee is not None
    assert erasure.guarantee.kind == "exact"
    joined = run.erase(join=["hospital-1"], after=erasure.id)
    assert joined.joined == ("hospital-1",)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"data": [1, 2]}, "data: has a list; give each client's data"),
        ({"data": {}}, "data: names no client"),
        ({"data": {"a": 3}}, "client 'a': has an int; give a pair"),
        ({"data": {"a": (np.zeros((4, 5), np.bool_), np.zeros(4, int))}}, "client 'a': has x of bool"),
        ({"data": {"a": (np.full((4, 5), np.nan, np.float32), np.zeros(4, int))}}, "values that are not finite"),
        ({"data": {"a": (np.zeros((4, 5), np.float32), np.zeros(3, int))}}, "has y of int64, shape"),
        ({"data": {"a": (np.zeros((4, 5), np.float32), np.full(4, -1))}}, "class numbers from 0"),
        ({"data": {"a": arrays(0), "b": (np.zeros((4, 6), np.float32), np.arange(4) % 2)}}, "make them one"),
        ({"model": 3}, "model: has an int; give a torch.nn.Module"),
        ({"model": None, "loss": nn.functional.cross_entropy}, "loss: goes with a torch.nn.Module"),
        ({"local": {"epoch": 1}}, "did you mean 'epochs'"),
        ({"nonsense": {}}, "no key 'nonsense'"),
        ({"federation": 3}, "'federation' must be a table"),
        ({"partition": "iid"}, "'partition' must be a table"),
        ({"model": nn.Linear}, r"give an instance, Linear\(\)"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    change: dict[str, Any], match: str, clients: dict[str, Any], tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {"model": network(), "data": clients, **change}
    with pytest.raises(FedletheError, match=match):
        fedlethe.train(**arguments, out=tmp_path / "run", rounds=1)
    assert not (tmp_path / "run").exists()


def test_data_of_sources_keep_their_classes() -> None:
    from fedlethe.data.phantom import Phantom

    images = of_clients({"a": Phantom(size=16, hospitals=1, images_per_hospital=20)})
    assert images.classes == Phantom(size=16, hospitals=1, images_per_hospital=20).load().classes
    assert set(images.sites.tolist() if images.sites is not None else ()) == {"a"}


def test_what_a_run_cannot_do_is_said_before_anything_is_done(clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    with pytest.raises(FedletheError, match=r"nosuch: there is no such file.*there is none"):
        run.evaluate(model="nosuch")
    assert run.evaluate(model=str(run.path / "global_checkpoints/round_0001.safetensors")).evaluation
    with pytest.raises(FedletheError, match=r"^\S+: is a folder; model takes a checkpoint file"):
        run.evaluate(model=run.path)
    with pytest.raises(ConfigError, match="plan: an ErasurePlan is wanted"):
        run.erase("east", plan={"method": "retrain"})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="sigmas: a list is wanted, not '0,1'"):
        run.sweep("0,1")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="path: a path is wanted, not None"):
        fedlethe.open_run(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="nonsense"):
        run.frontier(nonsense=3)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="rounds: a whole number is wanted, not '3'"):
        fedlethe.train(network(), clients, out=tmp_path / "other", rounds="3")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="join: is of learner 'closed-form'"):
        run.erase(join=["east"], after="0001")
    asked = run.request("east", reason="withdrew its consent", by="the officer")
    key = fedlethe.new_key(tmp_path / "key")
    for wrong in ({"why": "enough"}, {"why": "enough", "by": 3}, {"why": "a", "by": "b", "when": "c"}, "why"):
        with pytest.raises(ConfigError, match=r"^accepted.*(must say who and why|a text is wanted|a table is wanted)"):
            run.carry_out(asked.id, key.private, accepted=wrong)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=r"^lost.*(must say who and why|a text is wanted|a table is wanted)"):
            run.purge(key.private, lost=wrong)  # type: ignore[arg-type]
    assert run.requests().requests[0].state == "opened"
    with pytest.raises(FedletheError, match="keep_for 99999999: must be 0 to 36500 days"):
        run.carry_out(asked.id, key.private, plan=fedlethe.ErasurePlan(keep_for=99999999))


def test_a_plan_and_fields_beside_it_are_refused(clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    with pytest.raises(ConfigError, match="says how already; leave after out"):
        run.erase("west", plan=fedlethe.ErasurePlan(), after="0001")
    with pytest.raises(ConfigError, match="nobody is named"):
        run.erase()
    with pytest.raises(FedletheError, match="did you mean 'method'"):
        run.erase("west", metod="retrain")


def test_the_example_of_ones_own_model_is_short_and_runs(tmp_path: Path) -> None:
    path = EXAMPLES / "own_model.py"
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith(("#", '"""'))]
    assert len(lines) <= 30
    imported = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import", "from"))}
    assert {name for name in imported if name.startswith("fedlethe")} == {"fedlethe"}
    program = [sys.executable, str(path), str(tmp_path / "run")]
    told = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    assert "erased south - exact" in told
    assert "utility: useful" in told


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (EXAMPLES.parent / "README.md").read_text()
    (block,) = [part.partition("```")[0] for part in text.split("```python")[1:]]
    monkeypatch.chdir(tmp_path)
    (x, y), (x2, y2) = arrays(0, 60), arrays(1, 60)
    held = TensorDataset(torch.from_numpy(x + 1), torch.from_numpy(y))
    names: dict[str, Any] = {"MyNet": network, "x": x, "y": y, "x2": x2, "y2": y2, "dataset": held}
    exec(compile(block, "README.md", "exec"), names)  # which is what a reader would type
    assert names["carried"].request.purge == "done"
    assert (tmp_path / "run" / "report" / "index.html").is_file()


class _Squared(nn.Module):
    """A network whose structure prints as that of `_Plain`, and whose code does not."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 2)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layer(rows) ** 2
        return outputs


class _Plain(nn.Module):
    """See `_Squared`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 2)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layer(rows)
        return outputs


class _Scaled(_Plain):
    """One whose setting is a plain number."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layer(rows) * self.scale
        return outputs


def _margin(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return nn.functional.multi_margin_loss(outputs, labels)


def _smoothed(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(outputs, labels, label_smoothing=0.1)


def test_what_was_not_handed_over_again_or_is_another_is_not_trained_with(
    clients: dict[str, Any], tmp_path: Path
) -> None:
    """A retraining on another loss, or through another network of the same weights, is no retraining."""
    fedlethe.train(_Plain(), clients, out=tmp_path / "run", rounds=1, loss=_margin)
    smoothed = fedlethe.train(
        _Scaled(1.0), clients, out=tmp_path / "settings", rounds=1, loss=nn.CrossEntropyLoss(label_smoothing=0.1)
    )
    assert smoothed.erase("east").id == "0001"
    wrong: tuple[tuple[nn.Module, Any, str], ...] = (  # settings that neither the code nor what it prints shows
        (_Scaled(1.0), nn.CrossEntropyLoss(label_smoothing=0.6), "another loss"),
        (_Scaled(1.0), nn.CrossEntropyLoss(torch.tensor([1.0, 5.0]), label_smoothing=0.1), "another loss"),
        (_Scaled(9.0), nn.CrossEntropyLoss(label_smoothing=0.1), "another network"),
    )
    for model, loss, match in wrong:
        with pytest.raises(ConfigError, match=match):
            fedlethe.open_run(tmp_path / "settings", model, clients, loss).erase("west", method="retrain")
    for model, loss, match in (
        (_Plain(), None, "was trained with a loss; hand it over: loss="),
        (_Plain(), _smoothed, "was trained with another loss"),
        (_Squared(), _margin, "was trained with another network"),
    ):
        with pytest.raises(ConfigError, match=match):
            fedlethe.open_run(tmp_path / "run", model, clients, loss).erase("west", method="retrain")
    erasure = fedlethe.open_run(tmp_path / "run", _Plain(), clients, _margin).erase("west", method="retrain")
    assert erasure.guarantee is not None


def test_a_purge_names_the_program_that_holds_the_data(clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    key = fedlethe.new_key(tmp_path / "key")
    asked = run.request("east", reason="withdrew", by="the tests")
    carried = run.carry_out(asked.id, key.private, fedlethe.ErasurePlan(method="retrain"))
    assert carried.certificate is not None
    assert any("the Python program that handed the data over" in words for words in _not_reached(carried.certificate))


@pytest.mark.parametrize(
    "wrong", [{"after": 3}, {"decoys": True}, {"keep_for": True}, {"keep_for": 1.5}, {"references": "3"}, {"method": 3}]
)
def test_a_plan_of_other_types_enters_no_ledger(wrong: Any, clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    key = fedlethe.new_key(tmp_path / "key")
    asked = run.request("east", reason="withdrew", by="the tests")
    made = partial(fedlethe.ErasurePlan, **{"method": "retrain", **wrong})
    for act in (lambda: run.carry_out(asked.id, key.private, made()), lambda: run.erase("west", plan=made())):
        with pytest.raises(FedletheError, match=next(iter(wrong))):
            act()
    assert run.carry_out(asked.id, key.private, fedlethe.ErasurePlan(method="retrain")).request.purge == "done"
    assert run.verify().failed == ()


def test_a_network_without_sizes_is_named_with_the_mend(clients: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^model: some weights have no shape yet \(a Lazy module\); call it with"):
        fedlethe.train(nn.LazyLinear(2), clients, out=tmp_path / "run")


@pytest.mark.parametrize("leaves", ["south", "north"])
def test_who_left_one_run_is_purged_from_the_one_before_it_with_the_data_at_hand(
    leaves: str, clients: dict[str, Any], tmp_path: Path
) -> None:
    """The run before has data of the same program: they are known again there, or named as what is not reached."""
    key = fedlethe.new_key(tmp_path / "key")
    retrain = fedlethe.ErasurePlan(method="retrain")
    first = fedlethe.train(network(), clients, out=tmp_path / "first", rounds=1)
    asked = first.request("east", reason="withdrew", by="the tests")
    assert first.carry_out(asked.id, key.private, retrain).request.purge == "done"
    after = first.path / "erasures" / "0001"
    data = clients if leaves == "south" else {**clients, "north": arrays(7)}
    second = fedlethe.train(network(), data, out=tmp_path / "second", rounds=1, after=after)
    asked = second.request(leaves, reason="withdrew", by="the tests")
    carried = second.carry_out(asked.id, key.private, retrain)
    assert carried.request.purge == "done"
    assert second.verify().failed == first.verify().failed == ()
    assert carried.certificate is not None
    assert any("the Python program that handed the data over" in words for words in _not_reached(carried.certificate))


def _not_reached(certificate: Path) -> list[str]:
    from fedlethe.requests.signing import unchecked

    found: list[str] = json.loads(unchecked(certificate.read_bytes(), certificate))["predicate"]["purge"]["not_reached"]
    return found


class _Frozen(nn.Module):
    """A network whose own `train` returns nothing, with a module that is random by numpy."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))

    def train(self, mode: bool = True) -> Any:
        super().train(mode)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layers(rows)
        return outputs + np.random.default_rng().normal() * 1e-3 if self.training else outputs


class _Counting:
    """A loss that works in place and has a state."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.asked += 1
        outputs /= 2.0
        return nn.functional.cross_entropy(outputs, labels) * (1 + self.asked)


def test_odd_networks_and_losses_are_trained_and_known_again(clients: dict[str, Any], tmp_path: Path) -> None:
    loss = _Counting()
    run = fedlethe.train(_Frozen(), clients, out=tmp_path / "run", rounds=1, loss=loss)
    assert loss.asked == 0  # it stays the caller's
    assert run.erase("west", method="retrain").guarantee is not None
    again = fedlethe.open_run(tmp_path / "run", _Frozen(), clients, _Counting())
    assert again.erase("east", method="retrain").guarantee is not None


def test_the_certificate_says_how_a_network_was_known_again(clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    key = fedlethe.new_key(tmp_path / "key")
    asked = run.request("east", reason="withdrew", by="the tests")
    carried = run.carry_out(asked.id, key.private, fedlethe.ErasurePlan(method="retrain"))
    from fedlethe.requests.signing import unchecked

    assert carried.certificate is not None
    said = json.loads(unchecked(carried.certificate.read_bytes(), carried.certificate))["predicate"]["run"]["model"]
    assert "not by all that they can do" in said


PHANTOM = {"source": "phantom", "size": 16, "hospitals": 3, "images_per_hospital": 20}


def test_a_training_from_an_erasure_has_its_run_s_configuration_unless_data_are_named(tmp_path: Path) -> None:
    held = {"seed": 5, "local": {"batch_size": 4}, "history": {"methods": ["influence"]}}
    run = fedlethe.train(data=PHANTOM, out=tmp_path / "run", rounds=1, config=held)
    after = tmp_path / "run" / "erasures" / run.erase("hospital-2", repair={"rounds": 0}).id
    fedlethe.train(out=tmp_path / "on", after=after, rounds=2)
    on = tomlkit.parse((tmp_path / "on" / "run.toml").read_text()).unwrap()
    assert (on["seed"], on["local"]["batch_size"], on["data"]["size"]) == (5, 4, 16)
    assert on["federation"]["rounds"] == 2
    fedlethe.train(data=PHANTOM, out=tmp_path / "anew", after=after, rounds=1, seed=6)
    anew = tomlkit.parse((tmp_path / "anew" / "run.toml").read_text()).unwrap()
    assert anew["local"]["batch_size"] != 4
    with pytest.raises(
        ConfigError, match=r"learner 'closed-form': .*0001 is a model of learner 'fedavg'; leave it out"
    ):
        fedlethe.train(out=tmp_path / "other", after=after, learner="closed-form")


def test_configurations_lie_one_over_the_other_and_over_a_preset(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[federation]\nrounds = 4\n[local]\nbatch_size = 5\n")
    layers: list[Any] = [file, {"data": PHANTOM, "local": {"batch_size": 6}}]
    run = fedlethe.train(config=layers, preset="demo", rounds=1, out=tmp_path / "run")
    held = tomlkit.parse((run.path / "run.toml").read_text()).unwrap()
    assert (held["federation"]["rounds"], held["local"]["batch_size"], held["local"]["optimizer"]) == (1, 6, "adam")
    with pytest.raises(ConfigError, match="no preset 'papr'; did you mean 'paper'"):
        fedlethe.train(preset="papr", out=tmp_path / "no")
    with pytest.raises(HistoryError, match="is trained already"):
        fedlethe.train(config=layers, preset="demo", rounds=1, out=run.path)
    again = fedlethe.train(config=layers, preset="demo", rounds=1, out=run.path, finished_too=True)
    assert again.trained is not None
    assert again.trained.resumed_after == 1


def test_data_of_ones_own_are_looked_at_before_a_training(clients: dict[str, Any], tmp_path: Path) -> None:
    held = fedlethe.inspect_data(clients, partition={"test_fraction": 0.5})
    assert (list(held.counts["test"]), held.image_shape, held.pictures) == (["east", "south", "west"], (5,), ())
    assert sum(sum(mix.values()) for mix in held.counts["test"].values()) == 60
    drawn = fedlethe.inspect_data(PHANTOM, seed=3, out=tmp_path / "pictures")
    assert all(picture.is_file() for picture in drawn.pictures)
    with pytest.raises(ConfigError, match="no option 'flags'"):
        fedlethe.inspect_data({"source": "medmnist", "flags": "pneumoniamnist"})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"model": {"norm": "group"}}, r"^model: 'name' is missing; say which one, as in \{'name': 'resnet18'\}$"),
        ({"aggregator": {"trim": 0.1}}, "^aggregator: 'name' is missing; say which one"),
        (
            {"data": {"flag": "pneumoniamnist"}},
            "^data: 'source' is missing; say which one.*or give each client",
        ),
    ],
)
def test_a_table_of_options_without_a_name_says_what_is_missing(given: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        fedlethe.train(**given, out=tmp_path / "run")


def test_whose_images_go_is_said_in_one_way() -> None:
    with pytest.raises(ConfigError, match="say of which data"):
        fedlethe.cache_content(clients=["east"])
    for wrong in ({}, {"clients": ["a"], "everything": True}, {"run": "RUN"}):
        with pytest.raises(ConfigError, match="say whose images go"):
            fedlethe.clear_cache(**wrong)
    with pytest.raises(ConfigError, match="whatever the data"):
        fedlethe.clear_cache(run="RUN", everything=True)
    with pytest.raises(ConfigError, match="RUN: the run says what its data are"):
        fedlethe.cache_content("RUN", config={"data": PHANTOM})


def test_the_images_of_a_run_whose_sources_were_handed_over_are_found_by_the_run_itself(tmp_path: Path) -> None:
    """By its folder nobody knows whose they are, and no other argument takes data."""
    kind: Any = fedlethe.DATASETS["phantom"]
    one, other = (kind(size=16, hospitals=1, images_per_hospital=count) for count in (20, 24))
    run = fedlethe.train("small-cnn", {"a": one, "b": other}, out=tmp_path / "run", rounds=1)
    with pytest.raises(DataError, match="the run's data were handed over"):
        fedlethe.cache_content(run.path, clients=["a"])
    with pytest.raises(ConfigError, match=r"^run: a path is wanted, not 3$"):
        fedlethe.cache_content(3)  # type: ignore[arg-type]
    found = fedlethe.cache_content(run, clients=["a"])
    assert {"a": 20} in [dict(one.clients) for one in found.entries]
    assert fedlethe.clear_cache(run, clients=["a"]).images == 20
    assert not any(one.clients for one in fedlethe.cache_content(run, clients=["a"]).entries)


@pytest.mark.parametrize("name", ["AGGREGATORS", "AUDITS", "DATASETS", "METHODS", "MODELS"])
def test_the_registries_tell_what_they_hold_with_an_example_that_runs(name: str) -> None:
    registry = getattr(fedlethe, name)
    shown = pydoc.plain(pydoc.render_doc(registry))
    assert registry.__doc__.splitlines()[0] in shown  # what help() prints
    assert next(iter(registry)) in shown
    test = doctest.DocTestParser().get_doctest(registry.__doc__, {}, name, None, 0)
    assert test.examples
    ran = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF).run(test)
    assert ran.failed == 0


@pytest.mark.parametrize("kind", [fedlethe.FedletheError, *fedlethe.FedletheError.__subclasses__(), fedlethe.Run])
def test_every_error_and_run_have_an_example(kind: type) -> None:
    assert "\nExample:\n" in (inspect.getdoc(kind) or "")


def test_an_option_of_a_method_is_not_lost_among_the_fields_of_a_plan(clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    with pytest.raises(ConfigError, match=r"no option 'scale'.*goes into options, as \{'scale': 0\.5\}$"):
        run.erase("east", scale=1.0)
    with pytest.raises(ConfigError, match=r"no option 'metod'; did you mean 'method'"):
        run.erase("east", metod="retrain")
    with pytest.raises(ConfigError, match=r"'decoys': a whole number is wanted, not 'x'$"):
        run.erase("east", decoys="x")


def test_what_is_asked_for_twice_is_refused(clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    with pytest.raises(ConfigError, match=r"^sigma 0\.01: is given twice; give each once$"):
        run.sweep(sigmas=[0.01, 0, 0.01])
    for twice in ({"epsilons": [1.0, 1.0]}, {"masks": ["shaped", "shaped"]}, {"sigmas": [0.1, 0.1]}):
        with pytest.raises(ConfigError, match="is given twice"):
            run.frontier(**twice)
    with pytest.raises(ConfigError, match="method retrain: is given twice"):
        fedlethe.compare({"data": PHANTOM}, ["retrain", "pga", "retrain"], out=tmp_path / "out", seeds=[0])
    with pytest.raises(ConfigError, match="method pga: is given twice"):
        fedlethe.train(data=PHANTOM, out=tmp_path / "no", history={"methods": ["pga", "pga"]})
