# SPDX-License-Identifier: MIT
"""What holds of all options: those of one name say the same everywhere, and what is unset changes nothing."""

from __future__ import annotations

from collections import defaultdict

import click
from docs.make_commands import commands

LEAVES = [(typed, command) for typed, command in commands() if not isinstance(command, click.Group)]


def test_an_option_is_spelt_one_way() -> None:
    """`--learning-rate` is nowhere `--lr`: two names would be two things."""
    spelt: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for _, command in LEAVES:
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                spelt[str(parameter.name)].add(tuple(parameter.opts))
    several = {name: ways for name, ways in spelt.items() if len(ways) > 1}
    assert set(several) <= {"everything"}


def test_an_option_takes_the_same_kind_of_value_everywhere() -> None:
    kinds: dict[str, set[str]] = defaultdict(set)
    for _, command in LEAVES:
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                kinds[parameter.opts[0]].add(parameter.type.name)
    different = {name for name, kind in kinds.items() if len(kind) > 1}
    assert different == {"--after", "--model"}  # an erasure or its folder; a name or a checkpoint file


def test_no_option_has_a_short_form_that_another_could_take() -> None:
    """Scripts that run for years should read without a manual."""
    short = [
        option
        for _, command in LEAVES
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
        if not option.startswith("--")
    ]
    assert short == []
