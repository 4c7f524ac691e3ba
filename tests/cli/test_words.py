# SPDX-License-Identifier: MIT
"""What the docs list, held against the code that it is a list of."""

from __future__ import annotations

import re
from pathlib import Path

from fedlethe.privacy.accounting import gaussian_sigma, pick_guess, top_guess
from fedlethe.types import Need
from fedlethe.unlearning import METHODS
from tests.privacy.epsilon_alone import exceeded

DOCS = Path(__file__).parents[2] / "docs"
TRAINS = {Need.RETAINED_DATA, Need.FORGOTTEN_DATA, Need.PUBLIC_DATA}
NOBODY_TRAINS = {name for name, method in METHODS.items() if not method.needs & TRAINS}


def names_in(page: str, start: str, end: str) -> set[str]:
    """What stands in backquotes between two phrases of a page."""
    text = " ".join((DOCS / page).read_text().split())
    return set(re.findall(r"`(\w+)`", text.partition(start)[2].partition(end)[0]))


def test_the_methods_in_which_nobody_trains_are_those_that_the_pages_name() -> None:
    assert names_in("flower.md", "the methods in which nobody trains (", ")") == NOBODY_TRAINS
    assert names_in("masks.md", "without anybody training: that holds of", " and the closed form") == NOBODY_TRAINS


def test_the_chances_that_the_page_tells_are_those_that_are_computed() -> None:
    text = (DOCS / "masks.md").read_text()
    mus = [1 / gaussian_sigma(epsilon, 1e-5) for epsilon in (0.5, 1, 2, 3, 5, 8, 16)]
    rows = {
        "one of 5: the best attacker names it (blind 20 %)": [f"{100 * top_guess(mu, 5):.0f} %" for mu in mus],
        "two of 5: names both (blind 10 %)": [f"{100 * top_guess(mu, 10):.0f} %" for mu in mus],
        "two of 5: picks one of the two (blind 40 %)": [f"{100 * pick_guess(mu, 5, 2):.0f} %" for mu in mus],
        "odds of two candidates grow by more than e^epsilon, times delta": [
            f"{exceeded(epsilon, mu) / 1e-5:.1f}" for epsilon, mu in zip((0.5, 1, 2, 3, 5, 8, 16), mus, strict=True)
        ],
    }
    for name, cells in rows.items():
        assert f"| {name} | {' | '.join(cells)} |" in text
