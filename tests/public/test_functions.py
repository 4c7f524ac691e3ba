# SPDX-License-Identifier: MIT
"""The public face: its names, and what they do with a network and data of one's own."""

from __future__ import annotations

import dataclasses
import doctest
import inspect
import pydoc
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import tomlkit
import torch
from torch import nn
from torch.utils.data import TensorDataset

import fedlethe
from fedlethe import results
from fedlethe.errors import ConfigError, DataError, FedletheError, HistoryError, IntegrityError, NodeError, RequestError
from tests.public.own import PHANTOM, arrays, network, weights

FACE = {
    *("AGGREGATORS", "AUDITS", "DATASETS", "METHODS", "MODELS"),
    *("ConfigError", "DataError", "FedletheError", "HistoryError", "IntegrityError", "NodeError", "RequestError"),
    *("ErasurePlan", "Run", "compare", "new_key", "open_run", "train", "verify"),
    *("cache_content", "clear_cache", "inspect_data"),
}


EXAMPLES = Path(__file__).parents[2] / "examples"


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


def test_a_network_without_sizes_is_named_with_the_mend(clients: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^model: some weights have no shape yet \(a Lazy module\); call it with"):
        fedlethe.train(nn.LazyLinear(2), clients, out=tmp_path / "run")


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
