# SPDX-License-Identifier: MIT
"""After a purge, in the run folder, the cache, the keys' folder and the temporary one: nothing of the erased client.

Looked for are 64 bytes in a row of whatever was kept of it, sealed and opened: deltas, influences, norms, statistics,
its models, its images at every size that was ever decoded, their features; and the names of its files and patients.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from fedlethe.closed_form.featurised import cached_features
from fedlethe.config import resolve
from fedlethe.data.federated import SPLITS, FederatedData
from fedlethe.history.disk import RunFolder
from fedlethe.models import MODELS
from fedlethe.runs.opening import opened_run
from fedlethe.runs.preparing import load_data
from fedlethe.runs.run_toml import opened_folder
from fedlethe.types import ClientId
from tests.learners.test_closed_form import images_of
from tests.requests.acting import erased, trained
from tests.requests.traces import Needles, everything, folder_files, found, kept_of

GONE = "south"
HOSPITALS = ("north", GONE, "west")
PLACES = ("run", "cache", "vault", "temporary")
NETWORK = {
    "federation": {"rounds": 2},
    "local": {"epochs": 1, "learning_rate": 0.05},
    "history": {"keep": "everything"},
    "model": {"name": "linear"},
}
HEAD = {**NETWORK, "features": {"scales": 2}, "model": {"name": "head", "hidden": 8}}
CLOSED = {"learner": "closed-form", "features": {"scales": 2}, "closed_form": {"dimension": 48}}


@dataclass(frozen=True)
class Linear:
    """A weight for each pixel: enough numbers to be found again, and few enough to be looked through quickly."""

    def build(self, in_channels: int, num_classes: int) -> nn.Module:
        """One linear layer, for images of 16 by 16 pixels."""
        return nn.Sequential(nn.Flatten(), nn.Linear(256 * in_channels, num_classes))


def _images(data: FederatedData, client: ClientId) -> dict[str, bytes]:
    held = data.clients[client]
    return {
        f"image {split} {row} of {data.image_shape}": held.split(split).images[row].tobytes()
        for split in SPLITS
        for row in held.split(split).indices.tolist()
    }


def _models(history: RunFolder, client: ClientId) -> Iterator[tuple[str, bytes]]:
    """The client's models, less what no gradient ever moved: that is the initial model's, which stays."""
    initial = Needles({"initial": history.initial().numpy().tobytes()})
    for record in history.replay():
        model = record.updates[client].model.numpy().tobytes()
        if initial.in_(model) is None:
            yield f"model {record.round}", model


def _kept(run: Path, client: ClientId) -> dict[str, bytes]:
    """All that a purge has to take of a client, but for its images."""
    with opened_run(run) as opened:
        traces = kept_of(opened.history, client)
        traces |= {path.name: path.read_bytes().strip() for path in opened.history.store.keys.files.files(client)}
        if opened.config.learner == "fedavg":
            traces |= dict(_models(opened.history, client))
        if opened.config.learning.features is None:
            return traces
        for split in SPLITS:
            place = cached_features(
                opened.images.clients[client].split(split), opened.config.learning.feature_map.key()
            )
            traces |= {f"features {split}": place.read_bytes()[128:]} if place.is_file() else {}
        return traces


def _there(folder: Path) -> Iterator[tuple[str, bytes]]:
    with opened_folder(folder / "run") as (_, history):
        yield from everything(history)
    for place in PLACES[1:]:
        yield from folder_files(folder / place)


def _named(folder: Path, names: Sequence[str]) -> set[str]:
    """The names that occur in a file, or in a file's name."""
    return {
        f"{name} in {place}"
        for place, content in _there(folder)
        for name in names
        if name.encode() in content or name in Path(place).name
    }


@dataclass(frozen=True)
class Purged:
    """A run whose client was purged, and what there was of the client before.

    Attributes:
        folder: Where everything lies, in PLACES; nothing is kept anywhere else.
        kept: What was made of its images, by name.
        images: Its images.
        names: Those of its files and patients.
    """

    folder: Path
    kept: dict[str, bytes]
    images: dict[str, bytes]
    names: tuple[str, ...]


@pytest.fixture(scope="module", params=[NETWORK, HEAD, CLOSED], ids=["a network", "a head", "closed form"])
def purged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Purged]:
    folder = tmp_path_factory.mktemp("purged")
    (folder / "temporary").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS.rows, "linear", f"{__name__}:Linear")
        patch.setenv("FEDLETHE_CACHE", str(folder / "cache"))
        patch.setenv("FEDLETHE_KEYS", str(folder / "vault"))
        patch.setenv("TMPDIR", str(folder / "temporary"))
        patch.setattr(tempfile, "tempdir", str(folder / "temporary"))
        yield _purged(folder, request.param)


def _purged(folder: Path, learner: dict[str, Any]) -> Purged:
    table = images_of(folder / "images", HOSPITALS, seed=3)
    for image in table.parent.iterdir():
        os.utime(image, (1_700_000_000, 1_700_000_000))  # names of files that were just written are not cached
    source = {"source": "table", "path": str(table), "channels": 1}
    document = {**learner, "data": {**source, "size": 16}, "partition": {"max_examples": 12}}
    images: dict[str, bytes] = {}
    earlier: dict[str, Any]
    for earlier in ({"data": {**source, "size": 24}}, {"partition": {}}):  # as `fedlethe data` leaves them
        images |= _images(load_data(resolve({**document, **earlier})), GONE)
    run = trained(folder / "run", document)
    kept = _kept(run, GONE)
    rows = [line.split(",") for line in table.read_text().splitlines() if f",{GONE}," in line]
    names = tuple(sorted({row[0] for row in rows} | {row[3] for row in rows}))
    # Before the purge each kind is seen, so that finding nothing afterwards says something.
    seen = "\n".join(found(kept | images, _there(folder)))
    kinds = ("statistics/", "features") if learner is CLOSED else ("client_deltas/", "influence/")
    assert all(kind in seen for kind in (*kinds, "image"))
    assert _named(folder, names)
    erased(run, GONE)
    return Purged(folder, kept, images, names)


def test_nothing_that_was_made_of_the_erased_client_is_anywhere(purged: Purged) -> None:
    assert found(purged.kept, _there(purged.folder)) == []
    assert not list(purged.folder.rglob("*.part"))


def test_no_image_of_it_and_no_name_of_its_files_and_patients(purged: Purged) -> None:
    for _ in range(2):
        assert found(purged.images, _there(purged.folder)) == []
        assert _named(purged.folder, purged.names) == set()
        with opened_run(purged.folder / "run") as opened:  # nor does anything come back when the run is opened again
            assert GONE not in opened.data.clients
