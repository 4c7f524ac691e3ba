# SPDX-License-Identifier: MIT
from __future__ import annotations

import base64
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fedlethe.pages.page import Page, PageTable, Picture, Section, figures_table, render, stages_table
from fedlethe.plots import images_held, style
from fedlethe.types import Cost, Evaluation, Metrics, Stage

VOID = {"meta", "img"}


class Outline(HTMLParser):
    """The tags, their attributes and the text of a page; an end that fits no start fails."""

    def __init__(self) -> None:
        HTMLParser.__init__(self)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.text.append((self.open[-1], data.strip()))

    def texts(self, tag: str) -> list[str]:
        return [text for within, text in self.text if within == tag]

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def outline(html: str) -> Outline:
    parser = Outline()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


def page_of(*sections: Section) -> Outline:
    return outline(render(Page("title", "lead", {"label": "value"}, sections)))


def stage(name: str, accuracy: float, auc: float | None = None) -> Stage:
    clients = {"a": Metrics(4, accuracy, 0.5, auc), "b": Metrics(4, 0.75, 0.625, 0.8125)}
    return Stage(name, Evaluation(Metrics(8, 0.5, 0.25, 0.125), clients), Cost())


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    plot = images_held.class_mix({"a": {"normal": 4}})
    return Picture.of(plot, style.save(plot, tmp_path), "report/class-mix.csv")


def test_stages_become_a_row_for_each_measure() -> None:
    table = stages_table([stage("before", 0.25), stage("unlearned", 0.5, 0.75)], ["a"])
    assert table.header == ("hospital", "measure", "before", "unlearned")
    assert list(table.rows) == [
        ("a (erased)", "accuracy", "0.250", "0.500"),
        ("a (erased)", "balanced accuracy", "0.500", "0.500"),
        ("a (erased)", "AUC", "\N{EN DASH}", "0.750"),
        ("b", "accuracy", "0.750", "0.750"),
        ("b", "balanced accuracy", "0.625", "0.625"),
        ("b", "AUC", "0.812", "0.812"),
        ("all hospitals", "accuracy", "0.500", "0.500"),
        ("all hospitals", "balanced accuracy", "0.250", "0.250"),
        ("all hospitals", "AUC", "0.125", "0.125"),
    ]
    assert table.marked == {"a (erased)"}
    assert table.numeric == [False, False, True, True]


def test_all_figures_of_a_stage_stand_in_a_row_for_each_hospital_and_for_the_retained() -> None:
    told = Metrics(1000, 0.75, 0.5, 0.625, (0.5, 0.75), 0.125, ((600, 100), (150, 150)))
    one = stage("final model", 0.25)
    table = figures_table(replace(one, evaluation=replace(one.evaluation, retained=told)), ["a"])
    assert table.header[:4] == ("hospital", "images", "accuracy", "balanced accuracy")
    assert [row[0] for row in table.rows] == ["a (erased)", "b", "all hospitals", "retained hospitals"]
    assert table.rows[0][:4] == ("a (erased)", "4", "0.250", "0.500")
    assert set(table.rows[0][4:]) == {"\N{EN DASH}"}
    assert dict(zip(table.header, table.rows[3], strict=True)) == {
        "hospital": "retained hospitals",
        "images": "1,000",
        "accuracy": "0.750",
        "balanced accuracy": "0.500",
        "sensitivity": "0.500",
        "specificity": "0.857",
        "AUC": "0.625",
        "AUC, 95 %": "0.500 to 0.750",
        "calibration error": "0.125",
        "commonest class": "0.700",
    }
    assert table.caption.startswith("Final model.")


def test_images_of_one_class_have_no_balance() -> None:
    one = Metrics(4, 0.75, 0.75, None, confusion=((0, 0), (1, 3)))
    row = figures_table(Stage("final", Evaluation(one, {"a": one}), Cost()), ()).rows[0]
    assert row[2:6] == ("0.750", "\N{EN DASH}", "0.750", "\N{EN DASH}")


def test_the_retained_have_a_row_at_each_stage() -> None:
    one = stage("before", 0.25)
    with_retained = replace(one, evaluation=replace(one.evaluation, retained=Metrics(4, 0.75, 0.5, 0.25)))
    assert list(stages_table([with_retained], ["a"]).rows)[-3:] == [
        ("retained hospitals", "accuracy", "0.750"),
        ("retained hospitals", "balanced accuracy", "0.500"),
        ("retained hospitals", "AUC", "0.250"),
    ]


def test_a_client_that_is_missing_at_a_stage_has_dashes() -> None:
    alone = Stage("later", Evaluation(Metrics(4, 0.5, 0.5, 0.5), {"b": Metrics(4, 0.5, 0.5, 0.5)}), Cost())
    table = stages_table([stage("before", 0.25), alone], ["a"])
    assert table.rows[0] == ("a (erased)", "accuracy", "0.250", "\N{EN DASH}")


