# SPDX-License-Identifier: MIT
"""Text from outside: shown as it was typed, refused where it is more than text, never markup or formula."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fedlethe.cli.output.show import show
from fedlethe.config import resolve
from fedlethe.data.table import csv_rows
from fedlethe.entered import LONGEST, demand_text
from fedlethe.errors import FedletheError
from fedlethe.history.request_log import ErasureRequest, Requests
from fedlethe.pages.page import Page, PageTable, Section, render
from fedlethe.plots import accuracy_curves, images_held, style
from fedlethe.requests import signing
from fedlethe.requests.request import open_request, withdraw
from fedlethe.text import for_cell, shown
from fedlethe.types import Cost, Evaluation, Metrics, Stage
from tests.requests.acting import document, trained

CONTROLS = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    "\u2028",
    "\u2029",
    "\u202e",
    "\u2066",
    "\ufeff",
    "\ud800",
]
AWKWARD = [
    "ticket [/] 7",
    "[urgent]",
    "[/x]",
    "$x^",
    "<b>&amp;</b>",
    "=1+1",
    "%s {0} \\n",
    ":smile:",
    "'\"",
    "-",
    "日本",
    "é" * 300,
]


def command(*arguments: str | Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fedlethe", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "400", **(environment or {})},
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("text") / "run", document(hospitals=3, rounds=1))


@pytest.mark.parametrize("character", CONTROLS)
def test_a_control_character_is_refused_and_escaped(character: str) -> None:
    escape = shown(character)
    assert escape.startswith("\\")
    assert escape.isascii()
    with pytest.raises(FedletheError) as error:
        demand_text(f"a{character}b", "--reason")
    assert str(error.value) == f"--reason: holds the control character {escape}; take it out"
    assert str(FedletheError(f"a{character}b")) == f"a{escape}b"  # names in messages, too


@given(st.text())
def test_what_is_shown_can_be_shown_again_and_holds_no_control(text: str) -> None:
    once = shown(text)
    assert shown(once) == once
    assert demand_text(once[:LONGEST], "here") == once[:LONGEST]
    for_cell(text).encode()


def test_ordinary_letters_stay() -> None:
    for text in AWKWARD:
        assert shown(text) == text
        demand_text(text, "--reason")
    with pytest.raises(FedletheError, match=r"--reason: has 2,001 characters; 2,000 are allowed"):
        demand_text("a" * (LONGEST + 1), "--reason")


@pytest.mark.parametrize(
    ("cell", "written"),
    [("=1", "'=1"), ("@x", "'@x"), ("+a", "'+a"), ("-a", "'-a"), (" =1", "' =1"), ("-1.5", "-1.5"), ("+2e-3", "+2e-3"),
     ("-", "-"), ("a=1", "a=1"), (-3, -3), (None, None), ("\t=1", "\\x09=1")],
)  # fmt: skip
def test_no_cell_is_a_formula(cell: object, written: object) -> None:
    assert for_cell(cell) == written


def test_reasons_are_shown_as_they_were_typed_by_every_later_command(run: Path) -> None:
    made = command("request", run, "--client", "hospital-0", "--reason", "ticket [/] 7 [urgent]", "--by", "[/by] $x")
    assert (made.returncode, made.stderr) == (0, "")
    withdraw(run, "R0001", "[/] :smile: [red]", "me")
    listed = command("requests", run)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "R0001: ticket [/] 7 [urgent]; [/] :smile: [red]" in listed.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("request", "RUN", "--client", "hospital-2", "--reason", "BAD"),
        ("request", "RUN", "--client", "hospital-2", "--reason", "r", "--by=BAD"),
        ("request", "RUN", "--client", "hospital-2", "--reason", "r", "--legal-ground", "BAD"),
        ("request", "RUN", "--client", "BAD", "--reason", "r"),
        ("withdraw", "RUN", "BAD", "--reason", "r"),
        ("erase", "RUN", "--client", "BAD"),
        ("erase", "RUN", "--request", "R0001", "--accept-findings", "BAD"),
        ("train", "--set", "data.root=BAD", "--out", "RUN"),
        ("data", "--data", "table", "--path", "BAD"),
        ("verify", "BAD", "--key", "RUN"),
    ],
)
def test_control_characters_are_refused_in_every_option(
    arguments: tuple[str, ...], run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fedlethe.__main__ import main

    for bad in ("a\x1b[31mred", "a\rb", "a\nb", "a\x85b", "a\u202eb", "a\u2028b"):
        typed = [str(run) if one == "RUN" else one.replace("BAD", bad) for one in arguments]
        monkeypatch.setattr(sys, "argv", ["fedlethe", *typed])
        with pytest.raises(SystemExit) as stopped:
            main()
        output = capsys.readouterr()
        assert stopped.value.code == 2
        assert output.out == ""
        assert output.err.count("\n") == 1
        assert "holds the control character \\" in output.err
        assert bad[1] not in output.err[:-1]


def test_python_is_refused_what_the_command_line_is(run: Path) -> None:
    from fedlethe.runs.opening import opened_run

    with opened_run(run) as opened:
        for told in ({"reason": "a\x1bb"}, {"by": "a\nb"}, {"legal_ground": "a\x00b"}, {"patients": ["a\x1b"]}):
            values = {"reason": "r", "by": "b", "legal_ground": "l", "patients": (), **told}
            with pytest.raises(FedletheError, match="holds the control character"):
                open_request(opened, ("hospital-2",), **values)  # type: ignore[arg-type]
    with pytest.raises(FedletheError, match="reason: holds the control character"):
        withdraw(run, "R0001", "a\x9bb", "me")
    with pytest.raises(FedletheError, match=r"configuration: 'data': 'source': holds the control character \\x1b"):
        resolve({"data": {"source": "\x1b[2J"}})
    with pytest.raises(FedletheError, match=r"'method': a key: holds the control character"):
        resolve({"method": {"a\nb": {}}})


def test_what_a_ledger_brings_is_spelt_out(capsys: pytest.CaptureFixture[str]) -> None:
    one = ErasureRequest(
        id="R\x1b1", opened="", clients=("a\x1b[2J", "[/x]"), reason="b\r\n[red]", by="", legal_ground="", deadline="9"
    )
    show(Requests(Path("[/run]\x07"), (one,)), False)
    output = capsys.readouterr().out
    assert not [letter for letter in output if letter in CONTROLS and letter != "\n"]
    assert "a\\x1b[2J" in output
    assert "[/x]" in output
    assert "R\\x1b1: b\\x0d\\x0a[red]" in output
    assert "[/run]\\x07" in output


def test_a_foreign_keyid_is_spelt_out(tmp_path: Path) -> None:
    key = signing.new_key(tmp_path / "key")
    envelope = json.loads(signing.signed(b"{}", key))
    envelope["signatures"][0]["keyid"] = "\x1b]0;owned\x07"
    with pytest.raises(FedletheError, match=r"signed by another key \(\\x1b\]0;owned\\x07") as error:
        signing.opened(json.dumps(envelope).encode(), key.public, tmp_path / "c.json")
    assert "\x1b" not in str(error.value)


def table(folder: Path, *rows: tuple[str, str, str]) -> Path:
    """A table of 12 images for each client (the second value of a row) and label (the third)."""
    lines = [("path", "client", "label")]
    for number, (name, client, label) in enumerate(rows):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(folder / name)
        lines.append((name, client, label))
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return folder / "table.csv"


def test_labels_are_labels_in_tables_and_pictures(tmp_path: Path) -> None:
    labels = ["[/x]", "$x^", "<b>", "=1+1", "-", "l" * 300, "_hidden", "日本"]
    rows = [(f"{n}-{i}.png", f"site-{n % 2}", labels[i]) for n in range(12) for i in range(len(labels))]
    made = command(
        "data", "--data", "table", "--path", table(tmp_path, *rows), "--size", "8", "--out", tmp_path / "out"
    )
    assert (made.returncode, made.stderr) == (0, "")
    for label in ("[/x]", "$x^", "<b>", "=1+1"):
        assert label in made.stdout
    for picture in (tmp_path / "out").glob("*.svg"):
        ET.parse(picture)
    with (tmp_path / "out" / "class-mix.csv").open(newline="") as file:
        cells = {row["class"] for row in csv.DictReader(file)}
    assert {"'=1+1", "$x^", "<b>", "-", "l" * 300} <= cells


@pytest.mark.parametrize("column", ["path", "client", "label"])
def test_a_table_with_control_characters_is_refused_by_row_and_column(column: str, tmp_path: Path) -> None:
    row = {"path": "a.png", "client": "north", "label": "x", column: "a\x1bb"}
    (tmp_path / "table.csv").write_text("path,client,label\n" + ",".join(row.values()) + "\n")
    with pytest.raises(FedletheError, match=f"table.csv, row 2: column '{column}': holds the control character"):
        list(csv_rows(tmp_path / "table.csv", ("path", "label")))


METRICS = Metrics(10, 0.5, 0.5, None)


@pytest.mark.parametrize("name", ["[/x]", "$x^", "<b>&amp;</b>", "日本", "a\x1b\x00b", "\ud800", "--> ]]>", "w" * 5000])
def test_pictures_and_pages_are_well_formed_for_any_name(name: str, tmp_path: Path) -> None:
    stages = [Stage("before", Evaluation(METRICS, {name: METRICS, "_b": METRICS}), Cost())]
    for plot in (accuracy_curves.erasure_stages(stages, [name]), images_held.class_mix({name: {name: 3}})):
        style.save(plot, tmp_path)
        ET.parse(tmp_path / f"{plot.name}.svg")
        assert not set((tmp_path / f"{plot.name}.csv").read_text(encoding="utf-8")) & set(CONTROLS) - {"\n"}
    page = render(Page(name, name, {name: name}, [Section(name, [name], [PageTable(name, (name,), [(name,)])])]))
    parser = Letters()
    parser.feed(page)
    assert not set(parser.text) & set(CONTROLS) - {"\n"}
    assert parser.text.count(shown(name)) >= 8
    assert parser.tags == {*TAGS}


TAGS = [
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "header",
    "h1",
    "p",
    "dl",
    "dt",
    "dd",
    "main",
    "section",
    "h2",
    "div",
    "table",
    "caption",
    "thead",
    "tr",
    "th",
    "tbody",
]


class Letters(HTMLParser):
    """What a reader sees of a page, and the tags in it."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.tags = "", set[str]()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
