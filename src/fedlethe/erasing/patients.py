# SPDX-License-Identifier: MIT
"""Single patients inside a client, where a network was trained by federated averaging.

Nothing tells a patient's part of a client's updates from the rest of it. So the client is unlearned as a whole, and
comes back in the repair rounds with the images of its other patients; or all is trained again without the patients.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from fedlethe.closed_form.settings import Subtraction
from fedlethe.config.learning import Method
from fedlethe.data.federated import SPLITS, FederatedData
from fedlethe.errors import FedletheError, RequestError
from fedlethe.federation.federation import Federation
from fedlethe.federation.simulated import SimulatedFederation
from fedlethe.history.disk import RunFolder
from fedlethe.history.history import History
from fedlethe.history.keyring import Keyring, folded
from fedlethe.runs.run import OpenRun
from fedlethe.types import ClientId, Guarantee
from fedlethe.unlearning import Unlearned

OfClients = Mapping[ClientId, Sequence[str]]
"""Client to its patients."""

INSIDE = 4
"""A name of so many letters is looked for inside words, too; a shorter one is part of many."""

LONGEST_NAME = 64
"""Letters of a name that can be found where only its pseudonym is known."""


def names_of(images: FederatedData, keys: Keyring, pseudonyms: OfClients) -> dict[ClientId, tuple[str, ...]]:
    """The names of the patients that the ledger knows by pseudonyms.

    Raises:
        FedletheError: One of them is not in the data.
    """
    found = {}
    for client, wanted in pseudonyms.items():
        names = {name for split in SPLITS for name in _groups(images, client, split)}
        known = {keys.pseudonym(client, name): name for name in sorted(names)}
        if missing := sorted(set(wanted) - set(known)):
            raise RequestError(f"client '{client}' has no patient whose pseudonym is {missing[0]}; restore its images")
        found[client] = tuple(sorted(known[pseudonym] for pseudonym in wanted))
    return found


def _groups(data: FederatedData, client: ClientId, split: str) -> list[str]:
    groups = getattr(data.clients[client], split).groups
    return [] if groups is None else groups.tolist()


def unnamed(images: FederatedData, keys: Keyring, pseudonyms: OfClients, text: str) -> str:
    """A text that is to stay on record, each of these patients' names in it replaced by what stands for it."""
    for client, names in names_of(images, keys, pseudonyms).items():
        for name in sorted(names, key=len, reverse=True):
            text = _of_name(name).sub(keys.pseudonym(client, name), text)
    return text


def refuse_named(flag: str, text: str, names: Sequence[str]) -> None:
    """Refuse a text that is to stay on record where it names one of these patients.

    Raises:
        FedletheError: It does; the message does not repeat the name.
    """
    for found in filter(None, (_of_name(folded(name)).search(folded(text)) for name in names)):
        raise _names_a_patient(flag, *found.span())


def refuse_known(flag: str, text: str, history: RunFolder, mentions: OfClients) -> None:
    """The same where the patients' names are not at hand: every piece of the text is held against what stands for them.

    Args:
        flag: What was typed.
        text: The text.
        history: Of the run.
        mentions: Client to what stands for its patients' names in whichever letters (`Keys.mention`).

    Raises:
        FedletheError: One is a patient's name; the message does not repeat it.
    """
    for client, known in mentions.items():
        for start, end in _pieces(text):
            if history.store.keys.mention(client, text[start:end]) in known:
                raise _names_a_patient(flag, start, end)


def _names_a_patient(flag: str, start: int, end: int) -> FedletheError:
    where = f"character {end}" if end == start + 1 else f"characters {start + 1} to {end}"
    return RequestError(f"{flag}: {where} would be a patient's name, and the text stays on record; write it without")


def long_names(images: FederatedData, clients: Sequence[ClientId]) -> list[str]:
    """The names of these clients' patients that are too long to be a part of other words by chance."""
    held = [client for client in clients if client in images.clients]
    names = {name for client in held for split in SPLITS for name in _groups(images, client, split)}
    return sorted(name for name in names if len(name) >= INSIDE)


def demand_trained_on(images: FederatedData, keys: Keyring, pseudonyms: OfClients) -> None:
    """Refuse to audit the erasure of patients without training images: there is nothing that a model could have kept.

    Raises:
        FedletheError: None of them has one.
    """
    names = names_of(images, keys, pseudonyms)
    trained = [images.of_patients(client, held)["train"] for client, held in names.items()]
    if trained and not any(mask.any() for mask in trained):
        raise RequestError("references: no model was trained on an image of the patient; leave the audit out")


def _of_name(name: str) -> re.Pattern[str]:
    """Where a name stands in a text: anywhere, or, if it is so short that it is part of many words, by itself."""
    escaped = re.escape(name)
    return re.compile(escaped if len(name) >= INSIDE else rf"(?<!\w){escaped}(?!\w)", re.IGNORECASE)


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Where a name can stand in a text, from and to: of at least INSIDE letters anywhere, a shorter one by itself."""
    edges = {place for place in range(len(text) + 1) if not (_lettered(text, place - 1) and _lettered(text, place))}
    for start in range(len(text)):
        for end in range(start + 1, min(start + LONGEST_NAME, len(text)) + 1):
            if end - start >= INSIDE or {start, end} <= edges:
                yield start, end


def _lettered(text: str, place: int) -> bool:
    return 0 <= place < len(text) and (text[place].isalnum() or text[place] == "_")


def less(data: FederatedData, patients: OfClients) -> FederatedData:
    """The data without these patients."""
    for client, names in patients.items():
        data = data.without_patients(client, names)
    return data


def who_trains_on(
    run: OpenRun, history: History, forget: Sequence[ClientId], patients: OfClients, seed: int | None = None
) -> Federation:
    """Who trains on: all that were not erased before and are not now; some without a few patients.

    Args:
        run: The run.
        history: Of those that were not erased before.
        forget: Who is erased now, whole or in part.
        patients: Of those in part.
        seed: Of the shuffles; None for the run's.
    """
    federation = run.federation(seed)
    if patients:
        assert isinstance(federation, SimulatedFederation)
        federation = replace(federation, data=less(run.data, patients))
    gone = (set(run.data.clients) - set(history.clients)) | (set(forget) - set(patients))
    return federation.without(gone)


def retrained_without_patients(
    method: Method, forget: Sequence[ClientId], patients: OfClients, history: History, federation: Federation
) -> Unlearned:
    """All rounds again, the clients in part with their other patients."""
    assert not isinstance(method, Subtraction)  # an order in closed form has no patients beside its options
    unlearned = method.unlearn(frozenset(forget) - set(patients), history, federation)
    counts = ((client, len(names)) for client, names in sorted(patients.items()))
    held = ", ".join(f"{count} patient{'s' if count > 1 else ''} of {client}" for client, count in counts)
    return replace(
        unlearned, guarantee=Guarantee("exact", f"trained from the initial model without the images of {held}")
    )
