# SPDX-License-Identifier: MIT
"""On the command line: after a purge nothing of a client or patient is in run folder, cache or temporary files."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fedlethe.data.images import Fit, read_image
from fedlethe.requests.signing import new_key
from tests.requests.traces import Needles

SITES = ("north", "south", "west")


class Commands:
    """fedlethe in processes of their own, with a cache and a folder for temporary files of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tmp").mkdir()

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        variables = {"FEDLETHE_CACHE": str(self.folder / "cache"), "TMPDIR": str(self.folder / "tmp")}
        return subprocess.run(
            [sys.executable, "-m", "fedlethe", *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **variables, "COLUMNS": "300"},
        )

    def __call__(self, *words: object) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def files(self) -> dict[str, bytes]:
        """All that is kept, beyond the table and the images themselves."""
        places = [self.folder / name for name in ("run", "cache", "tmp")]
        paths = [path for place in places for path in place.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}


def table_of(folder: Path, splits: bool) -> Path:
    """Fifteen patients of four images at each site; with `splits` the last three have images to test on alone."""
    generator, lines = np.random.default_rng(0), ["path,label,client,patient" + (",split" if splits else "")]
    (folder / "scans").mkdir()
    for site in SITES:
        for patient in range(15):
            for image in range(4):
                pixels = generator.integers(0, 200, (32, 24)).astype(np.uint8)
                pixels[:, 4:8] += np.uint8(50 * (image % 2))
                name = f"scans/{site}-scan-{patient}-{image}.png"
                Image.fromarray(pixels).save(folder / name)
                os.utime(folder / name, (1e9, 1e9))
                split = f",{'test' if patient >= 12 else 'train'}" if splits else ""
                lines.append(f"{name},{('no', 'yes')[image % 2]},{site},{site}-person-{patient}{split}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    return folder / "table.csv"


AS_DECODED: tuple[tuple[int, Fit], ...] = ((16, "squash"), (24, "squash"), (24, "crop"))


def decoded(folder: Path, site: str) -> Needles:
    """Every decoded image of a site, in each size and fit that the commands were given."""
    names = sorted((folder / "scans").glob(f"{site}-*.png"))
    return Needles(
        {
            f"{path.name} at {size}, {fit}": read_image(path, size=size, channels=1, fit=fit).tobytes()
            for path in names
            for size, fit in AS_DECODED
        }
    )


def seen(files: dict[str, bytes], needles: Needles) -> list[str]:
    return [name for name, content in files.items() if needles.in_(content)]


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    return Commands(tmp_path)


def test_a_client_goes_from_every_array_of_its_source(commands: Commands, tmp_path: Path) -> None:
    source = ("--data", "table", "--path", table_of(tmp_path, splits=False))
    commands("data", *source, "--size", 24, "--channels", 1)
    commands("data", *source, "--size", 24, "--channels", 1, "--set", "data.fit=crop")
    small = ("--size", 16, "--channels", 1, "--max-examples", 12, "--set", "partition.public_fraction=0.1")
    commands("train", *source, *small, "--rounds", 1, "--local-epochs", 1, "--out", tmp_path / "run")
    needles, files = decoded(tmp_path, "north"), commands.files()
    assert len([name for name in seen(files, needles) if name.endswith(".npy")]) == 3
    assert [name for name, content in files.items() if b"north-scan-3-" in content]
    listed = commands("cache", "list", "--run", tmp_path / "run")
    assert [entry["clients"] for entry in listed["entries"]] == [dict.fromkeys(SITES, 60)] * 3 + [{}]
    new_key(tmp_path / "key")
    commands("request", tmp_path / "run", "--client", "north", "--reason", "it asked")
    told = commands("erase", tmp_path / "run", "--request", "R0001", "--key", tmp_path / "key")
    files = commands.files()
    assert seen(files, needles) == []
    assert [name for name, content in files.items() if b"north-scan" in content or b"north-person" in content] == []
    statement = json.loads(base64.b64decode(json.loads(Path(told["certificate"]).read_text())["payload"]))
    purged = statement["predicate"]["purge"]
    assert purged["images"] == 60
    others = f"caches other than {tmp_path / 'cache'}, on this machine and on others: run fedlethe cache clear there"
    assert others in purged["not_reached"]
    assert seen(files, decoded(tmp_path, "south"))  # of those who stay a copy is kept
    cleared = commands("cache", "clear", "--run", tmp_path / "run", "--client", "south")
    assert cleared["images"] == 60
    assert seen(commands.files(), decoded(tmp_path, "south")) == []


def test_a_patient_with_test_images_alone_goes_and_its_name_is_nowhere(commands: Commands, tmp_path: Path) -> None:
    source = ("--data", "table", "--path", table_of(tmp_path, splits=True), "--size", 16, "--channels", 1)
    learner = ("--learner", "closed-form", "--set", "features.scales=2", "--dimension", 32)
    run = tmp_path / "run"
    commands("train", *learner, *source, "--out", run)
    plain = commands("erase", run, "--client", "north", "--patient", "north-person-3")
    (pseudonym,) = plain["patients"]["north"]
    assert "person" not in pseudonym
    again = commands.run("erase", run, "--client", "north", "--patient", "north-person-3")
    assert again.returncode == 2
    assert "erased already in this way" in again.stderr  # the same erasure is found by what stands for the patient
    new_key(tmp_path / "key")
    told = commands.run(
        *("request", run, "--client", "north", "--patient", "north-person-13", "--reason", "of north-person-13")
    )
    assert told.returncode == 2
    assert "characters 4 to 18 would be a patient's name" in told.stderr
    commands("request", run, "--client", "north", "--patient", "north-person-13", "--reason", "it asked")
    refused = commands.run("erase", run, "--request", "R0001", "--key", tmp_path / "key", "--references", 3)
    assert refused.returncode == 2
    assert "no model was trained on an image of the patient" in refused.stderr
    commands("erase", run, "--request", "R0001", "--key", tmp_path / "key")
    requests = commands.run("requests", run, "--json")
    assert json.loads(requests.stdout)["requests"][0]["state"] == "completed"
    for text in (*commands.files().values(), requests.stdout.encode()):
        assert b"north-person-3" not in text
        assert b"north-person-13" not in text
    paths = sorted((tmp_path / "scans").glob("north-scan-13-*.png"))
    gone = Needles({path.name: read_image(path, size=16, channels=1).tobytes() for path in paths})
    assert seen(commands.files(), gone) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("clear",), "say whose images go: name a client or patient, or say that all go"),
        (("clear", "--all", "--client", "north"), "one of the two"),
        (("clear", "--client", "north"), "say of which data"),
        (("list", "--patient", "p"), "say of which data"),
    ],
)
def test_half_a_question_is_refused(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    from fedlethe.__main__ import main

    with pytest.raises(SystemExit) as left:
        _called(main, "cache", *words)
    assert left.value.code == 2
    assert message in capsys.readouterr().err


def _called(main: Any, *words: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["fedlethe", *words])
        sys.exit(main())
