# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fedlethe.cli import demo as story
from fedlethe.config.presets import PRESETS


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's hospitals with few images, for one round."""
    tables: dict[str, Any] = {
        "data": {**PRESETS["demo"]["data"], "size": 16, "images_per_hospital": 24},
        "federation": {"rounds": 1},
        "local": {**PRESETS["demo"]["local"], "epochs": 1.0},
    }
    monkeypatch.setitem(PRESETS, "demo", {**PRESETS["demo"], **tables})
    monkeypatch.setattr("fedlethe.studies.sweep.SIGMAS", (0.0, 0.01))
    monkeypatch.setattr(story, "DRAWS", 1)


@pytest.mark.usefixtures("small")
def test_the_third_hospital_is_erased_and_nothing_is_done_twice(tmp_path: Path) -> None:
    first = story.demo(tmp_path / "demo", seed=0)
    assert first.erasure.forget == ("hospital-2",)
    assert first.erasure.method == "influence"
    page = first.page.read_text()
    for words in ("Noise: what it costs", "hospital-2 erased after every round", "Erasure 0001"):
        assert words in page
    again = story.demo(tmp_path / "demo", seed=0)
    assert again.erasure.id == "0001"
    assert not (tmp_path / "demo/erasures/0002").exists()


def test_the_demo_downloads_nothing_and_keeps_what_its_studies_need() -> None:
    assert PRESETS["demo"]["data"]["source"] == "phantom"  # nothing to download
    assert PRESETS["demo"]["history"]["keep"] == "everything"  # the trace needs every round
