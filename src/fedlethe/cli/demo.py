# SPDX-License-Identifier: MIT
"""The whole story on the embedded data: train, erase, sweep, trace, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fedlethe.config import resolve
from fedlethe.config.presets import PRESETS
from fedlethe.document import layered
from fedlethe.erasing.erase import erase
from fedlethe.erasing.order import order_for
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.record import Erasure, done
from fedlethe.learners.training import Trained, train_run
from fedlethe.pages.report import report
from fedlethe.runs.opening import opened_run
from fedlethe.studies.sweep import SIGMAS, sweep
from fedlethe.studies.trace import trace
from fedlethe.types import ClientId
from fedlethe.unlearning import METHODS

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
    trained = train_run(resolve(layered(PRESETS["demo"], {"seed": seed})), out, finished_too=True)
    with opened_run(out) as run:
        client: ClientId = sorted(run.data.clients)[2]
        method = METHODS[METHOD]()
        request = order_for(run.config, (client,), ErasurePlan())
        erasure = done(run.history, request) or erase(run, request)
        sweep(run, METHOD, method, SIGMAS, DRAWS, ())
        trace(run, METHOD, method, client)
        return Demo(trained, erasure, report(run).page)
