# SPDX-License-Identifier: MIT
"""What a certificate says that stays is every file that the run's ledger names, and no other."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fedlethe.erasing.plan import ErasurePlan
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import Artefact
from fedlethe.requests.remaining import what_remains
from fedlethe.runs.run_toml import opened_folder
from tests.requests.acting import CLOSED, EXACT, GONE, OTHER, PLAIN, certified, document, erased, predicate, trained


def _said(run: Path, plan: ErasurePlan) -> tuple[list[str], list[str]]:
    """What the first certificate says is to stay, and what the last one says stays."""
    path = certified(erased(run, GONE, plan=plan))
    first = predicate(path.with_name("certificate-before-purge.json"))["purge"]["runs"][0]["remains"]
    return first, predicate(path)["purge"]["runs"][0]["remains"]


def _influences(said: list[str]) -> list[str]:
    return [words for words in said if words.startswith("influence")]


def test_influences_are_promised_where_the_purge_rebases_them(small: Path) -> None:
    first, last = _said(small, PLAIN)
    assert _influences(first) == _influences(last)
    (words,) = _influences(last)
    assert (
        words
        == "influences of hospital-0, hospital-2, rebased on the model after, so that the next erasure can be made"
    )


def test_an_influence_on_hold_is_rebased_on_the_model_that_it_was_made_for(run: Path) -> None:
    erased(run, "hospital-0", plan=PLAIN)
    erased(run, GONE, plan=replace(PLAIN, keep_for=30))
    path = certified(erased(run, OTHER, plan=PLAIN))
    first = predicate(path.with_name("certificate-before-purge.json"))["purge"]["runs"][0]["remains"]
    said = predicate(path)["purge"]["runs"][0]["remains"]
    assert _influences(said) == [
        "influences of hospital-3, rebased on the model after, so that the next erasure can be made",
        f"influences of {GONE}, rebased on the model of erasure 0001",
    ]
    assert _influences(first) == _influences(said)
    with opened_folder(run) as (_, history):
        assert history.store.holds(f"influence/{GONE}/R0001")


def test_none_are_promised_where_the_training_went_back(tmp_path: Path) -> None:
    """Influences of a training with the erased do not fit a model that went back to before it: none are kept."""
    run = trained(tmp_path / "run", document(hospitals=3, rounds=2))
    first, last = _said(run, ErasurePlan(method="sifu", options={"sigma": 1e-9}, repair={"rounds": 0}))
    assert not list((run / "influence").rglob("*.sealed"))
    assert (_influences(first), _influences(last)) == ([], [])


def test_statistics_stay_and_are_said_to(tmp_path: Path, closed_form_run: Path) -> None:
    run = Path(shutil.copytree(closed_form_run, tmp_path / "run"))
    for said in _said(run, EXACT):
        assert "statistics (2), of hospital-0, hospital-2" in said
        assert not _influences(said)
    assert CLOSED["learner"] == "closed-form"


def test_global_models_from_before_the_erased_came_are_named(run: Path) -> None:
    with opened_folder(run) as (_, history):
        models = [one for one in history.ledger.artefacts().values() if one.kind == "global checkpoint"]
        said = what_remains(history, models, history.ledger.head().seq, None, None)
    assert said[:2] == [
        "the initial model",
        "the global models of rounds 1, 2, which none of them had taken part in yet",
    ]


@pytest.mark.parametrize("kind", ["influence", "client delta", "norms", "answers", "study", "erasure", "statistics"])
def test_no_file_is_passed_over(kind: str, small: Path) -> None:
    odd = Artefact(f"x/y/z/{kind}.odd", kind, None, None, 1, "0" * 64)  # type: ignore[arg-type]
    with opened_folder(small) as (_, history):
        assert _without(history, odd) != _without(history)


def _without(history: RunFolder, *files: Artefact) -> list[str]:
    return what_remains(history, files, history.ledger.head().seq, None, None)
