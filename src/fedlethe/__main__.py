# SPDX-License-Identifier: MIT
"""The entry point: what a user can put right ends in one line on stderr and exit code 2."""

from __future__ import annotations

import sys

import click

from fedlethe.cli import app
from fedlethe.errors import FedletheError

_TYPER_INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    interrupted = "interrupted; what is recorded is whole, and the same command goes on where it can"
    try:
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


def _stop(message: str) -> None:
    print("fedlethe:", " ".join(message.split()), file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
