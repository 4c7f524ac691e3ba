# SPDX-License-Identifier: MIT
"""One contract over all of METHODS: that of the test kit, and what holds of ours beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
import torch

from fedlethe.errors import FedletheError
from fedlethe.history.history import InMemoryHistory
from fedlethe.testing import methods as kit
from fedlethe.testing.network import closed, federation, images, kept_history
from fedlethe.types import Need, Vector
from fedlethe.unlearning import METHODS, UnlearningMethod, unlearn

NAMES = list(METHODS)


def _unlearned(name: str, forget: Iterable[str], history: InMemoryHistory) -> Vector:
    return unlearn(METHODS[name](), forget, history, federation(images())).model


@pytest.mark.parametrize("check", kit.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_the_contract(name: str, check: Callable[[UnlearningMethod], None]) -> None:
    check(METHODS[name]())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "sifu"])  # sifu's noise is on every weight
def test_a_layer_that_did_not_move_stays(name: str) -> None:
    history = kept_history("even")
    tensors, initial = (
        history.layout.tensors(model) for model in (_unlearned(name, ["b"], history), history.initial())
    )
    torch.testing.assert_close(tensors["unused.weight"], initial["unused.weight"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_several_clients_at_once_are_more_than_one(name: str) -> None:
    history = kept_history("even")
    both, one = (_unlearned(name, forget, history) for forget in (["a", "b"], ["b"]))
    assert torch.isfinite(both).all()
    assert name == "not_" or not torch.equal(both, one)  # not_ does not look at who is erased


@pytest.mark.parametrize("name", NAMES)
def test_the_forgotten_clients_data_are_opened_where_declared_and_only_there(name: str) -> None:
    guarded = federation(closed(images(), ["b"]))
    if Need.FORGOTTEN_DATA in METHODS[name].needs:
        with pytest.raises(FedletheError, match="opens the images"):
            unlearn(METHODS[name](), ["b"], kept_history("even"), guarded)
    else:
        unlearn(METHODS[name](), ["b"], kept_history("even"), guarded)
