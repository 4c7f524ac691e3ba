# SPDX-License-Identifier: MIT
"""Who was erased stays out of what begins from there: by name, by its patients, by its images under another name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fedlethe.config import resolve
from fedlethe.data.federated import SPLITS
from fedlethe.document import read_toml
from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.errors import FedletheError
from fedlethe.history.entries import BEGAN
from fedlethe.learners.training import Trained, train_run
from fedlethe.requests.verify import verify_ledger
from fedlethe.runs.erased_before import ErasedBefore
from fedlethe.runs.left_out import compared
from fedlethe.runs.opening import opened_run
from fedlethe.runs.past import begun_parts
from fedlethe.runs.preparing import prepare
from fedlethe.runs.run_toml import opened_folder
from tests.requests.acting import erased

FULL = ErasurePlan(method="influence", options={"scale": 1.0}, mask={}, repair={"rounds": 0})
SITES = {"north": 40, "south": 30, "west": 30}


class Images:
    """Images of random pixels on disk, and tables that say whose each is. Five images to a patient."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.held: dict[str, list[str]] = {}
        random = np.random.default_rng(0)
        for site, count in SITES.items():
            self.held[site] = [f"{site}{number}.png" for number in range(count)]
            for name in self.held[site]:
                Image.fromarray(random.integers(0, 256, (8, 8), np.uint8)).save(folder / name)

    def table(self, name: str, owners: Mapping[str, list[str]], patients: str = "") -> dict[str, Any]:
        """The configuration of a run on a table in which these clients hold these images.

        Args:
            name: Of the table.
            owners: Client to its images.
            patients: Put before the patients' names.
        """

        def patient(image: str) -> str:
            return f"{patients}{image[0]}{int(''.join(filter(str.isdigit, image))) // 5}"

        rows = [
            f"{image},{'ab'[int(image[-5]) % 2]},{client},{patient(image)}"
            for client, images in owners.items()
            for image in images
        ]
        path = self.folder / f"{name}.csv"
        path.write_text("path,label,client,patient\n" + "\n".join(rows) + "\n")
        return {
            "data": {"source": "table", "path": str(path), "size": 8},
            "federation": {"rounds": 1},
            "local": {"epochs": 1},
            "history": {"keep": "everything"},
        }

    def owners(self, **others: list[str]) -> dict[str, list[str]]:
        return {"north": self.held["north"], "west": self.held["west"], **others}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    return Images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def after(images: Images) -> Path:
    """A run of which south was erased and purged; the folder of the erasure."""
    return _began(images, images.folder / "run")


def _began(images: Images, run: Path, patients: tuple[str, ...] = ()) -> Path:
    train_run(resolve(images.table("all", images.held)), run)
    erased(run, "south", plan=None if patients else FULL, patients=patients)
    return run / "erasures/0001"


def _next(after: Path, table: dict[str, Any], out: Path, *take_back: str) -> Trained:
    return train_run(resolve(table), out, after=after, take_back=take_back)


def _holds(run: Path) -> dict[str, set[bytes]]:
    """Client to the pixels of its images, as the run has them."""
    with opened_run(run) as opened:
        return {
            client: {held.split(split).images[row].tobytes() for split in SPLITS for row in held.split(split).indices}
            for client, held in opened.data.clients.items()
        }


def _pixels(images: Images, names: list[str]) -> set[bytes]:
    return {np.asarray(Image.open(images.folder / name)).tobytes() for name in names}


def test_an_erased_client_is_left_out_by_name(images: Images, after: Path, tmp_path: Path) -> None:
    done = _next(after, images.table("again", images.held), tmp_path / "run")
    (left,) = done.left_out_erased
    assert (left.client, left.images) == ("south", None)
    # The same words reach who typed a command and who wrote Python: they name no argument and no option.
    assert left.because.endswith("; it comes back if it is named among those to take back")
    assert done.not_checked == ()
    assert set(_holds(done.run)) == {"north", "west"}
    document = read_toml(done.run / "run.toml")["run"]
    assert document["clients"] == ["north", "west"]
    with opened_folder(done.run) as (_, history):
        (event,) = history.ledger.events(BEGAN)
        assert [one["client"] for one in event.body["left_out"]] == ["south"]
        assert {entry.client for entry in history.ledger.participation()} == {"north", "west"}
    assert not verify_ledger(done.run).failed


