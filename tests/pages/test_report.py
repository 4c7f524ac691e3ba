# SPDX-License-Identifier: MIT
from __future__ import annotations

import shutil
from pathlib import Path

from fedlethe.pages.report import report
from fedlethe.runs.opening import opened_run
from fedlethe.studies.sweep import sweep


def test_the_page_tells_what_there_is_and_grows_with_the_studies(finished: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    with opened_run(folder) as run:
        first = report(run)
        html = first.page.read_text()
        for words in (
            "3 hospitals trained one model together",
            "Taken out of it afterwards: hospital-1.",
            "Erasure 0001: hospital-1 by influence",
            "there is evidence at most",
            run.data.fingerprint,
        ):
            assert words in html
        assert "Noise: what it costs" not in html
        sweep(run, "influence", run.config.method("influence", {}), (0.0, 0.01), 1, ("hospital-0",))
        second = report(run)
    assert "Noise: what it costs" in second.page.read_text()
    assert second.page == first.page == folder / "report" / "index.html"
    assert second.pictures == first.pictures + 1
    assert second.page.read_text().count("data:image/png;base64,") == second.pictures
