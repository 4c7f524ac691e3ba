# SPDX-License-Identifier: MIT
"""FedQUIT, by hand: the forgotten client's model is the new one; the teacher is w_2 = 0.75."""

from __future__ import annotations

import pytest
import torch

from fedlethe.federation.objective import LoweredLogit
from fedlethe.unlearning.fed_quit import FedQuit
from tests.fakes import linear_federation, trained_history

ALL = [(round, ("a", "b", "c")) for round in (1, 2)]


def test_the_forgotten_client_distils_the_trained_model_without_the_right_class() -> None:
    federation = linear_federation()
    history = trained_history(federation, ALL)
    model = FedQuit(epochs=2).unlearn(frozenset("c"), history, federation).model
    torch.testing.assert_close(model, torch.full((3,), 0.75 - 2.375))
    taught, settings = federation.objectives[-1], federation.settings_asked[-1]
    assert isinstance(taught, LoweredLogit)
    assert torch.equal(taught.teacher, history.final())
    assert settings is not None
    assert settings.epochs == 2


def test_several_go_one_after_the_other() -> None:
    federation = linear_federation()
    model = FedQuit().unlearn(frozenset("ac"), trained_history(federation, ALL), federation).model
    # a: (0.75 + 4) / 2 = 2.375; then c: (2.375 - 4) / 2. Both are taught by the model that was trained.
    torch.testing.assert_close(model, torch.full((3,), -0.8125))
    for taught in federation.objectives[-2:]:
        assert isinstance(taught, LoweredLogit)
        assert torch.equal(taught.teacher, torch.full((3,), 0.75))


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="epochs"):
        FedQuit(epochs=0)