def test_it_comes_back_where_it_is_named_and_stays_in_from_there(images: Images, tmp_path: Path) -> None:
    table, run, after = images.table("again", images.held), tmp_path / "run", _began(images, tmp_path / "first")
    with pytest.raises(FedletheError, match=r"take_back west: was not erased in what this run .* are south$"):
        _next(after, table, run, "west")
    with pytest.raises(FedletheError, match="take_back south: a fresh model left nobody out"):
        train_run(resolve(table), run, take_back=["south"])
    assert not run.exists()
    done = _next(after, table, run, "south")
    assert (done.left_out_erased, done.taken_back) == ((), ("south",))
    assert set(_holds(run)) == set(SITES)
    with pytest.raises(FedletheError, match="it began with take_back"):
        _next(after, table, run, "south", "north")
    # South is in what begins from there; north, which was erased in between, is not; nor is it later on.
    erased(run, "north", plan=FULL)
    third = _next(run / "erasures/0001", table, tmp_path / "third")
    assert [one.client for one in third.left_out_erased] == ["north"]
    erased(third.run, "west", plan=FULL)
    fourth = _next(third.run / "erasures/0001", table, tmp_path / "fourth")
    assert [one.client for one in fourth.left_out_erased] == ["north", "west"]
    # What was purged from a run for a later one's request is not taken from its data again, either.
    with pytest.raises(FedletheError, match="all clients in the data were erased before"):
        _next(after, table, tmp_path / "fifth")


def test_the_same_images_under_another_name_are_left_out(images: Images, after: Path, tmp_path: Path) -> None:
    table = images.table("renamed", images.owners(renamed=images.held["south"][:20]))
    done = _next(after, table, tmp_path / "run")
    (left,) = done.left_out_erased
    assert (left.client, left.images) == ("renamed", None)
    assert left.because.startswith("20 of its 20 images are those of south, erased by erasure 0001")
    assert left.because.endswith("; it comes back if it is named among those to take back")
    assert set(_holds(done.run)) == {"north", "west"}
    back = _next(after, table, tmp_path / "back", "renamed")
    assert len(_holds(back.run)["renamed"]) == 20


def test_a_few_of_them_among_others_are_left_out_alone(images: Images, tmp_path: Path) -> None:
    few = images.held["south"][:3]  # 3 of 43, which is less than a tenth
    owners = {"north": [*images.held["north"], *few], "west": images.held["west"]}
    done = _next(_began(images, tmp_path / "first"), images.table("mixed", owners), tmp_path / "run")
    (left,) = done.left_out_erased
    assert (left.client, left.images) == ("north", 3)
    assert _holds(done.run)["north"] == _pixels(images, images.held["north"])
    # The run can be opened, erased from and purged as any other.
    erased(done.run, "west", plan=FULL)
    assert not verify_ledger(done.run).failed
    assert _holds(done.run)["north"] == _pixels(images, images.held["north"])


def test_an_erased_patient_is_left_out_under_its_own_id_and_another(images: Images, tmp_path: Path) -> None:
    own, rest = images.held["south"][:5], images.held["south"][5:]
    after = _began(images, tmp_path / "run", patients=("s0",))
    same = _next(after, images.table("same", images.held), tmp_path / "same")
    (left,) = same.left_out_erased
    assert (left.client, left.images) == ("south", 5)
    assert _holds(same.run)["south"] == _pixels(images, rest)
    for name, table in (
        ("id", images.table("id", images.held, patients="new")),
        ("client", images.table("client", images.owners(north=[*images.held["north"], *own[:1]], south=rest))),
    ):
        done = _next(after, table, tmp_path / name)
        assert not _pixels(images, own) & set().union(*_holds(done.run).values())
        assert sum(len(held) for held in _holds(done.run).values()) == sum(SITES.values()) - len(own)
    back = _next(after, images.table("back", images.held), tmp_path / "back", "south")
    assert _holds(back.run)["south"] == _pixels(images, images.held["south"])


