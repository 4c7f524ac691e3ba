# SPDX-License-Identifier: MIT
"""Writes docs/commands.md: the help texts of all commands, as the command table has them now.

    python docs/make_commands.py

A test holds the page against the table, so that it cannot go stale.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import typer

from fedlethe.cli.app import app

PAGE = Path(__file__).with_name("commands.md")

INTRODUCTION = """# The commands

Made from the help texts by `python docs/make_commands.py`. `fedlethe COMMAND --help` shows the same in a terminal.
An option that is not given changes nothing: what it stands for keeps its value.
"""


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command and every group of commands, with what is typed for it, `fedlethe` first."""
    yield from _below("fedlethe", typer.main.get_command(app))


def _below(typed: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield typed, command
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from _below(f"{typed} {name}", one)


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join([INTRODUCTION, *(_section(typed, command) for typed, command in commands())])


def _section(typed: str, command: click.Command) -> str:
    lines = [f"## {typed}", "", _paragraphs(command.help or ""), ""]
    if isinstance(command, click.Group):
        names = (f"[{typed} {name}](#{typed.replace(' ', '-')}-{name})" for name in command.commands)
        lines += [f"Commands: {', '.join(names)}.", ""]
    if command.epilog:
        lines += [_example(command.epilog), ""]
    rows = [_row(parameter) for parameter in command.params]
    lines += ["| option | value | what it says |", "| --- | --- | --- |", *rows, ""] if rows else []
    return "\n".join(lines)


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _example(epilog: str) -> str:
    word, _, typed = epilog.partition(": ")
    return f"{word}: `{typed}`"


def _row(parameter: click.Parameter) -> str:
    """A line of the table: what is typed, what stands after it, what it is for."""
    kind = "" if getattr(parameter, "is_flag", False) else parameter.metavar or parameter.type.name.upper()
    argument = isinstance(parameter, click.Argument)
    typed = f"`{kind}`" if argument else ", ".join(f"`{name}`" for name in parameter.opts)
    told = [str(getattr(parameter, "help", None) or ""), *_facts(parameter)]
    return f"| {typed} | {'' if argument or not kind else f'`{kind}`'} | {' '.join(told).replace('|', chr(92) + '|')} |"


def _facts(parameter: click.Parameter) -> Iterator[str]:
    """What a terminal shows beside an option's help."""
    if parameter.required:
        yield "Required."
    if parameter.default is not None and not getattr(parameter, "is_flag", False):
        yield f"Default: `{parameter.default}`."
    if parameter.envvar is not None:
        yield f"Or the environment variable `{parameter.envvar}`."


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
