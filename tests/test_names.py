# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from fedlethe.errors import FedletheError
from fedlethe.names import demand_apart, demand_client_name, is_plain_path


@pytest.mark.parametrize("name", ["", ".a", "-a", "a/b", "..", "a\\b", "a ", "a.", "a\n", "a\0", "é", "x" * 101])
def test_a_name_that_cannot_be_a_folder_everywhere_is_refused(name: str) -> None:
    with pytest.raises(FedletheError, match="client '"):
        demand_client_name(name)


def test_names_of_up_to_a_hundred_characters_pass() -> None:
    assert demand_client_name("x" * 100) == "x" * 100


def test_names_that_differ_by_capitals_alone_are_refused() -> None:
    with pytest.raises(FedletheError, match="'A' and 'a'"):
        demand_apart(["b", "a", "A"])
    demand_apart(["a", "b", "a"])


def test_a_plain_path_leads_nowhere_but_down() -> None:
    assert is_plain_path("influence/a/round_0001.sealed")
    assert not any(map(is_plain_path, ("", "/a", "a/../b", "a//b", "a/", "./a", "a\\b", "a\0", 3, None)))
