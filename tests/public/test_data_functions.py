# SPDX-License-Identifier: MIT
"""Data before a run, and the cache beside all runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import fedlethe
from fedlethe.data.given import of_clients
from fedlethe.errors import ConfigError, DataError
from tests.public.own import PHANTOM


def test_data_of_ones_own_are_looked_at_before_a_training(clients: dict[str, Any], tmp_path: Path) -> None:
    held = fedlethe.inspect_data(clients, partition={"test_fraction": 0.5})
    assert (list(held.counts["test"]), held.image_shape, held.pictures) == (["east", "south", "west"], (5,), ())
    assert sum(sum(mix.values()) for mix in held.counts["test"].values()) == 60
    drawn = fedlethe.inspect_data(PHANTOM, seed=3, out=tmp_path / "pictures")
    assert all(picture.is_file() for picture in drawn.pictures)
    with pytest.raises(ConfigError, match="no option 'flags'"):
        fedlethe.inspect_data({"source": "medmnist", "flags": "pneumoniamnist"})


def test_whose_images_go_is_said_in_one_way() -> None:
    with pytest.raises(ConfigError, match="say of which data"):
        fedlethe.cache_content(clients=["east"])
    for wrong in ({}, {"clients": ["a"], "everything": True}, {"run": "RUN"}):
        with pytest.raises(ConfigError, match="say whose images go"):
            fedlethe.clear_cache(**wrong)
    with pytest.raises(ConfigError, match="whatever the data"):
        fedlethe.clear_cache(run="RUN", everything=True)
    with pytest.raises(ConfigError, match="RUN: the run says what its data are"):
        fedlethe.cache_content("RUN", config={"data": PHANTOM})


def test_the_images_of_a_run_whose_sources_were_handed_over_are_found_by_the_run_itself(tmp_path: Path) -> None:
    """By its folder nobody knows whose they are, and no other argument takes data."""
    kind: Any = fedlethe.DATASETS["phantom"]
    one, other = (kind(size=16, hospitals=1, images_per_hospital=count) for count in (20, 24))
    run = fedlethe.train("small-cnn", {"a": one, "b": other}, out=tmp_path / "run", rounds=1)
    with pytest.raises(DataError, match="the run's data were handed over"):
        fedlethe.cache_content(run.path, clients=["a"])
    with pytest.raises(ConfigError, match=r"^run: a path is wanted, not 3$"):
        fedlethe.cache_content(3)  # type: ignore[arg-type]
    found = fedlethe.cache_content(run, clients=["a"])
    assert {"a": 20} in [dict(one.clients) for one in found.entries]
    assert fedlethe.clear_cache(run, clients=["a"]).images == 20
    assert not any(one.clients for one in fedlethe.cache_content(run, clients=["a"]).entries)


def test_data_of_sources_keep_their_classes() -> None:
    from fedlethe.data.phantom import Phantom

    images = of_clients({"a": Phantom(size=16, hospitals=1, images_per_hospital=20)})
    assert images.classes == Phantom(size=16, hospitals=1, images_per_hospital=20).load().classes
    assert set(images.sites.tolist() if images.sites is not None else ()) == {"a"}
