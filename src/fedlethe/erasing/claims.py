# SPDX-License-Identifier: MIT
"""What may be claimed of an erasure's model, worked out from what was asked for and from what the ledger holds.

A method says what is certain of the model that it hands back (`types.Guarantee`). Before that is entered, again before
it is signed, and whenever a certificate is verified, the claim is worked out here, without the method's word: from the
method's name, the learner, what came after the unlearning step, and who took part in which round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from fedlethe.closed_form.sums import LIMIT, RESIDUAL
from fedlethe.config.learning import CLOSED_FORM
from fedlethe.erasing.record import Erasure
from fedlethe.history.disk import RunFolder
from fedlethe.history.succession import Part, all_took_part
from fedlethe.privacy.hiding import SPANNED
from fedlethe.runs.lineage import first_round, made_anew
from fedlethe.runs.run_toml import config_of
from fedlethe.types import Guarantee

Claim: TypeAlias = Literal["exact", "guaranteed", "evidence"]

CLAIMS: Mapping[Claim, str] = {
    "exact": "The model after is one that training without the erased data leads to, as the method's statement says.",
    "guaranteed": "Something is certain of what the model after holds of the erased data: the method's statement says "
    "what. It is not the model that a retraining would give.",
    "evidence": "Nothing is guaranteed of the model after. Audits, where there are any, are evidence: they can "
    "find traces of the erased data, and cannot prove that there are none.",
}
"""The claims, the strongest first."""


def claim_of(guarantee: Guarantee | None) -> Claim:
    """The claim that a guarantee makes."""
    return "evidence" if guarantee is None else guarantee.kind


def strongest(erasure: Erasure, parts: Sequence[Part]) -> Claim:
    """The most that may be claimed of an erasure's model.

    Args:
        erasure: Its record.
        parts: The trainings that its model came from, itself among their erasures or not yet; their rounds are read
            from their ledgers.
    """
    later = {stage.name for stage in erasure.stages} - {"before", "unlearned"}
    if erasure.hidden is not None and erasure.hidden.by in SPANNED:
        return "evidence"  # the noise is made of models that held the erased clients
    if erasure.method == CLOSED_FORM:
        equal = erasure.found.get(RESIDUAL, math.inf) <= LIMIT
        return "exact" if equal and not later and not _noisy(parts) else "guaranteed"
    whole = set(erasure.forget) - set(erasure.patients)
    first = first_round(parts, erasure.forget)
    trained = set(erasure.cost.clients).union(*(part.repaired() for part in parts))
    untouched = first is None and not set(erasure.forget) & trained
    if not (untouched or made_anew(erasure.method, erasure.found, erasure.hidden, first)):
        return "evidence"
    # Nothing was done: the model is that of the erasure before, whatever that left in it of others.
    of_erasure = untouched and (erasure.after is not None or len(parts) > 1)
    # Who takes part is drawn among clients: without some patients of theirs the same are drawn.
    return "guaranteed" if later or of_erasure or (whole and not all_took_part(parts)) else "exact"


def _noisy(parts: Sequence[Part]) -> bool:
    """Whether clients sent statistics with noise, which a training anew would draw again."""
    folders = (part.history.path for part in parts if isinstance(part.history, RunFolder))
    return any(config_of(path).learning.noisy for path in folders)


def borne_out(erasure: Erasure, parts: Sequence[Part]) -> Guarantee | None:
    """The guarantee that a record gives, as far as it is borne out (see `strongest`); None where it says too much."""
    return None if stronger(claim_of(erasure.guarantee), strongest(erasure, parts)) else erasure.guarantee


def stronger(one: Claim, other: Claim) -> bool:
    """Whether one claim says more than another."""
    order = list(CLAIMS)
    return order.index(one) < order.index(other)
