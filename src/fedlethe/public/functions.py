# SPDX-License-Identifier: MIT
"""The public face: what `import fedlethe` gives, and what the command line is a thin skin over.

    run = fedlethe.train(MyNet(), {"north": (x, y), "south": dataset}, out="run", rounds=15)
    erasure = run.erase("north")
    print(run.audit(erasure, references=5).verdict)
    run.report()

A function imports what it uses when it is called, so that reading a run's requests does not wait for PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedlethe.document import Document, layered
from fedlethe.errors import ConfigError, HistoryError
from fedlethe.outside.arguments import checked_arguments
from fedlethe.public.defaults import REFERENCES, SEEDS, WORKERS
from fedlethe.public.handed_over import Data, aggregator_parts, given_parts, handed_over, resolved_with, tables_of_parts
from fedlethe.types import ClientId

if TYPE_CHECKING:
    from fedlethe.config.presets import Layer
    from fedlethe.federation.aggregator import Aggregator
    from fedlethe.later import nn
    from fedlethe.models.given import Loss
    from fedlethe.public.run_handle import Run
    from fedlethe.requests.signing import NewKey
    from fedlethe.requests.verify import Verified
    from fedlethe.studies.compare import Comparison


@checked_arguments
def train(
    model: nn.Module | str | Mapping[str, Any] | None = None,
    data: Data | str | Mapping[str, Any] | None = None,
    *,
    out: Path | str,
    rounds: int | None = None,
    seed: int | None = None,
    loss: Loss | None = None,
    aggregator: Aggregator | str | Mapping[str, Any] | None = None,
    config: Layer | Sequence[Layer] | None = None,
    preset: str | None = None,
    after: Path | str | None = None,
    take_back: Sequence[ClientId] = (),
    finished_too: bool = False,
    **tables: Any,
) -> Run:
    """Train a federation into a run folder, or resume an unfinished one.

    Args:
        model: A torch.nn.Module with its weights, to logits (b, classes) or, of class 1 alone, (b, 1) or (b,). Or the
            name of one: of MODELS, 'mylab.nets:MyNet', with options {"name": "resnet18"}; a CNN if unset.
        data: Client to its data; or the name of a source: a row of DATASETS, an entry point, 'mylab.cohort:load'; or a
            name with options, {"source": "medmnist", "flag": "pneumoniamnist"}. Of each client's data a part is kept
            to test on (`partition={"test_fraction": 0.2}`).
        out: The run folder.
        rounds: How many; 15 if nothing says otherwise.
        seed: All randomness is derived from it.
        loss: Of outputs and labels (b,) (of class 1 alone: floats, in the outputs' shape); cross-entropy if unset.
        aggregator: Makes a round's model: an instance, or a name as of `model` (here of AGGREGATORS); 'mean' if unset.
        config: A TOML file, or what it would hold, under all that is given here; or several, the last on top.
        preset: 'paper' or 'demo': a whole configuration, under `config`.
        after: An erasure's folder, RUN/erasures/0001: from its model on, by RUN's configuration if no data are named.
        take_back: Clients that were erased before and take part again.
        finished_too: Take a finished run of this configuration as it is, rather than refuse the folder.
        **tables: Further tables of the configuration, such as `local={"epochs": 2}` or `learner="closed-form"`.

    Returns:
        The run; `run.trained` tells how it went, and `run.trained.warnings` what to know before reading its figures.

    Raises:
        ConfigError, DataError: A name, option or value is wrong; or the data cannot be used.
        FedletheError: The folder is taken, or holds another run.

    Example:
        >>> import tempfile, numpy as np, torch, fedlethe
        >>> x, y = np.random.default_rng(0).normal(size=(40, 6)), np.arange(40) % 2
        >>> clients = {"east": (x, y), "west": (x + 1, y), "south": (x - 1, y)}
        >>> run = fedlethe.train(torch.nn.Linear(6, 2), clients, out=tempfile.mkdtemp() + "/run", rounds=2)
        >>> run.erase("west").subject
        'west'
    """
    from fedlethe.learners.training import train_run
    from fedlethe.public.run_handle import Run

    named, own = aggregator_parts(aggregator)
    given = given_parts(handed_over("model", model), handed_over("data", data), loss, own)
    over = layered(tables, tables_of_parts(model, data, rounds, seed), named)
    out, after = Path(out), None if after is None else Path(after)
    resolved = resolved_with(given, _document(config, preset, over, after), out)
    return Run(out, given, train_run(resolved, out, finished_too, after, take_back))


def _document(config: Any, preset: str | None, over: Document, after: Path | None) -> Document:
    """The layers of a training's configuration; where they name no data, over those of the run that it goes on from.

    Raises:
        ConfigError: The learner is not the one of the model to begin from.
    """
    from fedlethe.config.presets import from_layers
    from fedlethe.runs.run_toml import document_of_run

    document = layered(from_layers(config, preset), over)
    data = document.get("data", {})
    if after is None or (isinstance(data, Mapping) and "source" in data):
        return document
    below = document_of_run(after)
    began = below.get("learner", "fedavg")
    if below and (wanted := document.get("learner", began)) != began:
        raise ConfigError(f"learner '{wanted}': {after} is a model of learner '{began}'; leave it out")
    return layered(below, document)


@checked_arguments
def open_run(
    path: Path | str,
    model: nn.Module | None = None,
    data: Data | None = None,
    loss: Loss | None = None,
    aggregator: Aggregator | None = None,
) -> Run:
    """A run that was trained before.

    Args:
        path: Its folder.
        model: The network, where the run was trained on one that has no name; its weights do not matter.
        data: Client to its data, where these have no name.
        loss: As it was given to `train`.
        aggregator: As it was given to `train`, where its class has no import path.

    Returns:
        The run; what is asked of it is read from the folder then.

    Raises:
        FedletheError: The folder is no run.

    Example:
        >>> import fedlethe
        >>> fedlethe.open_run("nowhere")
        Traceback (most recent call last):
        ...
        fedlethe.errors.HistoryError: nowhere: there is no such run folder; make one with: fedlethe train --out nowhere
    """
    from fedlethe.public.run_handle import Run
    from fedlethe.runs.run_toml import read_run_document

    read_run_document(Path(path))
    return Run(Path(path), given_parts(model, data, loss, aggregator))


@checked_arguments
def compare(
    config: Layer | Sequence[Layer],
    methods: Sequence[str] = ("all",),
    *,
    out: Path | str,
    seeds: Sequence[int] = SEEDS,
    forget: Sequence[ClientId] = (),
    references: int = REFERENCES,
    workers: int = WORKERS,
) -> Comparison:
    """Train, erase with every method and audit against retrainings; one table, as CSV, Markdown, a page and a plot.

    Args:
        config: What to train: a TOML file, or what it would hold; or several, the last on top.
        methods: Methods or recipes; ('all',) for all of both.
        out: The folder of the comparison; an interrupted one resumes there.
        seeds: Of the trainings.
        forget: Who is erased; empty for the client with the backdoor.
        references: Retrainings of other seeds, at least 3.
        workers: Processes, of one thread each.

    Returns:
        The table: `rows` holds each method's figures over the seeds, the untouched model first; `out` is where it lies.

    Raises:
        ConfigError: A name is not there, or a number is out of range.
        FedletheError: The folder holds another comparison, or the data cannot be used.

    Example:
        >>> import tempfile, fedlethe
        >>> config = {"data": {"source": "phantom", "size": 16, "hospitals": 3, "images_per_hospital": 20}}
        >>> out = tempfile.mkdtemp()
        >>> fedlethe.compare(config, ["retrain"], out=out, seeds=[0], references=2)
        Traceback (most recent call last):
        ...
        fedlethe.errors.ConfigError: references 2: it takes 3 retrainings at least to know their range
    """
    from fedlethe.config.presets import from_layers
    from fedlethe.pages.comparison_table import write_comparison
    from fedlethe.runs.run_toml import config_for
    from fedlethe.studies.compare import compare as compare_methods

    resolved = config_for(from_layers(config, None))
    result = compare_methods(resolved, methods, seeds, forget, references, Path(out), workers)
    write_comparison(result)
    return result


@checked_arguments
def verify(path: Path | str, key: Path | str | None = None, run: Path | str | None = None) -> Verified:
    """Check a certificate against the public key that must have signed it, and a run; or a run's own ledger.

    Args:
        path: The certificate; or a run folder, whose ledger is then held against its files.
        key: The public key; of a certificate.
        run: The run that the certificate is of, where it is at hand.

    Returns:
        What was checked, with which result; `failed` holds what is wrong.

    Raises:
        ConfigError: A certificate has no key beside it, or a run folder has one.
        FedletheError: The certificate is not what this key signed, or the ledger's rows were changed.

    Example:
        >>> import tempfile, fedlethe
        >>> data = {"source": "phantom", "size": 16, "hospitals": 2, "images_per_hospital": 20}
        >>> run = fedlethe.train(data=data, out=tempfile.mkdtemp() + "/run", rounds=1)
        >>> fedlethe.verify(run.path).failed
        ()
    """
    from fedlethe.requests.verify import verify_certificate, verify_ledger

    if Path(path).is_dir():  # not by `open_run`, which would ask for a run.toml: a recording of Flower has none
        if key is not None or run is not None:
            raise ConfigError(
                f"{path}: is a folder, and no certificate; name the file, or leave key and run out to verify its ledger"
            )
        return verify_ledger(Path(path))
    if not Path(path).is_file():
        raise HistoryError(f"{path}: there is no such file or folder; name a run folder, or a certificate with its key")
    if key is None:
        raise ConfigError(f"{path}: name the public key that must have signed it: key=...")
    return verify_certificate(Path(path), Path(key), None if run is None else Path(run))


@checked_arguments
def new_key(path: Path | str) -> NewKey:
    """Make a key that signs certificates (Ed25519); the public half lies beside it, with the ending .pub.

    Args:
        path: Where the private half goes, which is its owner's alone.

    Returns:
        Where both halves are (`private`, `public`), and the key's id.

    Raises:
        FedletheError: The file is there already, or cannot be written.

    Example:
        >>> import tempfile, fedlethe
        >>> fedlethe.new_key(tempfile.mkdtemp() + "/erasure.key").public.name
        'erasure.key.pub'
    """
    from fedlethe.requests.signing import new_signing_key

    return new_signing_key(Path(path))
