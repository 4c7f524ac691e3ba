# SPDX-License-Identifier: MIT
"""The unlearning methods: one file each, one row each."""

from __future__ import annotations

from fedlethe.unlearning.fed_accum import FedAccum
from fedlethe.unlearning.fed_eraser import FedEraser
from fedlethe.unlearning.fed_osd import FedOsd
from fedlethe.unlearning.fed_quit import FedQuit
from fedlethe.unlearning.fed_recover import FedRecover
from fedlethe.unlearning.fed_recovery import FedRecovery
from fedlethe.unlearning.fine_tune import FineTune
from fedlethe.unlearning.influence import Influence
from fedlethe.unlearning.kd import Kd
from fedlethe.unlearning.method import Unlearned, UnlearningMethod, unlearn
from fedlethe.unlearning.not_ import Not
from fedlethe.unlearning.pga import Pga
from fedlethe.unlearning.puf import Puf
from fedlethe.unlearning.retrain import Retrain
from fedlethe.unlearning.rollback import Rollback
from fedlethe.unlearning.sifu import Sifu

__all__ = ["METHODS", "Unlearned", "UnlearningMethod", "unlearn"]

METHODS: dict[str, type[UnlearningMethod]] = {
    "influence": Influence,
    "retrain": Retrain,
    "rollback": Rollback,
    "fine_tune": FineTune,
    "fed_accum": FedAccum,
    "fed_eraser": FedEraser,
    "fed_recover": FedRecover,
    "fed_recovery": FedRecovery,
    "sifu": Sifu,
    "pga": Pga,
    "puf": Puf,
    "fed_quit": FedQuit,
    "fed_osd": FedOsd,
    "kd": Kd,
    "not_": Not,
}
