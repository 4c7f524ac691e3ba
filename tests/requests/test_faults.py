# SPDX-License-Identifier: MIT
"""Whatever write fails, in whichever step: one line, nothing lost, and the same command again ends as if none had."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from matplotlib.transforms import Bbox
from torch import nn

from fedlethe.config import resolve
from fedlethe.data import holdings
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.errors import FedletheError
from fedlethe.federation import evaluation
from fedlethe.federation.train import train
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import REPLACED
from fedlethe.history.request_log import requests_of
from fedlethe.learners import averaging
from fedlethe.learners.training import train_run
from fedlethe.models import MODELS
from fedlethe.plots import accuracy_curves
from fedlethe.plots.metric_lines import METRIC_HEADER, metric_rows
from fedlethe.plots.style import Plot
from fedlethe.requests import request_erasure
from fedlethe.requests.carry_out import carry_out, erase_unsigned
from fedlethe.requests.request import open_request
from fedlethe.requests.verify import verify_ledger
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import opened_folder
from fedlethe.types import Stage
from tests.requests.acting import KEY
from tests.requests.faults import GROWS, Disk, failing, reaches_sqlite

GONE = "hospital-1"
PLAN = ErasurePlan(method="influence", options={"scale": 1.0}, mask={"sigma": 0.01}, repair={"rounds": 1})
DOCUMENT: dict[str, Any] = {
    "data": {"source": "phantom", "size": 16, "hospitals": 2, "images_per_hospital": 8},
    "federation": {"rounds": 2},
    "local": {"epochs": 1},
    "model": {"name": "tiny"},
    "history": {"keep": "needed", "methods": ["influence"]},
}
SAME = ("global checkpoint", "configuration", "picture")
"""Kinds of files that have the same bytes each time; noise, times, keys and signatures are new in the others."""

EVERY = bool(os.environ.get("FEDLETHE_EVERY_FAULT"))
"""Whether a full disk is tried at every place, too, and not at every eighth (`make bench`)."""


@dataclass(frozen=True)
class Tiny:
    """Ten numbers: files are written often here, and hold little."""

    def build(self, in_channels: int, num_classes: int) -> nn.Module:
        """The mean of each quarter, and one linear layer."""
        return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * in_channels, num_classes))


def _begin(run: Path) -> None:
    """Train for the first round alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(averaging, "train", _first_round)
        _train(run)


def _first_round(federation: Any, model: Any, schedule: list[tuple[int, Any]]) -> Any:
    return train(federation, model, [entry for entry in schedule if entry[0] == 1])


def _train(run: Path) -> None:
    train_run(resolve(DOCUMENT), run, finished_too=True)


def _request(run: Path) -> None:
    with opened_run(run) as opened:
        open_request(opened, (GONE,), (), "withdrew", "the tests")


def _erase(run: Path) -> None:
    with opened_run(run) as opened:
        erase_unsigned(opened, "R0001", None if _begun(run) else PLAN)


def _certify_and_purge(run: Path) -> None:
    with opened_run(run) as opened:
        carry_out(opened, "R0001", None, KEY)


def _begun(run: Path) -> bool:
    with opened_folder(run) as (_, history):
        return requests_of(history.ledger)["R0001"].plan is not None


STEPS: dict[str, Callable[[Path], None]] = {
    "begin to train": _begin,
    "train": _train,
    "request": _request,
    "erase": _erase,
    "certify and purge": _certify_and_purge,
}


class Undrawn:
    """A figure that takes no time: its files are written, and hold nothing that was drawn."""

    axes: tuple[Any, ...] = ()

    def findobj(self, kind: Any) -> list[Any]:
        """It has no texts."""
        return []

    def draw_without_rendering(self) -> None:
        """Nothing to lay out."""

    def set_layout_engine(self, engine: Any) -> None:
        """Nothing to lay out."""

    def get_tightbbox(self) -> Bbox:
        """Some size."""
        return Bbox.unit()

    def savefig(self, place: Path, **options: Any) -> None:
        """A file."""
        Path(place).write_bytes(b"a picture")


def _stages(stages: Sequence[Stage], forget: Sequence[str]) -> Plot:
    rows = [(stage.name, *row) for stage in stages for row in metric_rows(stage.evaluation)]
    return Plot("stages", "", "", Undrawn(), ("stage", *METRIC_HEADER), rows)  # type: ignore[arg-type]


