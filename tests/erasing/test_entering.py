# SPDX-License-Identifier: MIT
"""An erasure is entered in the ledger at once, with all its files, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from fedlethe.erasing.entering import certain
from fedlethe.erasing.secret import left_over
from fedlethe.errors import FedletheError
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run import OpenRun
from fedlethe.types import Guarantee
from tests.erasing.hiding import erased

pytestmark = pytest.mark.usefixtures("secrets_in_order")


def test_an_erasure_that_was_cut_off_gives_the_same_bytes(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before it is entered, and between that and the destruction of the secret."""
    monkeypatch.undo()
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    released = []
    asked: dict[str, Any] = {"mask": {"epsilon": 3.0}, "repair": {"rounds": 1, "clients": 1}}

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        released.append((folder / "erasures" / "0001" / "model.safetensors").read_bytes())
        raise Killed

    for place in ("fedlethe.erasing.entering.spent", "fedlethe.erasing.entering.destroy_spent"):
        with opened_run(folder) as run, monkeypatch.context() as patch:
            if place.endswith(".destroy_spent"):
                patch.setattr(place, lambda history: kill() if run.history.ledger.erasures() else None)
            else:
                patch.setattr(place, kill)
            with pytest.raises(Killed):
                erased(run, **asked)
            assert len(left_over(run.history)) == 1
    assert released[0] == released[1]
    with opened_run(folder) as run, pytest.raises(FedletheError, match="erased already in this way"):
        erased(run, **asked)
    with opened_run(folder) as run:
        assert left_over(run.history) == []


def test_a_record_that_could_not_be_read_again_is_not_entered(run: OpenRun, monkeypatch: pytest.MonkeyPatch) -> None:
    bent = Guarantee("exact", "in words")
    object.__setattr__(bent, "kind", "evidence")
    monkeypatch.setattr("fedlethe.erasing.entering.certain", lambda *_: bent)
    with pytest.raises(FedletheError, match=r"guarantee\.kind"):
        erased(run, repair={"rounds": 0})
    assert run.history.ledger.erasures() == {}


def _stages(*names: str) -> list[str]:
    return ["before", "unlearned", *names]


@pytest.mark.parametrize("kind", ["exact", "guaranteed"])
@pytest.mark.parametrize("everybody", [True, False])
def test_what_came_after_the_unlearning_step_is_told_of_every_claim(kind: Any, everybody: bool) -> None:
    """A head that equals one fitted from scratch does not, once it is masked."""
    said = certain(Guarantee(kind, "it equals another"), _stages("masked", "repaired 1"), None, everybody)
    assert said is not None
    assert said.kind == "guaranteed"
    assert "; then masked, repaired 1, without the erased images: " in said.statement
    assert ("draws others" in said.statement) == (kind == "exact" and not everybody)
    bare = certain(Guarantee(kind, "it equals another"), _stages(), None, True)
    assert bare == Guarantee(kind, "it equals another")
    assert certain(None, _stages("masked")) is None
