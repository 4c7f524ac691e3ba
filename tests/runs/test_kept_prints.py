# SPDX-License-Identifier: MIT
"""The fingerprints that an erasure keeps are of its images, by the run's own key, and are read back as they were."""

from __future__ import annotations

import shutil
from pathlib import Path

from fedlethe.data.prints import prints_of
from fedlethe.history.keyring import IMAGES
from fedlethe.runs.kept_prints import keep_prints, kept_prints, key_of
from fedlethe.runs.opening import opened_run
from tests.runs.small import HOSPITALS


def test_they_are_of_the_erased_clients_images_alone(network: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(network, tmp_path / "run"))
    with opened_run(copy) as run, run.history.locked():
        assert kept_prints(run.history, ["0001"]) == []
        run.history.ledger.add_artefacts(keep_prints(run, "0001", [HOSPITALS[1], "gone from the data"], {}))
        (found,) = kept_prints(run.history, ["0001"])
        assert found.key is not None
        wanted = prints_of(found.key.secret, run.images.clients[HOSPITALS[1]])
        assert len(wanted) > 10
        assert found.clients == {HOSPITALS[1]: frozenset(wanted)}
        assert found.patients == {}
        assert found.shape == tuple(run.images.image_shape)
        assert not set(wanted) & set(prints_of(found.key.secret, run.images.clients[HOSPITALS[0]]))
        assert found.where == f"erasure 0001 of {run.path}"


def test_without_images_nothing_is_kept_and_without_its_key_nothing_can_be_told(network: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(network, tmp_path / "run"))
    with opened_run(copy) as run, run.history.locked():
        assert keep_prints(run, "0001", ["gone from the data"], {}) == []
        assert key_of(run.history) is None  # none was made
        run.history.ledger.add_artefacts(keep_prints(run, "0001", HOSPITALS[:1], {}))
        (file,) = run.history.store.keys.files.files(IMAGES)
    file.rename(tmp_path / "put away")
    with opened_run(copy) as run:
        assert key_of(run.history) is None
        assert [one.key for one in kept_prints(run.history, ["0001"])] == [None]
