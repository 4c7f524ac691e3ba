# SPDX-License-Identifier: MIT
"""Names of installed packages and import paths, and what is said where they lead nowhere."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedlethe.audit import AUDITS
from fedlethe.data import DATASETS
from fedlethe.errors import ConfigError, FedletheError
from fedlethe.federation.aggregator import AGGREGATORS
from fedlethe.models import MODELS
from fedlethe.outside.plugins import Registry, frozen_dataclass, lacking, path_of
from fedlethe.unlearning import METHODS

CODE = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Net:
    size: int = 3
    def build(self):
        return self.size

@dataclass
class Loose:
    size: int = 3

def made():
    return 3

number = 3
"""

Write = Callable[..., str]
_numbers = itertools.count()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a module that can be imported, under a name of its own, and gives the name back."""
    monkeypatch.syspath_prepend(tmp_path)

    def written(code: str = CODE) -> str:
        name = f"outside_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text(code)
        return name

    return written


def installed(folder: Path, package: str, **points: str) -> None:
    """A package's entry points, as pip writes them."""
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[fedlethe.tests]", *lines, ""]))


def _needs_build(kind: Any) -> str | None:
    return None if callable(kind) and not isinstance(kind, type) else lacking(kind, {"build": "def build(self)"})


@pytest.fixture
def registry() -> Registry[Any]:
    return Registry("thing", "fedlethe.tests", {"own": "fedlethe.models.small_cnn:SmallCnn"}, _needs_build)


def test_a_row_is_imported_when_it_is_asked_for(registry: Registry[Any]) -> None:
    lost: Registry[Any] = Registry("thing", "fedlethe.tests", {"lost": "no_such_module:Thing"}, _needs_build)
    assert list(lost) == ["lost"]
    assert "lost" in lost
    assert registry["own"].__name__ == "SmallCnn"
    with pytest.raises(FedletheError, match="thing 'lost': there is no module 'no_such_module'"):
        lost["lost"]


def test_an_import_path_is_a_key_and_in_no_list(registry: Registry[Any], write: Write) -> None:
    name = f"{write()}:Net"
    assert name in registry
    assert registry[name]().build() == 3
    assert list(registry) == ["own"]
    assert len(registry) == 1
    assert registry.get("other") is None
    assert "other" not in registry
    with pytest.raises(KeyError):
        registry["other"]


def test_an_installed_package_adds_a_name(registry: Registry[Any], write: Write, tmp_path: Path) -> None:
    module = write()
    installed(tmp_path, "my-lab", mine=f"{module}:Net", another=f"{module}:made")
    assert list(registry) == ["own", "another", "mine"]
    assert len(registry) == 3
    assert registry["mine"].__name__ == "Net"
    assert "mine" in registry


def test_two_packages_of_one_name_are_refused(registry: Registry[Any], write: Write, tmp_path: Path) -> None:
    module = write()
    installed(tmp_path, "my-lab", mine=f"{module}:Net")
    installed(tmp_path, "your-lab", mine=f"{module}:made")
    for look in (lambda: registry["mine"], lambda: list(registry)):
        with pytest.raises(FedletheError) as raised:
            look()
        assert f"{module}:Net of my-lab" in str(raised.value)
        assert f"{module}:made of your-lab" in str(raised.value)
    assert registry["own"].__name__ == "SmallCnn"  # what has one name is found as before


def test_a_name_of_our_own_cannot_be_taken(registry: Registry[Any], write: Write, tmp_path: Path) -> None:
    module = write()
    installed(tmp_path, "my-lab", own=f"{module}:Net")
    with pytest.raises(FedletheError, match=rf"own fedlethe.models.small_cnn:SmallCnn and {module}:Net of my-lab"):
        registry["own"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("{}:Nett", r"has no 'Nett'; did you mean 'Net'\? correct the name"),
        ("{}:number", "has no 'build'; write: def build"),
        ("{}:Loose", "has no 'build'"),
        ("{}.deeper:Net", "there is no module '{}.deeper'; install the package that brings it"),
        ("no_such_module.nets:Net", "there is no module 'no_such_module'; install the package"),
        ("{}:", "is no import path; write PACKAGE.MODULE:NAME"),
        (":Net", "is no import path"),
        ("a b:Net", "is no import path"),
    ],
)
def test_where_a_path_leads_nowhere_one_line_says_so(
    registry: Registry[Any], write: Write, path: str, words: str
) -> None:
    module = write()
    with pytest.raises(FedletheError, match=words.replace("{}", module)) as raised:
        registry[path.replace("{}", module)]
    assert str(raised.value).startswith(f"thing '{path.replace('{}', module)}': ")
    assert "\n" not in str(raised.value)


