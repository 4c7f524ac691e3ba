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
    """The weight with the fewest input channels."""
    weights = {name: shape for name, shape in layout.shapes.items() if len(shape) > 1}
    if not weights:
        raise HistoryError("not_: no tensor of this model has input channels; name one by the option 'layer'")
    # A tensor (out, in, ...): images have one channel or three, and later layers many. Of equals the first.
    return min(weights, key=lambda name: weights[name][1])
