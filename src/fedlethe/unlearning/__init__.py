# SPDX-License-Identifier: MIT
"""The unlearning methods: one file each, one row each."""

from __future__ import annotations

from fedlethe.outside.plugins import Registry
from fedlethe.unlearning.method import Unlearned, UnlearningMethod, undeclared, unlearn

__all__ = ["METHODS", "Unlearned", "UnlearningMethod", "unlearn"]

METHODS: Registry[type[UnlearningMethod]] = Registry(
    "method",
    "fedlethe.methods",
    {
        "influence": "fedlethe.unlearning.influence:Influence",
        "retrain": "fedlethe.unlearning.retrain:Retrain",
        "rollback": "fedlethe.unlearning.rollback:Rollback",
        "fine_tune": "fedlethe.unlearning.fine_tune:FineTune",
        "fed_accum": "fedlethe.unlearning.fed_accum:FedAccum",
        "fed_eraser": "fedlethe.unlearning.fed_eraser:FedEraser",
        "fed_recover": "fedlethe.unlearning.fed_recover:FedRecover",
        "fed_recovery": "fedlethe.unlearning.fed_recovery:FedRecovery",
        "sifu": "fedlethe.unlearning.sifu:Sifu",
        "pga": "fedlethe.unlearning.pga:Pga",
        "puf": "fedlethe.unlearning.puf:Puf",
        "fed_quit": "fedlethe.unlearning.fed_quit:FedQuit",
        "fed_osd": "fedlethe.unlearning.fed_osd:FedOsd",
        "kd": "fedlethe.unlearning.kd:Kd",
        "not_": "fedlethe.unlearning.not_:Not",
    },
    undeclared,
    """The unlearning methods, by name: what `Run.erase(method=...)` takes.

    A row is a frozen dataclass whose fields are the method's options. `paper` says where it comes from, and `needs`
    what the history keeps for it. An import path such as 'mylab.methods:Mine' is a key, too, but in no list. One of
    your own is tried with `fedlethe.testing.check_method`.

    Example:
        >>> import dataclasses, fedlethe
        >>> [option.name for option in dataclasses.fields(fedlethe.METHODS["influence"])]
        ['scale', 'clip', 'renormalise']
        >>> sorted(need.name for need in fedlethe.METHODS["rollback"].needs)
        ['GLOBALS', 'RETAINED_DATA']
    """,
)
