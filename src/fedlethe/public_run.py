# SPDX-License-Identifier: MIT
"""A run, as the public face has it: each method opens the folder, does one thing, and closes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedlethe.arguments import checked_methods
from fedlethe.types import ClientId

if TYPE_CHECKING:
    from fedlethe.erasing.auditing import Attested
    from fedlethe.erasing.plan import ErasurePlan
    from fedlethe.erasing.record import Erasure
    from fedlethe.history.request_log import ErasureRequest, Requests
    from fedlethe.later import nn
    from fedlethe.learners.training import Trained
    from fedlethe.pages.report import Report
    from fedlethe.requests.carry_out import Carried, Purged
    from fedlethe.requests.verify import Verified
    from fedlethe.runs.inspection import Evaluated, Overview
    from fedlethe.runs.opening import Given
    from fedlethe.runs.run import OpenRun
    from fedlethe.studies.frontier import Frontier
    from fedlethe.studies.sweep import Sweep
    from fedlethe.studies.trace import Trace
    from fedlethe.studies.who_left import WhoLeft


@checked_methods
class Run:
    """A federation's training in a folder: erase clients from it, audit, carry requests out, look at it.

    Made by `fedlethe.train` and `fedlethe.open_run`.

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

    @property
    def clients(self) -> tuple[ClientId, ...]:
        """Who was trained with, sorted."""
        from fedlethe.runs.run_toml import read_run_document

        return tuple(sorted(read_run_document(self.path)["run"]["clients"]))

    def model(self, erasure: str | None = None) -> nn.Module:
        """The network with the final weights, or with those of an erasure; in evaluation mode, on the CPU.

        Args:
            erasure: The erasure's id, '0001'.

        Raises:
            FedletheError: There is no such erasure, or its model was removed by a later purge.
        """
        import copy

        from fedlethe.vector import load_vector

        with self._opened() as run:
            vector = run.history.final() if erasure is None else run.history.erased_model(erasure)
            network = copy.deepcopy(run.network).cpu()
            load_vector(network, run.layout, vector)
            return network.eval()

    def evaluate(
        self,
        erasure: str | None = None,
        *,
        round: int | None = None,
        model: Path | str | None = None,
        split: str = "test",
    ) -> Evaluated:
        """How well a model does on every client's data: the final one, an erasure's, a round's, or a checkpoint file.

        Args:
            erasure: The erasure's id.
            round: The global model after this round.
            model: A checkpoint file of the same network.
            split: 'test', 'validation' or 'train'.

        Raises:
            FedletheError: More than one model is named, or it is not there.
        """
        from fedlethe.data.federated import SPLITS
        from fedlethe.document import entry
        from fedlethe.runs.inspection import evaluate_model

        file = None if model is None else Path(model)
        with self._opened() as run:
            return evaluate_model(run, file, round, erasure, entry("split", split, {name: name for name in SPLITS}))

    def erase(
        self,
        *clients: ClientId,
        plan: ErasurePlan | None = None,
        patients: Sequence[str] = (),
        join: Sequence[ClientId] = (),
        **fields: Any,
    ) -> Erasure:
        """Take clients out of the model: unlearn, mask, repair. The trained model stays where it is.

        Args:
            *clients: Who is erased.
            plan: How; None for the way that fits the run, or for `fields`.
            patients: Only these patients of the one client; in closed form.
            join: Clients that were taken out and come back; in closed form.
            **fields: Of an ErasurePlan: `method="fed_eraser"`, `options={"scale": 1.0}`, `mask={"epsilon": 3.0}`,
                `repair={"rounds": 2}`, `after="0001"`, `decoys=1`.

        Raises:
            ConfigError: A name or value is wrong.
            FedletheError: A client is unknown, or the history lacks what the method needs.
        """
        from dataclasses import replace

        from fedlethe.erasing.erase import erase
        from fedlethe.erasing.plan import ErasurePlan
        from fedlethe.erasing.planning import order_erasure
        from fedlethe.errors import ConfigError

        if plan is not None and fields:
            raise ConfigError(f"plan: says how already; leave {', '.join(fields)} out")
        if not (clients or patients or join):
            raise ConfigError("nobody is named to be erased; name a client")
        plan = plan or ErasurePlan.from_dict(fields)
        of = {"patients": list(patients), "of": list(clients)} if patients else {}
        plan = replace(plan, options={**plan.options, **of, **({"join": list(join)} if join else {})})
        with self._opened() as run:
            return erase(run, order_erasure(run, () if patients else clients, plan))

    def audit(self, erasure: Erasure | str, references: int = 5) -> Attested:
        """Hold an erasure's model against retrainings without the erased data.

        Args:
            erasure: It, or its id.
            references: How many retrainings to make, at least 3.

        Returns:
            Each audit's finding, and the verdict; kept with the erasure.

        Raises:
            FedletheError: There is no such erasure, or there are too few references.
        """
        from fedlethe.erasing.auditing import LEAST_REFERENCES, attest, attested, demand_references
        from fedlethe.erasing.planning import order_of
        from fedlethe.erasing.record import recorded

        demand_references(references, least=LEAST_REFERENCES)
        with self._opened() as run, run.history.locked():
            held = recorded(run.history, erasure if isinstance(erasure, str) else erasure.id)
            attest(run, held, order_of(run, held), references)
            found = attested(run.history, held.id)
            assert found is not None
            return found

    def erasures(self) -> list[Erasure]:
        """All erasures of the run, in their order."""
        from fedlethe.erasing.record import erasures

        with self._opened() as run:
            return erasures(run.history)

    # Requests

    def request(
        self,
        *clients: ClientId,
        reason: str,
        by: str,
        patients: Sequence[str] = (),
        legal_ground: str | None = None,
        deadline: str | None = None,
    ) -> ErasureRequest:
        """Open an erasure request, to be carried out, audited, certified and purged.

        Args:
            *clients: Who is to be erased.
            reason: Why, in words that stay on record.
            by: Who opens it.
            patients: Only these patients of the one client.
            legal_ground: GDPR Art. 17(1) if None.
            deadline: YYYY-MM-DD; a month from now if None.

        Raises:
            RequestError: Somebody cannot be erased, or an open request names the client.
        """
        from fedlethe.history.request_log import LEGAL_GROUND
        from fedlethe.requests.request import open_request

        with self._opened() as run:
            return open_request(run, clients, patients, reason, by, legal_ground or LEGAL_GROUND, deadline)

    def requests(self) -> Requests:
        """All requests; the data are not read."""
        from fedlethe.requests.request import listed

        return listed(self.path)

    def carry_out(
        self,
        id: str,
        key: Path | str | None,
        plan: ErasurePlan | None = None,
        accepted: Mapping[str, str] | None = None,
        lost: Mapping[str, str] | None = None,
    ) -> Carried:
        """Carry a request out, or resume one: erase, audit, certify, purge.

        Args:
            id: The request's, 'R0001'.
            key: The file of the key that signs the certificates (see `fedlethe.new_key`).
            plan: How; None for the recommended way, or the one that it was begun in.
            accepted: Who goes on in spite of what the audits found ('by'), and why ('why').
            lost: Who says that keys that cannot be found are lost ('by'), and why ('why').

        Raises:
            FedletheError: Something cannot be done; the request stays where it is, or is failed.
        """
        from fedlethe.requests.carry_out import carry_out
        from fedlethe.requests.signing import signing_key

        signer = signing_key(None if key is None else Path(key))
        with self._opened() as run:
            return carry_out(run, id, plan, signer, accepted=accepted, lost=lost)

    def withdraw(self, id: str, reason: str, by: str) -> ErasureRequest:
        """Withdraw a request of which nothing was certified yet."""
        from fedlethe.requests.request import withdraw

        return withdraw(self.path, id, reason, by)

    def purge(self, key: Path | str | None = None, lost: Mapping[str, str] | None = None) -> Purged:
        """Carry out the purges that are due."""
        from fedlethe.requests.carry_out import purge_due
        from fedlethe.requests.signing import signing_key

        signer = None if key is None else signing_key(Path(key))
        with self._opened() as run:
            return purge_due(run, signer, lost)

    def verify(self) -> Verified:
        """Hold the ledger against itself, the files, the keys and the certificates."""
        from fedlethe.requests.verify import verify_ledger

        return verify_ledger(self.path)

    # Looking and studying

    def history(self, check: bool = False, rebuild: int | None = None, unseal: str | None = None,
                out: Path | None = None) -> Overview:  # fmt: skip
        """What is kept of the training; see `runs.inspection.history_overview`."""
        from fedlethe.runs.inspection import history_overview

        return history_overview(self.path, check, rebuild, out, unseal)

    def report(self) -> Report:
        """Write the page of the run, its pictures and tables."""
        from fedlethe.pages.report import report

        with self._opened() as run:
            return report(run)

    def sweep(
        self,
        sigmas: Sequence[float] | None = None,
        draws: int = 5,
        clients: Sequence[ClientId] = (),
        method: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Sweep:
        """Erase every client in turn, with noise of every sigma; accuracy against sigma."""
        from fedlethe.studies.sweep import SIGMAS, sweep

        with self._opened() as run:
            name = method or run.config.usual_method
            built = run.config.method(name, options or {})
            return sweep(run, name, built, SIGMAS if sigmas is None else sigmas, draws, clients)

    def trace(self, client: ClientId, method: str | None = None, options: Mapping[str, Any] | None = None) -> Trace:
        """Erase a client at each round's global model; both models by round."""
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
        draws: int = 5,
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

        Raises:
            FedletheError: A value is out of range, or the method's candidates cannot be computed.
        """
        from fedlethe.presets import given
        from fedlethe.studies.frontier import frontier
        from fedlethe.studies.sweep import SIGMAS

        chosen = given({"epsilons": epsilons, "masks": masks, "delta": delta})
        with self._opened() as run:
            name = method or run.config.usual_method
            sets = options or {name: {}}
            built = {label or name: run.config.method(name, its) for label, its in sets.items()}
            return frontier(run, name, built, sigmas=SIGMAS if sigmas is None else sigmas, draws=draws, **chosen)

    def who_left(self, plan: ErasurePlan | None = None, draws: int = 3) -> WhoLeft:
        """Erase every client in turn, and let three attackers guess who it was."""
        from fedlethe.erasing.plan import ErasurePlan
        from fedlethe.erasing.planning import order_for_nobody
        from fedlethe.studies.who_left import who_left

        with self._opened() as run:
            return who_left(run, order_for_nobody(run, plan or ErasurePlan()), draws)
