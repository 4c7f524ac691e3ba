# SPDX-License-Identifier: MIT
"""From what was typed to an exit code and, where it is 2, the one line that says why."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from fedlethe.cli.app import app
from fedlethe.entered import demand_text
from fedlethe.errors import FedletheError

INTERRUPTED = 130
"""As Typer answers an interrupt."""


def run(arguments: Sequence[str]) -> tuple[int, str | None]:
    """Run the command line: its exit code, and what is to be told on stderr, if anything."""
    try:
        _demand_arguments(arguments)
        code = app(args=list(arguments), standalone_mode=False)
    except FedletheError as error:
        return 2, str(error)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "fedlethe"
        guessed = "Did you mean" in error.message  # by Typer; then click would say it once more
        return 2, f"{error.message if guessed else error.format_message()} See: {command} --help"
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED, None
    except OSError as error:
        return 2, f"{error.filename or 'file'}: {error.strerror or error}"
    return (code if isinstance(code, int) else 0), None


def _demand_arguments(arguments: Sequence[str]) -> None:
    """Refuse control characters in whatever was typed; what an option means by its text is its own to check."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        name, equals, _ = argument.partition("=")
        option = name if equals and name.startswith("--") else before if before.startswith("-") else "the command line"
        demand_text(argument, option, longest=sys.maxsize)
