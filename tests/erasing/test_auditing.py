# SPDX-License-Identifier: MIT
"""The audit of one erasure: how many retrainings, what is kept of it, and when it is made again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest

from fedlethe.audit import AUDITS, Finding
from fedlethe.audit.evidence import Measured
from fedlethe.audit.utility import Utility
from fedlethe.erasing.auditing import Attested, attest, attested, demand_references, enter
from fedlethe.erasing.planning import order_of
from fedlethe.errors import ConfigError, RequestError
from fedlethe.learners.references import reference_seeds
from fedlethe.runs.run import OpenRun
from tests.erasing.hiding import NO_REPAIR, erased


@pytest.mark.parametrize(("count", "message"), [(-1, "references -1: the"), (1, "take 3 retrainings"), (2, "take 3")])
def test_too_few_retrainings_are_refused(count: int, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        demand_references(count)
    demand_references(0)
    demand_references(3)


def test_figures_are_kept_to_three_digits(run: OpenRun) -> None:
    id = erased(run, repair=NO_REPAIR).id
    measured = Measured(
        candidates=(0.123456,), untouched=(1234.56,), references=(1e-9 / 3, 0.0), floor=2 / 3, details={"x": math.pi}
    )
    finding = Finding("x", "cannot be shown", "because", measured, limit=1 / 7)
    assert attested(run.history, id) is None
    with run.history.locked():
        enter(run.history, id, Attested(3, (1, 2, 3), "cannot be shown", (finding,)))
    found = attested(run.history, id)
    assert found is not None
    kept = found.findings[0].measured
    assert kept is not None
    assert (kept.candidates, kept.untouched, kept.references) == ((0.123,), (1230.0,), (3.33e-10, 0.0))
    assert (kept.floor, dict(kept.details), found.findings[0].limit) == (0.667, {"x": 3.14}, 0.143)


def test_an_audit_is_made_once_and_again_for_more_retrainings(run: OpenRun) -> None:
    erasure = erased(run, repair=NO_REPAIR)
    order = order_of(run, erasure)
    with run.history.locked():
        attest(run, erasure, order, 0)
        assert attested(run.history, erasure.id) is None
        attest(run, erasure, order, 3)
        first = attested(run.history, erasure.id)
        assert first is not None
        assert first.seeds == reference_seeds(run.config, 3)
        assert len(first.findings) > 5
        rows = len(run.history.ledger.artefacts())
        attest(run, erasure, order, 3)
        assert len(run.history.ledger.artefacts()) == rows
        attest(run, erasure, order, 4)
    second = attested(run.history, erasure.id)
    assert second is not None
    assert second.references == 4


@dataclass(frozen=True)
class NeedsAnOption(Utility):
    """An audit of a package, which cannot be built from its name."""

    option: int = field(kw_only=True)


def test_one_that_cannot_be_used_is_told_before_anything_is_retrained(
    run: OpenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    erasure = erased(run, repair=NO_REPAIR)
    monkeypatch.setitem(AUDITS.rows, "mine", f"{__name__}:NeedsAnOption")
    rows = len(run.history.ledger.artefacts())
    with run.history.locked(), pytest.raises(ConfigError, match=r"^audit 'mine' 'option': is missing; give it"):
        attest(run, erasure, order_of(run, erasure), 3)
    assert len(run.history.ledger.artefacts()) == rows
