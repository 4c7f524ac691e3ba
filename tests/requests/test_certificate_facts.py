# SPDX-License-Identifier: MIT
"""What a certificate says is what the run's record holds."""

from __future__ import annotations

from pathlib import Path

from fedlethe.erasing.plan import ErasurePlan
from tests.requests.acting import (
    GONE,
    certified,
    erased,
    signed_statement,
)


def test_the_certificate_is_a_statement_about_the_models_before_and_after(untouched: Path, done: Path) -> None:
    folder = done / "erasures/0001"
    statement = signed_statement(folder / "certificate.json")
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    before, after = statement["subject"]
    files = {
        "model before": untouched / "global_checkpoints/round_0002.safetensors",
        "model after": folder / "model.safetensors",
    }
    for subject, (name, path) in zip((before, after), files.items(), strict=True):
        assert subject["name"].startswith(name)
        assert subject["digest"]["sha256"] == _sha256(path)
    predicate = statement["predicate"]
    assert predicate["claim"]["kind"] == "evidence"
    assert predicate["erasure"]["method"] == {"name": "influence", "scale": 0.75, "clip": "inf", "renormalise": False}
    assert predicate["request"]["reason"] == "withdrew"
    assert predicate["run"]["seed"] == 0
    assert predicate["cost"]["clients"] == ["hospital-0", "hospital-2", "hospital-3"]
    assert predicate["audit"]["references"] == 3
    verdicts = {found["audit"]: (found["verdict"], found["statement"]) for found in predicate["audit"]["findings"]}
    assert verdicts["membership"] == ("cannot be shown", "it takes 3 models of each kind, there are 1")
    accuracy = next(found for found in predicate["audit"]["findings"] if found["audit"] == "utility")["measured"]
    assert len(accuracy["references"]) == 3
    assert accuracy["details"]["accuracy_low"] < accuracy["details"]["accuracy"] < accuracy["details"]["accuracy_high"]
    purge = predicate["purge"]
    assert purge["state"] == "done"
    assert any(file["path"] == f"influence/{GONE}/round_0002.sealed" for file in purge["runs"][0]["files"])
    assert list(purge["runs"][0]["keys_destroyed"]) == [GONE]
    assert "in a copy that was made of it before, keys included, what they sealed can be read" in purge["backups"]
    planned = signed_statement(folder / "certificate-before-purge.json")["predicate"]["purge"]
    assert planned["state"].startswith("ordered")
    assert {file["path"] for file in planned["runs"][0]["files"]} == {
        file["path"] for file in purge["runs"][0]["files"]
    }


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_words_are_as_strong_as_what_is_known(run: Path) -> None:
    exact = erased(run, GONE, plan=ErasurePlan(method="retrain", options={}, mask={}, repair={}))
    claim = signed_statement(certified(exact))["predicate"]["claim"]
    assert claim["kind"] == "exact"
    assert claim["method"] == "trained from the initial model on the retained clients alone"
    assert signed_statement(certified(exact))["predicate"]["audit"]["made"] is False
