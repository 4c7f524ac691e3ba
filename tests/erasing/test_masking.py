# SPDX-License-Identifier: MIT
"""Masks in an erasure: where the noise goes, what it hides, and what is said of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fedlethe.config import resolve
from fedlethe.erasing.masking import finished
from fedlethe.errors import FedletheError
from fedlethe.learners.training import train_run
from fedlethe.privacy.accounting import top_guess
from fedlethe.privacy.hiding import rounded_up
from fedlethe.privacy.span import Span
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run import OpenRun
from fedlethe.vector import VARIANCE_FLOOR
from tests.erasing.hiding import HOSPITALS, NO_REPAIR, candidates, erased, model_of

pytestmark = pytest.mark.usefixtures("secrets_in_order")


TWO_KINDS = ("subspace", "isotropic")


def test_a_guarantee_is_recorded_as_it_was_asked_and_as_it_was_found(run: OpenRun) -> None:
    erasure = erased(run, mask={"max_guess": 0.4})
    hidden = erasure.hidden
    assert hidden is not None
    assert [stage.name for stage in erasure.stages] == ["before", "unlearned", "masked"]  # no repair of itself
    assert erasure.request["mask"] == {"kind": "subspace", "delta": 1e-5, "max_guess": 0.4}
    assert hidden.among == HOSPITALS
    assert hidden.guess == pytest.approx(0.4, abs=1e-6)
    whole = torch.stack(candidates(run)).double()
    assert hidden.distance == rounded_up(float(torch.cdist(whole, whole).max()))
    assert hidden.mu == pytest.approx(hidden.distance / hidden.sigma)
    assert hidden.released
    assert "every candidate" in hidden.covers
    assert "who trains later" in hidden.leaves
    assert erasure.guarantee is None  # that is about forgetting
    stored = json.loads((run.path / "erasures" / erasure.id / "erasure.json").read_text())
    assert stored["hidden"]["epsilon"] == hidden.epsilon


@pytest.mark.parametrize("kind", ["subspace", "shaped", "isotropic"])
def test_a_mask_stays_where_it_should(run: OpenRun, kind: str) -> None:
    erasure = erased(run, mask={"epsilon": 3.0, "kind": kind})
    assert erasure.hidden is not None
    assert erasure.hidden.epsilon == pytest.approx(3.0, abs=1e-6)
    span = Span.of(candidates(run))
    model = model_of(erasure, run)
    moved = model - candidates(run)[1]
    outside = model - span.at(span.project([model])[0])
    outside[~run.layout.parameters] = 0  # floors of running variances
    if kind == "isotropic":
        assert float(moved.std()) == pytest.approx(erasure.hidden.sigma, rel=0.05)
    else:
        assert float(outside.norm()) < 1e-3 * float(moved.norm())
        assert float(moved.norm()) < 8 * erasure.hidden.sigma
    if kind == "shaped":
        assert "% of the subspace mask's" in erasure.hidden.detail


@pytest.mark.parametrize("kind", ["subspace", "shaped", "isotropic"])
def test_the_noise_is_put_on_the_model_without_the_client(run: OpenRun, kind: str) -> None:
    span = Span.of(candidates(run))
    for index in (0, 2):
        erasure = erased(run, [HOSPITALS[index]], mask={"sigma": 1e-4, "kind": kind}, repair=NO_REPAIR)
        (point,) = span.project([model_of(erasure, run)])
        assert np.linalg.norm(span.coordinates - point, axis=1).argmin() == index


def test_what_a_plain_sigma_buys_is_said_and_the_repair_is_not_covered(run: OpenRun) -> None:
    erasure = erased(run, mask={"sigma": 0.03})
    assert erasure.request["mask"] == {"sigma": 0.03}
    assert [stage.name for stage in erasure.stages] == ["before", "unlearned", "masked", "repaired 1"]
    assert erasure.hidden is not None
    assert (erasure.hidden.by, erasure.hidden.sigma) == ("isotropic", 0.03)
    assert not erasure.hidden.released
    assert "not what is released" in erasure.hidden.covers


def test_of_a_method_without_candidates_nothing_is_claimed(run: OpenRun) -> None:
    erasure = erased(run, method="fine_tune", options={}, mask={"sigma": 0.01})
    assert erasure.hidden is None
    assert "candidates cannot be computed" in (erasure.not_hidden or "")
    assert [stage.name for stage in erasure.stages] == ["before", "unlearned", "masked"]


def test_who_took_part_in_no_round_is_masked_as_the_others_are(trained: Path, tmp_path: Path) -> None:
    config = resolve(
        {
            "data": {"source": "phantom", "size": 16, "hospitals": 3, "images_per_hospital": 20},
            "federation": {"rounds": 1, "participation": 0.6},
        }
    )
    train_run(config, tmp_path / "late")
    with opened_run(tmp_path / "late") as run:
        (absent,) = set(run.history.clients) - set(run.history.weights(1))
        erasure = erased(run, [absent], mask={"epsilon": 1.0})
        assert [stage.name for stage in erasure.stages] == ["before", "unlearned", "masked"]
        assert not torch.equal(model_of(erasure, run), run.history.final())


def test_candidates_that_coincide_are_released_without_noise(run: OpenRun) -> None:
    erasure = erased(run, options={"scale": 0.0}, mask={"epsilon": 0.5, "kind": "isotropic"})
    assert erasure.hidden is not None
    assert (erasure.hidden.sigma, erasure.hidden.epsilon, erasure.hidden.guess) == (0.0, 0.0, 0.25)
    assert "sigma 0 suffices" in erasure.hidden.statement
    torch.testing.assert_close(model_of(erasure, run), run.history.final())


def test_the_floor_under_variances_tells_nothing_of_the_client(run: OpenRun) -> None:
    """It follows from the trained model: one that followed from the unlearned one would be seen where it is reached."""
    final = run.history.final()
    statistics = torch.cat(
        [torch.arange(span.start, span.stop) for name, span in run.layout.spans.items() if name.endswith("running_var")]
    )
    assert len(statistics) > 0
    low = final.clone()
    low[statistics] = -1.0
    torch.testing.assert_close(finished(run.history, low)[statistics], VARIANCE_FLOOR * final[statistics])
    erasure = erased(run, mask={"sigma": 5.0}, repair=NO_REPAIR)
    found = model_of(erasure, run)[statistics]
    reached = found == VARIANCE_FLOOR * final[statistics]
    assert 0.3 < float(reached.float().mean()) < 0.7  # about half of the noise points down


def test_the_noise_follows_from_the_secret_and_not_from_the_seed(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = {}
    for name, secret in (("one", bytes(range(32))), ("again", bytes(range(32))), ("other", bytes(32))):
        folder = Path(shutil.copytree(trained, tmp_path / name))
        monkeypatch.setattr("fedlethe.history.sealing.secrets.token_bytes", lambda size, secret=secret: secret[:size])
        with opened_run(folder) as run:
            models[name] = [model_of(erased(run, mask={"epsilon": 3.0, "kind": kind}), run) for kind in TWO_KINDS]
    for number in range(2):
        assert torch.equal(models["one"][number], models["again"][number])
        assert not torch.equal(models["one"][number], models["other"][number])


def test_no_two_releases_share_their_noise(run: OpenRun) -> None:
    """Else their difference would be free of it."""
    points = []
    for scale in (1.0, 0.999):
        hidden = erased(
            run, options={"clip": 0.5, "scale": scale}, mask={"sigma": 1.0, "kind": "subspace"}, repair=NO_REPAIR
        )
        span = Span.of(candidates(run))
        points.append(span.project([model_of(hidden, run)])[0])
    assert np.linalg.norm(points[0] - points[1]) > 0.3


def test_what_several_erasures_of_the_same_client_tell_together(run: OpenRun) -> None:
    first = erased(run, mask={"epsilon": 1.0})
    assert first.together is None
    second = erased(run, mask={"epsilon": 2.0})
    assert first.hidden is not None
    assert second.hidden is not None
    mu = (first.hidden.mu**2 + second.hidden.mu**2) ** 0.5
    assert f"{100 * top_guess(mu, 4):.1f} %" in (second.together or "")
    assert erased(run, ["hospital-2"], mask={"epsilon": 2.0}).together is None
    overlapping = erased(run, ["hospital-1", "hospital-3"], mask={"epsilon": 1.0})
    assert f"nothing is claimed of whoever has the model of erasure {first.id}, {second.id}" in (
        overlapping.together or ""
    )
    bare = erased(run)
    assert bare.together is None
    assert f"erasure {bare.id}" in (erased(run, mask={"epsilon": 4.0}).together or "")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"mask": {"epsilon": 3.0}, "repair": {"rounds": 1}}, "say how many clients repair, such as 2"),
        ({"mask": {"epsilon": 3.0}, "repair": {"rounds": 1, "clients": 3}}, "one of them at least must stay out"),
        ({"mask": {"epsilon": 3.0}, "method": "fed_eraser", "options": {}}, "candidates cannot be computed"),
        ({"mask": {"epsilon": 3.0}, "method": "puf", "options": {}}, "as if it were to be forgotten"),
        ({"mask": {"epsilon": 3.0}, "method": "kd", "options": {}}, "candidates cannot be computed"),
        ({"mask": {"sigma": 0.1, "kind": "shaped"}, "method": "retrain", "options": {}}, "cannot be computed"),
        ({"mask": {"max_guess": 0.25}}, "above 1 / 4 = 0.25"),
        ({"mask": {"max_guess": 0.1}}, "above 1 / 4 = 0.25"),
        ({"clients": HOSPITALS[:3], "decoys": 1}, "name fewer"),
        ({"mask": {"epsilon": 3.0}, "decoys": 1}, "give decoys alone"),
        ({"decoys": 3}, "one must be left"),
        ({"decoys": -1}, "at least 0"),
        ({"clients": ("nobody",), "decoys": 1}, "'nobody' is not in this federation"),
        ({"mask": {"sigma": 1e38}, "repair": NO_REPAIR}, "exceeds what a float32 holds"),
        ({"repair": {"rounds": 0, "clients": 1}}, "there is no repair round"),
        ({"repair": {"rounds": 1, "clients": 4}}, "name fewer"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_cannot_hide_is_refused_and_nothing_is_entered(run: OpenRun, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(FedletheError, match=words):
        erased(run, **fields)
    assert run.history.ledger.erasures() == {}