def test_the_closed_form_federation_leaves_it_out_of_its_sums(images: Images, tmp_path: Path) -> None:
    held = images.table("closed", images.held)["data"]
    table = {"data": {**held, "size": 16}, "learner": "closed-form", "features": {"name": "scattering"}}
    run = tmp_path / "run"
    train_run(resolve(table), run)
    with opened_run(run) as opened:
        erase(opened, order_erasure(opened, ("south",), ErasurePlan(method="closed-form")))
    done = _next(run / "erasures/0001", table, tmp_path / "next")
    assert [one.client for one in done.left_out_erased] == ["south"]
    with opened_folder(done.run) as (_, history):
        kept = {one.client for one in history.ledger.artefacts().values() if one.kind == "statistics" and one.client}
    assert kept == {"north", "west"}
    # Who joined again after the erasure is not erased.
    with opened_run(run) as opened:
        erase(
            opened,
            order_erasure(opened, (), ErasurePlan(method="closed-form", options={"join": ["south"]}, after="0001")),
        )
    joined = _next(run / "erasures/0002", table, tmp_path / "joined")
    assert joined.left_out_erased == ()


def test_what_cannot_be_looked_for_is_said(
    images: Images, after: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = images.table("size", images.held)
    other["data"] = {**other["data"], "size": 16}
    (said,) = _next(after, other, tmp_path / "size").not_checked
    assert said.endswith("its fingerprints are of images of another size")
    (key,) = (after.parent.parent / "keys").glob("-images.*.key")
    key.rename(tmp_path / key.name)
    try:
        (said,) = _next(after, images.table("again", images.held), tmp_path / "keyless").not_checked
    finally:
        (tmp_path / key.name).rename(key)
    assert "the key of its fingerprints is not at hand" in said


def test_the_command_says_it_first(images: Images, after: Path, tmp_path: Path) -> None:
    images.table("again", images.held)
    command = [sys.executable, "-m", "fedlethe", "train", "--data", "table", "--path", str(images.folder / "again.csv")]
    command += ["--size", "8", "--rounds", "1", "--local-epochs", "1", "--after", str(after)]

    def ran(out: str, *more: str) -> subprocess.CompletedProcess[str]:
        whole = [*command, "--out", str(tmp_path / out), *more]
        return subprocess.run(whole, capture_output=True, text=True, check=False, timeout=120)

    plain, wrong = ran("plain"), ran("no", "--take-back", "east")
    assert plain.stdout.startswith("left out: south: erased by erasure 0001 of ")
    assert (wrong.returncode, len(wrong.stderr.strip().splitlines())) == (2, 1)
    assert "--take-back east: was not erased" in wrong.stderr


def test_who_comes_back_under_another_name_stays_in_from_there(images: Images, tmp_path: Path) -> None:
    """Its images are known as those of an erased client no more, in no later run."""
    renamed = {"north": images.held["north"], "west": images.held["west"], "new": images.held["south"]}
    first = _began(images, tmp_path / "first")
    done = _next(first, images.table("renamed", renamed), tmp_path / "second", "new")
    assert (done.left_out_erased, done.taken_back) == ((), ("new",))
    erased(done.run, "north", plan=FULL)
    last = _next(done.run / "erasures/0001", images.table("renamed", renamed), tmp_path / "third")
    assert [left.client for left in last.left_out_erased] == ["north"]
    assert set(_holds(last.run)) == {"west", "new"}


def test_a_part_that_came_back_does_not_bring_the_rest(images: Images, tmp_path: Path) -> None:
    part = images.owners(part=images.held["south"][:20])
    first = _began(images, tmp_path / "first")
    done = _next(first, images.table("part", part), tmp_path / "second", "part")
    erased(done.run, "west", plan=FULL)
    with ExitStack() as stack:
        found = ErasedBefore.before(begun_parts(tmp_path / "third", "../second/erasures/0001", stack))
        assert set(found.clients) == {"south", "west"}  # by its own name it stays out
        assert found.returned == {"part": {"south"}}  # and nobody else has leave for its images
        last = compared(prepare(resolve(images.table("part", part))).images, found, "x", ())
    assert [left.client for left in last.left_out] == ["west"]


def test_a_run_beside_another_has_no_influences_that_the_other_purged(images: Images, tmp_path: Path) -> None:
    """The other one's purge reached the run that both began from, and keeps what it rebased for itself."""
    table, first = images.table("again", images.held), _began(images, tmp_path / "first")
    beside = _next(first, table, tmp_path / "beside").run
    other = _next(first, table, tmp_path / "other", "south").run
    erased(other, "north", plan=ErasurePlan(method="retrain", repair={"rounds": 0}))
    with opened_run(other) as opened:  # the run of the line goes on
        erase(opened, order_erasure(opened, ["south"], ErasurePlan(method="influence", repair={"rounds": 0})))
    with opened_run(beside) as opened:
        order = order_erasure(opened, ["west"], ErasurePlan(method="influence", repair={"rounds": 0}))
        with pytest.raises(FedletheError, match="went with a purge; erase by retraining"):
            erase(opened, order)
        erase(opened, order_erasure(opened, ["west"], ErasurePlan(method="retrain", repair={"rounds": 0})))


def test_another_erased_hospitals_images_do_not_come_in_with_who_is_taken_back(images: Images, tmp_path: Path) -> None:
    run, held = tmp_path / "first", images.held
    train_run(resolve(images.table("all", held)), run)
    erased(run, "south", plan=FULL)
    erased(run, "west", plan=FULL)
    after = run / "erasures/0002"
    merged = {"north": held["north"], "west": [*held["west"], *held["south"]]}
    done = _next(after, images.table("merged", merged), tmp_path / "own", "west")
    (left,) = done.left_out_erased
    assert (left.client, left.images) == ("west", len(held["south"]))
    assert "the same as images of south" in left.because
    assert _holds(done.run)["west"] <= _pixels(images, held["west"])
    renamed = {"north": held["north"], "new": [*held["west"], *held["south"][:3]]}
    done = _next(after, images.table("new", renamed), tmp_path / "new", "new")
    (left,) = done.left_out_erased
    assert (left.client, left.images) == ("new", 3)
    assert _holds(done.run)["new"] <= _pixels(images, held["west"])
    with opened_folder(done.run) as (_, history):
        (event,) = history.ledger.events(BEGAN)
    assert event.body["came_with"] == {"new": ["west"]}


def test_a_patient_of_who_came_back_under_another_name_is_left_out_alone(images: Images, tmp_path: Path) -> None:
    renamed = {"north": images.held["north"], "west": images.held["west"], "new": images.held["south"]}
    table = images.table("renamed", renamed)
    done = _next(_began(images, tmp_path / "first"), table, tmp_path / "second", "new")
    erased(done.run, "new", plan=ErasurePlan(method="retrain"), patients=["s0"])
    last = _next(done.run / "erasures/0001", table, tmp_path / "third")
    assert [(left.client, left.images) for left in last.left_out_erased] == [("new", 5)]
    assert len(_holds(last.run)["new"]) == 25


def test_a_tenth_is_of_equal_images_alone_and_by_all_erasures_of_the_owner(images: Images, tmp_path: Path) -> None:
    """One image of an erased patient makes its new patient's others stay out, and not the hospital."""
    first = _began(images, tmp_path / "first", patients=("s0",))
    held = images.held
    mixed = images.table("one", images.owners(north=[*held["north"][:36], held["south"][0]]))
    path = Path(mixed["data"]["path"])
    path.write_text(path.read_text().replace("north,s0", "north,n0"))  # it comes as an image of north's patient n0
    (left,) = _next(first, mixed, tmp_path / "patient").left_out_erased
    assert (left.client, left.images) == ("north", 6)
    assert left.because.startswith("the same as images of a patient of south, erased by erasure 0001 of ")
    assert left.because.endswith(" (1), or of the patient here who has such an image (5)")
    erased(first.parent.parent, "south", plan=FULL)
    after = first.parent / "0002"
    (left,) = _next(after, mixed, tmp_path / "whole").left_out_erased
    assert (left.client, left.images) == ("north", 6)
    renamed = images.table("all30", {"north": held["north"], "west": held["west"], "new": held["south"]})
    (left,) = _next(after, renamed, tmp_path / "renamed").left_out_erased
    assert left.because.startswith("30 of its 30 images are those of south, erased by erasure 0002")
