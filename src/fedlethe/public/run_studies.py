# SPDX-License-Identifier: MIT
"""Looking at a run and studying it, as the public face has it: what is kept, the page, and the four studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedlethe.outside.arguments import checked_methods
from fedlethe.public.defaults import DRAWS, TIMES_ERASED
from fedlethe.public.run_in_folder import RunInFolder
from fedlethe.types import ClientId

if TYPE_CHECKING:
    from fedlethe.erasing.plan import ErasurePlan
    from fedlethe.pages.report import Report
    from fedlethe.runs.inspection import Overview
    from fedlethe.studies.frontier import Frontier
    from fedlethe.studies.sweep import Sweep
    from fedlethe.studies.trace import Trace
    from fedlethe.studies.who_left import WhoLeft


@checked_methods
class RunStudies(RunInFolder):
    """What `Run` shows and measures; for its examples see there."""

    def history(self, check: bool = False, rebuild: int | None = None, unseal: str | None = None,
                out: Path | None = None) -> Overview:  # fmt: skip
        """What is kept of the training, and, where asked, whether it is whole.

        Args:
            check: Verify every file, rebuild every round, and compare the influences with the final model.
            rebuild: Rebuild the global model of this round from the initial model and the clients' deltas ...
            unseal: Or write what this file of the run folder holds, without its seal ...
            out: ... into this file.

        Returns:
            Rounds, clients, and what is kept of each kind, with its bytes; `check`, where that was asked for.

        Raises:
            FedletheError: Something does not match; the message names the file or round.

        Example:
            >>> run.history(check=True).rounds
            2
        """
        from fedlethe.runs.inspection import history_overview

        return history_overview(self.path, check, rebuild, out, unseal)

    def report(self) -> Report:
        """Write the page of the run, its pictures and tables, into its folder `report`.

        Returns:
            `page`, its file, and how many pictures it has.

        Raises:
            FedletheError: The training is not complete.

        Example:
            >>> run.report().page.name
            'index.html'
        """
        from fedlethe.pages.report import report

        with self._opened() as run:
            return report(run)

    def sweep(
        self,
        sigmas: Sequence[float] | None = None,
        draws: int = DRAWS,
        clients: Sequence[ClientId] = (),
        method: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Sweep:
        """Erase every client in turn, with noise of every sigma; accuracy against sigma.

        Args:
            sigmas: Standard deviations of the noise on each weight, each at least 0; the paper's, 0 to 0.03, if None.
            draws: Of the noise, for each client and sigma above 0; at least 1.
            clients: Who is erased, one after the other; empty for all.
            method: The method; the learner's usual one if None.
            options: Of the method, over those of the configuration.

        Returns:
            The trained model's evaluation, and one point for each client, sigma and draw.

        Raises:
            FedletheError: A value is out of range, or the history lacks what the method needs.

        Example:
            >>> found = run.sweep(sigmas=[0, 0.01], draws=2)
            >>> len(found.points)  # three clients: one model without noise and two with it
            9
        """
        from fedlethe.studies.sweep import SIGMAS, sweep

        with self._opened() as run:
            name = method or run.config.usual_method
            built = run.config.method(name, options or {})
            return sweep(run, name, built, SIGMAS if sigmas is None else sigmas, draws, clients)

    def trace(self, client: ClientId, method: str | None = None, options: Mapping[str, Any] | None = None) -> Trace:
        """Erase a client at each round's global model; both models by round.

        Args:
            client: Who is erased.
            method: The method; the learner's usual one if None.
            options: Of the method, over those of the configuration.

        Returns:
            One point for each round, 0 for the initial model: the evaluation with the client, and without it.

        Raises:
            FedletheError: The client is unknown, or the history lacks the rounds' models or what the method needs.

        Example:
            >>> [point.round for point in run.trace("west").points]
            [0, 1, 2]
        """
        from fedlethe.studies.trace import trace

        with self._opened() as run:
            name = method or run.config.usual_method
            return trace(run, name, run.config.method(name, options or {}), client)

    def frontier(
        self,
        method: str | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        epsilons: Sequence[float] | None = None,
        masks: Sequence[str] | None = None,
        sigmas: Sequence[float] | None = None,
        draws: int = DRAWS,
        delta: float | None = None,
    ) -> Frontier:
        """For every mask and epsilon: what hiding costs, what is left of the client, and who is named by an attacker.

        Args:
            method: The method; influence, or closed-form.
            options: A name for each set of options of it; one set, the configuration's, if None.
            epsilons: Each above 0; 0.5 to 16 if None.
            masks: Of 'isotropic', 'subspace', 'shaped'; all if None.
            sigmas: Isotropic noise of these sizes, too; the paper's if None.
            draws: Of the noise, for each client and size.
            delta: In (0, 1); 1e-5 if None.

        Returns:
            One point for each mask and size of the noise.

        Raises:
            FedletheError: A value is out of range, or the method's candidates cannot be computed.

        Example:
            >>> found = run.frontier(epsilons=[2.0], masks=["isotropic"], sigmas=[], draws=1)
            >>> found.points[-1].epsilon
            2.0
        """
        from fedlethe.studies.frontier import frontier
        from fedlethe.studies.sweep import SIGMAS

        asked = {"epsilons": epsilons, "masks": masks, "delta": delta}
        chosen: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
        with self._opened() as run:
            name = method or run.config.usual_method
            sets = options or {name: {}}
            built = {label or name: run.config.method(name, its) for label, its in sets.items()}
            return frontier(run, name, built, sigmas=SIGMAS if sigmas is None else sigmas, draws=draws, **chosen)

    def who_left(self, plan: ErasurePlan | None = None, draws: int = TIMES_ERASED) -> WhoLeft:
        """Erase every client in turn, and let three attackers guess who it was.

        Args:
            plan: How to erase; None for the recommended way.
            draws: How often each client is erased, at least 1.

        Returns:
            One point for each stage of the erasure: how often each attacker names the client, from 0 to 1.

        Raises:
            FedletheError: A value is out of range, or the mask that is asked for cannot be made.

        Example:
            >>> run.who_left(draws=1).clients
            ('east', 'south', 'west')
        """
        from fedlethe.erasing.plan import ErasurePlan
        from fedlethe.erasing.planning import order_for_nobody
        from fedlethe.studies.who_left import who_left

        with self._opened() as run:
            return who_left(run, order_for_nobody(run, plan or ErasurePlan()), draws)
