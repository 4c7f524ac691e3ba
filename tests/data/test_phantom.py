# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from fedlethe.data.federated import LabelledImages
from fedlethe.data.phantom import Grid, Phantom, patient
from fedlethe.seeding import numpy_generator


@pytest.fixture(scope="module")
def images() -> LabelledImages:
    return Phantom(images_per_hospital=120, size=32).load()


def _sites(images: LabelledImages) -> list[np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    assert images.sites is not None
    return [images.sites == site for site in np.unique(images.sites)]


def test_shapes_and_names(images: LabelledImages) -> None:
    assert images.images.shape == (600, 1, 32, 32)
    assert images.images.dtype == np.uint8
    assert images.classes == ("normal", "opacity")
    assert images.sites is not None
    assert sorted(set(images.sites)) == [f"hospital-{index}" for index in range(5)]


def test_a_patient_does_not_depend_on_how_many_others_there_are(images: LabelledImages) -> None:
    fewer = Phantom(hospitals=2, images_per_hospital=10, size=32).load()
    for hospital in (0, 1):
        start = 120 * hospital
        assert np.array_equal(fewer.images[10 * hospital : 10 * hospital + 10], images.images[start : start + 10])
        assert np.array_equal(fewer.labels[10 * hospital : 10 * hospital + 10], images.labels[start : start + 10])
    other = Phantom(hospitals=2, images_per_hospital=10, size=32, seed=1).load()
    assert not np.array_equal(other.images, fewer.images)
    assert other.fingerprint != fewer.fingerprint


def test_a_patient_looks_alike_at_any_size(images: LabelledImages) -> None:
    large = Phantom(hospitals=1, images_per_hospital=20, size=64).load().images[:, 0].astype(float)
    halved = large.reshape(20, 32, 2, 32, 2).mean(axis=(2, 4))
    for one, other in zip(halved, images.images[:20, 0].astype(float), strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.95


def test_hospitals_differ_in_looks_and_in_class_mix(images: LabelledImages) -> None:
    mixes = [images.labels[site].mean() for site in _sites(images)]
    assert max(mixes) - min(mixes) > 0.15
    means = [images.images[site].mean(axis=(1, 2, 3)) for site in _sites(images)]
    darkest, brightest = min(means, key=np.mean), max(means, key=np.mean)
    assert (brightest.mean() - darkest.mean()) > 1.0 * darkest.std()


def test_opacities_brighten_the_lungs_and_nothing_else() -> None:
    grid = Grid.of(48, 1.0)
    for index in range(20):
        ill, well = (patient(grid, positive, numpy_generator(0, "test", index)) for positive in (True, False))
        added = ill - well
        assert added.min() >= -1e-6
        assert added.max() > 0.02
        assert added[:, :2].max() < 1e-3  # outside the body
        assert well[added > 0.05].mean() < well.mean()  # where the lungs are dark


def test_a_linear_model_on_pixels_stays_well_below_the_demo(images: LabelledImages) -> None:
    pixels, labels = images.images.reshape(600, -1) / 255, images.labels
    order = numpy_generator(0, "split").permutation(600)
    train, test = order[:450], order[450:]
    scaler = StandardScaler().fit(pixels[train])
    model = LogisticRegression(C=1e-3, max_iter=500).fit(scaler.transform(pixels[train]), labels[train])
    assert model.score(scaler.transform(pixels[test]), labels[test]) < 0.82


@pytest.mark.parametrize("options", [{"hospitals": 0}, {"images_per_hospital": 3}, {"size": 8}])
def test_options_out_of_range_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Phantom(**options)
