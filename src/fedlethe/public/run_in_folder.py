# SPDX-License-Identifier: MIT
"""A run's folder, as the public face opens it: for one thing at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedlethe.learners.training import Trained
    from fedlethe.runs.opening import Given
    from fedlethe.runs.run import OpenRun


class RunInFolder:
    """A run that is opened, with what was handed over for it, as often as it is needed.

    Attributes:
        path: The run folder.
        trained: How the training went; None of a run that was opened.
    """

    def __init__(self, path: Path, given: Given, trained: Trained | None = None) -> None:
        self.path = path
        self.trained = trained
        self._given = given

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @contextmanager
    def _opened(self) -> Iterator[OpenRun]:
        from fedlethe.runs.opening import opened_run

        with opened_run(self.path, given=self._given) as run:
            yield run
