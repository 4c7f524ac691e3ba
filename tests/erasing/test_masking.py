# SPDX-License-Identifier: MIT
"""Hiding who left, in an erasure: masks, their guarantee, the secret, decoys, and those few who repair."""

from __future__ import annotations

import json
import shutil
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fedlethe.config import resolve
from fedlethe.data.federated import normalise
from fedlethe.erasing import candidates as candidates_module
from fedlethe.erasing.candidates import AT_MOST, candidate_sets
from fedlethe.erasing.coordinates import frame_of
from fedlethe.erasing.curvature import curvature
from fedlethe.erasing.decoys import companions
from fedlethe.erasing.erase import erase
from fedlethe.erasing.masking import finished
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure, order_for_nobody
from fedlethe.erasing.record import Erasure
from fedlethe.erasing.repairing import repairers
from fedlethe.erasing.secret import FORMER, MASKS, left_over, mask_secret
from fedlethe.erasing.unlearn_step import unlearned_by
from fedlethe.errors import FedletheError
from fedlethe.federation.metered import Meter
from fedlethe.learners.training import train_run
from fedlethe.privacy.accounting import pick_guess, top_guess
from fedlethe.privacy.hiding import rounded_up
from fedlethe.privacy.span import Span
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run import OpenRun
from fedlethe.studies.frontier import frontier
from fedlethe.studies.who_left import who_left
from fedlethe.vector import VARIANCE_FLOOR

HOSPITALS = tuple(f"hospital-{number}" for number in range(4))
NO_REPAIR = {"rounds": 0}
TWO_KINDS = ("subspace", "isotropic")

