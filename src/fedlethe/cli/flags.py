# SPDX-License-Identifier: MIT
"""What the command line's flags say, as the layers of a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedlethe.document import assignments
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.errors import ConfigError
from fedlethe.presets import given


def demand_somebody(clients: Sequence[str], patients: Sequence[str]) -> None:
    """Refuse to erase nobody.

    Raises:
        FedletheError: Nobody is named.
    """
    if not clients and not patients:
        raise ConfigError("nobody is named to be erased; give --client, or --patient")


def plan(typed: Mapping[str, Any]) -> ErasurePlan:
    """The plan of an erasure.

    Args:
        typed: The options of a command, by their names; those that it does not have are as if not given.
    """
    told = {name: typed.get(name) for name in ("mask", "sigma", "epsilon", "delta", "max_guess")}
    rounds = ("rounds", "epochs", "learning_rate", "clients")
    others = ("method", "after", "decoys", "references", "keep_for", "result")
    return ErasurePlan(
        options=given({"scale": typed["scale"], "clip": typed["clip"], **assignments(typed["set_"] or [])}),
        mask=mask(told["mask"], told["sigma"], told["epsilon"], told["delta"], told["max_guess"]),
        repair=given({name: typed.get(f"repair_{name}") for name in rounds}),
        **given({name: typed.get(name) for name in others}),
    )


def user(named: str | None) -> str:
    """Who is at work: as named, or by the operating system's name."""
    if named is not None:
        return named
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise ConfigError("--by: this machine knows no name for its user; give one") from None


def refuse_named(clients: Sequence[str], patients: Sequence[str]) -> None:
    """Refuse names beside a request, which has them.

    Raises:
        FedletheError: Somebody is named.
    """
    if clients or patients:
        raise ConfigError("--request: who is erased is in the request; leave --client and --patient out")


def refuse_decoys(decoys: int) -> None:
    """Refuse decoys beside a request, whose purge is of those who asked: what goes would name them.

    Raises:
        FedletheError: There are decoys.
    """
    if decoys:
        raise ConfigError("--request: the purge that follows shows who asked, so decoys hide nobody; leave them out")


def data(
    source: str | None,
    root: Path | None,
    path: Path | None,
    flag: str | None,
    size: int | None,
    channels: int | None,
    download: bool | None,
) -> dict[str, Any]:
    """The table [data] of these flags."""
    names = ("source", "root", "path", "flag", "size", "channels", "download")
    return dict(zip(names, (source, root, path, flag, size, channels, download), strict=True))


def mask(
    kind: str | None, sigma: float | None, epsilon: float | None, delta: float | None, max_guess: float | None
) -> dict[str, Any]:
    """The fields of Masking of these flags."""
    values = {"kind": kind, "sigma": sigma, "epsilon": epsilon, "delta": delta, "max_guess": max_guess}
    return given(values)


def said(why: str | None) -> dict[str, str] | None:
    """Who says something that stays on record, and why; None where nobody does."""
    return None if why is None else {"why": why, "by": user(None)}


def refuse_of_requests(**given: object) -> None:
    """Refuse the flags of erasure requests where no request is named; each by its name.

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
        FedletheError: One of them is not a number.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"{flag} {text}: must be numbers with commas between, such as 0,0.01,0.03") from None


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
        found += range(int(first), int(last or first) + 1)
    return found
