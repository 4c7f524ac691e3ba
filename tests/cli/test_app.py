# SPDX-License-Identifier: MIT
"""The command table: every command teaches, its example parses, and the docs have it as it is now."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from docs.make_commands import PAGE, commands, page

from fedlethe.cli.entry import run
from fedlethe.version import VERSION

ROOT = Path(__file__).parents[2]
TABLE = dict(commands())
LEAVES = {typed: command for typed, command in TABLE.items() if not isinstance(command, click.Group)}
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
WORDS_AFTER = re.compile(r",? (then|\().*")
"""What an example says beside the command."""


def parsed(typed: str) -> click.Context:
    """The context in which a command line would run, its options read; nothing is run."""
    program, *arguments = [word for word in shlex.split(typed, comments=True) if word != "..."]  # and other options
    command, name = TABLE[program], program
    while isinstance(command, click.Group):
        name, *arguments = arguments
        command = command.commands[name]
    return command.make_context(name, arguments)


def shown(document: Path) -> Iterator[str]:
    """The command lines in a page's code blocks, those that go on in the next line joined."""
    inside, before = False, ""
    for line in document.read_text().splitlines():
        if line.lstrip().startswith("```"):
            inside = not inside
        elif inside:
            typed = f"{before} {line.strip()}".strip()
            before = typed[:-1].rstrip() if typed.endswith("\\") else ""
            if typed.startswith("fedlethe ") and not before:
                yield typed


def test_the_table_holds_every_command() -> None:
    """Fails where a family is left out; what a new command has to have is told by the tests below."""
    assert {"fedlethe train", "fedlethe erase", "fedlethe compare", "fedlethe requests"} <= set(LEAVES)
    assert {"fedlethe key new", "fedlethe ledger verify", "fedlethe cache clear", "fedlethe flower new"} <= set(LEAVES)
    assert len(LEAVES) >= 25


@pytest.mark.parametrize("typed", LEAVES)
def test_every_command_teaches_with_an_example_that_parses(typed: str) -> None:
    command = LEAVES[typed]
    assert command.help
    assert command.help.strip().endswith(".")
    assert command.epilog is not None
    word, _, example = command.epilog.partition(": ")
    assert word == "Example"
    assert f"{example} ".startswith(f"{typed} ")
    context = parsed(WORDS_AFTER.sub("", example))
    assert context.command is command or context.command.name == command.name


@pytest.mark.parametrize("typed", TABLE)
def test_every_option_and_argument_is_documented(typed: str) -> None:
    undocumented = [parameter.name for parameter in TABLE[typed].params if not getattr(parameter, "help", None)]
    assert undocumented == []


@pytest.mark.parametrize("typed", LEAVES)
def test_every_command_gives_json(typed: str) -> None:
    assert any("--json" in parameter.opts for parameter in LEAVES[typed].params)


def test_the_page_of_the_docs_is_what_the_table_says_now() -> None:
    assert PAGE.read_text() == page(), "run: python docs/make_commands.py"
    assert all(f"\n## {typed}\n" in page() for typed in TABLE)


@pytest.mark.parametrize("typed", sorted({typed for document in DOCUMENTS for typed in shown(document)}))
def test_every_command_that_the_docs_show_parses(typed: str) -> None:
    parsed(WORDS_AFTER.sub("", typed) if " (" in typed else typed)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == (0, None)
    assert capsys.readouterr().out == f"fedlethe {VERSION}\n"


def test_help_needs_no_torch() -> None:
    program = (
        "import sys\nfrom fedlethe.__main__ import main\nsys.argv = ['fedlethe', '--help']\n"
        "try: main()\nexcept SystemExit: print({'torch', 'numpy', 'pydantic'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
