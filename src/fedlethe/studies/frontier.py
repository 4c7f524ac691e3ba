# SPDX-License-Identifier: MIT
"""The frontier: for every mask and epsilon, what hiding costs, what is left of the client, and how well it hides.

Each client is erased in turn, masked in several draws, evaluated and attacked; nothing is released, repaired or entered
in the ledger, and the draws follow from the run's seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedlethe.audit.attackers import guesses, outsider
from fedlethe.config.learning import Method
from fedlethe.document import demand_each_once, entry
from fedlethe.erasing.candidates import candidate_sets, incomputable, span_of
from fedlethe.erasing.coordinates import Frame, frame_of
from fedlethe.erasing.curvature import curvature
from fedlethe.erasing.masking import finished, shape_of
from fedlethe.erasing.unlearn_step import unlearned_by
from fedlethe.errors import ConfigError
from fedlethe.federation.metered import Meter
from fedlethe.history.disk import RunFolder
from fedlethe.history.study_files import enter_study, study_content
from fedlethe.plots import mask_frontier as pictures
from fedlethe.plots import style
from fedlethe.privacy.accounting import Array, gaussian_epsilon, gaussian_sigma, top_guess
from fedlethe.privacy.hiding import DELTA, KINDS, MaskKind, rounded_up
from fedlethe.privacy.mask import IsotropicMask, Mask, demand_sigma, subspace
from fedlethe.privacy.noise import Noise
from fedlethe.privacy.span import Span
from fedlethe.progress import bar
from fedlethe.runs.records import from_json, to_json
from fedlethe.runs.run import OpenRun, demand_complete
from fedlethe.seeding import numpy_generator
from fedlethe.studies.figures import NO_MASK, NOTHING, SIGMA_GIVEN, Look, Probe, figures
from fedlethe.studies.releases import Scene, scene_of, simulated, times_named
from fedlethe.types import ClientId, HidingPoint, TimesNamed, Vector

EPSILONS = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 16.0)
RELEASES = 4000
"""Simulated releases that each attack is tried on, all clients together."""


@dataclass(frozen=True, slots=True)
class Frontier:
    """What the study found.

    Attributes:
        run: The run folder.
        method: How clients were erased.
        clients: Who, in turn.
        draws: Of the noise, for each client and size.
        delta: At which epsilon is told.
        points: All of it.
    """

    run: Path
    method: str
    clients: tuple[ClientId, ...]
    draws: int
    delta: float
    points: tuple[HidingPoint, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """One way of erasing.

    Attributes:
        name: What it is called.
        isotropic: The candidates, and what attackers know, in the coordinates of the isotropic mask.
        framed: The same in the other masks'.
        frame: Those coordinates.
        hessian: What noise costs there, shape (n, n).
        source: What that was taken from.
    """

    name: str
    isotropic: Scene
    framed: Scene
    frame: Frame
    hessian: Array
    source: str

    def scene(self, mask: Mask) -> Scene:
        """In the coordinates of a mask."""
        return self.isotropic if isinstance(mask, IsotropicMask) else self.framed

    def release(self, mask: Mask, erased: int, noise: Noise) -> Vector:
        """The candidate of index `erased`, masked: shape (P,)."""
        # Isotropic noise is added to the weights as they are, so there are no coordinates to leave.
        vector = mask.release(self.scene(mask).span, erased, noise)
        return vector if isinstance(mask, IsotropicMask) else self.frame.leave(vector)


_NO_NOISE: tuple[Mask, None] = (IsotropicMask(), None)


@dataclass(frozen=True, slots=True)
class _Size:
    """A mask and how large it is: by epsilon, or by sigma."""

    kind: MaskKind
    epsilon: float | None = None
    sigma: float = 0.0

    @property
    def name(self) -> str:
        """Of the mask in tables and plots."""
        return SIGMA_GIVEN if self.epsilon is None else self.kind

    def mask(self, setting: Setting, delta: float) -> tuple[Mask, float]:
        """The mask, and the sigma that says how well it hides."""
        span = (setting.isotropic if self.kind == "isotropic" else setting.framed).span
        sigma = self.sigma if self.epsilon is None else gaussian_sigma(self.epsilon, delta, rounded_up(span.distance))
        if self.kind == "isotropic":
            return IsotropicMask(sigma=sigma), sigma
        if self.kind == "subspace":
            return subspace(sigma, span), sigma
        return shape_of(span, setting.hessian, sigma, setting.source)[0], sigma


def frontier(
    run: OpenRun,
    method_name: str,
    methods: Mapping[str, Method],
    epsilons: Sequence[float] = EPSILONS,
    masks: Sequence[str] = KINDS,
    sigmas: Sequence[float] = (),
    *,
    draws: int,
    delta: float = DELTA,
) -> Frontier:
    """Measure it.

    Args:
        run: A finished run.
        method_name: The methods' row in METHODS.
        methods: The same method with one or several settings, by what they are called.
        epsilons: Each above 0.
        masks: Of KINDS.
        sigmas: Also isotropic noise of these sizes: the paper's.
        draws: Of the noise, for each client and size, at least 1.
        delta: In (0, 1).

    Raises:
        FedletheError: An argument is out of range, the candidates cannot be computed, or there is one client alone.
    """
    demand_complete(run)
    sizes = _sizes(epsilons, masks, sigmas, draws, delta)
    if problem := next((why for one in methods.values() if (why := incomputable(one, method_name))), None):
        raise ConfigError(f"{problem}; its frontier cannot be drawn")
    clients = tuple(client for client in run.past().clients if client in run.data.clients)
    # For its check: of one client alone nothing can be hidden.
    candidate_sets(clients, 1)
    probe = Probe.of(run)
    # What an attacker without access saw before the erasure: it compares the two.
    before = {client: probe.look(run.past().final(), [client]) for client in clients}
    points = [_untouched(before, delta)]
    with bar("frontier, models", len(methods) * len(clients) * (1 + draws * len(sizes))) as advance:
        for name, method in methods.items():
            setting = setting_of(run, name, method, clients)
            points += [_point(probe, setting, size, before, draws, delta, advance) for size in (None, *sizes)]
    result = Frontier(run.path, method_name, clients, draws, delta, tuple(points))
    enter_study(run.history, "frontier", to_json(result, Frontier))
    style.save(pictures.frontier(result.points), run.path / "report")
    return result


def saved_frontier(history: RunFolder) -> Frontier | None:
    """The run's frontier, where one was made."""
    content = study_content(history, "frontier")
    return None if content is None else from_json(content, Frontier)


