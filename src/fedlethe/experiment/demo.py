# SPDX-License-Identifier: MIT
"""The whole story on the embedded data: train, erase, sweep, trace, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fedlethe.config import PRESETS, RECOMMENDED, resolve
from fedlethe.document import layered
from fedlethe.experiment.erasure import Erasure, done, erase
from fedlethe.experiment.report import report
from fedlethe.experiment.request import request_for
from fedlethe.experiment.run import opened_run
from fedlethe.experiment.studies import SIGMAS, sweep, trace
from fedlethe.experiment.training import Trained, train_run
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
        request = request_for(run.config, (client,), run.config.recipe(RECOMMENDED))
        erasure = done(run, request) or erase(run, request)
        sweep(run, METHOD, method, SIGMAS, DRAWS, ())
        trace(run, METHOD, method, client)
        return Demo(trained, erasure, report(run).page)
