# SPDX-License-Identifier: MIT
"""A run, as the public face has it: its models, what is erased from them, and what was found of that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedlethe.outside.arguments import checked_methods
from fedlethe.public.run_requests import RunRequests
from fedlethe.public.run_studies import RunStudies
from fedlethe.types import ClientId

if TYPE_CHECKING:
    from fedlethe.erasing.auditing import Attested
    from fedlethe.erasing.plan import ErasurePlan
    from fedlethe.erasing.record import Erasure
    from fedlethe.later import nn
    from fedlethe.runs.inspection import Evaluated


@checked_methods
class Run(RunRequests, RunStudies):
    """A federation's training in a folder: erase clients from it, audit, carry requests out, look at it.

    Made by `fedlethe.train` and `fedlethe.open_run`. Each method opens the folder, does one thing, and closes it; one
    that changes something holds the folder's lock, so that two programs can work on one run.

    In the examples of its methods `run` is a run of three clients, `east`, `south` and `west`, trained on a linear
    network for two rounds, as the example of `fedlethe.train` makes one.

    Attributes:
        path: The run folder.
        trained: How the training went; None of a run that was opened.

    Example:
        >>> opened = fedlethe.open_run(run.path)
        >>> opened.clients, opened.trained
        (('east', 'south', 'west'), None)
    """

    @property
    def clients(self) -> tuple[ClientId, ...]:
        """Who was trained with, sorted; also those who were erased since.

        Raises:
            FedletheError: The folder is no run.

        Example:
            >>> run.clients
            ('east', 'south', 'west')
        """
        from fedlethe.runs.run_toml import read_run_document

        return tuple(sorted(read_run_document(self.path)["run"]["clients"]))

    def model(self, erasure: str | None = None) -> nn.Module:
        """The network with the final weights, or with those of an erasure; in evaluation mode, on the CPU.

        Args:
            erasure: The erasure's id, '0001'; None for the trained model.

        Returns:
            The network; from inputs of the shape and type that it was trained on to logits, shape (n, classes), or to
            what a network of your own puts out.

        Raises:
            FedletheError: There is no such erasure, or its model was removed by a later purge.

        Example:
            >>> tuple(run.model().weight.shape)
            (2, 6)
        """
        from fedlethe.vector import load_vector

        with self._opened() as run:
            vector = run.history.final() if erasure is None else run.history.erased_model(erasure)
            network = run.network.cpu()  # made for this call
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

        Returns:
            `evaluation.overall` and `evaluation.clients`: accuracy, balanced accuracy and AUC, each from 0 to 1; AUC is
            None where images of one class alone are tested on. `warnings`: what to know before reading them.

        Raises:
            FedletheError: More than one model is named, or it is not there.

        Example:
            >>> sorted(run.evaluate(round=1).evaluation.clients)
            ['east', 'south', 'west']
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

        Returns:
            What was done, at what cost, what is certain of it (`guarantee`), and what to know of the erased model
            before reading its figures (`warnings`).

        Raises:
            ConfigError: A name or value is wrong.
            FedletheError: A client is unknown, or the history lacks what the method needs.

        Example:
            >>> erasure = run.erase("west", method="retrain")
            >>> erasure.id, erasure.guarantee.kind
            ('0001', 'exact')
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
        try:
            plan = plan or ErasurePlan.from_dict(fields)
        except ConfigError as error:
            if fields.keys() <= set(ErasurePlan.__dataclass_fields__):
                raise
            raise ConfigError(f"{error}; an option of the method goes into options, as {{'scale': 0.5}}") from None
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

        Example:
            >>> found = run.audit(run.erase("west", method="retrain"), references=3)
            >>> found.references, len(found.findings) > 1
            (3, True)
        """
        from fedlethe.erasing.auditing import LEAST_REFERENCES, attest, attested, demand_references
        from fedlethe.erasing.planning import order_of
        from fedlethe.erasing.record import recorded

        demand_references(references, least=LEAST_REFERENCES)
        with self._opened() as run, run.history.locked():
            held = recorded(run.history, str(erasure) if isinstance(erasure, (str, Path)) else erasure.id)
            attest(run, held, order_of(run, held), references)
            found = attested(run.history, held.id)
            assert found is not None
            return found

    def erasures(self) -> list[Erasure]:
        """All erasures of the run, with those of requests; the data are not read.

        Returns:
            They, in their order.

        Raises:
            FedletheError: A record is not the one that was entered in the ledger.

        Example:
            >>> erasure = run.erase("west")
            >>> [one.forget for one in run.erasures()]
            [('west',)]
        """
        from fedlethe.erasing.record import erasures
        from fedlethe.runs.run_toml import opened_folder

        with opened_folder(self.path) as (_, history):
            return erasures(history)
