# SPDX-License-Identifier: MIT
"""Erased images in data that have changed since: the places of patients whose files left are others' now."""

from __future__ import annotations

import numpy as np

from fedlethe.data.erased import ErasedImages, client_fingerprint, without
from fedlethe.data.federated import FederatedData
from fedlethe.runs.images_erased import all_retained, applicable
from tests.runs.small import examples, federated

WHOLE = federated(a=examples(6, "ppqqrr"))
PATIENT = ErasedImages(array=None, rows=(), clients=(), positions={"a": {"train": (0, 1)}})


def purged(data: FederatedData, *erased: ErasedImages) -> list[ErasedImages]:
    """The erasures, the last one with the fingerprints of what stayed."""
    left = without(data, erased)
    facts = {client: client_fingerprint(left, client) for client in left.clients}
    last = ErasedImages(array=None, rows=(), clients=(), positions=erased[-1].positions, retained=facts)
    return [*erased[:-1], last]


def test_while_the_files_are_there_their_places_are_taken_out() -> None:
    erased = purged(WHOLE, PATIENT)
    assert applicable(WHOLE, erased) == erased
    assert len(without(WHOLE, applicable(WHOLE, erased)).clients["a"].train) == 4


def test_once_they_left_nobody_else_is_taken_out_in_their_places() -> None:
    erased = purged(WHOLE, PATIENT)
    now = without(WHOLE, [PATIENT])
    assert len(without(now, erased).clients["a"].train) == 2  # the places alone would hit two others
    left = without(now, applicable(now, erased))
    assert client_fingerprint(left, "a") == erased[-1].retained["a"]


def test_of_two_erasures_the_one_whose_files_left_is_found() -> None:
    second = ErasedImages(array=None, rows=(), clients=(), positions={"a": {"train": (0, 1)}})
    erased = purged(WHOLE, PATIENT, second)
    now = federated(a=WHOLE.clients["a"].train.only(np.array([True, True, False, False, True, True])))
    assert all_retained(without(now, applicable(now, erased)), erased)
    assert len(without(now, erased).clients["a"].train) == 0  # both by their places would leave nobody


def test_without_fingerprints_of_what_stayed_the_places_stand() -> None:
    assert applicable(WHOLE, [PATIENT]) == [PATIENT]


def test_places_beyond_the_data_are_nobodys() -> None:
    last = ErasedImages(array=None, rows=(), clients=(), positions={"a": {"train": (4, 5)}})
    erased = purged(WHOLE, last)
    now = without(WHOLE, [last])
    assert all_retained(without(now, applicable(now, erased)), erased)
    fewer = federated(a=examples(2, "xx"))
    assert len(without(fewer, applicable(fewer, erased)).clients["a"].train) == 2  # to be refused by its fingerprint


def test_other_data_are_no_data_without_the_erased() -> None:
    erased = purged(WHOLE, PATIENT)
    other = federated(a=examples(4, "xxyy", first=3))
    assert not all_retained(other, erased)
    assert not all_retained(WHOLE, [])
    assert applicable(other, erased) == erased