pytestmark = pytest.mark.usefixtures("secrets_in_order")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four hospitals, two rounds, batch norm: everything kept."""
    out = tmp_path_factory.mktemp("hiding") / "run"
    document: dict[str, Any] = {
        "data": {"source": "phantom", "size": 16, "hospitals": 4, "images_per_hospital": 30},
        "model": {"name": "small-cnn", "norm": "batch"},
        "federation": {"rounds": 2},
        "history": {"keep": "everything"},
        "backdoor": {"client": "hospital-1", "target": 0},
    }
    train_run(resolve(document), out)
    return out


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Iterator[OpenRun]:
    """A copy of it, open."""
    with opened_run(Path(shutil.copytree(trained, tmp_path / "run"))) as opened:
        yield opened


def erased(run: OpenRun, clients: Sequence[str] = ("hospital-1",), **fields: Any) -> Erasure:
    """An erasure; `mask`, `repair`, `method`, `options`, `after` and `decoys` as in `request`."""
    plan = ErasurePlan(**{"method": "influence", "options": {"clip": 0.5}, **fields})
    return erase(run, order_erasure(run, clients, plan))


def model_of(erasure: Erasure, run: OpenRun) -> torch.Tensor:
    return run.history.erased_model(erasure.id)


def candidates(run: OpenRun, **options: Any) -> list[torch.Tensor]:
    """Each hospital erased, one by one."""
    method = run.config.method("influence", {"clip": 0.5, **options})
    return [unlearned_by(run, [client], method, run.history, Meter()).model for client in HOSPITALS]


# What is recorded


def test_a_guarantee_is_recorded_as_it_was_asked_and_as_it_was_found(run: OpenRun) -> None:
    erasure = erased(run, mask={"max_guess": 0.4})
    hidden = erasure.hidden
    assert hidden is not None
    assert [stage.name for stage in erasure.stages] == ["before", "unlearned", "masked"]  # no repair of itself
    assert json.loads(erasure.request)["mask"] == {"kind": "subspace", "delta": 1e-5, "max_guess": 0.4}
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
    assert json.loads(erasure.request)["mask"] == {"sigma": 0.03}
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


def test_of_too_many_clients_nothing_is_claimed(run: OpenRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates_module, "AT_MOST", 3)
    erasure = erased(run, mask={"sigma": 0.01}, repair=NO_REPAIR)
    assert erasure.hidden is None
    assert "in 4 ways" in (erasure.not_hidden or "")
    with pytest.raises(FedletheError, match="in 4 ways"):
        erased(run, mask={"epsilon": 1.0})


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


def test_several_at_once_hide_among_all_sets_of_as_many(run: OpenRun) -> None:
    erasure = erased(run, HOSPITALS[1:3], mask={"epsilon": 3.0})
    assert erasure.hidden is not None
    assert (erasure.hidden.among, erasure.hidden.erased) == (HOSPITALS, 2)
    assert erasure.hidden.guess == top_guess(erasure.hidden.mu, 6)
    assert erasure.hidden.hit == pick_guess(erasure.hidden.mu, 4, 2)
    pairs = [unlearned_by(run, pair, run.config.method("influence", {"clip": 0.5}), run.history, Meter()).model
             for pair in combinations(HOSPITALS, 2)]  # fmt: skip
    assert erasure.hidden.distance == rounded_up(Span.of(pairs).distance)
    bounded = erased(run, HOSPITALS[1:3], mask={"max_guess": 0.6})
    assert bounded.hidden is not None
    assert bounded.hidden.hit == pytest.approx(0.6, abs=1e-6)
    assert bounded.hidden.guess < 0.3
    with pytest.raises(FedletheError, match=r"above 2 / 4 = 0\.5"):
        erased(run, HOSPITALS[1:3], mask={"max_guess": 0.4})


def test_more_sets_than_can_be_computed_are_refused() -> None:
    assert candidate_sets(["b", "a", "c"], 1) == [("a",), ("b",), ("c",)]
    with pytest.raises(FedletheError, match=f"210 ways; a mask hides among {AT_MOST}"):
        candidate_sets([str(number) for number in range(10)], 4)
    with pytest.raises(FedletheError, match="nobody to hide among"):
        candidate_sets(["a"], 1)


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
    torch.testing.assert_close(finished(run, run.history, low)[statistics], VARIANCE_FLOOR * final[statistics])
    erasure = erased(run, mask={"sigma": 5.0}, repair=NO_REPAIR)
    found = model_of(erasure, run)[statistics]
    reached = found == VARIANCE_FLOOR * final[statistics]
    assert 0.3 < float(reached.float().mean()) < 0.7  # about half of the noise points down


# The secret


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


def test_the_secret_is_made_once_for_an_erasure_and_is_its_owners_alone(run: OpenRun) -> None:
    first = mask_secret(run.history)
    assert len(first) == 32
    assert mask_secret(run.history) == first  # as long as the erasure is not complete
    (file,) = left_over(run.history)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    erased(run, mask={"epsilon": 3.0})
    assert left_over(run.history) == []
    assert not file.exists()
    (event,) = [one for one in run.history.ledger.events("key") if one.body["client"] == MASKS][1:]
    assert (event.body["what"], event.body["id"] in file.name) == ("destroyed", True)
    assert mask_secret(run.history) != first


def test_the_secret_lies_where_the_keys_lie(run: OpenRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDLETHE_KEYS", str(tmp_path / "keys"))
    shutil.move(run.path / "keys", tmp_path / "keys" / run.history.ledger.run_id)
    mask_secret(run.history)
    (file,) = left_over(run.history)
    assert tmp_path / "keys" in file.parents
    assert not list((run.path).glob(f"**/{MASKS}*"))
    erased(run, decoys=1)
    assert not file.exists()


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


def test_a_secret_that_others_can_read_or_that_is_not_there_is_refused(run: OpenRun) -> None:
    mask_secret(run.history)
    (file,) = left_over(run.history)
    file.chmod(0o640)
    with pytest.raises(FedletheError, match="chmod 600"):
        erased(run, mask={"epsilon": 3.0})
    file.unlink()
    with pytest.raises(FedletheError, match="set FEDLETHE_KEYS to the folder that holds it"):
        erased(run, mask={"epsilon": 3.0})
    assert run.history.ledger.erasures() == {}


def test_the_secret_of_all_erasures_that_an_earlier_version_kept_has_to_go(run: OpenRun) -> None:
    (run.path / FORMER).write_bytes(bytes(32))
    with pytest.raises(FedletheError, match="overwrite and remove it"):
        erased(run, mask={"epsilon": 3.0})
    erased(run)  # draws nothing


# Decoys, and the few who repair


def test_every_order_of_companions_is_as_likely() -> None:
    others = ["a", "b", "c"]
    draws = 1200
    orders = Counter(tuple(companions(n.to_bytes(32, "big"), ["u"], others)) for n in range(draws))
    assert len(orders) == 6
    assert all(abs(count - draws / 6) < 5 * (draws * 5 / 36) ** 0.5 for count in orders.values())
    secret = bytes(range(32))
    assert companions(secret, ["u"], others) == companions(secret, ["u"], others[::-1])


def test_decoys_are_erased_along_and_nothing_tells_them_apart(run: OpenRun) -> None:
    erasure = erased(run, decoys=2)
    assert len(erasure.forget) == 3
    assert "hospital-1" in erasure.forget
    assert erasure.hidden is not None
    assert (erasure.hidden.by, erasure.hidden.among) == ("decoys", erasure.forget)
    assert erasure.hidden.epsilon == 0.0
    assert erasure.hidden.guess == pytest.approx(1 / 3)
    asked = json.loads(erasure.request)
    assert (asked["forget"], asked["decoys"]) == (list(erasure.forget), 2)  # who asked is not said
    alike = erased(run, erasure.forget)
    torch.testing.assert_close(model_of(erasure, run), model_of(alike, run), rtol=0, atol=0)
    assert run.past(erasure.id).clients == tuple(sorted(set(HOSPITALS) - set(erasure.forget)))


def test_of_several_who_ask_with_decoys_both_chances_are_told(run: OpenRun) -> None:
    hidden = erased(run, HOSPITALS[:2], decoys=1).hidden
    assert hidden is not None
    assert hidden.erased == 2
    assert (hidden.guess, hidden.hit) == pytest.approx((1 / 3, 2 / 3))
    assert "picks one that asked with a chance of at most 66.7 % (blind, 2 of 3: 66.7 %)" in hidden.statement


def test_more_decoys_hold_the_fewer(run: OpenRun) -> None:
    """What they have in common does not narrow it down, and neither does who asks the second time."""
    one, two = (set(erased(run, decoys=number).forget) for number in (1, 2))
    assert one < two
    for client in sorted(one):
        with pytest.raises(FedletheError, match="erased already in this way"):
            erased(run, [client], decoys=1)


def test_decoys_hide_with_any_method(run: OpenRun) -> None:
    erasure = erased(run, method="retrain", options={}, decoys=1)
    assert erasure.hidden is not None
    assert erasure.hidden.guess == pytest.approx(0.5)
    assert erasure.guarantee is not None
    assert erasure.guarantee.kind == "exact"


def test_those_who_repair_are_known_and_the_rest_hide_each_other(run: OpenRun) -> None:
    erasure = erased(run, mask={"epsilon": 3.0}, repair={"rounds": 2, "clients": 1})
    assert erasure.hidden is not None
    (worker,) = erasure.cost.clients
    assert erasure.hidden.among == tuple(name for name in HOSPITALS if name != worker)
    assert worker != "hospital-1"
    assert f"sees that {worker} repair" in erasure.hidden.covers
    assert [stage.name for stage in erasure.stages][-1] == "repaired 2"
    masked = Span.of([model for name, model in zip(HOSPITALS, candidates(run), strict=True) if name != worker])
    assert erasure.hidden.distance == rounded_up(masked.distance)


def test_who_repairs_does_not_follow_from_who_asked_alone(run: OpenRun) -> None:
    chosen: set[str] = set()
    built = order_erasure(
        run, ["hospital-1"], ErasurePlan(method="influence", mask={"epsilon": 1.0}, repair={"rounds": 1, "clients": 1})
    )
    for number in range(12):
        chosen.update(repairers(run, built, run.history, partial(number.to_bytes, 32, "big")) or ())
    assert chosen == set(HOSPITALS) - {"hospital-1"}


def test_those_who_repaired_before_repair_again(run: OpenRun) -> None:
    """Else who is in both sets of candidates is fewer than who is in each."""
    among = []
    for clients, epsilon in ((1, 1.0), (2, 1.0), (1, 2.0)):
        hidden = erased(run, mask={"epsilon": epsilon}, repair={"rounds": 1, "clients": clients}).hidden
        assert hidden is not None
        among.append(set(hidden.among))
    assert among[1] < among[0] == among[2]


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
        ({"mask": {"epsilon": 3.0}, "repair": {"rounds": 1}}, "--repair-clients 2"),
        ({"mask": {"epsilon": 3.0}, "repair": {"rounds": 1, "clients": 3}}, "one of them at least must stay out"),
        ({"mask": {"epsilon": 3.0}, "method": "fed_eraser", "options": {}}, "candidates cannot be computed"),
        ({"mask": {"epsilon": 3.0}, "method": "puf", "options": {}}, "as if it were to be forgotten"),
        ({"mask": {"epsilon": 3.0}, "method": "kd", "options": {}}, "candidates cannot be computed"),
        ({"mask": {"sigma": 0.1, "kind": "shaped"}, "method": "retrain", "options": {}}, "cannot be computed"),
        ({"mask": {"max_guess": 0.25}}, "above 1 / 4 = 0.25"),
        ({"mask": {"max_guess": 0.1}}, "above 1 / 4 = 0.25"),
        ({"clients": HOSPITALS[:3], "decoys": 1}, "name fewer"),
        ({"mask": {"epsilon": 3.0}, "decoys": 1}, "give --decoys alone"),
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


def test_one_client_alone_has_nobody_to_hide_among(run: OpenRun) -> None:
    first = erased(run, HOSPITALS[:2])
    second = erased(run, HOSPITALS[2:3], after=first.id, mask={"epsilon": 3.0})
    assert second.hidden is not None
    assert second.hidden.among == HOSPITALS[2:]
    assert "taken as known" in second.hidden.covers


# The curvature, and the studies


def test_the_curvature_is_that_of_the_answers(run: OpenRun) -> None:
    """Against differences in float64 over a step ten thousand times as short, image by image."""
    span, frame = Span.of(candidates(run, scale=0.05)), frame_of(run, "subspace")
    found, source = curvature(run, span, frame)
    assert "test images" in source
    middle = span.at(np.zeros(span.rank))
    directions = [run.layout.tensors(span.at(axis) - middle) for axis in np.eye(span.rank)]
    run.network.eval()
    expected, count = np.zeros((span.rank, span.rank)), 0

    def answers(images: torch.Tensor, direction: int, step: float) -> np.ndarray:
        tensors = run.layout.tensors(middle)
        moved = {name: tensor.double() + step * directions[direction][name] for name, tensor in tensors.items()}
        with torch.no_grad():
            logits: torch.Tensor = torch.func.functional_call(run.network, moved, (images.double(),))
        return logits.log_softmax(dim=1).numpy()

    for data in run.data.clients.values():
        for image in normalise(data.test.batch(np.arange(len(data.test)))[0]):
            weights, step = np.exp(answers(image[None], 0, 0.0))[0], 1e-5 * span.distance
            slopes = np.stack(
                [(answers(image[None], n, step) - answers(image[None], n, -step))[0] / (2 * step) for n in range(3)]
            )
            expected += (slopes * weights) @ slopes.T
            count += 1
    np.testing.assert_allclose(found, expected / count, rtol=0.05, atol=0.02 * float(found.max()))


def test_the_frontier_holds_masks_against_each_other(run: OpenRun) -> None:
    methods = {"clip 0.5": run.config.method("influence", {"clip": 0.5})}
    result = frontier(run, "influence", methods, [1.0, 8.0], ["isotropic", "subspace", "shaped"], [0.01], draws=1)
    by_mask: dict[str, list[Any]] = {}
    for point in result.points:
        by_mask.setdefault(point.mask, []).append(point)
    assert {mask: len(points) for mask, points in by_mask.items()} == {
        "nothing erased": 1,
        "no mask": 1,
        "isotropic": 2,
        "subspace": 2,
        "shaped": 2,
        "isotropic, sigma given": 1,
    }
    for points in (by_mask["isotropic"], by_mask["subspace"], by_mask["shaped"]):
        for point, epsilon in zip(points, (1.0, 8.0), strict=True):
            assert point.epsilon == pytest.approx(epsilon, abs=1e-6)
            full = next(one for one in point.named if one.attacker == "full knowledge")
            assert full.low <= point.bound
            assert full.trials == 4000
    (unmasked,) = by_mask["no mask"]
    assert {one.attacker: one.hits / one.trials for one in unmasked.named}["full knowledge"] == 1.0
    assert unmasked.attack_success is not None
    (published,) = by_mask["isotropic, sigma given"]
    assert published.sigma == 0.01
    assert published.epsilon > 20
    assert published.bound > 0.95
    lines = (run.path / "report" / "frontier.csv").read_text().splitlines()
    assert len(lines) == 1 + len(result.points)
    assert (run.path / "report" / "frontier.png").is_file()
    assert run.history.ledger.erasures() == {}


def test_who_left_shows_in_a_plain_repair_and_not_among_decoys(run: OpenRun) -> None:
    plain = who_left(run, order_for_nobody(run, ErasurePlan(method="influence", repair={"rounds": 1})), draws=1)
    assert [point.stage for point in plain.points] == ["unlearned", "repaired 1"]
    for point in plain.points:
        rates = {one.attacker: one.hits / one.trials for one in point.named}
        assert rates["full knowledge"] == 1.0
        assert point.bound is None
    decoys = who_left(
        run, order_for_nobody(run, ErasurePlan(method="influence", repair={"rounds": 1}, decoys=3 - 1)), draws=2
    )
    assert [point.chance for point in decoys.points] == [pytest.approx(1 / 3)] * 2
    assert all(point.bound == pytest.approx(1 / 3) for point in decoys.points)
    few = who_left(
        run,
        order_for_nobody(
            run, ErasurePlan(method="influence", mask={"epsilon": 1.0}, repair={"rounds": 1, "clients": 1})
        ),
        draws=1,
    )
    assert [point.stage for point in few.points] == ["masked", "repaired 1"]
    assert [point.bound for point in few.points] == [few.points[0].bound] * 2
    full = [next(one for one in point.named if one.attacker == "full knowledge") for point in few.points]
    assert full[0].hits == full[1].hits or abs(full[0].hits - full[1].hits) <= 0


def test_a_repair_by_all_shows_who_left_through_any_mask(run: OpenRun) -> None:
    drowned = {"sigma": 2.0, "kind": "subspace"}
    masked = who_left(
        run,
        order_for_nobody(
            run, ErasurePlan(method="influence", options={"clip": 0.5}, mask=drowned, repair={"rounds": 1})
        ),
        draws=1,
    )
    assert [point.bound is None for point in masked.points] == [False, True]
    assert (masked.points[0].bound or 1.0) < 0.4
    (repaired,) = [one for one in masked.points[1].named if one.attacker == "full knowledge"]
    assert (repaired.hits, repaired.trials) == (4, 4)


def test_studies_of_nothing_are_refused(run: OpenRun) -> None:
    usual: dict[str, Any] = {
        "methods": {"influence": run.config.method("influence", {})},
        "epsilons": [1.0],
        "draws": 1,
    }
    refused: list[tuple[dict[str, Any], str]] = [
        ({"epsilons": []}, "no epsilon"),
        ({"epsilons": [0.0]}, "epsilon must be"),
        ({"delta": 1.0}, "delta must be"),
        ({"draws": 0}, "--draws 0"),
        ({"masks": ["round"]}, "no mask 'round'"),
        ({"sigmas": [-1.0]}, "sigma must be"),
        ({"methods": {"retrain": run.config.method("retrain", {})}}, "its frontier cannot be drawn"),
        ({"methods": {"nothing": run.config.method("influence", {"scale": 0.0})}}, "sigma 0 suffices"),
    ]
    for changes, words in refused:
        with pytest.raises(FedletheError, match=words):
            frontier(run, "influence", **{**usual, **changes})
    with pytest.raises(FedletheError, match="--draws 0"):
        who_left(run, order_for_nobody(run, ErasurePlan(method="influence")), draws=0)
    with pytest.raises(FedletheError, match="except with --decoys"):
        who_left(run, order_for_nobody(run, ErasurePlan(method="retrain")), draws=1)
