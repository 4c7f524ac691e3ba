# SPDX-License-Identifier: MIT
"""What a user can get wrong: one line on stderr that says what to do, exit code 2, nothing half-written."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image

from fedlethe.__main__ import main
from fedlethe.files import sha256_of
from fedlethe.history.entries import REPLACED, Artefact, removals
from fedlethe.history.ledger import Ledger

TINY = ["--set", "data.size=16", "--set", "data.hospitals=3", "--set", "data.images_per_hospital=40", "--rounds", "2"]


def run(arguments: Sequence[str | Path], monkeypatch: pytest.MonkeyPatch) -> int:
    """The command line in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["fedlethe", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder that holds results (not locks, the ledger's log, the masks' secret), its bytes."""
    ignored = (".lock", "ledger.db-wal", "ledger.db-shm", ".mask_secret")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ignored
    }


Refused = Callable[..., None]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Refused:
    """Checks that a command is refused, in one line with these words, and that it changes no file."""

    def check(arguments: Sequence[str | Path], *words: str) -> None:
        before = files_of(tmp_path)
        capsys.readouterr()
        code = run(arguments, monkeypatch)
        output = capsys.readouterr()
        assert code == 2, output.err
        assert output.err.count("\n") == 1, output.err
        assert output.err.startswith("fedlethe: ")
        assert "Traceback" not in output.err
        assert output.out == ""
        for word in words:
            assert word in output.err
        assert files_of(tmp_path) == before

    return check


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that keeps everything."""
    folder = tmp_path_factory.mktemp("template") / "run"
    command = [sys.executable, "-m", "fedlethe", "train", *TINY, "--keep", "everything", "--out", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def trained(template: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to be damaged."""
    return Path(shutil.copytree(template, tmp_path / "run"))


def rewritten(run: Path, old: str, new: str) -> None:
    """Change run.toml as one who can write the ledger, too."""
    path = run / "run.toml"
    path.write_text(path.read_text().replace(old, new))
    with closing(Ledger(run / "ledger.db")) as ledger:
        ledger.append(removals(["run.toml"], REPLACED))
        ledger.add_artefacts([Artefact("run.toml", "configuration", None, None, path.stat().st_size, sha256_of(path))])


# The command line and the configuration


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], ["trian"]),
        (["traine"], ["No such command 'traine'. Did you mean 'train', 'trace'? See: fedlethe --help"]),
        (["flower", "neww"], ["No such command 'neww'. Did you mean 'new'? See: fedlethe flower --help"]),
        (["train"], ["--out"]),
        (["train", "--colour", "blue"], ["--colour"]),
        (["train", "--rounds", "many"], ["many", "--rounds"]),
        (["train", "--rounds", "0"], ["rounds", "at least 1"]),
        (["train", "--participation", "0"], ["participation", "(0, 1]"]),
        (["train", "--learning-rate", "nan"], ["learning_rate", "finite"]),
        (["train", "--learning-rate", "-1"], ["learning_rate", "above 0"]),
        (["train", "--local-epochs", "0"], ["epochs"]),
        (["train", "--batch-size", "0"], ["batch_size"]),
        (["train", "--momentum", "1"], ["momentum"]),
        (["train", "--optimizer", "sdg"], ["optimizer", "sgd"]),
        (["train", "--precision", "half"], ["precision", "bfloat16"]),
        (["train", "--keep", "most"], ["keep", "everything"]),
        (["train", "--methods", "influenza"], ["influenza", "did you mean 'influence'"]),
        (["train", "--preset", "papre"], ["papre", "did you mean 'paper'"]),
        (["train", "--data", "phantoms"], ["phantoms", "did you mean 'phantom'"]),
        (["train", "--model", "resnet51"], ["resnet51", "did you mean 'resnet50'"]),
        (["train", "--flag", "pneumoniamnist"], ["phantom", "no option 'flag'"]),
        (["train", "--set", "rounds"], ["KEY=VALUE"]),
        (["train", "--set", "federation.round=3"], ["federation", "did you mean 'rounds'"]),
        (["train", "--set", "privacy.sigma=3"], ["no key 'privacy'"]),
        (["train", "--set", "data.images_per_hospital=few"], ["images_per_hospital"]),
        (["train", "--set", "method.influence.scael=1"], ["method.influence", "did you mean 'scale'"]),
        (["train", "--config", "nowhere.toml"], ["nowhere.toml", "no such configuration file"]),
        (["train", "--data", "medmnist"], ["flag: is not given", "pneumoniamnist"]),
        (["train", "--data", "isic2019", "--root", "nowhere"], ["nowhere", "there is no such file; set root"]),
        (["train", "--data", "covid-radiography", "--root", "nowhere"], ["nowhere"]),
        (["train", "--data", "table", "--path", "nowhere.csv"], ["nowhere.csv: there is no such file; set path"]),
        (["train", "--data", "table", "--path", "/"], ["/: cannot be read (Is a directory); set path"]),
        (["train", "--data", "medmnist", "--flag", "pneumoniamnist", "--root", "nowhere"], ["nowhere"]),
        (["train", "--partition", "dirichlet", "--alpha", "-1"], ["alpha"]),
        (["train", "--partition", "quantity"], ["quantities: name one for each client"]),
        (["train", "--set", "partition.quantities=[0.5]"], ["quantities: they are of scheme 'quantity'"]),
        (["train", "--set", "data.source.x=3"], ["data 'source': a name is wanted, not {'x': 3}"]),
        (["train", "--rounds", "1", "--rounds=2"], ["--rounds: is given twice; give it once"]),
        (["train", "--data", " "], ["--data: holds an empty text; give a value, or leave it out"]),
        (["train", "--config="], ["--config: holds an empty text"]),
        (["train", "--partition", "iid", "--clients", "1000", *TINY], ["client"]),
        (["train", "--partition", "site", "--clients", "3"], ["clients = 3", "'site' does not use it", "leave it out"]),
        (["train", "--partition", "iid", "--alpha", "0.3"], ["alpha = 0.3", "'iid' does not use it", "dirichlet"]),
        (["train", "--alpha", "0.3"], ["alpha = 0.3", "no scheme is named", "dirichlet"]),
        (["train", "--clients", "3", *TINY], ["clients = 3", "name their sites", "leave it out"]),
        (["data", "--clients", "3", *TINY[:-2]], ["clients = 3", "name their sites", "leave it out"]),
        (["train", "--optimizer", "adam", "--momentum", "0.5"], ["momentum", "'adam'", "leave it out"]),
        (["train", "--model", "mylab/nets.py"], ["'mylab/nets.py': is a file", "mylab.nets:NAME", "mylab.nets:MyNet"]),
        (["train", "--model", "mylab.nets.MyNet"], ["'mylab.nets.MyNet': is no name", "it is mylab.nets:MyNet"]),
        (["train", "--aggregator", "mylab.Mine"], ["'mylab.Mine': is no name", "it is mylab:Mine"]),
        (["train", "--data", "./mylab/cohort.py"], ["is a file", "mylab.cohort:NAME"]),
        (["train", "--data", "table"], ["data source 'table'", "path: is not given; name the CSV file"]),
        (["train", "--partition", "iid", "--clients", "1", *TINY], ["'client-0'", "only one", "two or more"]),
        (["train", "--set", "federation.rounds=abc"], ["'rounds'", "a whole number is wanted, not 'abc'"]),
        (["train", "--model", "resnet18", "--weights", "nowhere.safetensors", *TINY], ["nowhere.safetensors"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)
def test_a_wrong_configuration(arguments: list[str], words: list[str], refused: Refused, tmp_path: Path) -> None:
    out = [] if arguments[1:] in ([], ["--out"]) or arguments[0] != "train" else ["--out", str(tmp_path / "out")]
    refused([*arguments, *out], *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there(refused: Refused, tmp_path: Path) -> None:
    refused(["train", *TINY, "--device", "cuda", "--out", tmp_path / "out"], "CUDA", "ask for device 'cpu'")


def test_toml_that_is_none(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("seed = = 0")
    refused(["train", "--config", tmp_path / "run.toml", "--out", tmp_path / "out"], "run.toml", "line 1")


def test_an_unknown_key_in_toml(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("[federation]\nrouns = 3\n")
    refused(["train", "--config", tmp_path / "run.toml", "--out", tmp_path / "out"], "'rouns'", "'rounds'")


def test_weights_that_are_a_pickle(refused: Refused, tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "imagenet.pth")
    weights = ["--model", "resnet18", "--weights", tmp_path / "imagenet.pth"]
    refused(["train", *TINY, *weights, "--out", tmp_path / "out"], "imagenet.pth", "pickle", "safetensors")


# Images


def _table(folder: Path, rows: Sequence[tuple[str, str, str]], header: str = "path,label,client") -> list[str | Path]:
    folder.mkdir(exist_ok=True)
    for name, *_ in rows:
        if not (folder / name).exists():
            pixels = np.random.default_rng(len(name)).integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name)
    (folder / "table.csv").write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return [
        "train",
        "--data",
        "table",
        "--path",
        folder / "table.csv",
        "--size",
        "16",
        "--rounds",
        "1",
        "--out",
        folder / "out",
    ]


ROWS = [(f"{client}{index}.png", "normal" if index % 2 else "covid", client) for client in "ab" for index in range(20)]


def test_a_table_that_is_right_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(_table(tmp_path / "t", ROWS), monkeypatch) == 0


@pytest.mark.parametrize("content", [b"", b"not an image", b"cut"], ids=["zero-byte", "text", "truncated"])
def test_an_image_that_cannot_be_read(content: bytes, refused: Refused, tmp_path: Path) -> None:
    arguments = _table(tmp_path / "t", ROWS)
    whole = (tmp_path / "t" / "a3.png").read_bytes()
    (tmp_path / "t" / "a3.png").write_bytes(whole[: len(whole) // 2] if content == b"cut" else content)
    refused(arguments, "a3.png")


def test_an_image_that_is_not_there(refused: Refused, tmp_path: Path) -> None:
    arguments = _table(tmp_path / "t", ROWS)
    (tmp_path / "t" / "b7.png").unlink()
    refused(arguments, "b7.png")


def test_a_table_without_a_column(refused: Refused, tmp_path: Path) -> None:
    refused(_table(tmp_path / "t", ROWS, "path,diagnosis,client"), "table.csv", "label")


def test_a_row_without_a_label(refused: Refused, tmp_path: Path) -> None:
    refused(_table(tmp_path / "t", [*ROWS, ("a99.png", "", "a")]), "table.csv", "42")


def test_a_table_without_rows(refused: Refused, tmp_path: Path) -> None:
    refused(_table(tmp_path / "t", []), "table.csv")


def test_a_client_with_one_class(refused: Refused, tmp_path: Path) -> None:
    rows = [*ROWS, *((f"c{index}.png", "covid", "c") for index in range(10))]
    refused(_table(tmp_path / "t", rows), "'c'", "class")


def test_a_client_without_test_images(refused: Refused, tmp_path: Path) -> None:
    rows = [(*row, "train" if row[2] == "b" or index % 3 else "test") for index, row in enumerate(ROWS)]
    refused(_table(tmp_path / "t", rows, "path,label,client,split"), "'b'", "test")  # type: ignore[arg-type]


def test_a_client_whose_name_is_no_folder_s(refused: Refused, tmp_path: Path) -> None:
    refused(_table(tmp_path / "t", [*ROWS, ("z.png", "covid", "../up")]), "../up")


def test_an_empty_folder(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source in ("covid-radiography", "isic2019"):
        refused(["train", "--data", source, "--root", tmp_path / "empty", "--out", tmp_path / "out"], "empty")


def test_an_archive_cut_short(refused: Refused, tmp_path: Path) -> None:
    whole = io.BytesIO()
    with ZipFile(whole, "w") as archive:
        archive.writestr("train_images.npy", b"x" * 1000)
    (tmp_path / "pneumoniamnist.npz").write_bytes(whole.getvalue()[:500])
    arguments = ["train", "--data", "medmnist", "--flag", "pneumoniamnist", "--root", tmp_path]
    refused([*arguments, "--out", tmp_path / "out"], "pneumoniamnist.npz")


# The run folder


def test_folders_that_are_no_runs(refused: Refused, tmp_path: Path) -> None:
    refused(["erase", tmp_path / "none", "--client", "hospital-0"], "no such run folder")
    refused(["report", tmp_path], "is not a run folder")


def test_an_out_folder_that_is_taken(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("years of work")
    refused(["train", *TINY, "--out", tmp_path / "taken"], "taken", "thesis.txt")
    refused(["train", *TINY, "--out", tmp_path / "taken" / "thesis.txt"], "is a file")


def test_an_out_folder_with_another_run(refused: Refused, trained: Path) -> None:
    refused(["train", *TINY, "--keep", "everything", "--seed", "1", "--out", trained], "seed is 0, not 1")


def test_a_run_that_is_trained_already(refused: Refused, trained: Path) -> None:
    refused(["train", *TINY, "--keep", "everything", "--out", trained], "trained already")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--client", "hospital-9"], ["hospital-9", "hospital-0, hospital-1, hospital-2"]),
        (["--client", "hospital-1", "--client", "hospital-1"], ["named twice"]),
        (["--client", "hospital-0", "--client", "hospital-1", "--client", "hospital-2"], ["no client would be left"]),
        (["--client", "hospital-1", "--sigma", "-0.1"], ["sigma"]),
        (["--client", "hospital-1", "--sigma", "nan"], ["sigma"]),
        (["--client", "hospital-1", "--epsilon", "0"], ["epsilon", "above 0"]),
        (["--client", "hospital-1", "--epsilon", "3", "--delta", "1"], ["delta", "between 0 and 1"]),
        (["--client", "hospital-1", "--epsilon", "3", "--delta", "0"], ["delta", "between 0 and 1"]),
        (["--client", "hospital-1", "--delta", "0.1"], ["delta", "give epsilon, max_guess or sigma"]),
        (["--client", "hospital-1", "--max-guess", "0.3"], ["above 1 / 3", "not 0.3"]),
        (["--client", "hospital-1", "--max-guess", "1"], ["max_guess", "m / K"]),
        (["--client", "hospital-1", "--epsilon", "3", "--max-guess", "0.5"], ["epsilon and max_guess", "one of them"]),
        (["--client", "hospital-1", "--epsilon", "3", "--sigma", "0.1"], ["sigma and epsilon", "one of them"]),
        (["--client", "hospital-1", "--mask", "shaped"], ["no size"]),
        (["--client", "hospital-1", "--mask", "round", "--sigma", "1"], ["'isotropic', 'subspace' or 'shaped'"]),
        (["--client", "hospital-1", "--method", "fine_tune", "--epsilon", "3"], ["fine_tune", "cannot be computed"]),
        (["--client", "hospital-1", "--clip", "0"], ["clip", "above 0"]),
        (["--client", "hospital-1", "--scale", "nan"], ["scale"]),
        (["--client", "hospital-1", "--set", "sclae=1"], ["did you mean 'scale'"]),
        (["--client", "hospital-1", "--method", "retain"], ["did you mean 'retrain'"]),
        (["--client", "hospital-1", "--method", "retrain", "--clip", "1"], ["method.retrain", "no option 'clip'"]),
        (["--client", "hospital-1", "--method", "fine_tune", "--set", "rounds=0"], ["rounds"]),
        (["--client", "hospital-1", "--repair-rounds", "-1"], ["repair", "at least 0"]),
        (["--client", "hospital-1", "--repair-learning-rate", "nan"], ["learning_rate"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)
def test_an_erasure_that_cannot_be(arguments: list[str], words: list[str], refused: Refused, trained: Path) -> None:
    refused(["erase", trained, *arguments], *words)


def test_a_client_erased_twice(refused: Refused, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments: list[str | Path] = ["erase", trained, "--client", "hospital-1", "--repair-rounds", "0"]
    assert run(arguments, monkeypatch) == 0
    refused(arguments, "hospital-1", "erased already", "0001")


def test_the_only_client(refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone: list[str | Path] = [*TINY[:-2], "--set", "data.hospitals=1", "--out", tmp_path / "alone"]
    refused(["train", *alone], "client 'hospital-0': is the only one", "train with two or more")
    assert run(["train", *alone, "--learner", "closed-form"], monkeypatch) == 0
    refused(["erase", tmp_path / "alone", "--client", "hospital-0"], "no client would be left")
    refused(["frontier", tmp_path / "alone"], "hospital-0", "nobody to hide among")
    refused(["identity", tmp_path / "alone"], "no client would be left")


@pytest.mark.parametrize(
    "name", ["global_checkpoints/round_0002.safetensors", "influence/hospital-1/round_0002.sealed"]
)
@pytest.mark.parametrize("damage", ["cut", "flip", "remove"])
def test_a_checkpoint_that_is_damaged(name: str, damage: str, refused: Refused, trained: Path) -> None:
    path = trained / name
    content = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(content[:1000] if damage == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    refused(["erase", trained, "--client", "hospital-1"], name)
    refused(["history", "--check", trained], name)


def test_a_run_of_other_data(refused: Refused, trained: Path) -> None:
    rewritten(trained, "images_per_hospital = 40", "images_per_hospital = 41")
    refused(["evaluate", trained], "fingerprint")


def test_a_run_of_another_model(refused: Refused, trained: Path) -> None:
    rewritten(trained, 'norm = "group"', 'norm = "batch"')
    refused(["evaluate", trained], "another model")


def test_a_ledger_that_is_gone_or_none(refused: Refused, trained: Path) -> None:
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (trained / name).unlink(missing_ok=True)
    (trained / "ledger.db").write_bytes(b"0" * 5000)
    refused(["evaluate", trained], "ledger.db")
    (trained / "ledger.db").unlink()
    refused(["history", trained], "ledger.db", "missing")


def test_models_that_cannot_be_evaluated(refused: Refused, trained: Path, tmp_path: Path) -> None:
    torch.save({}, tmp_path / "model.pth")
    refused(["evaluate", trained, "--model", tmp_path / "model.pth"], "model.pth", "pickle")
    there = ["there is no such file", "by erasure (there is none)", "round (0 to 2)"]
    refused(["evaluate", trained, "--model", tmp_path / "none.safetensors"], "none.safetensors", *there)
    refused(["evaluate", trained, "--round", "3"], "no round 3", "0 to 2")
    refused(["evaluate", trained, "--erasure", "0007"], "no erasure '0007'")
    refused(["evaluate", trained, "--round", "1", "--erasure", "0001"], "one of them")
    refused(["evaluate", trained, "--split", "tset"], "did you mean 'test'")
    refused(["evaluate", trained, "--split", "validation"], "no client has images")


def test_what_is_no_certificate_and_what_is_no_run(refused: Refused, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(["ledger", "verify", tmp_path / "file"], "is a file; name the run folder")
    refused(["verify", trained, "--key", tmp_path / "file"], "is a folder, and no certificate")
    refused(["requests", tmp_path / "file"], "is a file; name the run folder")


def test_comparisons_that_cannot_be_made(refused: Refused, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[data]\nsource = "phantom"\nsize = 16\n')
    act = ["compare", tmp_path / "c.toml", "--client", "hospital-0", "--out"]
    refused([*act, trained], "is a run folder; choose another one")
    refused([*act, tmp_path / "c", "--workers", "0"], "workers 0: must be at least 1")
    refused([*act, tmp_path / "c", "--seeds", "0-99999999999"], "over 10,000 numbers at most")
    refused([*act, tmp_path / "c", "--seeds", "4-2"], "'4-2' must go upwards")
    refused(["compare", trained / "run.toml", "--out", tmp_path / "c"], "[run] is what a run was found to be")
    refused(["identity", trained, "--decoys", "7"], "decoys 7")


def test_options_of_requests_without_one(refused: Refused, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them would be ignored in silence."""
    for option, value in (("--key", "k"), ("--by", "Dr. Ito"), ("--result", "0001"), ("--lost-keys", "why")):
        refused(["erase", trained, "--client", "hospital-1", option, value], f"{option}: belongs to an erasure request")
    refused(["erase", trained, "--request", "R0001", "--by", "Dr. Ito"], "--by: says who is behind --accept-findings")
    refused(["purge", trained, "--by", "Dr. Ito"], "--by: says who is behind --lost-keys")
    monkeypatch.setenv("FEDLETHE_SIGNING_KEY", "k")  # which is there for every command, and asks for nothing
    refused(["erase", trained, "--client", "hospital-7"], "hospital-7")


def test_studies_that_cannot_be_made(refused: Refused, trained: Path) -> None:
    refused(["sweep", trained, "--sigmas", "0,much"], "--sigmas", "commas")
    refused(["sweep", trained, "--sigmas", "-1"], "sigma")
    refused(["sweep", trained, "--draws", "0"], "draws")
    refused(["sweep", trained, "--client", "hospital-7"], "hospital-7")
    refused(["trace", trained, "--client", "hospital-7"], "hospital-7")
    refused(["history", trained, "--rebuild", "1"], "rebuild needs a file to write to; name one with out")
    refused(["history", trained, "--out", trained.parent / "m"], "nothing is to be written there")
    refused(["history", trained, "--rebuild", "1", "--unseal", "x", "--out", trained.parent / "m"], "one of them")
    refused(["history", trained, "--rebuild", "9", "--out", trained.parent / "m"], "no round 9")


def test_a_run_that_kept_too_little_or_is_not_finished(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    assert run(["train", *TINY[:-2], "--rounds", "1", "--methods", "retrain", "--out", out], monkeypatch) == 0
    refused(["trace", out, "--client", "hospital-1"], "each round; train it again and keep everything")
    refused(["erase", out, "--client", "hospital-1"], "name the method that needs it, or keep everything")
    rewritten(out, "rounds = 1", "rounds = 9")
    refused(["erase", out, "--client", "hospital-1", "--method", "retrain"], "only 1 of 9 rounds", "fedlethe train")


# The machine


def _started(arguments: Sequence[str | Path]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fedlethe", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heard)


def heard() -> None:
    """Ctrl-C is heard, also where these tests are a shell's job in the background, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_folder_that_cannot_be_written(refused: Refused) -> None:
    refused(["train", *TINY, "--out", "/proc/run"], "/proc/run", "cannot be written")


def test_a_full_disk(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs takes root")
    try:
        process = _started(["train", *TINY[:-2], "--rounds", "8", "--keep", "everything", "--out", small / "run"])
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 2, errors
        assert errors.count("\n") == 1, errors
        assert "make room" in errors
        assert not list(small.rglob("*.part"))
        subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
        process = _started(["train", *TINY[:-2], "--rounds", "8", "--keep", "everything", "--out", small / "run"])
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    finally:
        subprocess.run(["umount", small], check=True)


def test_an_interrupt_ends_with_what_can_be_resumed(tmp_path: Path) -> None:
    arguments: list[str | Path] = ["train", *TINY[:-2], "--rounds", "2000", "--out", tmp_path / "run"]
    process = _started(arguments)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "run" / "influence").rglob("*.sealed")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 2, errors
    assert errors.count("\n") == 1, errors
    assert "interrupted" in errors
    assert os.path.isfile(tmp_path / "run" / "ledger.db")  # noqa: PTH113
    check = subprocess.run(
        [sys.executable, "-m", "fedlethe", "history", "--check", tmp_path / "run"], capture_output=True, text=True
    )
    assert check.returncode == 0, check.stderr
