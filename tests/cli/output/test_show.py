# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import pytest

from fedlethe.cli.output.show import (
    FAMILIES,
    evaluation_object,
    evaluations_table,
    fields_of,
    left_out_lines,
    lines_of,
    object_of,
    show,
    tables,
)
from fedlethe.history.request_log import ErasureRequest
from fedlethe.types import Evaluation, Metrics

FOUND = Evaluation(Metrics(10, 0.5, 0.25, 0.75), {"a": Metrics(6, 0.5, 0.5, None), "b": Metrics(4, 0.25, 0.5, 1.0)})
FILES = sorted({f"fedlethe.cli.output.{family}" for family in FAMILIES.values()})


@dataclass(frozen=True)
class Unheard:
    """A result that no file shows."""

    run: Path = Path("RUN")
    share: float = 0.5


def test_every_file_shows_what_its_row_says_and_nothing_has_no_row() -> None:
    """A result whose module is in no row would be found by nobody, until its command had run for hours."""
    for name in FILES:
        import_module(name)
    held = {kind for registry in (lines_of.registry, object_of.registry) for kind in registry if kind is not object}
    assert {kind.__name__ for kind in held} == set(FAMILIES)
    for kind in held:
        shown_by = {
            registry[kind].__module__ for registry in (lines_of.registry, object_of.registry) if kind in registry
        }
        assert shown_by == {f"fedlethe.cli.output.{FAMILIES[kind.__name__]}"}, kind
    shown = {kind for kind in object_of.registry if kind is not object} - {ErasureRequest}  # which is a part of others
    assert shown <= set(lines_of.registry)


def test_a_kind_that_nobody_shows_has_its_fields_and_no_lines() -> None:
    assert object_of(Unheard()) == {"run": Path("RUN"), "share": 0.5}
    with pytest.raises(TypeError, match="Unheard"):
        list(tables(Unheard()))


def test_json_has_paths_as_texts_and_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    show(Unheard(), as_json=True)
    assert capsys.readouterr().out == '{\n  "run": "RUN",\n  "share": 0.5\n}\n'
    with pytest.raises(ValueError, match="Out of range"):
        show(Unheard(share=float("nan")), as_json=True)


def test_an_evaluation_has_the_overall_figures_at_the_top() -> None:
    found = evaluation_object(FOUND)
    assert (found["accuracy"], found["auc"], found["num_examples"]) == (0.5, 0.75, 10)
    known = {name: value for name, value in found["clients"]["a"].items() if value not in (None, ())}
    assert known == {"num_examples": 6, "accuracy": 0.5, "balanced_accuracy": 0.5}
    assert found["clients"]["a"]["auc"] is None


def test_a_table_of_evaluations_marks_the_erased_and_ends_with_all() -> None:
    table = evaluations_table("Stages", {"before": FOUND, "after": FOUND}, marked=["b"])
    cells = [list(column.cells) for column in table.columns]
    assert cells[0] == ["a", "b (erased)", "all"]
    assert cells[1] == ["6", "4", "10"]
    assert cells[2] == cells[3] == ["0.500 / 0.500 / -", "0.250 / 0.500 / 1.000", "0.500 / 0.250 / 0.750"]
    assert [str(column.header).split("\n")[0] for column in table.columns[2:]] == ["before", "after"]


def test_images_of_one_class_have_no_balance_and_no_auc() -> None:
    one = Metrics(4, 0.75, 0.75, None, confusion=((3, 1), (0, 0)))
    cells = list(evaluations_table("", {"": Evaluation(one, {"a": one})}).columns[2].cells)
    assert cells == ["0.750 / - / -"] * 2


def test_the_retained_have_a_row_where_every_column_has_them() -> None:
    retained = replace(FOUND, retained=Metrics(6, 0.5, 0.5, None))
    rows = [list(evaluations_table("", columns).columns[0].cells) for columns in ({"": retained}, {"": FOUND})]
    assert [cells[-1] for cells in rows] == ["retained", "all"]


def test_what_was_left_out_is_said_where_something_was() -> None:
    assert list(left_out_lines({})) == []
    assert list(left_out_lines({"too dark": 1200, "no label": 3})) == ["left out: 1,200 too dark, 3 no label"]


def test_fields_can_be_left_out() -> None:
    assert fields_of(Unheard(), "share") == {"run": Path("RUN")}
