# SPDX-License-Identifier: MIT
"""The one extension point: an unlearning method maps a trained federation to a model without the forgotten clients.

A method is a frozen dataclass whose fields are its hyper-parameters, in a file of its own, with the paper and its
equation numbers at the top. A new one is that file, one test with numbers worked out by hand, and one row in METHODS.
The smallest one, which takes the model back to its start:

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Reset:
        needs: ClassVar[frozenset[Need]] = frozenset({Need.INITIAL})

        def unlearn(self, forget, history, federation):
            return Unlearned(model=history.initial().clone())
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from fedlethe.federation.federation import Federation
from fedlethe.history.history import History
from fedlethe.types import ClientId, Guarantee, Need, Vector

__all__ = ["Need", "Unlearned", "UnlearningMethod"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Unlearned:
    """What a method hands back.

    Attributes:
        model: Shape (P,), finite, running variances positive.
        guarantee: None where there is evidence only.
    """

    model: Vector
    guarantee: Guarantee | None = None


class UnlearningMethod(Protocol):
    """See the module's docstring.

    Attributes:
        needs: What the history must keep for it, and whether clients train again.
    """

    needs: ClassVar[frozenset[Need]]

    def unlearn(self, forget: frozenset[ClientId], history: History, federation: Federation) -> Unlearned:
        """Take the `forget` clients out of the history's final model.

        Args:
            forget: Who is erased; all of them are clients of the history.
            history: Read only; holds at least what `needs` names.
            federation: The retained clients; the forgotten ones are not in it.
        """
        ...
