# SPDX-License-Identifier: MIT
"""Train a federation into a run folder, or go on with an unfinished one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fedlethe import files
from fedlethe.config import RunConfig
from fedlethe.data.erased import scrub
from fedlethe.document import Document
from fedlethe.errors import DataError, HistoryError
from fedlethe.federation.cautions import cautions
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import BEGAN, Participation
from fedlethe.history.keyring import IMAGES
from fedlethe.history.sealing import Key
from fedlethe.later import torch
from fedlethe.learners.which import learner_of
from fedlethe.outside.plugins import GIVEN
from fedlethe.runs.beginning import Beginning, LeftOut
from fedlethe.runs.past import begun_after, begun_parts, earlier
from fedlethe.runs.preparing import aggregation, demand_given, demand_given_aggregator, prepare, run_document
from fedlethe.runs.records import from_json
from fedlethe.runs.run import Prepared
from fedlethe.runs.run_toml import opened_folder, read_run_document, toml_text, without_unused
from fedlethe.runs.where_to_begin import beginning, held_beginning
from fedlethe.types import ClientId, Evaluation, Vector
from fedlethe.vector import to_vector


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training.

    Attributes:
        run: The run folder.
        model: The final global checkpoint.
        evaluation: Of the final model on the test images.
        rounds: How many there are.
        examples: Images that went through a gradient step, over all rounds.
        seconds: Wall time of the rounds, recording included.
        recording_share: Share of that time spent on recording.
        bytes_sent: By the client that sent the most, over all rounds.
        refused: Updates that were not taken.
        resumed_after: The round after which this command went on; 0 for a fresh run.
        left_out: Reason to the number of images that the source did not take.
        left_out_erased: Whom and what it did without, since they were erased in what it began from.
        taken_back: Who was erased there and takes part again.
        not_checked: What could not be looked for, and why.
        unmoved: Weights, not frozen, that no gradient reached and that are as they began.
    """

    run: Path
    model: Path
    evaluation: Evaluation
    rounds: int
    examples: int
    seconds: float
    recording_share: float
    bytes_sent: int
    refused: tuple[Participation, ...]
    resumed_after: int
    left_out: dict[str, int]
    left_out_erased: tuple[LeftOut, ...] = ()
    taken_back: tuple[ClientId, ...] = ()
    not_checked: tuple[str, ...] = ()
    unmoved: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What must be known before the figures are read: see `cautions`; and what the training left as it was."""
        if not self.unmoved:
            return cautions(self.evaluation)
        shown, more = ", ".join(self.unmoved[:3]), len(self.unmoved) - 3
        unmoved = f"no gradient reached these weights, and they are as they began: {shown}"
        unmoved += f" and {more} more" if more > 0 else ""
        return (*cautions(self.evaluation), f"{unmoved}; freeze them (requires_grad=False), or use them")


def train_run(
    config: RunConfig,
    out: Path,
    finished_too: bool = False,
    after: Path | None = None,
    take_back: Sequence[ClientId] = (),
) -> Trained:
    """Train into `out`; where it holds an unfinished run of this configuration, go on after its last complete round.

    Args:
        config: What to train.
        out: The run folder.
        finished_too: Take a finished run of this configuration as it is, where it would be refused as taken.
        after: The folder of an erasure, whose model the training begins from; an unfinished run knows its own.
        take_back: Who was erased in what led to that model, and takes part again; all others who were do not.

    Raises:
        FedletheError: The folder is taken, or holds a run of another configuration, model or data; or a client to take
            back was not erased.
    """
    _demand_free_or_run(out)
    begun = beginning(config, out, after, take_back)
    scrub(begun.erased)  # to be compared they were decoded, and lie in the cache
    prepared = prepare(config, begun.erased)
    prepared.images.demand_options_used()
    if begun.after is None and learner_of(config).by_steps and len(prepared.data.clients) < 2:
        (only,) = prepared.data.clients
        raise DataError(f"client '{only}': is the only one, and so nobody could ever be erased; train with two or more")
    return train_prepared(prepared, out, finished_too, begun)


def train_prepared(
    prepared: Prepared,
    out: Path,
    finished_too: bool = False,
    begun: Beginning | None = None,
    evaluated: Callable[[int], bool] = lambda round: True,
    image_key: Key | None = None,
) -> Trained:
    """As `train_run`, what the configuration stands for being at hand.

    Args:
        prepared: The run, without whom and what `begun` leaves out.
        out: The run folder.
        finished_too: See `train_run`.
        begun: Where it begins; None where the folder says so, or for a fresh model.
        evaluated: Says after which rounds to evaluate; the last one is evaluated in any case.
        image_key: What the clients' fingerprints were made with, to be kept with the run's keys; None where there are
            none yet.
    """
    config, learner = prepared.config, learner_of(prepared.config)
    _demand_free_or_run(out)
    held = read_run_document(out) if (out / "run.toml").is_file() else None
    begun = begun or held_beginning(out, None, ()) or Beginning()
    document = run_document(prepared, begun)
    initial = _initial(prepared, out, begun.after, document)
    with ExitStack() as stack:
        unreached = learner.demand_fit(prepared, lambda: begun_parts(out, begun.after, stack))
    if held is not None:
        _demand_same(out, held, document)
        demand_given(prepared, held["run"], str(out))
    else:
        files.write_text(out / "run.toml", toml_text(document))
    with opened_folder(out, create=True) as (_, history), history.locked():
        resumed_after = history.rounds
        if resumed_after >= config.federation.rounds and not finished_too:
            raise HistoryError(f"{out}: is trained already ({resumed_after} rounds); choose another folder")
        history.begin(initial, prepared.layout)
        _enter(history, begun, image_key)
        with ExitStack() as stack:
            learner.train(prepared, history, lambda: earlier(out, stack), evaluated)
        return _summary(history, prepared.data.left_out, resumed_after, begun, unreached)


def _enter(history: RunFolder, begun: Beginning, image_key: Key | None) -> None:
    """Enter in the ledger, once, where the training begins: whom it leaves out, and whom it takes back."""
    if image_key is not None and not history.store.keys.living(IMAGES):
        history.store.keys.renewed(IMAGES, image_key)
    if begun.after is not None and not history.ledger.events(BEGAN):
        history.ledger.append([(BEGAN, begun.entry())])


def _initial(prepared: Prepared, out: Path, after: str | None, document: Document) -> Vector:
    """The model to begin with, shape (P,): a fresh one, or what an erasure led to.

    Raises:
        HistoryError: The erasure is of another model, or of rounds by another aggregator than the document's.
        ConfigError: It is of rounds by another aggregator that was handed over.
    """
    layout = prepared.layout
    if after is None:
        return to_vector(prepared.network, layout)
    with ExitStack() as stack:
        history, id = begun_after(out, after, stack)
        if difference := layout.difference(history.layout.shapes):
            raise HistoryError(f"{history.path}: holds a run of another model: {difference}")
        held = read_run_document(history.path)
        before, now = aggregation(held), aggregation(document)
        if before != now:  # a retraining goes through the rounds of both, and makes all of them in one way
            raise HistoryError(
                f"{history.path}: its rounds were made by {before[0]}, and these are to be made by "
                f"{'one of other code' if before[0] == now[0] else now[0]}, so that "
                "no retraining could make both again; give the same [aggregator], or begin from no erasure's model"
            )
        demand_given_aggregator(prepared, held["run"], str(history.path))
        return history.erased_model(id)


def _summary(
    history: RunFolder, left_out: Mapping[str, int], resumed_after: int, begun: Beginning, unreached: Sequence[str]
) -> Trained:
    training, recording = history.ledger.seconds()
    participation = history.ledger.participation()
    return Trained(
        run=history.path,
        model=history.path / history.final_path(),
        evaluation=from_json(history.ledger.evaluations()[history.rounds], Evaluation),
        rounds=history.rounds,
        examples=sum(entry.examples_processed or 0 for entry in participation),
        seconds=training + recording,
        recording_share=recording / (training + recording),
        bytes_sent=_bytes_sent(history, participation),
        refused=tuple(entry for entry in participation if entry.refused is not None),
        resumed_after=resumed_after,
        left_out=dict(left_out),
        left_out_erased=begun.left_out,
        taken_back=begun.take_back,
        not_checked=begun.not_checked,
        unmoved=tuple(_unmoved(history, unreached)),
    )


def _unmoved(history: RunFolder, unreached: Sequence[str]) -> Iterator[str]:
    """Those that are as they began: more images than were tried may have reached the others."""
    if unreached:
        before, after = (history.layout.tensors(model) for model in (history.initial(), history.final()))
        yield from (weight for weight in unreached if weight in before and torch.equal(before[weight], after[weight]))


def _bytes_sent(history: RunFolder, participation: Sequence[Participation]) -> int:
    """Statistics in a closed-form federation, else a model a round."""
    sent = [held.bytes for held in history.ledger.artefacts().values() if held.kind == "statistics" and held.client]
    rounds = Counter(entry.client for entry in participation)
    return max(sent or [4 * history.layout.size * max(rounds.values())])


def _demand_free_or_run(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise HistoryError(f"{out}: is a file; choose another path")
    if out.is_dir() and not (out / "run.toml").is_file():
        taken = next((path for path in out.iterdir() if path.suffix != files.ASIDE), None)
        if taken is not None:
            raise HistoryError(f"{out}: is taken (it holds {taken.name}); choose another folder")


def _demand_same(out: Path, held: Document, wanted: Document) -> None:
    before, after = _flat(held), _flat(without_unused(wanted))
    for key in sorted(before.keys() | after.keys(), key=lambda key: (key.startswith("run."), key)):
        # What was handed over from Python is held against the record by itself, since its figures may differ a little.
        known = key == "run.version" or key.startswith(f"run.{GIVEN}.")
        if before.get(key) != after.get(key) and not known:
            detail = f"its {key} is {before.get(key, 'unset')}, not {after.get(key, 'unset')}"
            raise HistoryError(f"{out}: holds another run: {detail}; choose another folder")


def _flat(document: Document, prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in document.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
