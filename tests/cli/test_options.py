# SPDX-License-Identifier: MIT
"""What holds of all options: those of one name say the same everywhere, and what is unset changes nothing."""

from __future__ import annotations

import ast
import inspect
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from docs.make_commands import commands

import fedlethe
from fedlethe.cli import flags

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


OF_FACE: dict[str, Callable[..., Any]] = {
    "fedlethe compare": fedlethe.compare,
    "fedlethe evaluate": fedlethe.Run.evaluate,
    "fedlethe frontier": fedlethe.Run.frontier,
    "fedlethe identity": fedlethe.Run.who_left,
    "fedlethe sweep": fedlethe.Run.sweep,
    "fedlethe trace": fedlethe.Run.trace,
}


@pytest.mark.parametrize("typed", OF_FACE)
def test_what_is_not_typed_is_what_a_program_gets_that_does_not_give_it(typed: str) -> None:
    known = inspect.signature(OF_FACE[typed]).parameters
    by_face = {name: one.default for name, one in known.items() if one.default not in (one.empty, None, False, ())}
    command = dict(LEAVES)[typed]
    untyped = {str(one.name): one.get_default(click.Context(command)) for one in command.params}
    held = {name: untyped[name] for name in by_face if untyped.get(name) is not None}
    if "seeds" in held:
        held["seeds"] = tuple(flags.whole_numbers(str(held["seeds"]), "--seeds"))
    assert held == {name: by_face[name] for name in held}
    assert set(by_face) - set(held) <= {"methods", "split"}  # which are left out where they are not typed


def test_no_command_has_a_default_of_its_own() -> None:
    """A figure that stands at the command line, too, is one day another than the public face's."""
    own = []
    for path in sorted((Path(fedlethe.__file__).parent / "cli").glob("*_commands.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                given = [*node.args.defaults, *(one for one in node.args.kw_defaults if one is not None)]
                literal = (one for one in given if isinstance(one, ast.Constant) and one.value not in (None, False))
                own += [f"{path.name}:{node.name}: {ast.unparse(one)}" for one in literal]
    assert own == []
