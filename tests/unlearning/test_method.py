# SPDX-License-Identifier: MIT
"""A mistake of a method's author ends in one line that names the method and the mend, in every erasure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from fedlethe.errors import FedletheError
from fedlethe.federation.federation import Federation
from fedlethe.history.history import History
from fedlethe.history.succession import Part, Succession
from fedlethe.types import Need
from fedlethe.unlearning import METHODS, Unlearned, unlearn
from fedlethe.unlearning.method import method_name, retrains_from
from tests.fakes import linear_federation, trained_history
from tests.testing import broken_methods as broken

ALL = [(round, ("a", "b", "c")) for round in (1, 2)]


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (broken.NoPaper, "NoPaper: has no 'paper'; write: paper: ClassVar"),
        (broken.NoNeeds, "NoNeeds: has no 'needs'; write: needs: ClassVar"),
        (broken.NeedsInAList, "NeedsInAList: its 'needs' are no frozenset of Need; write"),
        (broken.SaysItRetrains, "SaysItRetrains: says 'retrains_from'; what is certain of a model is worked out"),
        (broken.NotFrozen, "NotFrozen: is no frozen dataclass; write @dataclass"),
        (broken.Shorter, r"Shorter: its model has shape \(2,\), torch.float32; give \(3,\)"),
        (broken.Doubles, "Doubles: its model has shape .*float64; give .*float32"),
        (broken.Bare, "Bare: gives a Tensor; return Unlearned"),
        (broken.Infinite, "Infinite: its model is not finite; choose milder options"),
        (broken.Writes, r"Writes: changes the history: it writes to history.initial\(\); clone\(\) it before"),
        (broken.Reads, "Reads: reads each client's delta in each round, .*; add Need.DELTAS to its `needs`"),
        (broken.Trains, "Trains: uses 'retained clients train again', .*; add Need.RETAINED_DATA to its `needs`"),
        (
            broken.Raises,
            r"Raises: fails \(KeyError: 'client.*b', broken_methods.py line .*\); correct it, or its options$",
        ),
        (broken.TakesLess, r"TakesLess: fails \(TypeError: .*takes 2 positional"),
        (broken.PromisesInWords, r"PromisesInWords: gives a guarantee; .*; return Unlearned\(model=...\) without$"),
        (broken.Promises, r"Promises: gives a guarantee; .*; return Unlearned\(model=...\) without$"),
        (broken.SaysWhoseItIs, r"SaysWhoseItIs: gives influences; .*; return Unlearned\(model=...\) without$"),
        (
            broken.PromisesEvidence,
            r"PromisesEvidence: fails \(ValueError: .*'evidence'; give None for evidence, broken_methods",
        ),
        (broken.FindsWords, "FindsWords: its figure 'loss' is a str; give a number"),
        (broken.FindsNothing, "FindsNothing: its figure 'loss' is nan; give a finite number, or leave it out"),
        (broken.FindsWithoutName, "FindsWithoutName: a figure is called 3; give it a name, a text"),
        (broken.ListsInfluences, "ListsInfluences: its 'influences' is a list; give client to vector, a dict"),
        (broken.AsksWhoIsGone, "AsksWhoIsGone: uses 'forgotten clients train again', .*add Need.FORGOTTEN_DATA"),
    ],
)
def test_what_it_breaks_is_named_with_the_mend(method: Any, words: str) -> None:
    federation = linear_federation()
    history = trained_history(federation, ALL)
    with pytest.raises(FedletheError, match=f"^tests.testing.broken_methods:{words}") as raised:
        unlearn(method(), ["b"], history, federation)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("method", [broken.Sound(), broken.WithGradient()])
def test_a_sound_one_gets_through(method: Any) -> None:
    federation = linear_federation()
    history = trained_history(federation, ALL)
    model = unlearn(method, ["b"], history, federation).model
    assert not model.requires_grad
    torch.testing.assert_close(model, history.final() - history.influence("b"))


def test_figures_of_numpy_are_kept_as_pythons_own() -> None:
    federation = linear_federation()
    found = unlearn(broken.FindsByNumpy(), ["b"], trained_history(federation, ALL), federation).found
    assert found == {"loss": 1.5, "rounds": 2}
    assert [type(one) for one in found.values()] == [float, int]


@dataclass(frozen=True)
class HandsOut(broken.NotFrozen):
    """It returns the history's own vector."""

    def unlearn(self, forget: frozenset[str], history: History, federation: Federation) -> Unlearned:
        return Unlearned(model=history.initial())


def test_what_comes_back_is_not_the_historys_own_vector() -> None:
    federation = linear_federation()
    history = trained_history(federation, ALL, initial=torch.ones(3))
    unlearn(HandsOut(), ["b"], history, federation).model.zero_()
    assert torch.equal(history.initial(), torch.ones(3))


def test_the_initial_model_is_read_where_it_is_declared_alone() -> None:
    federation = linear_federation()
    history = trained_history(federation, ALL, keep=frozenset({Need.INITIAL, Need.INFLUENCE}))
    assert unlearn(METHODS["influence"](), ["b"], history, federation).model.any()


def test_a_method_is_called_by_its_row_or_its_import_path() -> None:
    assert method_name(METHODS["not_"]()) == "not_"
    assert method_name(broken.Sound()) == "tests.testing.broken_methods:Sound"


def test_the_methods_that_train_again_say_from_where() -> None:
    assert {name: start for name, kind in METHODS.items() if (start := retrains_from(kind())) is not None} == {
        "retrain": "the initial model",
        "rollback": "the last round before theirs",
    }
    assert retrains_from(broken.Sound()) is None


def test_of_who_took_part_in_nothing_the_model_of_an_earlier_erasure_is_none_that_training_leads_to() -> None:
    history = trained_history(linear_federation(), [(1, ("a", "b"))])
    part = Part(history=history, keep=history.keep, erased=frozenset("b"), erasure="0001")
    for past, kind in ((history, "exact"), (Succession([part], history.final() - 1), "guaranteed")):
        made = unlearn(METHODS["influence"](), ["c"], past, linear_federation())
        assert torch.equal(made.model, past.final())
        assert made.guarantee is not None
        assert made.guarantee.kind == kind
        assert made.guarantee.statement.startswith("no update of theirs entered any round")
