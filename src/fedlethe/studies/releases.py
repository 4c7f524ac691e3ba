# SPDX-License-Identifier: MIT
"""Who-left attacks on simulated releases: thousands of draws of a mask, in coordinates of the vectors that matter."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedlethe.audit.attackers import Success, full_knowledge, guesses, server_view
from fedlethe.erasing.coordinates import Frame
from fedlethe.history.history import History
from fedlethe.later import torch
from fedlethe.privacy.accounting import Array
from fedlethe.privacy.mask import IsotropicMask, Mask
from fedlethe.privacy.span import Span
from fedlethe.types import ClientId, Need, TimesNamed, Vector


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What the attackers know, in an orthonormal basis of D <= 2 K dimensions that holds all of it.

    Attributes:
        span: The candidates, each one client erased.
        before: The trained model, shape (D,).
        candidates: Shape (K, D).
        influences: What each client put into the model, shape (K, D).
        axes: The basis of the candidates' span, shape (n, D).
    """

    span: Span
    before: Array
    candidates: Array
    influences: Array
    axes: Array

    def products(self, mask: Mask, per_client: int, generator: np.random.Generator) -> Array:
        """Released vectors, each client erased so many times in turn: shape (K x per_client, D)."""
        count = len(self.candidates)
        true = self.candidates.repeat(per_client, axis=0)
        if isinstance(mask, IsotropicMask):
            return true + mask.sigma * generator.standard_normal(true.shape)
        # Noise of the other masks lies in the candidates' span: elsewhere the attacker has nothing to tell it by.
        noise = generator.standard_normal((count * per_client, len(self.axes)))
        released: Array = true + noise @ mask.factor.T @ self.axes
        return released


def scene_of(past: History, keep: Collection[Need], clients: Sequence[ClientId], span: Span, frame: Frame) -> Scene:
    """The scene of erasing one of these clients; an influence that is not kept is what erasing takes away.

    Args:
        past: The history of all that led to the model.
        keep: What is kept of it.
        clients: Whom the candidates are without, in their order.
        span: Of the candidates.
        frame: Its coordinates.
    """
    trained = past.final()

    def without(client: ClientId, candidate: Vector) -> Vector:
        if Need.INFLUENCE not in keep:
            return candidate
        return frame.enter(torch.sub(trained, past.influence(client)))

    # In one basis with the candidates, so that nothing of the P weights is needed once it is made.
    others = [without(client, model) for client, model in zip(clients, span.models, strict=True)]
    whole = Span.of([frame.enter(trained), *span.models, *others])
    points, count = whole.coordinates, len(clients)
    candidates = points[1 : count + 1]
    return Scene(
        span=span,
        before=points[0],
        candidates=candidates,
        influences=points[0] - points[count + 1 :],
        axes=span.basis.T @ (candidates - candidates.mean(axis=0)),
    )


def simulated(
    scene: Scene, mask: Mask, per_client: int, generator: np.random.Generator
) -> tuple[TimesNamed, TimesNamed]:
    """How often the server view and full knowledge name the client, each erased `per_client` times."""
    released = scene.products(mask, per_client, generator)
    # Each client equally often: a guess is worth what it is when all are equally likely.
    true = np.arange(len(scene.candidates)).repeat(per_client)
    seen = guesses(server_view(scene.before - released, scene.influences), generator)
    if isinstance(mask, IsotropicMask):
        likeness = full_knowledge(released, scene.candidates)
    else:
        middle = scene.candidates.mean(axis=0)
        within = (released - middle) @ scene.axes.T
        factor = mask.factor if np.any(mask.factor) else None
        likeness = full_knowledge(within, scene.span.coordinates, factor)
    return times_named("server view", seen == true), times_named("full knowledge", guesses(likeness, generator) == true)


def times_named(attacker: str, right: npt.NDArray[np.bool_]) -> TimesNamed:
    """An attacker's success over trials, with its interval."""
    success = Success.of(right)
    return TimesNamed(attacker, success.hits, success.trials, success.low, success.high)
