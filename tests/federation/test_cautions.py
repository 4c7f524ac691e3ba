# SPDX-License-Identifier: MIT
"""What is said of an evaluation that shows no model that anybody could use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fedlethe.federation.cautions import cautions
from fedlethe.federation.evaluation import metrics, pooled
from fedlethe.types import Evaluation, Metrics


def _answers(labels: np.ndarray, chance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return labels, np.stack([1 - chance, chance], axis=1)


def _evaluation(*clients: tuple[np.ndarray, np.ndarray], without: tuple[str, ...] = ()) -> Evaluation:
    labels, scores = zip(*(_answers(*client) for client in clients), strict=True)
    names = "abcdef"[: len(clients)]
    return pooled(dict(zip(names, labels, strict=True)), dict(zip(names, scores, strict=True)), without)


LABELS = np.arange(60) % 2
GOOD = np.where(LABELS == 1, 0.9, 0.2) + np.linspace(0, 0.05, 60)


def test_nothing_is_said_of_a_model_that_reads_well() -> None:
    assert cautions(_evaluation((LABELS, GOOD), (LABELS, GOOD))) == ()


@pytest.mark.parametrize("answered", [0, 1])
def test_a_model_of_one_class_is_named_though_its_ranking_may_be_perfect(answered: int) -> None:
    squeezed = GOOD / 10 if answered == 0 else 0.9 + GOOD / 100
    (said,) = cautions(_evaluation((LABELS, squeezed)))
    assert said.startswith(f"the model answers class {answered} for every test image: 50 % of them have it; try")


def test_images_of_one_class_alone_show_no_model_of_one_class() -> None:
    assert cautions(_evaluation((np.zeros(30, int), np.full(30, 0.1)))) == ()


def test_answers_of_one_class_that_no_image_has_are_named() -> None:
    (said,) = cautions(_evaluation((np.zeros(30, int), np.full(30, 0.9))))
    assert said.startswith("the model answers class 1 for every test image: 0 % of them have it")


def test_advice_for_an_erased_model_is_the_training_s_where_that_had_the_fault() -> None:
    bad, sound = _evaluation((LABELS, GOOD / 10)), _evaluation((LABELS, GOOD))
    assert cautions(bad, ["somebody"], bad) == cautions(bad)
    assert cautions(bad, ["somebody"], sound) != cautions(bad)


def test_answers_that_are_no_numbers_are_named() -> None:
    (said,) = cautions(_evaluation((LABELS, np.full(60, np.nan))))
    assert said.startswith("the model gives no answer that is a number to 60 of 60 test images; try")


def test_answers_that_are_no_numbers_to_some_images_are_named_beside_the_class_of_the_others() -> None:
    some = np.where(np.arange(60) < 3, np.nan, GOOD)
    (said,) = cautions(_evaluation((LABELS, some)))
    assert said.startswith("the model gives no answer that is a number to 3 of 60 test images")
    sound = _evaluation((LABELS, GOOD))
    lost, one_class = cautions(_evaluation((LABELS, some / 10)), ["somebody"], sound)
    assert lost.endswith("; try less noise, more repair, or another method")
    assert one_class.startswith("the model answers class 0 for all the others: 49 % of them have it; try less noise")


def test_of_many_classes_a_ranking_that_may_be_chance_is_named() -> None:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 5, 300)
    chance, good = draw.random((300, 5)), np.eye(5)[labels] + draw.random((300, 5)) / 2
    said = [cautions(pooled({"a": labels}, {"a": one / one.sum(axis=1, keepdims=True)})) for one in (chance, good)]
    assert said[0][0].startswith("the model may be no better than chance: its AUC lies between 0.4")
    assert said[1] == ()


def test_a_ranking_that_may_be_chance_is_named() -> None:
    drawn = np.random.default_rng(0).random(60)
    (said,) = cautions(_evaluation((LABELS, drawn)))
    assert said.startswith("the model may be no better than chance: its AUC lies between 0.")


def test_a_client_that_does_much_worse_is_named_with_its_figure() -> None:
    worse = GOOD.copy()
    worse[:40] = worse[:40][::-1]
    evaluation = _evaluation((LABELS, GOOD), (LABELS, worse), (LABELS, GOOD))
    auc, others = evaluation.clients["b"].auc, evaluation.clients["a"].auc
    words = f"it does worse than elsewhere at b (AUC {auc:.3f}, the others {others:.3f})"
    assert words in cautions(evaluation)


def test_a_model_that_only_tells_hospitals_apart_is_no_better_than_chance_within_one() -> None:
    """Two sites of 90 and 10 % positives; the answer is the site, and a drawn number."""
    draw = np.random.default_rng(0)
    north, south = (np.arange(200) % 10 < share for share in (9, 1))
    evaluation = _evaluation(
        (north.astype(int), 0.7 + 0.2 * draw.random(200)), (south.astype(int), 0.2 + 0.2 * draw.random(200))
    )
    assert evaluation.overall.auc_interval is not None
    assert evaluation.overall.auc_interval[0] > 0.75
    (said,) = cautions(evaluation)
    assert said.startswith("within a hospital the model may be no better than chance: the mean AUC lies between 0.")
    assert "it tells hospitals apart" in said
    nobody_knows = replace(evaluation.overall, auc=None, auc_interval=None)  # over nodes, which count at home
    (counted,) = cautions(replace(evaluation, overall=nobody_knows))
    assert counted.startswith("within a hospital the model may be no better than chance")
    assert "apart" not in counted


@pytest.mark.parametrize("clients", [2, 5, 20])
def test_of_clients_that_are_alike_one_is_named_in_few_evaluations(clients: int) -> None:
    draw, named = np.random.default_rng(clients), 0
    labels = np.arange(40) % 2
    for _ in range(200):
        drawn = {f"client-{i}": labels + draw.normal(0, 0.8, 40) for i in range(clients)}
        held = {client: 1 / (1 + np.exp(0.5 - scores)) for client, scores in drawn.items()}
        found = pooled(
            dict.fromkeys(held, labels), {client: np.stack([1 - one, one], axis=1) for client, one in held.items()}
        )
        named += any("worse than elsewhere" in said for said in cautions(found))
    assert named <= 12  # 2.5 % are 5; above 12 is beyond chance


def test_few_images_are_named() -> None:
    (said,) = cautions(_evaluation((LABELS, GOOD), (LABELS[:19], GOOD[:19]), (LABELS[:20], GOOD[:20])))
    assert said == "figures that rest on fewer than 20 test images say little: b (19)"


def test_after_an_erasure_only_the_retained_count() -> None:
    few = (LABELS[:4], GOOD[:4])
    bad = (LABELS, 1 - GOOD)
    evaluation = _evaluation((LABELS, GOOD), bad, few, without=("b", "c"))
    assert evaluation.retained == metrics(*_answers(LABELS, GOOD))
    assert cautions(evaluation, ("b", "c")) == ()
    assert cautions(evaluation)  # of all of them


def test_metrics_of_an_older_kind_say_nothing_that_they_do_not_hold() -> None:
    held = Metrics(100, 0.5, 0.5, None)
    assert cautions(Evaluation(held, {"a": held})) == ()
