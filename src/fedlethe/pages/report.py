# SPDX-License-Identifier: MIT
"""The page of a run: what was trained, what was erased, what the studies showed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fedlethe import files
from fedlethe.erasing.record import Erasure, erasures
from fedlethe.federation.aggregator import MEAN
from fedlethe.federation.cautions import cautions
from fedlethe.history.disk import RunFolder
from fedlethe.pages.page import Page, PageTable, Picture, Section, figures_table, render, stages_table
from fedlethe.pages.request_sections import request_sections
from fedlethe.plots import accuracy_curves, images_held, noise_sweep, round_traces, style
from fedlethe.plots import mask_frontier as hiding_plots
from fedlethe.runs.inspection import class_counts, kept, sample_images
from fedlethe.runs.records import from_json
from fedlethe.runs.run import OpenRun
from fedlethe.runs.run_toml import read_run_document
from fedlethe.studies.frontier import saved_frontier
from fedlethe.studies.sweep import saved_sweep
from fedlethe.studies.trace import saved_traces
from fedlethe.studies.who_left import saved_who_left
from fedlethe.types import Cost, Evaluation, Stage


@dataclass(frozen=True, slots=True)
class Report:
    """The page that was written, and the pictures in it.

    Attributes:
        run: The run folder.
        page: The page's file.
        pictures: How many there are on it.
    """

    run: Path
    page: Path
    pictures: int


def report(run: OpenRun) -> Report:
    """Draw what the run has to show and write RUN/report/index.html, one self-contained page.

    Raises:
        FedletheError: The folder cannot be written.
    """
    requested = request_sections(run.history, lambda plot, folder: _picture(run.history, plot, folder))
    sections = [
        *_data_sections(run),
        *_training_sections(run.history),
        *requested,
        *_erasure_sections(run.history),
        *_study_sections(run.history),
    ]
    done = erasures(run.history)
    gone = sorted({client for erasure in done for client in erasure.forget})
    page = Page(
        title=f"fedlethe: {run.path.name}",
        lead=_lead(len(run.data.clients), gone),
        facts=_facts(run, done),
        sections=sections,
    )
    path = run.path / "report" / "index.html"
    files.write_text(path, render(page))
    return Report(run.path, path, sum(len(section.pictures) for section in sections))


def _lead(hospitals: int, gone: list[str]) -> str:
    trained = f"{hospitals} hospitals trained one model together; no image left its hospital."
    return f"{trained} Taken out of it afterwards: {', '.join(gone)}." if gone else trained


def _facts(run: OpenRun, done: list[Erasure]) -> dict[str, str]:
    document = read_run_document(run.path)
    return {
        "Data": f"{run.config.source_name}, images of {' x '.join(map(str, run.images.image_shape))}",
        "Data fingerprint": run.data.fingerprint,
        "Model": f"{run.config.model_name}, {run.layout.size:,} floats",
        **({} if (name := run.config.learning.aggregator_name) in (None, MEAN) else {"Aggregator": str(name)}),
        "Rounds": f"{run.history.rounds} of {run.config.federation.rounds}",
        "Clients": ", ".join(run.data.clients),
        "Erasures": str(len(done)),
        "Seed": str(run.config.seed),
        "fedlethe": document["run"]["version"],
    }


def _picture(history: RunFolder, plot: style.Plot, folder: str = "report") -> Picture:
    png = style.save(plot, history.path / folder)
    return Picture.of(plot, png, f"{folder}/{plot.name}.csv")


def _data_sections(run: OpenRun) -> Iterator[Section]:
    if run.remote is not None:
        yield _remote_section(run.history)
        return
    train, test = class_counts(run.data, "train"), class_counts(run.data, "test")
    header = ("client", *(f"{split} {name}" for split in ("train", "test") for name in run.data.classes))
    rows = [[client, *map(str, train[client].values()), *map(str, test[client].values())] for client in train]
    samples = sample_images(run.images)
    drawn = [_picture(run.history, images_held.class_mix(train))]
    if samples:
        drawn.append(_picture(run.history, images_held.contact_sheet(samples)))
    left_out = [f"Left out: {count:,} images, {reason}." for reason, count in run.data.left_out.items()]
    yield Section("The hospitals and their images", left_out, [PageTable("images", header, rows)], drawn)


def _remote_section(history: RunFolder) -> Section:
    """What is known of images that are on other machines."""
    held = {entry.client: entry.num_examples for entry in history.ledger.participation() if entry.num_examples}
    rows = [(client, str(held.get(client, "unknown"))) for client in history.clients]
    text = ["The images stay on the nodes; only models and counts have reached this machine."]
    return Section(
        "The hospitals and their images", text, [PageTable("images", ("client", "training images"), rows)], []
    )


def _training_sections(history: RunFolder) -> Iterator[Section]:
    curve = [(round, from_json(text, Evaluation)) for round, text in history.ledger.evaluations().items()]
    if not curve:
        return
    training, recording = history.ledger.seconds()
    text = [f"{len(curve)} rounds took {training + recording:.0f} seconds, {recording:.1f} of them for the record."]
    refused = [entry for entry in history.ledger.participation() if entry.refused is not None]
    text = [*_warned(cautions(curve[-1][1])), *text]
    text += [f"Round {entry.round}: the update of {entry.client} was refused: {entry.refused}." for entry in refused]
    rows = [(held.kind, held.files, f"{held.bytes:,}") for held in kept(history)]
    sizes = PageTable("the record", ("kind", "files", "bytes"), rows)
    final = figures_table(Stage("final model", curve[-1][1], Cost()), ())
    yield Section("Training", text, [final, sizes], [_picture(history, accuracy_curves.training_curve(curve))])


def _erasure_sections(history: RunFolder) -> Iterator[Section]:
    for erasure in erasures(history):
        text = [
            *_warned(erasure.warnings),
            f"Method: {erasure.method}. Request: {json.dumps(erasure.request, sort_keys=True)}.",
            f"What is certain: {erasure.guarantee or 'nothing is guaranteed; there is evidence at most'}.",
            f"Cost: {erasure.cost.examples:,} training examples by {', '.join(erasure.cost.clients) or 'nobody'}, "
            f"{erasure.cost.seconds:.1f} seconds; retraining takes {erasure.retraining} examples.",
        ]
        text += [f"Who left: {line}." for line in erasure.hiding]
        plot = _picture(history, accuracy_curves.erasure_stages(erasure.stages, erasure.forget), f"report/{erasure.id}")
        tables = [
            stages_table(erasure.stages, erasure.forget),
            figures_table(erasure.stages[-1], erasure.forget),
        ]
        title = f"Erasure {erasure.id}: {erasure.subject} by {erasure.method}"
        yield Section(title, text, tables, [plot])


def _warned(warnings: Iterable[str]) -> Iterator[str]:
    yield from (f"Warning: {warning}." for warning in warnings)


def _study_sections(history: RunFolder) -> Iterator[Section]:
    if (swept := saved_sweep(history)) is not None:
        plot = _picture(history, noise_sweep.sweep(swept.points, swept.untouched))
        yield Section("Noise: what it costs", [f"Method: {swept.method}."], (), [plot])
    if (masks := saved_frontier(history)) is not None:
        text = [f"Method: {masks.method}. {len(masks.clients)} hospitals, {masks.draws} draws of the noise for each."]
        drawn = _picture(history, hiding_plots.frontier(masks.points))
        yield Section("Masks: what it costs to hide who left", text, (), [drawn])
    if (left := saved_who_left(history)) is not None:
        text = [f"{left.points[0].setting}: each hospital erased {left.draws} times."]
        text += [f"Request: {json.dumps(left.request, sort_keys=True)}."]
        yield Section("Who left?", text, (), [_picture(history, hiding_plots.identity(left.points))])
    for traced in saved_traces(history):
        both = (
            round_traces.trace_global(traced.points, traced.client),
            round_traces.trace_unlearned(traced.points, traced.client),
        )
        pictures = [_picture(history, plot) for plot in both]
        yield Section(f"{traced.client} erased after every round", [f"Method: {traced.method}."], (), pictures)
