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
)
