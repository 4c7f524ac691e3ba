# SPDX-License-Identifier: MIT
"""From what was typed to an exit code and, where it is 2, the one line that says why."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence

import click
import typer

from fedlethe import ConfigError, FedletheError
from fedlethe.cli.app import app
from fedlethe.entered import demand_text  # the same characters are refused here and in whatever is read

INTERRUPTED = 130
"""As Typer answers an interrupt."""


def run(arguments: Sequence[str]) -> tuple[int, str | None]:
    """Run the command line: its exit code, and what is to be told on stderr, if anything."""
    try:
        _demand_arguments(arguments)
        _demand_once(arguments)
        # Typer's own mode would print and leave by itself, in another form than our one line.
        code = app(args=list(arguments), standalone_mode=False)
    except FedletheError as error:
        return 2, _as_typed(str(error), arguments)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "fedlethe"
        guessed = "Did you mean" in error.message  # by Typer; then click would say it once more
        said = error.message if guessed else error.format_message()
        return 2, f"{said if said.strip() else 'no command is named.'} See: {command} --help"
    # Typer makes an Abort of Ctrl-C in its own code; elsewhere it comes as it is.
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED, None
    # A full disk, or a folder of another owner: nothing that was typed is wrong, and no traceback would help.
    except OSError as error:
        return 2, f"{error.filename or 'file'}: {error.strerror or error}"
    return (code if isinstance(code, int) else 0), None


def _demand_arguments(arguments: Sequence[str]) -> None:
    """Refuse control characters and empty texts in whatever was typed; what a text means is its option's to check.

    An empty text is most often a shell's variable that is not set, and would be the current folder where a path is
    wanted.
    """
    for before, argument in zip(["", *arguments], arguments, strict=False):
        name, equals, value = argument.partition("=")
        option = name if equals and name.startswith("--") else before if before.startswith("-") else "the command line"
        demand_text(argument, option, longest=sys.maxsize)
        if not (value if equals and name.startswith("--") else argument).strip():
            raise ConfigError(f"{option}: holds an empty text; give a value, or leave it out")


SPELT = {"accepted": "--accept-findings", "lost": "--lost-keys", "patients": "--patient"}
"""Arguments of the public face whose option has another name."""


def _as_typed(message: str, arguments: Sequence[str]) -> str:
    """A message of the public face, the argument that it begins with named as the option that was typed.

    Below the command line nothing is called by an option, since a Python program has none.

    Example:
        >>> _as_typed("keep_for 90000: must be 0 to 36500 days", ["erase", "RUN", "--keep-for", "90000"])
        '--keep-for 90000: must be 0 to 36500 days'
        >>> _as_typed("seed: a whole number is wanted, not 'x'", ["train", "--config", "c.toml"])
        "seed: a whole number is wanted, not 'x'"
    """
    # An argument alone, or with its value: 'keep_for 90000: ...', "model 'x': ..."; no path and no sentence.
    head = re.match(r"(\w+)(?: '?([^':]+)'?)?: ", message)
    if head is None:
        return message
    option, value = SPELT.get(head[1], f"--{head[1].replace('_', '-')}"), head[2]
    typed = [word for one in arguments for word in (one.split("=", 1) if one.startswith("--") else [one])]
    # The same name can come from a file or from the run; then it is not the option that is to be corrected.
    return message.replace(head[1], option, 1) if option in typed and value in (None, *typed) else message


def _demand_once(arguments: Sequence[str]) -> None:
    """Refuse an option that is given twice and has one value: the first would be ignored in silence."""
    counts = Counter(argument.partition("=")[0] for argument in arguments if argument.startswith("--"))
    twice = {name for name, count in counts.items() if count > 1}
    if not twice:
        return
    command = typer.main.get_command(app)
    for argument in arguments:
        # Down the groups (`cache clear`), over whatever stands between that is no command.
        command = command.commands.get(argument, command) if isinstance(command, click.Group) else command
    for option in command.params:
        if isinstance(option, click.Option) and not (option.multiple or option.is_flag) and twice & set(option.opts):
            raise ConfigError(f"{option.opts[0]}: is given twice; give it once")
