# SPDX-License-Identifier: MIT
"""What the command line's flags say, as the layers of a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fedlethe import ConfigError, ErasurePlan
from fedlethe.document import assignments, in_tables  # KEY=VALUE is read as a Flower app's run config reads it

OF_ERASE = ("after", "references", "keep_for", "result")
"""The fields of a plan that the options of `erase` have, and no study's."""


def plan(typed: Mapping[str, Any], others: Sequence[str] = ()) -> ErasurePlan:
    """The plan of an erasure.

    Args:
        typed: The options of a command, by their names; it must have all that say how to erase.
        others: Fields of the plan that it has besides.
    """
    # What was not given is left out, so that the recipe's values stay under those that were.
    noise, rounds = ("sigma", "epsilon", "delta", "max_guess"), ("rounds", "epochs", "learning_rate", "clients")
    return ErasurePlan(
        options=given({"scale": typed["scale"], "clip": typed["clip"], **settings(typed["set_"])}),
        mask=given({"kind": typed["mask"], **{name: typed[name] for name in noise}}),
        repair=given({name: typed[f"repair_{name}"] for name in rounds}),
        **given({name: typed[name] for name in ("method", "decoys", *others)}),
    )


def user(named: str | None) -> str:
    """Who is at work: as named, or by the operating system's name."""
    if named is not None:
        return named
    # Asked for late: it looks at the system's accounts, and most commands name nobody.
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise ConfigError("--by: this machine knows no name for its user; give one") from None


def refuse_names_beside_request(clients: Sequence[str], patients: Sequence[str]) -> None:
    """Refuse names beside a request, which has them.

    Raises:
        FedletheError: Somebody is named.
    """
    if clients or patients:
        raise ConfigError("--request: who is erased is in the request; leave --client and --patient out")


OF_DATA = {
    "": ("seed",),
    "data": ("data", "root", "path", "flag", "size", "channels", "download"),
    "partition": ("partition", "clients", "alpha", "max_examples"),
}
"""The tables that say which images there are and who holds them, and the options that set their keys."""

KEYS = {
    "data": "source",
    "partition": "scheme",
    "local_epochs": "epochs",
    **dict.fromkeys(("features", "model", "aggregator"), "name"),
}
"""Options whose name is not that of the key that they set."""


def refuse_of_training(typed: Sequence[str] | None) -> None:
    """Refuse what --set says of a training where only its data are read: it would be ignored in silence.

    Raises:
        FedletheError: A key is of another table than the data's.
    """
    for key in settings(typed):
        if key.partition(".")[0] not in (*OF_DATA[""], *OF_DATA):
            raise ConfigError(f"--set {key}: is of a training, and here its data are read alone; leave it out")


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given: those that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def layers(typed: Mapping[str, Any], options: Mapping[str, Sequence[str]], **more: Any) -> list[Any]:
    """The layers of a configuration, as `fedlethe.train` takes them: the file, the options over it, --set over both.

    Args:
        typed: The options of a command, by their names.
        options: Each table, '' for the top level, and the options that set its keys.
        **more: Further tables, None for what is not given in them.
    """
    tables = {table: {KEYS.get(name, name): typed[name] for name in names} for table, names in options.items()}
    kept = {table: held for table, values in {**tables, **more}.items() if (held := given(values))}
    # Keys of the top level have no table. What is empty is left out: nothing typed resumes a run as it is.
    flat = {**kept.pop("", {}), **kept}
    return [*([] if typed["config"] is None else [typed["config"]]), flat, in_tables(settings(typed["set_"]))]


def settings(typed: Sequence[str] | None) -> dict[str, Any]:
    """What --set says, each by its key."""
    return assignments(typed or [])


def said(why: str | None, by: str | None) -> dict[str, str] | None:
    """Who says something that stays on record, and why; None where nobody does."""
    return None if why is None else {"why": why, "by": user(by)}


def refuse_idle_name(by: str | None, flags: str, said: object) -> None:
    """Refuse the name of somebody who says nothing.

    Raises:
        FedletheError: One is given; `flags` are those that would say something.
    """
    if by is not None and not said:
        raise ConfigError(f"--by: says who is behind {flags}, and neither is given; leave it out")


def refuse_of_requests(given: Mapping[str, object]) -> None:
    """Refuse the options of erasure requests where no request is named; each by its name.

    Raises:
        FedletheError: One is given.
    """
    for name, value in given.items():
        if value:
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{flag}: belongs to an erasure request; open one with fedlethe request, name it here")


def numbers(text: str, flag: str) -> list[float]:
    """Comma-separated numbers.

    Raises:
        FedletheError: One of them is not a number, or is there twice.
    """
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"{flag} {text}: must be numbers with commas between, such as 0,0.01,0.03") from None
    if len({*found}) < len(found):
        raise ConfigError(f"{flag} {text}: has one of them twice; give each once")
    return found


# 0-99999999 would be taken literally otherwise, and a comparison trains once for each seed.
MOST_NUMBERS = 10_000
"""Of a range: more is a slip of the finger."""


def whole_numbers(text: str, flag: str) -> list[int]:
    """Whole numbers and ranges, with commas between.

    Raises:
        FedletheError: A part is neither.

    Example:
        >>> whole_numbers("0-2,7", "--seeds")
        [0, 1, 2, 7]
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ConfigError(f"{flag} {text}: must be whole numbers and ranges, such as 0-4 or 0,2,5")
        numbers = range(int(first), int(last or first) + 1)
        if not 0 < len(numbers) <= MOST_NUMBERS:
            raise ConfigError(f"{flag} {text}: '{part}' must go upwards, over {MOST_NUMBERS:,} numbers at most")
        found += numbers
    return found
