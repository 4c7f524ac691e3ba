# SPDX-License-Identifier: MIT
"""The entry point: what a user can put right ends in one line on stderr and exit code 2."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

import click

from fedlethe.cli import app
from fedlethe.entered import demand_text
from fedlethe.errors import FedletheError
from fedlethe.text import shown

_TYPER_INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    interrupted = "interrupted; what is recorded is whole, and the same command goes on where it can"
    os.umask(0o077)  # whatever a command writes is its owner's alone
    try:
        _demand_arguments(sys.argv[1:])
        code = app(standalone_mode=False)
    except FedletheError as error:
        _stop(str(error))
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "fedlethe"
        _stop(f"{error.format_message()} See: {command} --help")
    except (KeyboardInterrupt, click.Abort):
        _stop(interrupted)
    except OSError as error:
        _stop(f"{error.filename or 'file'}: {error.strerror or error}")
    if code == _TYPER_INTERRUPTED:
        _stop(interrupted)
    sys.exit(code if isinstance(code, int) else 0)


def _demand_arguments(arguments: Sequence[str]) -> None:
    """Refuse control characters in whatever was typed; what an option means by its text is its own to check."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        name, equals, _ = argument.partition("=")
        option = name if equals and name.startswith("--") else before if before.startswith("-") else "the command line"
        demand_text(argument, option, longest=sys.maxsize)


def _stop(message: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends already: a second Ctrl-C has nothing to add
    print("fedlethe:", " ".join(shown(message, lines=True).split()), file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
