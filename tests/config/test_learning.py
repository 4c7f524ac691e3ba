# SPDX-License-Identifier: MIT
"""What a configuration says of its learner: inputs, tables and methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fedlethe.closed_form.features import Centred, ScatteringFeatures
from fedlethe.closed_form.settings import Subtraction
from fedlethe.config import resolve
from fedlethe.config.learning import CLOSED_FORM, RECIPES, Averaging, ClosedForm, Recipe, learning_of
from fedlethe.data.federated import FederatedData
from fedlethe.errors import ConfigError, FedletheError
from fedlethe.models.head import Head
from fedlethe.models.small_cnn import SmallCnn
from fedlethe.runs.preparing import divided
from fedlethe.unlearning import METHODS
from fedlethe.unlearning.influence import Influence
from tests.runs.small import CLOSED, NETWORK

CLOSED_LEARNING = learning_of(CLOSED, "here", recorded=None)


@pytest.fixture(scope="module")
def images() -> FederatedData:
    return divided(resolve(NETWORK))


def test_the_document_says_which_learner() -> None:
    for document in (dict[str, Any](), {"learner": "fedavg"}):
        assert learning_of(document, "here", recorded=None) == Averaging()
    assert isinstance(CLOSED_LEARNING, ClosedForm)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (
            {"closed_form": {}},
            r"here: \[closed_form\] is of learner 'closed-form', and this is 'fedavg'; leave it out",
        ),
        ({"learner": "closed-form", "local": {}}, r"here: \[local\] is of learner 'fedavg', and this is 'closed-form'"),
        ({"learner": "kmeans"}, "learner"),
    ],
)
def test_tables_of_the_other_learner_are_refused(document: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        learning_of(document, "here", recorded=None)


def test_a_network_takes_the_images_and_a_head_their_features(images: FederatedData) -> None:
    client = min(images.clients)
    examples = images.clients[client].test
    assert Averaging().inputs(images) is images
    assert Averaging().input_of(examples, images.image_shape) is examples
    featurised = CLOSED_LEARNING.inputs(images)
    size = featurised.image_shape[0]
    assert featurised.image_shape == (size, 1, 1)
    alone = CLOSED_LEARNING.input_of(examples, images.image_shape)
    assert alone.images.shape == (len(examples), size, 1, 1)
    np.testing.assert_array_equal(alone.images, featurised.clients[client].test.images)


def test_a_network_on_features_takes_what_the_closed_form_does(images: FederatedData) -> None:
    learning = learning_of({"features": {"scales": 2}}, "here", None)
    found = learning.inputs(images)
    expected = learning_of({"learner": "closed-form", "features": {"scales": 2}}, "here", None).inputs(images)
    client = min(images.clients)
    np.testing.assert_array_equal(found.clients[client].train.images, expected.clients[client].train.images)
    alone = learning.input_of(images.clients[client].test, images.image_shape)
    np.testing.assert_array_equal(alone.images, found.clients[client].test.images)
    read = resolve(resolve({"features": {"name": "scattering", "angles": 4}, "model": {"hidden": 16}}).document())
    assert (read.model_name, read.model) == ("head", Head(hidden=16))
    assert read.learning.features == ScatteringFeatures(angles=4)


def test_a_network_that_takes_images_is_refused_features() -> None:
    with pytest.raises(ConfigError, match=r"model 'small-cnn': takes images, .*; set model\.name = 'head'"):
        resolve({"features": {}, "model": {"name": "small-cnn"}})


def test_the_model_is_the_configurations_or_a_linear_head() -> None:
    assert Averaging().model("small-cnn", SmallCnn()) == ("small-cnn", SmallCnn())
    assert CLOSED_LEARNING.model("small-cnn", SmallCnn())[0] == "linear head"


def test_each_has_methods_of_its_own() -> None:
    own = {"mine": Recipe(method="influence")}
    assert list(Averaging().methods(own)) == [*RECIPES, *METHODS, "mine"]
    assert CLOSED_LEARNING.methods({}) == {CLOSED_FORM: Recipe(method=CLOSED_FORM)}
    assert Averaging().method("influence", {}, {"influence": {"scale": 0.5}}) == Influence(scale=0.5)
    assert Averaging().method("influence", {"scale": 0.25}, {"influence": {"scale": 0.5}}) == Influence(scale=0.25)
    assert CLOSED_LEARNING.method(CLOSED_FORM, {"join": ["a"]}, {}) == Subtraction(join=("a",))
    with pytest.raises(FedletheError, match="influence"):
        CLOSED_LEARNING.method("influence", {}, {})


def test_noise_centres_the_features() -> None:
    noisy = resolve({**CLOSED, "closed_form": {"epsilon": 3.0}}).learning
    assert noisy.noisy
    assert isinstance(noisy.feature_map, Centred)
    assert not CLOSED_LEARNING.noisy
    assert not isinstance(CLOSED_LEARNING.feature_map, Centred)
    assert not Averaging().noisy


def test_a_network_has_no_statistics() -> None:
    for ask in (lambda: Averaging().settings, lambda: Averaging().feature_map):
        with pytest.raises(ConfigError, match='clients send no statistics; set learner = "closed-form"'):
            ask()


def test_what_run_toml_holds_builds_the_same_again() -> None:
    for tables in (NETWORK, CLOSED):
        config = resolve(tables)
        again = resolve(config.document())
        assert again.learning == config.learning
        assert again.document() == config.document()
