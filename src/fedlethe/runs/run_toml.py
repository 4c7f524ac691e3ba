# SPDX-License-Identifier: MIT
"""run.toml: the configuration in full, and what it was found to be; read, checked and resolved, without any data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tomlkit

from fedlethe import files
from fedlethe.config import RunConfig, resolve
from fedlethe.config.parts import is_code
from fedlethe.data.partition import CLIENTS, TEST_FRACTION
from fedlethe.document import OF_CHOICE, Document, parse_toml, unused
from fedlethe.errors import HistoryError
from fedlethe.history.disk import RunFolder
from fedlethe.history.ledger import demand_as_entered
from fedlethe.names import demand_client_name
from fedlethe.outside.plugins import GIVEN

OUTSIDE = "outside"
"""The table of [run] that says what code from outside the training used."""

ERASURE_FOLDER = re.compile(r"(.*/)?erasures/[0-9]{4,9}")
"""The folder of an erasure."""


def read_run_document(path: Path) -> Document:
    """The run.toml of a run folder, held against the ledger where there is one.

    Raises:
        FedletheError: The folder is not a run, or the file is not the one that was entered when the training began.
    """
    if path.exists() and not path.is_dir():
        raise HistoryError(f"{path}: is a file; name the run folder")
    if not path.is_dir():
        raise HistoryError(f"{path}: there is no such run folder; make one with: fedlethe train --out {path}")
    if not (path / "run.toml").is_file():
        raise HistoryError(f"{path}: is not a run folder (it has no run.toml)")
    content = files.content_of(path / "run.toml")
    demand_as_entered(path, "run.toml", content)
    document = parse_toml(content, path / "run.toml")
    if not isinstance(document.get("run"), dict):
        raise HistoryError(f"{path / 'run.toml'}: the table [run] is missing; restore the file from a backup")
    if (problem := _facts_problem(document["run"])) is not None:
        raise HistoryError(f"{path / 'run.toml'}: the table [run] {problem}; restore the file from a backup")
    return without_unused(document)


def without_unused(document: Document) -> Document:
    """A run's configuration without what its choices do not use, and without defaults that depend on the data.

    Older versions wrote every option, used or not, so one that is there need not be one that was asked for.
    """
    kept: Document = {
        key: {name: value for name, value in table.items() if name not in unused(key, table)}
        for key, table in document.items()
        if key in OF_CHOICE and isinstance(table, dict)
    }
    partition = kept.get("partition", {})
    by_default = {"test_fraction": TEST_FRACTION, **({} if "scheme" in partition else {"clients": CLIENTS})}
    for name, value in by_default.items():
        if partition.get(name) == value:
            del partition[name]
    return {**document, **kept}


def _facts_problem(facts: Document) -> str | None:
    """Why a table [run] cannot be one that a training wrote; None where it can."""
    clients, after = facts.get("clients"), facts.get("after")
    if not isinstance(clients, list) or not all(isinstance(client, str) for client in clients):
        return "names no clients"
    for client in clients:
        demand_client_name(client)
    if not all(isinstance(facts.get(name), str) for name in ("version", "data_fingerprint")):
        return "has no text as its version or its data_fingerprint"
    given = facts.get(GIVEN, {})
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        return "does not say which network the training was given"
    if not is_code(facts.get(OUTSIDE, {})):
        return "does not say which code the training used"
    if after is not None and not (isinstance(after, str) and ERASURE_FOLDER.fullmatch(after)):
        return "begins after something that is no erasure's folder, such as RUN/erasures/0001"
    return None


def config_of(path: Path) -> RunConfig:
    """The configuration of a run."""
    document = read_run_document(path)
    facts = document.pop("run")
    return resolve(document, str(path / "run.toml"), facts.get(OUTSIDE, {}))


def document_of_run(after: Path) -> Document:
    """The configuration of the run of an erasure (RUN/erasures/0001), as run.toml has it; empty where there is none.

    Raises:
        FedletheError: It is not as it was entered.
    """
    run = after.resolve().parent.parent
    document = read_run_document(run) if (run / "run.toml").is_file() else {}
    document.pop("run", None)
    return document


@contextmanager
def opened_folder(path: Path, create: bool = False) -> Iterator[tuple[RunConfig, RunFolder]]:
    """A run's configuration and history, without its data."""
    document = read_run_document(path)
    facts = document.pop("run")
    config = resolve(document, str(path / "run.toml"), facts.get(OUTSIDE, {}))
    history = RunFolder(path, facts["clients"], config.keep, create, config.encrypt)
    try:
        history.store.demand_no_links()
        yield config, history
    finally:
        history.close()


def toml_text(document: Document) -> str:
    """A document as TOML."""
    return tomlkit.dumps(document)


def config_for(document: Document, out: Path | None = None) -> RunConfig:
    """The configuration that a document stands for; an empty one stands for the run that `out` holds, if any.

    Raises:
        FedletheError: A key, name or value is wrong.
    """
    if not document and out is not None and (out / "run.toml").is_file():
        config = config_of(out)
        config.demand_code(str(out))
        return config
    return resolve(document)
