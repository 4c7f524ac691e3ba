# SPDX-License-Identifier: MIT
from __future__ import annotations

from fedlethe.plots.audit_verdicts import Audited, audits, sentence

USEFUL = Audited("utility", "accuracy", "useful", "", 0.8, 0.79, (0.78, 0.82), (0.7, 0.85))
UNKNOWN = Audited("membership", "membership AUC", "cannot be shown", "it takes 3 models of each kind, there are 1")


def test_a_sentence_says_what_was_measured_and_against_what() -> None:
    assert sentence(USEFUL) == (
        "Is the model still useful? It gives the right answer to 0.790 of the test images; models trained without the "
        "erased images: 0.780 to 0.820. It is as useful as they are."
    )
    assert "Its AUC is 0.790" in sentence(Audited("utility", "AUC", "useful", "", 0.8, 0.79, (0.78, 0.82)))
    assert sentence(UNKNOWN).endswith("Could not be measured: it takes 3 models of each kind, there are 1.")


def test_the_picture_shows_what_was_measured_and_its_table_all_of_it() -> None:
    plot = audits([USEFUL, UNKNOWN], "hospital-1")
    assert len(plot.figure.axes) == 1
    assert [row[3:5] for row in plot.rows] == [
        ("before the erasure", 0.8), ("after the erasure", 0.79), ("retraining", 0.78), ("retraining", 0.82)
    ]  # fmt: skip
    assert plot.rows[1][5:] == (0.7, 0.85)
