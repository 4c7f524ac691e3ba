# SPDX-License-Identifier: MIT
"""One erasure, every name looked up: whom, by which method, and what hides and repairs afterwards."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fedlethe.closed_form.settings import Subtraction
from fedlethe.config import RunConfig
from fedlethe.config.learning import Method
from fedlethe.document import construct
from fedlethe.erasing.masking import demand_candidates
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.errors import ConfigError
from fedlethe.federation.repair import Repair
from fedlethe.privacy.hiding import Masking
from fedlethe.types import START, ClientId, Need
from fedlethe.unlearning.method import retrains_from


@dataclass(frozen=True, kw_only=True)
class ErasureOrder:
    """One erasure, ready to be made.

    Attributes:
        forget: Who is erased, decoys included.
        method_name: The method's row in METHODS.
        method: The method itself.
        mask: Noise on the unlearned model.
        repair: Rounds after it.
        after: The id of the erasure from whose result they are erased; None for the trained model.
        decoys: How many of them did not ask, and are erased to hide who did.
        patients: Of the clients that are erased in part, their patients, where a network is trained.
        act: The erasure request that it carries out, if any: no other erasure is taken for it.
    """

    forget: tuple[ClientId, ...]
    method_name: str
    method: Method
    mask: Masking = field(default_factory=Masking)
    repair: Repair = field(default_factory=Repair)
    after: str | None = None
    decoys: int = 0
    patients: Mapping[ClientId, tuple[str, ...]] = field(default_factory=dict)
    act: str | None = None

    @property
    def joined(self) -> tuple[ClientId, ...]:
        """The clients that are taken back in."""
        return self.method.join if isinstance(self.method, Subtraction) else ()

    def canonical(self, pseudonym: Callable[[ClientId, str], str] | None = None) -> str:
        """The same text for the same order: `to_dict` as JSON. The ledger knows an erasure by it."""
        return json.dumps(self.to_dict(pseudonym), sort_keys=True, allow_nan=False)

    def to_dict(self, pseudonym: Callable[[ClientId, str], str] | None = None) -> dict[str, Any]:
        """The same plain values for the same order; infinity, that JSON lacks, is the text 'inf'.

        Args:
            pseudonym: What stands for a patient of a client; an order that names patients needs it.
        """
        method = dataclasses.asdict(self.method)  # type: ignore[arg-type]
        if method.get("patients"):
            assert pseudonym is not None
            method["patients"] = sorted(pseudonym("", patient) for patient in method["patients"])
        asked = {
            "forget": sorted(self.forget),
            **({} if not self.patients else {"patients": pseudonyms_of(self.patients, pseudonym)}),
            "method": {"name": self.method_name, **method},
            "mask": self.mask.canonical(),
            "repair": self.repair.canonical(),
            **({} if self.after is None else {"after": self.after}),
            **({"decoys": self.decoys} if self.decoys else {}),
            **({} if self.act is None else {"act": self.act}),
        }
        return {name: _plain(value) for name, value in asked.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else "inf" if value == math.inf else value


def pseudonyms_of(
    patients: Mapping[ClientId, tuple[str, ...]], pseudonym: Callable[[ClientId, str], str] | None
) -> dict[ClientId, tuple[str, ...]]:
    """Patients by client, each by what stands for it."""
    assert pseudonym is not None
    return {client: tuple(sorted(pseudonym(client, name) for name in names)) for client, names in patients.items()}


def order_for(
    config: RunConfig,
    clients: Sequence[ClientId],
    plan: ErasurePlan,
    patients: Mapping[ClientId, tuple[str, ...]] | None = None,
) -> ErasureOrder:
    """A plan with every name looked up and every value checked; its values lie over the recipe's.

    Where nothing names the repair's rounds, there is one, or none after a method in which the retained clients train;
    but one where clients are to come back in it, less some patients. Where a mask is to guarantee something there is
    none, unless it is said how many repair.

    Args:
        config: Of the run.
        clients: Who is erased, whole or in part; none where it is not known yet.
        plan: How.
        patients: Of the clients that are erased in part, their patients, where a network is trained.

    Raises:
        FedletheError: No method or option has that name, a value is out of range, or the repair would show who is gone.
    """
    recipe, options, repair, patients = config.recipe(plan.method), plan.options, plan.repair, patients or {}
    method = config.method(recipe.method, {**recipe.options, **options})
    repairs = config.learning.repairs
    rounds = {"rounds": 0 if not repairs or Need.RETAINED_DATA in method.needs else 1}
    if patients and retrains_from(method) != START:
        rounds = {"rounds": 1}
        if {**recipe.repair, **repair}.get("rounds") == 0:
            raise ConfigError("repair: the rest of the client comes back in the repair rounds; ask for one at least")
    if not repairs and {**recipe.repair, **repair}.get("rounds"):
        raise ConfigError("repair: in closed form nobody trains, so there is nothing to repair; leave it out")
    masking = construct(Masking, plan.mask, "mask")
    demand_candidates(method, recipe.method, masking)
    bare = {"rounds": 0} if masking.guarantees and repair.get("clients") is None else {}
    order = ErasureOrder(
        forget=tuple(clients),
        method_name=recipe.method,
        method=method,
        mask=masking,
        repair=construct(Repair, {**rounds, **recipe.repair, **bare, **repair}, "repair"),
        after=plan.after,
        decoys=plan.decoys,
        patients=dict(patients),
    )
    _refuse_unused(plan, order)
    if masking.guarantees and order.repair.rounds and order.repair.clients is None:
        raise ConfigError(
            "a repair by all who are left shows who is missing, and the guarantee would not hold for what is released: "
            "say how many clients repair, such as 2, or ask for 0 repair rounds"
        )
    if patients and (masking.guarantees or order.repair.clients is not None):
        raise ConfigError(
            "patients: their client comes back in the repair, so no mask can hide whose they were; leave the mask out"
        )
    if plan.decoys and (masking.adds_noise or order.repair.clients is not None):
        raise ConfigError("decoys hide without noise, and all who are left repair: give decoys alone")
    return order


def _refuse_unused(plan: ErasurePlan, order: ErasureOrder) -> None:
    """Refuse what the plan says of noise where there is none, and of repair rounds where there are none."""
    if "delta" in plan.mask and not order.mask.adds_noise:
        raise ConfigError("delta: goes with noise, and none is asked for; give epsilon or sigma, or leave it out")
    said = sorted(set(plan.repair) - {"rounds"})
    if said and not order.repair.rounds:
        raise ConfigError(f"repair {said[0]}: nothing is repaired; leave it out, or ask for repair rounds")
