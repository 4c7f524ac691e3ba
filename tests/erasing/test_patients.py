# SPDX-License-Identifier: MIT
"""Patients' names in texts that stay on record, and data without them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fedlethe.erasing.patients import less, names_of, refuse_known, refuse_named, unnamed
from fedlethe.errors import RequestError
from tests.runs.small import examples, federated


def pseudonym(client: str, name: str) -> str:
    return f"{client}:{sum(map(ord, name))}"


def opened() -> Any:
    """A run of two clients with the patients p, q and r."""
    keys = SimpleNamespace(pseudonym=pseudonym, mention=lambda client, text: pseudonym(client, text.lower()))
    history = SimpleNamespace(store=SimpleNamespace(keys=keys))
    return SimpleNamespace(images=federated(a=examples(4, "ppqq"), b=examples(2, "rr")), history=history)


def test_names_are_found_by_what_stands_for_them() -> None:
    run = opened()
    images, keys = run.images, run.history.store.keys
    assert names_of(images, keys, {"a": [pseudonym("a", "q")]}) == {"a": ("q",)}
    with pytest.raises(RequestError, match="has no patient whose pseudonym"):
        names_of(images, keys, {"b": [pseudonym("b", "p")]})


def test_a_text_is_kept_without_them() -> None:
    mentions = {"a": [pseudonym("a", "p")]}
    run = opened()
    assert (
        unnamed(run.images, run.history.store.keys, mentions, "P asked; not Paul")
        == f"{pseudonym('a', 'p')} asked; not Paul"
    )


@pytest.mark.parametrize(
    ("text", "name", "place"),
    [
        ("for jane doe", "Jane Doe", "characters 5 to 12"),
        ("p, please", "P", "character 1"),
        ("xMILLERx", "miller", "2 to 7"),
        ("\uff2d\uff29\uff2c\uff2c\uff25\uff32", "miller", "1 to 6"),
        ("Mu\u0308ller", "Müller", "1 to 6"),
    ],
)
def test_a_name_is_refused_by_its_place_and_not_repeated(text: str, name: str, place: str) -> None:
    with pytest.raises(RequestError, match=place) as raised:
        refuse_named("--reason", text, [name])
    assert len(name) == 1 or name.lower() not in str(raised.value).lower()


def test_a_short_name_inside_a_word_is_no_name() -> None:
    refuse_named("--reason", "a phone call", ["p", "one"])


def test_a_name_is_known_where_only_its_pseudonym_is() -> None:
    run = opened()
    known = {"a": [pseudonym("a", "jane")]}
    refuse_known("--reason", "withdrew", run.history, known)
    with pytest.raises(RequestError, match="characters 5 to 8"):
        refuse_known("--reason", "for Jane", run.history, known)


def test_their_images_are_gone_and_nobody_elses() -> None:
    data = less(opened().images, {"a": ["p"]})
    assert data.clients["a"].train.groups is not None
    assert data.clients["a"].train.groups.tolist() == ["q", "q"]
    assert len(data.clients["b"].train) == 2