def _sizes(
    epsilons: Sequence[float], masks: Sequence[str], sigmas: Sequence[float], draws: int, delta: float
) -> list[_Size]:
    if draws < 1:
        raise ConfigError(f"draws {draws}: must be at least 1")
    if not epsilons and not sigmas:
        raise ConfigError("no epsilon is given; name at least one, such as 1, 3 and 8")
    kinds = [entry("mask", name, {kind: kind for kind in KINDS}) for name in masks]
    for what, given in {"mask": masks, "epsilon": epsilons, "sigma": sigmas}.items():
        demand_each_once(what, given)
    try:
        for epsilon in epsilons:
            gaussian_sigma(epsilon, delta)
        for sigma in sigmas:
            demand_sigma(sigma)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    by_epsilon = [_Size(kind, epsilon=epsilon) for kind in kinds for epsilon in sorted(epsilons)]
    return by_epsilon + [_Size("isotropic", sigma=sigma) for sigma in sorted(sigmas) if sigma > 0]


def setting_of(run: OpenRun, name: str, method: Method, clients: Sequence[ClientId]) -> Setting:
    """The candidates of a method: each of these clients erased.

    Raises:
        FedletheError: They coincide.
    """

    def unlearned(forget: Sequence[ClientId]) -> Vector:
        return unlearned_by(run, forget, method, run.past(), Meter()).model

    # What a mask hides is told by the candidates' distances in its own coordinates (see `erasing.coordinates`).
    raw, frame = Frame(run.layout), frame_of(run, "subspace")
    span = span_of([(client,) for client in clients], unlearned)
    if span.rank == 0:
        raise ConfigError(f"{name}: all candidates coincide; sigma 0 suffices to hide who left, there is no frontier")
    isotropic = scene_of(run.past(), run.history.keep, clients, span, raw)
    framed = isotropic
    # Of a network all masks have the same coordinates; of a linear head they have not.
    if frame.mean is not None:
        entered = Span.of([frame.enter(model) for model in span.models])
        framed = scene_of(run.past(), run.history.keep, clients, entered, frame)
    hessian, source = curvature(run, framed.span, frame)
    return Setting(name, isotropic, framed, frame, hessian, source)


def _untouched(before: Mapping[ClientId, Look], delta: float) -> HidingPoint:
    """The trained model, each client's traces in it."""
    return _hiding_point("", NOTHING, "before", list(before.values()), (), len(before), delta)


def _point(
    probe: Probe,
    setting: Setting,
    size: _Size | None,
    before: Mapping[ClientId, Look],
    draws: int,
    delta: float,
    advance: Callable[[], None],
) -> HidingPoint:
    """All clients erased in turn, at one size of one mask; none, if there is no size."""
    run = probe.run
    mask, sigma = _NO_NOISE if size is None else size.mask(setting, delta)
    key = ("frontier", setting.name, *(("",) if size is None else (size.kind, repr(size.epsilon), repr(size.sigma))))
    looks, losses, true = [], [], []
    for index, client in enumerate(before):
        for draw in range(1 if size is None else draws):
            noise = numpy_generator(run.config.seed, "frontier", client, draw)  # the same for all: they are compared
            model = finished(run.past(), setting.release(mask, index, noise))
            looks.append(probe.look(model, [client]))
            losses.append(looks[-1].losses)
            true.append(index)
            advance()
    # Of its own for each point: to leave a size out changes no other size's figures.
    generator = numpy_generator(run.config.seed, *key, "attack")
    names = simulated(setting.scene(mask), mask, -(-RELEASES // len(before)), generator)
    # The outsider is measured on real models; the other two on simulated releases, which cost no evaluation.
    rise = outsider(next(iter(before.values())).losses, np.stack(losses))
    guessed = times_named("outsider", guesses(rise, generator) == np.array(true))
    kind, stage = (NO_MASK, "unlearned") if size is None else (size.name, "masked")
    return _hiding_point(
        setting.name,
        kind,
        stage,
        looks,
        (*names, guessed),
        len(before),
        delta,
        sigma,
        rounded_up(setting.scene(mask).span.distance),
    )


def _hiding_point(
    setting: str,
    mask: str,
    stage: str,
    looks: Sequence[Look],
    names: Sequence[TimesNamed],
    candidates: int,
    delta: float,
    sigma: float | None = None,
    distance: float = 0.0,
) -> HidingPoint:
    """The figures of some models together, and what noise of `sigma` guarantees among so many candidates."""
    return HidingPoint(
        setting=setting,
        mask=mask,
        stage=stage,
        sigma=sigma,
        epsilon=None if sigma is None else gaussian_epsilon(delta, sigma, distance),
        delta=delta,
        bound=None if sigma is None else top_guess(distance / sigma, candidates),
        chance=1 / candidates,
        models=len(looks),
        **figures(looks),
        named=tuple(names),
    )
