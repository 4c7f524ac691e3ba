# SPDX-License-Identifier: MIT
"""Negate the first layer's weights, and let the repair rounds do the rest.

Khalil, Dippel, et al., 'NoT: Federated Unlearning via Weight Negation', CVPR 2025: the negation breaks what the
layers after it have learnt to expect, so that the retained clients' fine-tuning (`erase` does it) leads elsewhere. It
takes no history and no forgotten client: it does not even know who is erased.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fedlethe.errors import HistoryError
from fedlethe.federation.federation import Federation
from fedlethe.history.history import History
from fedlethe.types import ClientId, Need
from fedlethe.unlearning.method import Unlearned
from fedlethe.vector import Layout

IMAGES = 4
"""Dimensions of the weight of a layer that sees images: (out, in, height, width)."""

COLOURS = 3
"""Input channels of a layer that sees a colour image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Not:
    """Weight negation.

    Attributes:
        layer: The tensor to negate; None for the weight with the fewest input channels, which is the first layer's.
    """

    paper: ClassVar[str] = "Khalil et al., CVPR 2025"
    needs: ClassVar[frozenset[Need]] = frozenset()

    layer: str | None = None

    def unlearn(self, forget: frozenset[ClientId], history: History, federation: Federation) -> Unlearned:
        """See `UnlearningMethod.unlearn`; no client takes part."""
        model = history.final().clone()
        name = self.layer or first_layer(history.layout)
        if name not in history.layout.spans:
            raise HistoryError(f"not_: the model has no tensor '{name}'; it has {', '.join(history.layout.shapes)}")
        model[history.layout.spans[name]].neg_()
        return Unlearned(model=model)


def first_layer(layout: Layout) -> str:
    """The weight with the fewest input channels.

    Raises:
        HistoryError: There is none, or several could be it.
    """
    weights = {name: shape for name, shape in layout.shapes.items() if len(shape) > 1}
    if not weights:
        raise HistoryError("not_: no tensor of this model has input channels; name one by the option 'layer'")
    # A tensor (out, in, ...): images have one channel or three, and later layers many. Of equals the first.
    fewest = min(shape[1] for shape in weights.values())
    first = [name for name, shape in weights.items() if shape[1] == fewest]
    if fewest == 1 and sum(len(weights[name]) == IMAGES for name in first) > 1:
        # Depthwise layers take one channel, too, each of its own; names do not tell which layer is the first.
        of_colour = [name for name, shape in weights.items() if shape[1] == COLOURS]
        if len(of_colour) != 1:
            raise HistoryError(
                f"not_: {len(first)} layers take one channel ({', '.join(first[:3])}, ...), and depthwise ones are no "
                "first layer; name it by the option 'layer'"
            )
        first = of_colour
    return first[0]
