# SPDX-License-Identifier: MIT
"""The whole story on the embedded data: train, erase, sweep, trace, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import fedlethe
from fedlethe.results import Erasure, Trained

DRAWS = 3
METHOD = "influence"


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo made."""

    trained: Trained
    erasure: Erasure
    page: Path


def demo(out: Path, seed: int) -> Demo:
    """Train the demo's hospitals into `out`, erase the third of them, and draw all of it.

    What an earlier demo has done in that folder is not done again.

    Raises:
        FedletheError: The folder is taken.
    """
    run = fedlethe.train(preset="demo", seed=seed, out=out, finished_too=True)
    assert run.trained is not None  # it is None of a run that was opened alone
    client = run.clients[2]
    earlier = (one for one in run.erasures() if one.forget == (client,) and one.method == METHOD)
    erasure = next(earlier, None) or run.erase(client)
    run.sweep(draws=DRAWS, method=METHOD)
    run.trace(client, METHOD)
    return Demo(run.trained, erasure, run.report().page)
