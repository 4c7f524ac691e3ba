# SPDX-License-Identifier: MIT
"""Who left? Erase each client in turn, several times, and let three attackers guess at every stage, repair included.

What each has is told in `audit.attackers`. Where everybody but the client repairs, full knowledge goes further: it has
seen the model before the round (every client has), trains everybody from it itself, a few times with shuffles of its
own, asks how near the round without each client comes to what it saw (the likelihood of Gaussian differences of unknown
variance), and adds that to what it knew before. Where only a few repair, who show that they are not gone, their round
is the same whoever is: the guess at the masked model stands. Nothing is released or entered in the ledger; all draws
follow from the run's seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fedlethe.audit.attackers import ATTACKERS, Attacker, full_knowledge, guesses, outsider, server_view
from fedlethe.erasing.candidates import incomputable
from fedlethe.erasing.masking import Masked, ToMask, decoyed, masked
from fedlethe.erasing.order import ErasureOrder
from fedlethe.erasing.repairing import repair_rounds
from fedlethe.erasing.unlearn_step import unlearned_by
from fedlethe.errors import ConfigError
from fedlethe.federation.aggregate import shares
from fedlethe.federation.aggregator import aggregated
from fedlethe.federation.metered import Meter
from fedlethe.history.disk import RunFolder
from fedlethe.history.study_files import enter_study, study_content
from fedlethe.later import torch
from fedlethe.plots import mask_frontier as pictures
from fedlethe.plots import style
from fedlethe.privacy.accounting import Array
from fedlethe.privacy.hiding import Hidden
from fedlethe.privacy.mask import SpanMask
from fedlethe.privacy.span import ROUNDING, Span
from fedlethe.progress import bar
from fedlethe.runs.records import from_json, to_json
from fedlethe.runs.run import OpenRun, demand_complete
from fedlethe.seeding import derive, numpy_generator
from fedlethe.studies.figures import NO_MASK, Look, Probe, figures
from fedlethe.studies.releases import times_named
from fedlethe.types import ClientId, HidingPoint, Need, RoundRecord, Vector

RERUNS = 3
"""How often full knowledge trains a repair round again: updates differ by their shuffles, their mean by less."""


@dataclass(frozen=True, slots=True)
class WhoLeft:
    """What the study found.

    Attributes:
        run: The run folder.
        request: How each client was erased, see `ErasureOrder.to_dict`.
        clients: Who, in turn.
        draws: How often each.
        points: One for each stage.
    """

    run: Path
    request: Mapping[str, Any]
    clients: tuple[ClientId, ...]
    draws: int
    points: tuple[HidingPoint, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """One model that an attacker saw, at one stage of one erasure."""

    stage: str
    true: int
    among: int
    look: Look
    scores: dict[Attacker, Array]
    hidden: Hidden | None


def who_left(run: OpenRun, request: ErasureOrder, draws: int) -> WhoLeft:
    """Measure it.

    Args:
        run: A finished run that keeps influences.
        request: How to erase; whom it names does not matter.
        draws: How often each client is erased, at least 1.

    Raises:
        FedletheError: An argument is out of range, or the mask that is asked for cannot be made.
    """
    demand_complete(run)
    if draws < 1:
        raise ConfigError(f"draws {draws}: must be at least 1")
    study = _Study(run, request)
    seen: list[_Seen] = []
    with bar("who left, erasures", len(study.clients) * draws) as advance:
        for index in range(len(study.clients)):
            for draw in range(draws):
                seen += study.erased(index, draw)
                advance()
    points = study.points(seen)
    asked = replace(request, forget=()).to_dict()
    result = WhoLeft(run.path, asked, study.clients, draws, points)
    enter_study(run.history, "identity", to_json(result, WhoLeft))
    style.save(pictures.identity(points), run.path / "report")
    return result


def saved_who_left(history: RunFolder) -> WhoLeft | None:
    """The run's study of who left, where one was made."""
    content = study_content(history, "identity")
    return None if content is None else from_json(content, WhoLeft)


