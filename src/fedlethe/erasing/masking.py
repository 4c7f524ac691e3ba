# SPDX-License-Identifier: MIT
"""Hiding who left, as one step of an erasure: the candidates, the mask that was asked for, and what it hides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from fedlethe.config.learning import Method
from fedlethe.erasing.candidates import Clients, candidate_sets, erasable, incomputable, span_of
from fedlethe.erasing.coordinates import Frame, frame_of
from fedlethe.erasing.curvature import curvature
from fedlethe.errors import FedletheError, RequestError
from fedlethe.history.history import History
from fedlethe.later import torch
from fedlethe.privacy.accounting import Array
from fedlethe.privacy.hiding import DELTA, Hidden, Masking, MaskKind, hidden_by, hidden_together, rounded_up
from fedlethe.privacy.mask import IsotropicMask, Mask, SpanMask, shaped, subspace
from fedlethe.privacy.noise import Noise
from fedlethe.privacy.shape import cheapest
from fedlethe.privacy.span import Span
from fedlethe.runs.run import OpenRun
from fedlethe.types import ClientId, Vector

Draw: TypeAlias = Callable[[], Noise]
"""Gives the noise; what cannot be made does not ask for it."""

RELEASED = "the released model, for whoever knows the trained model, every candidate and how it was masked"
BEFORE_REPAIR = (
    "the masked model alone, which is not what is released: everybody but the client repairs it, and that shows who is "
    "missing (no repair, or one by a few clients, keeps the cover)"
)
BY_DECOYS = "the released model and all that is recorded of the erasure: whichever of them asked, the same was done"
LEFT_BY_DECOYS = "that one of them asked; who trains later; whoever took the request"


@dataclass(frozen=True, slots=True, eq=False)
class Masked:
    """A masked model, and what is hidden.

    Attributes:
        model: Shape (P,).
        hidden: None where nothing is claimed ...
        problem: ... and why.
        span: The candidates', where they were computed, and ...
        mask: ... the mask: what a full-knowledge attacker has.
        frame: In whose coordinates.
    """

    model: Vector
    hidden: Hidden | None = None
    problem: str | None = None
    span: Span | None = None
    mask: Mask | None = None
    frame: Frame | None = None


@dataclass(frozen=True, kw_only=True)
class ToMask:
    """What is to be masked.

    Attributes:
        forget: Who is erased.
        model: Without them, shape (P,).
        method: How that was made.
        method_name: Its row in METHODS.
        unlearned: What the same method makes without others.
        repairers: Those who repair the model afterwards; None for all that are left, empty for nobody.
        after: Whether it comes after other erasures.
    """

    forget: Clients
    model: Vector
    method: Method
    method_name: str
    unlearned: Callable[[Clients], Vector]
    repairers: tuple[ClientId, ...] | None = ()
    after: bool = False


def demand_candidates(method: Method, name: str, masking: Masking) -> None:
    """Refuse a mask that takes candidates, where a method has none that can be computed; a plain sigma takes none."""
    problem = incomputable(method, name)
    if problem is not None and (masking.guarantees or (masking.adds_noise and masking.chosen != "isotropic")):
        raise RequestError(f"{problem}; a sigma adds noise of which nothing is claimed, decoys hide without any")


def masked(run: OpenRun, history: History, erased: ToMask, masking: Masking, noise: Draw) -> Masked:
    """The model with the noise that was asked for, which is drawn once it is known that there can be a mask.

    Raises:
        FedletheError: There is nobody to hide among; max_guess is not above the chance of a blind guess; or the noise
            exceeds what float32 holds.
    """
    # Those who repair are plainly not gone, so nobody hides among them.
    others = [client for client in erasable(run, history) if client not in (erased.repairers or ())]
    try:
        if problem := incomputable(erased.method, erased.method_name):
            raise RequestError(problem)
        sets = candidate_sets(others, len(erased.forget))
    except FedletheError as reason:
        # A plain sigma asked for noise alone: that can be had, and the record says why nothing is claimed of it.
        if masking.guarantees or masking.chosen != "isotropic":
            raise
        return unclaimed(history, erased.model, masking, noise, str(reason))
    frame = frame_of(run, masking.chosen)
    span = span_of(sets, lambda clients: frame.enter(erased.unlearned(clients)))
    # To two digits, rounded up: all digits would be an equation in the candidates, for whoever reads the record.
    distance = rounded_up(span.distance)
    try:
        # Candidates that coincide are one model, which shows nothing of who left: no noise is needed.
        sigma = 0.0 if span.rank == 0 else masking.sigma_for(distance, len(others), len(erased.forget))
    except ValueError as error:
        raise RequestError(str(error)) from None
    mask, detail = mask_of(run, masking.chosen, sigma, span, frame)
    hidden = hidden_by(
        *(masking.chosen, sorted(others), distance, sigma, masking.delta, _covers(erased), detail),
        erased=len(erased.forget),
    )
    # After a repair by all who are left, what is released is another model, and it shows who is missing.
    hidden = replace(hidden, released=erased.repairers is not None)
    # The noise comes last: asking for it makes the erasure's secret, which an erasure that cannot be must not have.
    model = frame.leave(mask.release(span, sets.index(tuple(sorted(erased.forget))), noise()))
    return Masked(finished(history, model), hidden, span=span, mask=mask, frame=frame)


def unclaimed(history: History, model: Vector, masking: Masking, noise: Draw, problem: str) -> Masked:
    """A model, shape (P,), with noise of which nothing is claimed, and why not."""
    noisy = IsotropicMask(sigma=masking.sigma or 0.0).apply(model, noise())
    return Masked(finished(history, noisy), problem=problem)


def mask_of(run: OpenRun, kind: MaskKind, sigma: float, span: Span, frame: Frame) -> tuple[Mask, str]:
    """The mask of a kind that hides what noise of this sigma hides, and how it was made."""
    if kind == "isotropic" and span.rank > 0:  # candidates that differ by rounding become one: their mean
        return IsotropicMask(sigma=sigma), ""
    if kind == "subspace" or sigma == 0:
        return subspace(sigma, span), f"noise in {span.rank} dimensions"
    # Shaped: more noise where the answers do not feel it, so that as much is hidden at a lower cost.
    hessian, source = curvature(run, span, frame)
    return shape_of(span, hessian, sigma, source)


def shape_of(span: Span, hessian: Array, sigma: float, source: str) -> tuple[SpanMask, str]:
    """The shaped mask for a curvature, shape (n, n), that was taken from `source`."""
    shape = cheapest(span.coordinates, hessian, rounded_up(span.distance) / sigma)
    share = 100 * shape.cost / shape.equal_cost if shape.equal_cost > 0 else 100.0
    costs = f"expected loss {share:.1f} % of the subspace mask's, within {shape.gap:.1g} of the least possible"
    return shaped(shape.covariance), f"noise in {span.rank} dimensions; {costs}; curvature from {source}"


def finished(history: History, model: Vector) -> Vector:
    """A noisy model with its running variances floored by what everybody knows, the trained model: post-processing.

    A floor that was taken from the unlearned model would be seen in the entries that it raises.

    Raises:
        FedletheError: It is not finite.
    """
    if not bool(torch.isfinite(model).all()):
        raise RequestError("the noise exceeds what a float32 holds; ask for less of it, or for a clip")
    return history.layout.floor_variances(model, history.final())


def decoyed(forget: Sequence[ClientId], decoys: int) -> Hidden:
    """What erasing `decoys` other clients along with the one that asked hides: all of `forget` are alike."""
    asked = len(forget) - decoys
    hidden = hidden_by("decoys", sorted(forget), 0.0, 0.0, DELTA, BY_DECOYS, erased=asked)
    return replace(hidden, leaves=LEFT_BY_DECOYS)


def with_earlier(hidden: Hidden, earlier: Mapping[str, Hidden | None], unlike: Sequence[str]) -> str | None:
    """What is hidden from whoever also has the models of earlier erasures of some of the same clients.

    Args:
        hidden: What is hidden of this one.
        earlier: Of the others, by their ids.
        unlike: Those of them that erase other sets of clients.
    """
    if not earlier or not hidden.released:
        return None
    names = ", ".join(earlier)
    if bare := [id for id, other in earlier.items() if other is None or not other.released]:
        return f"nothing, from whoever has the model of erasure {', '.join(bare)} as well: it hides nobody"
    if unlike:
        return (
            f"nothing is claimed of whoever has the model of erasure {', '.join(unlike)} as well: it is about some of "
            "the same clients, and not about all and only them"
        )
    # The same clients each time, each release with noise of its own: what they tell together can be accounted for.
    found = hidden_together([hidden, *(other for other in earlier.values() if other is not None)])
    return f"whoever has the models of erasures {names} as well {found.chances}; epsilon {found.epsilon:.4g}"


def _covers(erased: ToMask) -> str:
    if erased.repairers is None:
        return BEFORE_REPAIR
    known = f", and sees that {', '.join(erased.repairers)} repair it" if erased.repairers else ""
    earlier = "; those erased before are taken as known" if erased.after else ""
    return RELEASED + known + earlier
