# SPDX-License-Identifier: MIT
from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

from fedlethe.report import plots
from fedlethe.report.page import Page, Picture, Section, Table, render, stages_table
from fedlethe.types import Cost, Evaluation, Metrics, Stage
from tests.report.test_plots import swept


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_whatever_the_values_hold_is_escaped() -> None:
    name = "<script>alert('x')</script>"
    table = Table(name, ("client", name), [(name, name)], frozenset({name}))
    html = render(Page(name, name, {name: name}, [Section(name, [name], [table])]))
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 10
    assert not _Tags(html).open


def test_it_is_one_file_that_fetches_nothing(tmp_path: Path) -> None:
    plot = swept()
    picture = Picture.of(plot, plots.save(plot, tmp_path), "report/sweep.csv")
    html = render(Page("t", "l", {}, [Section(f"part {index}", (), (), [picture]) for index in range(4)]))
    assert not re.search(r'(src|href)="(?!data:|#)', html)
    content = base64.b64decode(html.split("base64,")[1].split('"')[0])
    assert content == (tmp_path / "sweep.png").read_bytes()
    assert html.count('<li><a href="#section-') == 4
    assert "report/sweep.csv" in html
    assert f'alt="{plot.title}' in html


def test_a_table_of_stages_has_a_row_for_each_client_and_marks_the_erased() -> None:
    clients = {"a": Metrics(2, 0.5, 0.25, None), "b": Metrics(2, 1.0, 1.0, 1.0)}
    stage = Stage("before", Evaluation(Metrics(4, 0.75, 0.625, 0.875), clients), Cost())
    table = stages_table([stage], ["a"])
    assert list(table.rows) == [
        ("a", "0.500 / 0.250 / -"),
        ("b", "1.000 / 1.000 / 1.000"),
        ("all", "0.750 / 0.625 / 0.875"),
    ]
    assert table.marked == {"a"}
    assert '<tr class="marked"><td>a</td>' in render(Page("t", "l", {}, [Section("s", (), [table])]))