@pytest.fixture(scope="module", autouse=True)
def _light() -> Iterator[None]:
    """A tiny model, and no time for what is worked out, drawn or asked; what is written, and where to, is as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "_areas", lambda *_: (0.5, 0.25, 0.75))
        patch.setattr(evaluation, "calibration", lambda *_: 0.5)
        patch.setattr(request_erasure, "what_stays_tells", lambda *_: None)  # of ten numbers noise may be all there is
        patch.setitem(MODELS.rows, "tiny", f"{__name__}:Tiny")
        patch.setattr(accuracy_curves, "erasure_stages", _stages)
        patch.setattr(holdings, "_open_elsewhere", dict)  # which other processes have a file of the cache open
        yield


@contextmanager
def _cached_in(folder: Path) -> Iterator[None]:
    """Decoded images go to a cache of this folder's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDLETHE_CACHE", str(folder / "cache"))
        yield


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Step to the folder before it and the one after it, undisturbed; each holds `run` and `cache`."""
    before, found = tmp_path_factory.mktemp("nothing"), {}
    for name, step in STEPS.items():
        after = _copied(before, tmp_path_factory.mktemp("undisturbed") / name)
        with _cached_in(after):
            step(after / "run")
        found[name] = (before, after)
        before = after
    return found


def _copied(whole: Path, folder: Path) -> Path:
    return Path(shutil.copytree(whole, folder))


def _end(folder: Path) -> dict[str, Any]:
    """All that a step leads to, but for what is drawn at random or tells the time."""
    run = folder / "run"
    with opened_folder(run) as (_, history):
        ledger, keys = history.ledger, history.store.keys
        named = [path.name.split(".")[-2] for path in keys.files.folder.glob("*.key")]
        clients = {event.body["client"] for event in ledger.events("key")}
        return {
            "verified": verify_ledger(run).failed,
            "head": (run / "ledger.head").read_text() == f"{ledger.head().seq} {ledger.head().hash}\n",
            "rounds": [(round, ledger.participation(round)) for round in range(1, ledger.rounds() + 1)],
            "evaluations": ledger.evaluations(),
            "files": set(ledger.artefacts()),
            "models": {name: held.sha256 for name, held in ledger.artefacts().items() if held.kind in SAME},
            "gone": {name: gone.because for name, gone in ledger.tombstones().items()},
            "erasures": ledger.erasures(),
            "requests": [(one.id, one.state, one.erasure, one.purge, one.plan) for one in requests_of(ledger).values()],
            "keys": {client: len(keys.living(client)) for client in clients},
            "key files": sorted(named) == sorted(id for client in clients for id in keys.living(client)),
            "there": {path.relative_to(folder).as_posix() for path in _files(folder) if path.suffix != ".key"},
        }


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if not path.name.startswith("ledger.db-"))  # SQLite's own


def _lost(before: Path, after: Path) -> list[str]:
    """What was in the ledger before and is neither there nor purged, or is there as something else."""
    with ExitStack() as stack:
        old, new = (_ledger(folder, stack) for folder in (before, after))
        if new is None:
            return [] if old is None else ["the ledger"]
        known, gone = new.ledger.artefacts(), new.ledger.tombstones()
        earlier = {} if old is None else old.ledger.artefacts()
        certified = new.store.holds("erasures/0001/certificate-before-purge")
        may = {name for name, one in gone.items() if certified or one.because == REPLACED}
        lost = [name for name in earlier if name not in known and name not in may]
        there = [name for name, held in known.items() if not (after / "run" / name).is_file()]
        return (
            lost
            + there
            + [problem for problem in new.store.problems() if "is missing" in problem or "bytes" in problem]
        )


def _ledger(folder: Path, stack: ExitStack) -> RunFolder | None:
    try:
        return stack.enter_context(opened_folder(folder / "run"))[1]
    except FedletheError:
        return None


def _tried(step: str, before: Path, after: Path, end: dict[str, Any], trial: Path, disk: Disk) -> list[str]:
    """What is not as it should be where the disk fails in a step."""
    wrong = []
    with _cached_in(trial):
        try:
            with failing(disk):
                STEPS[step](trial / "run")
        except FedletheError as error:
            if "\n" in str(error) or str(trial) not in str(error):
                wrong.append(f"the message: {error}")
            wrong += [f"lost: {name}" for name in _lost(before, trial)]
            try:
                with failing(Disk([trial])):
                    STEPS[step](trial / "run")
            except FedletheError as again:
                return [*wrong, f"not gone on with: {again}"]
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")
            return wrong
        found = _end(trial)
        wrong += [f"{name}: {found[name]} is not {whole}" for name, whole in end.items() if found[name] != whole]
    return wrong


@pytest.mark.parametrize("full", [False, True], ids=["an error of the drive", "a full disk"])
@pytest.mark.parametrize("step", STEPS)
def test_any_write_that_fails(step: str, full: bool, states: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    before, after = states[step]
    whole = Disk([_copied(before, tmp_path / "whole")])
    with _cached_in(tmp_path / "whole"), failing(whole):
        STEPS[step](tmp_path / "whole/run")
    with _cached_in(after):
        end = _end(after)
    assert _end_of(tmp_path / "whole") == end
    assert any("ledger.db" in path for _, path in whole.done) == reaches_sqlite()
    places = [number for number, (what, _) in enumerate(whole.done) if not full or what in GROWS]
    wrong = {}
    for number in places if EVERY or not full else places[::8]:
        trial = _copied(before, tmp_path / "trial")
        disk = Disk([trial], number, full)
        if problems := _tried(step, before, after, end, trial, disk):
            what, path = whole.done[number]
            wrong[f"{number}: {what} {Path(path).relative_to(tmp_path / 'whole')}"] = problems
        shutil.rmtree(trial)
    assert wrong == {}


def _end_of(folder: Path) -> dict[str, Any]:
    with _cached_in(folder):
        return _end(folder)
