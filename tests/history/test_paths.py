# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import get_args

import pytest

from fedlethe.history.entries import Artefact, ArtefactKind
from fedlethe.history.paths import CERTIFICATES, Kind, erased_images_of, erasure_of, kind_of, name_of, of_erasure

OF_CLIENTS = (Kind.REPAIR, Kind.INFLUENCE_ANEW, Kind.REVISED_STATISTICS)
OF_ALL = (
    Kind.MODEL,
    Kind.BESIDE,
    Kind.RECORD,
    Kind.NODES,
    Kind.AUDIT,
    Kind.FINGERPRINTS,
    *sorted(CERTIFICATES, key=str),
)


def _file(path: str, kind: ArtefactKind = "erasure", client: str | None = None) -> Artefact:
    return Artefact(path, kind, client, None, 7, "0" * 64)


@pytest.mark.parametrize("kind", OF_ALL)
def test_a_name_and_its_kind_are_two_ways_of_the_same_table(kind: Kind) -> None:
    for ending in (".safetensors", ".json", ".sealed"):
        held = _file(of_erasure("0012", kind) + ending)
        assert (kind_of(held), erasure_of(held), name_of(held)) == (kind, "0012", of_erasure("0012", kind))


@pytest.mark.parametrize("kind", OF_CLIENTS)
@pytest.mark.parametrize("client", ["north", "st.mary", "model", "repair", "certificate", "a.sealed"])
def test_a_client_s_file_is_known_whatever_the_client_is_called(kind: Kind, client: str) -> None:
    held = _file(f"{of_erasure('0012', kind, client)}.sealed", client=client)
    assert (kind_of(held), erasure_of(held), name_of(held)) == (kind, "0012", of_erasure("0012", kind, client))


@pytest.mark.parametrize(
    ("path", "client"),
    [
        ("erasures/0001/modell.safetensors", None),
        ("erasures/0001/certificates/model.json", None),
        ("erasures/0001/repair/north.sealed", None),  # a client's folder, and no client's file
        ("erasures/0001/model.sealed", "north"),  # a client's file, and the model's name
        ("erasures/0001/repair/north/model.sealed", "north"),
        ("erasures/model.safetensors", None),
    ],
)
def test_what_has_no_place_of_its_own_is_unknown_and_not_the_nearest_kind(path: str, client: str | None) -> None:
    assert kind_of(_file(path, client=client)) is Kind.UNKNOWN


def test_a_list_of_images_is_of_a_purge_and_of_no_erasure() -> None:
    held = _file(f"{erased_images_of('R0001')}.json")
    assert (held.path, kind_of(held), erasure_of(held)) == ("erasures/images-R0001.json", Kind.ERASED_IMAGES, None)


def test_closed_form_training_has_one_kind_for_each_of_its_files() -> None:
    names = {"statistics/round_0001.safetensors": Kind.SUMS, "statistics/chosen.json": Kind.CHOSEN}
    names |= {"statistics/features.json": Kind.FEATURES, "statistics/else.json": Kind.UNKNOWN}
    assert {path: kind_of(_file(path, "statistics")) for path in names} == names
    assert kind_of(_file("statistics/chosen/round_0001.sealed", "statistics", "chosen")) is Kind.STATISTICS


def test_every_kind_of_the_ledger_is_a_kind() -> None:
    whole = set(get_args(ArtefactKind)) - {"erasure", "statistics"}
    assert {kind_of(_file("norms/a/round_0001.sealed", one)).value for one in whole} == whole