def test_the_erased_and_the_total_stand_out() -> None:
    found = page_of(Section("erasure", (), [stages_table([stage("before", 0.25), stage("unlearned", 0.5)], ["a"])]))
    assert [attributes.get("class") for attributes in found.attributes("tbody")] == ["marked", None, "total"]
    assert found.texts("th")[4:] == ["a (erased)", "b", "all hospitals"]
    headings = found.attributes("th")
    assert [heading["scope"] for heading in headings] == ["col"] * 4 + ["rowgroup"] * 3
    assert {heading["rowspan"] for heading in headings[4:]} == {"3"}


@pytest.mark.parametrize(
    ("cells", "numeric"),
    [
        ((1, 2.5, None), True),
        (("1,234,567", "-0.5", "12 %", "1e-05", "\N{EN DASH}"), True),
        (("12", "site-2"), False),
        (("v1.0",), False),
    ],
)
def test_columns_of_numbers_are_told_from_text(cells: tuple[str | int | float | None, ...], numeric: bool) -> None:
    assert PageTable("t", ("name", "value"), [("a", cell) for cell in cells]).numeric == [False, numeric]


def test_numbers_are_aligned_at_the_right() -> None:
    found = page_of(Section("s", (), [PageTable("sizes", ("kind", "note", "bytes"), [("x", "text", "1,024")])]))
    assert [attributes.get("class") for attributes in found.attributes("td")] == [None, "number"]
    assert [attributes.get("class") for attributes in found.attributes("th")] == [None, None, "number", None]


def test_a_table_without_rows_is_shown() -> None:
    assert page_of(Section("s", (), [PageTable("none yet", ("a", "b"), [])])).texts("caption") == ["none yet"]


def test_whatever_is_given_is_escaped(picture: Picture) -> None:
    bad = "<b>&\"'"
    shown = Picture(bad, bad, picture.content, bad, picture.width)
    table = PageTable(bad, (bad, bad), [(bad, bad), (bad, bad)], frozenset({bad}))
    html = render(Page(bad, bad, {bad: bad}, [Section(bad, [bad], [table], [shown])] * 4))
    assert "<b>" not in html
    found = outline(html)
    assert not found.attributes("b")
    assert found.attributes("img")[0]["alt"] == f"Plot: {bad}. {bad}"
    assert found.texts("h1") == found.texts("title") == [bad]


def test_nothing_is_fetched_and_no_script_runs(picture: Picture) -> None:
    html = render(Page("t", "l", {}, [Section("s", ["text"], (), [picture])] * 4))
    found = outline(html)
    assert not re.search(r"https?:|url\(|@import", html)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in found.tags}
    links = [attributes.get(name) for _, attributes in found.tags for name in ("src", "href") if name in attributes]
    assert links
    assert all(link is not None and link.startswith(("#section-", "data:image/png;base64,")) for link in links)
    assert "default-src 'none'" in html


def test_a_picture_is_the_png_that_was_saved(picture: Picture, tmp_path: Path) -> None:
    assert base64.b64decode(picture.content) == (tmp_path / "class-mix.png").read_bytes()
    found = page_of(Section("s", (), (), [picture]))
    (image,) = found.attributes("img")
    assert image["src"] == f"data:image/png;base64,{picture.content}"
    assert image["alt"] == f"Plot: {picture.title}. {picture.caption}"
    assert found.texts("code") == ["report/class-mix.csv"]
    assert 700 < picture.width < 2200


def test_more_than_three_sections_have_a_table_of_contents() -> None:
    sections = [Section(name) for name in ("one", "two", "three", "four")]
    assert not page_of(*sections[:3]).attributes("nav")
    found = page_of(*sections)
    assert found.texts("a") == ["one", "two", "three", "four"]
    targets = {attributes["id"] for attributes in found.attributes("section")}
    assert {f"#{target}" for target in targets} == {attributes["href"] for attributes in found.attributes("a")}


def test_one_paragraph_or_several() -> None:
    found = page_of(Section("s", "a single one"), Section("t", ["first", "second"]))
    assert found.texts("p") == ["lead", "a single one", "first", "second"]


def test_facts_are_a_list_of_terms() -> None:
    found = page_of()
    assert (found.texts("dt"), found.texts("dd")) == (["label"], ["value"])
    assert not outline(render(Page("title", "lead"))).attributes("dl")


def test_the_same_page_twice_is_the_same_text(picture: Picture) -> None:
    page = Page("t", "l", {"a": "b"}, [Section("s", ["x"], [stages_table([stage("before", 0.5)], ["a"])], [picture])])
    assert render(page) == render(page)


def test_the_report_needs_no_torch() -> None:
    code = "import sys, fedlethe.pages.page; print([m for m in ('torch', 'matplotlib.pyplot') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