class _Study:
    """One way of erasing, the same for every client in turn."""

    def __init__(self, run: OpenRun, request: ErasureOrder) -> None:
        self.run, self.request = run, request
        self.clients = tuple(client for client in run.past().clients if client in run.data.clients)
        self.probe = Probe.of(run)
        self.trained = run.past().final()
        self.before = self.probe.look(self.trained, self.clients).losses
        most = len(self.clients) - 2  # one is erased, and one must be left
        if not 0 <= request.decoys <= max(most, 0):
            raise ConfigError(f"decoys {request.decoys}: must be 0 to {max(most, 0)} of {len(self.clients)} clients")
        if (few := request.repair.clients) is not None and request.repair.rounds and few > most + 1:
            raise ConfigError(f"repair clients {few}: must be 1 to {most + 1} of {len(self.clients)} clients")
        # The model before noise is the same in every draw, so it is made once.
        self._models: dict[tuple[ClientId, ...], Vector] = {}
        problem = incomputable(request.method, request.method_name)
        if problem is not None and not request.decoys:
            raise ConfigError(f"{problem}; who is named cannot be measured, except with decoys")
        self.candidates = None if problem else Span.of([self.unlearned((client,)) for client in self.clients])
        self.influences = Span.of([self.trained, *(self._without(client) for client in self.clients)])

    def unlearned(self, forget: Sequence[ClientId]) -> Vector:
        """The model without these clients, shape (P,)."""
        key = tuple(sorted(forget))
        if key not in self._models:
            self._models[key] = unlearned_by(self.run, key, self.request.method, self.run.past(), Meter()).model
        return self._models[key]

    def _without(self, client: ClientId) -> Vector:
        """The trained model less the influence of a client, shape (P,); without the client, where that is not kept."""
        if Need.INFLUENCE in self.run.history.keep:
            return torch.sub(self.trained, self.run.past().influence(client))
        return self.unlearned((client,))

    def erased(self, index: int, draw: int) -> Iterator[_Seen]:
        """Erase one client, and yield what is seen at each stage."""
        run, client, repair = self.run, self.clients[index], self.request.repair
        # Seeded, unlike a real erasure's: nothing is released here, and the study is to be repeatable.
        generator = numpy_generator(run.config.seed, "identity", client, draw)
        others = [other for other in self.clients if other != client]
        decoys, few = (
            sorted(generator.choice(others, size, replace=False).tolist()) if size else []
            for size in (self.request.decoys, repair.clients if repair.rounds else 0)
        )
        request = replace(self.request, forget=tuple(sorted([client, *decoys])))
        # Who repairs is seen to be there, so it is among the others that somebody is missing.
        names = request.forget if decoys else tuple(other for other in self.clients if other not in few)
        among = [self.clients.index(name) for name in names]
        chosen = tuple(few) if few or not repair.rounds else None
        model = self.unlearned(request.forget)
        hidden = decoyed(request.forget, len(decoys)) if decoys else None
        likeness = np.zeros(len(self.clients)) if decoys else self._nearest(model)
        if request.mask.adds_noise:
            erased = ToMask(
                forget=request.forget,
                model=model,
                method=request.method,
                method_name=request.method_name,
                unlearned=self.unlearned,
                repairers=chosen,
            )
            mask = masked(run, run.past(), erased, request.mask, lambda: generator)
            model, hidden = mask.model, mask.hidden
            likeness = self._likeness(mask, among)
        stage = "masked" if request.mask.adds_noise else "unlearned"
        yield self._seen(stage, index, among, model, likeness, hidden)
        # What holds for a model on the way says nothing of what the repair makes of it.
        if hidden is not None and not hidden.released:
            hidden = None
        for record in repair_rounds(run, request, run.past(), model, chosen, Meter()):
            # A repair by all but one tells by itself who is missing, however large the noise was.
            if chosen is None and not decoys:
                likeness = likeness + self._without_whom(record, draw)
            yield self._seen(f"repaired {record.round}", index, among, record.after, likeness, hidden)

    def _seen(
        self, stage: str, index: int, among: Sequence[int], model: Vector, likeness: Array, hidden: Hidden | None
    ) -> _Seen:
        points = self.influences.coordinates
        change = points[0] - self.influences.project([model])  # (1, n)
        scores: dict[Attacker, Array] = {
            "server view": server_view(change, points[0] - points[1:])[0],
            "full knowledge": likeness,
        }
        seen = self.probe.look(model, [self.clients[index]])
        scores["outsider"] = outsider(self.before, seen.losses[None])[0]
        outside = np.setdiff1d(np.arange(len(self.clients)), among)
        for values in scores.values():
            # No attacker names a client that it knows not to be the one: its chances would look too small.
            values[outside] = -np.inf
        return _Seen(stage, index, len(among), seen, scores, hidden)

    def _nearest(self, model: Vector) -> Array:
        """Full knowledge without noise but rounding: the nearest candidate, shape (K,)."""
        assert self.candidates is not None
        likeness: Array = full_knowledge(self.candidates.project([model]), self.candidates.coordinates)[0]
        return likeness / (ROUNDING * float(torch.linalg.vector_norm(model, dtype=torch.float64))) ** 2

    def _likeness(self, mask: Masked, among: Sequence[int]) -> Array:
        """Full knowledge of the noise, shape (K,): the likelihood of each client that may be the one."""
        assert mask.span is not None
        assert mask.frame is not None
        factor = mask.mask.factor if isinstance(mask.mask, SpanMask) and np.any(mask.mask.factor) else None
        found = np.full(len(self.clients), -np.inf)
        found[list(among)] = full_knowledge(
            mask.span.project([mask.frame.enter(mask.model)]), mask.span.coordinates, factor
        )[0]
        return found

    def _without_whom(self, record: RoundRecord, draw: int) -> Array:
        """Full knowledge of a round by all but one: the log-likelihood of each to be the one, shape (K,)."""
        settings = self.request.repair.settings(self.run.config.local)
        usual = {client: torch.zeros_like(record.before) for client in self.clients}
        examples: dict[ClientId, int] = {}
        for again in range(RERUNS):
            # Other shuffles than the server's: full knowledge has the images, and not its random numbers.
            federation = self.run.federation(derive(self.run.config.seed, "identity attacker", draw, again))
            for update in federation.train(record.before, self.clients, round=record.round, settings=settings):
                usual[update.client].add_(update.model, alpha=1 / RERUNS)
                examples[update.client] = update.num_examples
        squares = []
        for client in self.clients:
            rest = {name: model for name, model in usual.items() if name != client}
            weights = shares({name: examples[name] for name in rest})
            after = aggregated(self.run.config.learning.aggregator, self.run.layout, record.before, rest, weights)
            squares.append(float((record.after - after).double().square().sum()))
        likeness: Array = -record.after.numel() / 2 * np.log(squares)
        return likeness

    def points(self, seen: Sequence[_Seen]) -> tuple[HidingPoint, ...]:
        """The figures of each stage."""
        stages = dict.fromkeys(one.stage for one in seen)
        return tuple(self._point(stage, [one for one in seen if one.stage == stage]) for stage in stages)

    def _point(self, stage: str, seen: Sequence[_Seen]) -> HidingPoint:
        generator = numpy_generator(self.run.config.seed, "identity guesses", stage)
        true = np.array([one.true for one in seen])
        hidden = [one.hidden for one in seen if one.hidden is not None]
        # The bound of a stage has to hold for every erasure in it.
        worst = max(hidden, key=lambda one: one.guess) if hidden else None
        return HidingPoint(
            setting=_words(self.request),
            mask=worst.by if worst else NO_MASK if not self.request.mask.adds_noise else self.request.mask.chosen,
            stage=stage,
            sigma=worst.sigma if worst else None,
            epsilon=worst.epsilon if worst else None,
            delta=self.request.mask.delta,
            bound=worst.guess if worst else None,
            chance=1 / seen[0].among,
            models=len(seen),
            **figures([one.look for one in seen]),
            named=tuple(
                times_named(attacker, guesses(np.stack([one.scores[attacker] for one in seen]), generator) == true)
                for attacker in ATTACKERS
            ),
        )


def _words(request: ErasureOrder) -> str:
    """What was done to hide, in a few words."""
    if request.decoys:
        return f"{request.decoys} decoys"
    repaired = "all repair" if request.repair.clients is None else f"{request.repair.clients} repair"
    return repaired if request.repair.rounds else "no repair"