def test_a_module_is_no_name_and_what_is_in_it_is_meant(
    registry: Registry[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "somelab").mkdir()
    (tmp_path / "somelab" / "nets.py").write_text(CODE)
    (tmp_path / "somelab" / "broken.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    for name in ("somelab.nets", "somelab.broken"):
        with pytest.raises(ConfigError, match=rf"^thing '{name}': is a module; name what is in it, {name}:NAME, as in"):
            registry.refuse_path(name)
    for name, path in (("somelab.nets.Net", "somelab.nets:Net"), ("somelab.broken.Net", "somelab.broken:Net")):
        with pytest.raises(ConfigError, match=f"^thing '{name}': is no name; as an import path it is {path}$"):
            registry.refuse_path(name)
    registry.refuse_path("somelab")  # one word is no path


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import no_such_thing", r"needs the module 'no_such_thing', which is not there; install"),
        ("raise ValueError('two\\nlines')", r"cannot be imported \(ValueError: two lines, outside_\d+.py line 1\)"),
        ("import sys; sys.exit(3)", r"cannot be imported \(SystemExit: 3"),
        ("def half(:", r"cannot be imported \(SyntaxError: .*\(outside_\d+.py, line 1\)\)"),
        ("import json\njson.loads('{')", r"\(JSONDecodeError: .*, outside_\d+.py line 2\)"),  # not Python's own line
        ("import torch\ntorch.zeros(2) @ torch.zeros(3)", r"\(RuntimeError: .*, outside_\d+.py line 2\)"),
        ("import torch\ntorch.nn.Linear(2, 2)(torch.zeros(3))", r"\(RuntimeError: .*, outside_\d+.py line 2\)"),
        ("from fedlethe.ranking import auc\nauc(3, 4)", r"\(\w+: .*, outside_\d+.py line 2\)"),  # nor fedlethe's
    ],
)
def test_a_module_that_cannot_be_imported_is_named(
    registry: Registry[Any], write: Write, code: str, words: str
) -> None:
    with pytest.raises(FedletheError, match=words) as raised:
        registry[f"{write(code)}:Net"]
    assert "\n" not in str(raised.value)


def test_a_broken_entry_point_is_named_with_its_package(registry: Registry[Any], tmp_path: Path, write: Write) -> None:
    write()
    installed(tmp_path, "my-lab", mine="no_such_module:Net")
    with pytest.raises(FedletheError, match=r"thing 'mine' \(entry point no_such_module:Net of my-lab\): there is no"):
        registry["mine"]


def test_the_current_folder_comes_last(
    registry: Registry[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "found_in_the_folder.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(tmp_path))])
    assert registry["found_in_the_folder:Net"].__name__ == "Net"
    assert sys.path[-1] == str(tmp_path)


def test_an_import_path_leads_back_to_its_class() -> None:
    assert path_of(Registry) == "fedlethe.outside.plugins:Registry"


@pytest.mark.parametrize(
    ("table", "name", "options", "words"),
    [
        (METHODS, "influence", {"scale": "x"}, "method 'influence' 'scale': a number is wanted, not 'x'"),
        (METHODS, "influence", {"scal": 1.0}, "method 'influence': no option 'scal'; did you mean 'scale'?"),
        (METHODS, "pga", {"epochs": -1.0}, "method 'pga': "),
        (DATASETS, "phantom", {"size": 8}, "data source 'phantom': size must be at least 16, not 8"),
        (MODELS, "resnet18", {"norm": "x"}, "model 'resnet18' 'norm': 'batch' or 'group' is wanted, not 'x'"),
    ],
)
def test_a_class_of_our_own_that_a_program_calls_says_what_is_wrong_as_a_configuration_does(
    table: Registry[Any], name: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        table[name](**options)
    assert table[name] is table[name]


@pytest.mark.parametrize("table", [METHODS, DATASETS, MODELS, AGGREGATORS, AUDITS], ids=lambda table: table.what)
def test_every_class_of_our_own_takes_numbers_of_numpy_and_keeps_its_signature(table: Registry[Any]) -> None:
    for name in table.rows:
        taken = {one.name: one.default for one in dataclasses.fields(table[name]) if one.init}
        numbers = {field: value for field, value in taken.items() if type(value) in (int, float)}
        made = {field: np.array(value)[()] for field, value in numbers.items()}
        needed = {field: "x" for field, value in taken.items() if value is dataclasses.MISSING}
        assert set(inspect.signature(table[name]).parameters) == set(taken)
        if not needed:
            needs: dict[str, Any] = {"medmnist": {"flag": "bloodmnist"}, "table": {"path": Path("north.csv")}}
            told = needs.get(name, {})
            built = table[name](**made, **told)
            assert built == table[name](**told)
            assert [type(getattr(built, field)) for field in numbers] == [type(value) for value in numbers.values()]


def test_only_a_frozen_dataclass_has_options_as_its_fields() -> None:
    from fedlethe.models.small_cnn import SmallCnn

    assert frozen_dataclass(SmallCnn)
    assert not frozen_dataclass(SmallCnn())
    assert not frozen_dataclass(Registry)
    assert not frozen_dataclass(lacking)
