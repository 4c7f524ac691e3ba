# SPDX-License-Identifier: MIT
"""Looking without changing: a model's evaluation, what the history holds, what the data hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedlethe.config import RunConfig
from fedlethe.data.federated import SPLITS, FederatedData, Split
from fedlethe.errors import HistoryError
from fedlethe.federation.cautions import cautions
from fedlethe.history import checkpoint
from fedlethe.history.disk import RunFolder
from fedlethe.history.paths import Kind, of_erasure
from fedlethe.later import torch
from fedlethe.plots import images_held, style
from fedlethe.runs.preparing import load_data
from fedlethe.runs.run import OpenRun
from fedlethe.runs.run_toml import opened_folder
from fedlethe.types import ClientId, Evaluation, Need, Vector

IMAGES_SHOWN = 4
"""Images per client and class on a contact sheet."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A model of a run, or one that fits it, on one split.

    Attributes:
        run: The run folder.
        model: The model's file.
        split: 'test', 'validation' or 'train'.
        evaluation: `overall`, and by client in `clients`.
    """

    run: Path
    model: Path
    split: Split
    evaluation: Evaluation

    @property
    def warnings(self) -> tuple[str, ...]:
        """What must be known before the figures are read (see `cautions`)."""
        return cautions(self.evaluation)


def evaluate_model(run: OpenRun, model: Path | None, round: int | None, erasure: str | None, split: Split) -> Evaluated:
    """Evaluate a checkpoint file, the global model of a round, an erasure's model, or else the final model.

    Raises:
        FedletheError: More than one is named; there is no such model; it is of another network; or no client has
            images in the split.
    """
    if sum(choice is not None for choice in (model, round, erasure)) > 1:
        raise HistoryError("model, round and erasure each name a model; give one of them")
    if not any(len(data.split(split)) for data in run.data.clients.values()):
        raise HistoryError(f"{run.path}: no client has images in the split '{split}'; take the split 'test'")
    path, vector = _chosen(run.history, model, round, erasure)
    if not bool(torch.isfinite(vector).all()):
        raise HistoryError(f"{path}: holds NaN or infinite values, so it cannot be evaluated")
    return Evaluated(run.path, path, split, run.evaluate(vector, split))


def _chosen(history: RunFolder, model: Path | None, round: int | None, erasure: str | None) -> tuple[Path, Vector]:
    if model is not None:
        if not model.is_file():
            there = ", ".join(history.ledger.erasures().values()) or "none"
            raise HistoryError(
                f"{model}: {'is a folder' if model.is_dir() else 'there is no such file'}; model takes a checkpoint "
                "file. The run's own models go by erasure "
                f"(there is {there}) or round (0 to {history.rounds})"
            )
        known = {(history.path / one.path).resolve(): one.sha256 for one in history.ledger.artefacts().values()}
        return model, checkpoint.load(model, history.layout, known.get(model.resolve()))
    if erasure is not None:
        vector = history.erased_model(erasure)
        return history.path / history.store.find(of_erasure(erasure, Kind.MODEL)).path, vector
    if round is not None and not 0 <= round <= history.rounds:
        raise HistoryError(f"{history.path}: there is no round {round}; its rounds are 0 to {history.rounds}")
    if round is None:
        return history.path / history.final_path(), history.final()
    return history.path / f"global_checkpoints/round_{round:04d}.safetensors", history.global_model(round)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a history holds of one kind.

    Attributes:
        kind: The kind.
        files: How many files.
        bytes: Their sizes, added up.
    """

    kind: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class HistoryCheck:
    """What `fedlethe history --check` found; it stops with an error where anything does not match.

    Attributes:
        files: How many files have the bytes that the ledger names.
        rounds_rebuilt: Rounds rebuilt from the initial model and the clients' deltas, equal to their global
            checkpoints bit for bit; None where the history does not hold the deltas.
        influence_residual: ||w_0 + sum of influences - w_R|| / ||w_R||; None where influences are not kept.
        influence_bound: The rounding that it may have: rounds x float32 epsilon.
    """

    files: int
    rounds_rebuilt: int | None
    influence_residual: float | None
    influence_bound: float | None


@dataclass(frozen=True, slots=True)
class Overview:
    """What a run's history holds.

    Attributes:
        run: The run folder.
        rounds: That are recorded.
        planned_rounds: Of the configuration.
        clients: Who was trained with.
        keeps: What is kept, in words.
        kept: Files and bytes of each kind.
        check: What the check found; None where none was asked for.
    """

    run: Path
    rounds: int
    planned_rounds: int
    clients: tuple[ClientId, ...]
    keeps: tuple[str, ...]
    kept: tuple[Kept, ...]
    check: HistoryCheck | None


def history_overview(
    path: Path, check: bool, rebuild: int | None, out: Path | None, unseal: str | None = None
) -> Overview:
    """What the history holds, and, where asked, whether it is whole.

    Args:
        path: The run folder.
        check: Verify every file, rebuild every round, and compare the influences with the final model.
        rebuild: Rebuild the global model of this round from the initial model and the clients' deltas ...
        out: ... into this checkpoint file.
        unseal: Or write what this file of the run folder holds there, without its seal.

    Raises:
        FedletheError: Something does not match; the message names the file or round.
    """
    if rebuild is not None and unseal is not None:
        raise HistoryError("rebuild and unseal each write a file; give one of them")
    if out is not None and rebuild is None and unseal is None:
        raise HistoryError(f"{out}: nothing is to be written there; give rebuild or unseal with out")
    out = None if out is None else Path(out)
    with opened_folder(path) as (config, history):
        if rebuild is not None:
            if not config.learning.aggregator.is_mean:
                raise HistoryError(
                    f"{path}: its rounds cannot be made again from deltas, since its aggregator is "
                    f"'{config.learning.aggregator_name}', and not the mean; leave rebuild out"
                )
            _rebuild(history, rebuild, _new(out, "rebuild"))
        if unseal is not None:
            _unseal(history, unseal, _new(out, "unseal"))
        return Overview(
            run=path,
            rounds=history.rounds,
            planned_rounds=config.federation.rounds,
            clients=history.clients,
            keeps=tuple(sorted(need.value for need in history.keep)),
            kept=kept(history),
            check=_check(history) if check else None,
        )


