# SPDX-License-Identifier: MIT
from __future__ import annotations

import shutil
from pathlib import Path

from fedlethe.erasing.plan import ErasurePlan
from fedlethe.pages.page import Picture, Section
from fedlethe.pages.request_sections import request_sections
from fedlethe.plots.style import Plot
from fedlethe.requests.carry_out import carry_out
from fedlethe.requests.request import open_request, withdraw
from fedlethe.requests.signing import new_key, signing_key
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run import OpenRun


def sections(run: OpenRun) -> list[Section]:
    def refused(plot: Plot, folder: str) -> Picture:
        raise AssertionError(f"{plot.name}: nothing was audited, so nothing is drawn")

    return list(request_sections(run.history, refused))


def story(section: Section) -> str:
    return " ".join([section.text] if isinstance(section.text, str) else section.text)


def test_each_request_tells_how_it_ended_and_the_certificate_what_it_does_not_cover(
    finished: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    new_key(tmp_path / "k")
    asked = {"reason": "withdrew its consent", "by": "Dr. Ito"}
    with opened_run(folder) as run:
        open_request(run, ["hospital-2"], (), **asked)
        (opened,) = sections(run)
        assert opened.title == "Request R0001: hospital-2"
        assert "Dr. Ito asked for hospital-2 to be erased. It is still to be carried out." in story(opened)
        assert len(opened.tables) == 1
        carry_out(run, "R0001", ErasurePlan(method="influence"), signing_key(tmp_path / "k"))
        open_request(run, ["hospital-0"], (), **asked)
        withdraw(folder, "R0002", "by mistake", "Dr. Ito")
        carried, withdrawn = sections(run)
    told = story(carried)
    assert "by erasure 0002. The purge is made: the certificate lists what went, and what stays." in told
    assert "No audit was made" in told
    facts, certificate, gaps = carried.tables
    assert facts.rows[0] == ("reason", "withdrew its consent")
    assert any(row[0] == "file" and str(row[1]).startswith("erasures/0002/") for row in certificate.rows)
    assert gaps.caption == "What the certificate does not cover"
    assert gaps.rows
    assert "It was withdrawn on" in story(withdrawn)
    assert "by mistake" in story(withdrawn)


def test_a_run_without_requests_has_no_section(finished: Path) -> None:
    with opened_run(finished) as run:
        assert sections(run) == []