def kept(history: RunFolder) -> tuple[Kept, ...]:
    """What a history holds of each kind."""
    sizes: dict[str, list[int]] = {}
    for artefact in history.ledger.artefacts().values():
        sizes.setdefault(artefact.kind, []).append(artefact.bytes)
    return tuple(Kept(kind, len(held), sum(held)) for kind, held in sorted(sizes.items()))


def _new(out: Path | None, what: str) -> Path:
    if out is None:
        raise HistoryError(f"{what} needs a file to write to; name one with out")
    if out.exists():
        raise HistoryError(f"{out}: is there already; choose another file")
    return out


def _unseal(history: RunFolder, name: str, out: Path) -> None:
    artefact = history.ledger.artefacts().get(name)
    if artefact is None:
        raise HistoryError(f"{history.path / name}: the ledger names no such file; name one as the run folder has it")
    checkpoint.write(out, [history.store.content(artefact)])


def _rebuild(history: RunFolder, round: int, out: Path) -> None:
    if not 0 <= round <= history.rounds:
        raise HistoryError(f"{history.path}: there is no round {round}; its rounds are 0 to {history.rounds}")
    model = history.initial()
    for record in history.replay():
        if record.round <= round:
            model = record.after
    checkpoint.save(out, model, history.layout)


def _check(history: RunFolder) -> HistoryCheck:
    artefacts = history.ledger.artefacts()
    history.verify()
    rebuilt = None
    if Need.DELTAS in history.keep:
        rebuilt = 0
        for record in history.replay():
            if not torch.equal(record.after, history.global_model(record.round)):
                raise HistoryError(f"{history.path}: round {record.round}, rebuilt, is not its global checkpoint")
            rebuilt += 1
    residual, bound = _influence_residual(history) if Need.INFLUENCE in history.keep else (None, None)
    return HistoryCheck(len(artefacts), rebuilt, residual, bound)


def _influence_residual(history: RunFolder) -> tuple[float, float]:
    total = history.initial().double()
    for client in history.clients:
        total += history.influence(client)
    final = history.final().double()
    residual = float(torch.linalg.vector_norm(total - final) / torch.linalg.vector_norm(final))
    bound = max(history.rounds, 1) * float(torch.finfo(torch.float32).eps)
    if residual > bound:
        detail = f"relative difference {residual:.1e}, more than rounding ({bound:.1e})"
        raise HistoryError(f"{history.path}: the influences do not add up to the final model: {detail}")
    return residual, bound


@dataclass(frozen=True, slots=True)
class DataOverview:
    """What the data hold: split to client to class to number of images.

    Attributes:
        source: The data source's name.
        fingerprint: Of all images, labels and their division.
        classes: In the order of their labels.
        image_shape: (C, H, W), or the shape of a row.
        counts: Split to client to class to number of images; splits that nobody has images in are left out.
        left_out: Reason to the number of images that the source did not take.
        pictures: Files that were drawn.
    """

    source: str
    fingerprint: str
    classes: tuple[str, ...]
    image_shape: tuple[int, ...]
    counts: Mapping[str, Mapping[ClientId, Mapping[str, int]]]
    left_out: Mapping[str, int]
    pictures: tuple[Path, ...]


def data_overview(config: RunConfig, out: Path | None) -> DataOverview:
    """Read the data as a training would; with `out`, draw the class mix and a contact sheet there.

    Raises:
        FedletheError: The data cannot be used.
    """
    data = load_data(config)
    data.demand_options_used()
    counts: dict[str, dict[ClientId, dict[str, int]]] = {split: class_counts(data, split) for split in SPLITS}
    pictures: tuple[Path, ...] = ()
    if out is not None:
        samples = sample_images(data)
        sheets = [images_held.contact_sheet(samples)] if samples else []
        drawn = (images_held.class_mix(counts["train"]), *sheets)
        pictures = tuple(style.save(plot, out) for plot in drawn)
    shown = {split: held for split, held in counts.items() if any(sum(mix.values()) for mix in held.values())}
    return DataOverview(
        config.source_name, data.fingerprint, data.classes, data.image_shape, shown, data.left_out, pictures
    )


def class_counts(data: FederatedData, split: Split) -> dict[ClientId, dict[str, int]]:
    """Client to class to number of images in a split."""
    return {
        client: {name: int((held.split(split).labels == index).sum()) for index, name in enumerate(data.classes)}
        for client, held in data.clients.items()
    }


def sample_images(data: FederatedData) -> dict[ClientId, dict[str, npt.NDArray[np.uint8]]]:
    """The first training images of each client and class: client to class to uint8, shape (n, C, H, W).

    Nothing of data that are no images.
    """
    if not data.are_images or data.image_shape[0] not in (1, 3):
        return {}
    samples: dict[ClientId, dict[str, npt.NDArray[np.uint8]]] = {}
    for client, held in data.clients.items():
        samples[client] = {}
        for index, name in enumerate(data.classes):
            chosen = held.train.indices[held.train.labels == index][:IMAGES_SHOWN]
            samples[client][name] = np.asarray(held.train.images[chosen])
    return samples
