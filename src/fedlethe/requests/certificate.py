# SPDX-License-Identifier: MIT
"""The certificate of an erasure: an in-toto statement, version 1, signed, about the models before and after.

Two are issued. The first is there before anything is purged, and says what will be; the second holds what was. Their
words are careful: 'exact' where the model is what training without the client leads to, 'guaranteed' where something
else is certain, else 'evidence'. Each says what it does not cover. Before anything is signed the ledger and every file
that it names are held against each other, in this run and in those that it began from.
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from fedlethe.erasing.auditing import Attested, attested
from fedlethe.erasing.claims import CLAIMS, Claim, claim_of, stronger, strongest
from fedlethe.erasing.record import Erasure, recorded
from fedlethe.erasing.secret import left_over
from fedlethe.errors import RequestError
from fedlethe.history.chain import Event, canonical
from fedlethe.history.disk import RunFolder, has_influence
from fedlethe.history.entries import Artefact
from fedlethe.history.keyring import GONE, IMAGES, LOST, OVERWRITTEN, destroyed_with
from fedlethe.history.request_log import NOT_AUDITED, ErasureRequest, findings_about, requests_of
from fedlethe.history.store import JSON, of_round
from fedlethe.later import torch
from fedlethe.requests.condemned import condemned
from fedlethe.requests.copies import reached
from fedlethe.requests.folder_checks import demand_sound, pages, stray_keys, strays
from fedlethe.requests.purge_record import abroad, because_of, folders_of
from fedlethe.requests.signing import SigningKey, key_id_of, opened, signed, unchecked
from fedlethe.runs.images_erased import erased_images
from fedlethe.runs.run import OpenRun
from fedlethe.runs.run_toml import read_run_document
from fedlethe.types import Evaluation
from fedlethe.version import VERSION

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:fedlethe:erasure:2"
BEFORE, FINAL = "certificate-before-purge", "certificate"
"""The files, beside the erasure's model, without their ending."""

IN_PROCESS = "in one process: the clients are parts of the data on one machine, as the configuration names them"
"""How clients were told apart, where they were not on machines of their own."""

ON_NODES = "on Flower nodes; how each was known, and what it was sent in this erasure, stands under 'nodes'"

NOT_COVERED = (
    "Copies of models and files that left the run folder before the purge: released models, exports, backups of "
    "unsealed files, and of sealed ones together with their keys.",
    "The clients' own images and whatever else they hold; nothing of theirs was ever in the run folder but what their "
    "updates were made into.",
    "What the retained clients' updates took up from global models that held the erased client's, where the claim is "
    "'evidence'.",
    "Blocks that a drive keeps after a file was deleted.",
)
"""What every certificate says that it does not cover."""


def issue(run: OpenRun, request: ErasureRequest, key: SigningKey, name: str, due: str | None) -> None:
    """Sign a certificate and enter it in the ledger.

    Args:
        run: The run, locked.
        request: The request; its erasure is in the ledger.
        key: Signs it.
        name: BEFORE or FINAL.
        due: The date until which the traces are kept; None where they go at once, or are gone.

    Raises:
        FedletheError: A file is not the one that was entered, or the record claims more than the ledger allows.
    """
    for folder in folders_of(run):
        demand_sound(folder)
    store = run.history.store
    said = statement(run, request, name == FINAL, due)
    if name == FINAL:
        said["predicate"]["purge"]["first_certificate"] = _demand_same(run, request, said, key)
    content = signed(canonical(said).encode(), key)
    artefact = store.write("erasure", f"erasures/{request.erasure}/{name}", None, [content], ending=JSON)
    run.history.ledger.add_artefacts([artefact])


CHANGING = ("purge", "run", "ledger", "secrets")
"""What the final certificate may say otherwise than the one before the purge."""


def demand_as_certified(run: OpenRun, request: ErasureRequest, key: SigningKey) -> None:
    """Refuse to purge where something is not as it was entered, or not as the first certificate says.

    Raises:
        FedletheError: It is not; nothing was purged.
    """
    for folder in folders_of(run):
        demand_sound(folder)
    _demand_same(run, request, statement(run, request, False, None), key)


def _demand_same(run: OpenRun, request: ErasureRequest, said: Mapping[str, Any], key: SigningKey) -> str:
    """Refuse a final certificate that differs from the first one in more than the purge: the run's record was changed.

    Returns:
        What was held against what, in words. A first one by another key (the former may be lost) cannot be checked.

    Raises:
        FedletheError: It does, or the first one is not what this key signed.
    """
    store = run.history.store
    held = store.find(f"erasures/{request.erasure}/{BEFORE}")
    path = run.path / held.path
    content = store.content(held)
    signer = key_id_of(content, path)
    own = signer == key.public.id
    first = json.loads(opened(content, key.public, path) if own else unchecked(content, path))
    one, other = ({**whole["predicate"], "subject": whole["subject"]} for whole in (first, said))
    names = sorted({*one, *other} - {*CHANGING})
    if changed := [name for name in names if one.get(name) != other.get(name)]:
        raise RequestError(
            f"{path}: says otherwise of {', '.join(changed)} than the run's record does now, which was changed since; "
            "nothing is signed or purged. Restore the run from a backup"
        )
    if own:
        return "It was signed with the same key, and says the same."
    return f"It says the same, and was signed with another key, {signer[:16]}: its signature was not checked here."


def statement(run: OpenRun, request: ErasureRequest, purged: bool, due: str | None) -> dict[str, Any]:
    """The in-toto statement, plain values."""
    assert request.erasure is not None
    erasure = recorded(run, request.erasure)
    trained = of_round("global checkpoint", run.history.rounds)
    before = _model(run.history, trained if erasure.after is None else f"erasures/{erasure.after}/model")
    after = _model(run.history, f"erasures/{erasure.id}/model")
    head = run.history.ledger.head()
    whole = {
        "_type": STATEMENT,
        "predicateType": PREDICATE,
        "subject": [
            {"name": f"model before: {before.path}", "digest": {"sha256": before.sha256}},
            {"name": f"model after: {after.path}", "digest": {"sha256": after.sha256}},
        ],
        "predicate": {
            "claim": {
                "kind": (kind := claimed(run, erasure)),
                "words": CLAIMS[kind],
                "method": None if erasure.guarantee is None else erasure.guarantee.statement,
            },
            "request": _request(request),
            "erasure": {"id": erasure.id, **json.loads(erasure.request)},
            "audit": audit_facts(attested(run, erasure.id)),
            "earlier_findings": [
                one for one in findings_about(run.history.ledger, request.clients) if one["erasure"] != erasure.id
            ],
            "accepted_findings": None if request.accepted is None else dict(request.accepted),
            **figures_of(erasure),
            **_secrets(run, erasure),
            **_nodes(run, erasure.id),
            "purge": _purge(run, request, purged, due),
            "run": _run(run),
            "ledger": {"seq": head.seq, "hash": head.hash},
            "not_covered": list(NOT_COVERED),
        },
    }
    plain: dict[str, Any] = plain_json(whole)
    return plain


def figures_of(erasure: Erasure) -> dict[str, Any]:
    """The figures of an erasure's record that a certificate has, plain JSON values."""
    stages = erasure.stages
    figures: dict[str, Any] = plain_json(
        {
            "figures": dict(erasure.found),
            "evaluation": {"before": _measured(stages[0].evaluation), "after": _measured(stages[-1].evaluation)},
            "cost": {**asdict(erasure.cost), "retraining_examples": erasure.retraining_examples},
            "hiding": {
                "words": erasure.hiding,
                "figures": None if erasure.hidden is None else erasure.hidden.figures,
            },
        }
    )
    return figures


def claimed(run: OpenRun, erasure: Erasure) -> Claim:
    """What an erasure's record claims.

    Raises:
        FedletheError: It is more than its method, its options and the ledger allow.
    """
    said, most = claim_of(erasure.guarantee), strongest(erasure, run.parts(erasure.id))
    if stronger(said, most):
        raise RequestError(
            f"erasure {erasure.id}: its record claims '{said}', and by its method, options and rounds it can be "
            f"'{most}' at most; nothing is signed"
        )
    return said


def _model(history: RunFolder, name: str) -> Artefact:
    """A model by its name, also where its file is gone: a later request's purge can have come first."""
    gone = {path: tombstone.artefact for path, tombstone in history.ledger.tombstones().items()}
    known = {**gone, **history.ledger.artefacts()}
    return next(artefact for path, artefact in known.items() if path.rpartition(".")[0] == name)


def _request(request: ErasureRequest) -> dict[str, Any]:
    names = ("id", "opened", "reason", "by", "legal_ground", "deadline")
    patients = {client: list(pseudonyms) for client, pseudonyms in request.patients.items()}
    facts = {name: getattr(request, name) for name in names}
    return {**facts, "clients": list(request.clients), "patients": patients, "plan": dict(request.plan or {})}


def _measured(evaluation: Evaluation) -> dict[str, Any]:
    clients = {client: asdict(metrics) for client, metrics in evaluation.clients.items()}
    return {"all": asdict(evaluation.overall), "clients": clients}


def audit_facts(found: Attested | None) -> dict[str, Any]:
    """What a certificate says of the audits."""
    if found is None:
        words = "No audit was made: the model was not held against retrainings."
        return {"made": False, "verdict": NOT_AUDITED, "words": words}
    words = (
        f"Held against {found.references} retrainings without the erased data. 'gone': the figure lies where the "
        "retrainings' do; 'cannot be shown': the audit has no power here, or needs more models than one erasure gives."
    )
    return {"made": True, "words": words, **asdict(found)}


def _nodes(run: OpenRun, id: str) -> dict[str, Any]:
    """Who the clients' nodes were, how that was known, and how many messages each was sent in the erasure."""
    store, name = run.history.store, f"erasures/{id}/nodes"
    if not store.holds(name):
        return {}
    held = json.loads(store.content(store.find(name)))
    told = ("identities", "messages", "questions_of_identity", "forgotten")
    return {"nodes": {name: held[name] for name in told}}


def _secrets(run: OpenRun, erasure: Erasure) -> dict[str, Any]:
    """Whether what the noise was drawn from is gone, as it was looked up now; nothing where none was drawn."""
    if not erasure.hiding:
        return {}
    left, folder = [path.name for path in left_over(run.history)], run.history.store.keys.files.folder
    words = (
        "Noise, and who repairs, were drawn from a secret of this erasure's own; who has it can take the noise off. "
        f"When this was written {folder} held {'none of them' if not left else ', '.join(left)}. Copies that somebody "
        "made of that file while the erasure was under way cannot be known."
    )
    return {"secrets": {"left": left, "words": words}}


def _purge(run: OpenRun, request: ErasureRequest, purged: bool, due: str | None) -> dict[str, Any]:
    store = run.history.store
    apart = store.keys.apart
    backups = (
        "The keys were kept apart from the run folder: copies of the folder cannot be read without them."
        if apart
        else "The keys were kept in the run folder: a copy that was made of it before, keys included, can be read."
    )
    facts: dict[str, Any] = {
        "encrypted": store.encrypt,
        "keys_apart": apart,
        "backups": backups if store.encrypt else "The files were not encrypted: copies of them can be read.",
        "remains": _remains(run, request, purged),
        "unnamed": list(not_in_ledger(run)),
    }
    if purged:
        return {"state": "done", **facts, **_gone(run, request)}
    state = f"held: the traces are kept until {due}" if due else "ordered: it follows this certificate at once"
    assert request.erasure is not None
    found = condemned(run, request, request.erasure)
    listed = [_listed(one.folder, {held.path: held.sha256 for held in one.artefacts}) for one in found]
    return {"state": state, "until": due, **facts, "runs": listed}


def not_in_ledger(run: OpenRun) -> Iterator[str]:
    """What lies in the folders of a run and of those that it began from, and is not in their ledgers, in words.

    It may be a copy of anything. The pages of `report` are among it until the purge removes them: nobody entered what
    they hold.
    """
    for folder in folders_of(run):
        yield from _not_in(folder)


def _not_in(folder: RunFolder) -> Iterator[str]:
    where = f"run {folder.ledger.run_id}: "
    for words in (*strays(folder), *stray_keys(folder)):
        yield where + words.removeprefix(f"{folder.path}/")
    yield from (f"{where}{name}: a page of `report`; nobody entered what it holds" for name in pages(folder))


def _gone(run: OpenRun, request: ErasureRequest) -> dict[str, Any]:
    """What was purged, from the run and from those that it began from."""
    listed, ledger = [], run.history.ledger
    (event,) = (event for event in ledger.events("purge") if event.body["request"] == request.id)
    for folder in folders_of(run):
        name = request.id if folder is run.history else abroad(run, request)
        purge = next(one for one in folder.ledger.events("purge") if one.body["request"] == name)
        tombstones = folder.ledger.tombstones().items()
        files = {path: gone.artefact.sha256 for path, gone in tombstones if gone.because == because_of(name)}
        listed.append({**_listed(folder, files), **_keys_of(folder, request, purge)})
    done, missed = reached(run.history, request.id)
    taken = [erased_images(folder)[-1] for folder in folders_of(run)]
    not_reached = list(dict.fromkeys([*missed, *(words for one in taken for words in one.not_reached)]))
    outside = {"reached": done, "not_reached": not_reached}
    return {"at": event.at, "runs": listed, "images": len(taken[0].rows), **outside}


def _keys_of(folder: RunFolder, request: ErasureRequest, purge: Event) -> dict[str, Any]:
    """What became of the keys that this purge destroyed, and where keys may lie that could not be looked into."""
    keys = folder.store.keys
    going = destroyed_with(list(folder.ledger.events("key", "purge")), purge)

    def of_clients(*what: str) -> dict[str, list[str]]:
        said, found = keys.confirmed(*what), keys.confirmed(OVERWRITTEN)
        ids = {
            client: [
                id
                for id in going.get(client, [])
                if id in said.get(client, []) and (OVERWRITTEN in what or id not in found.get(client, []))
            ]
            for client in request.clients
        }
        return {client: held for client, held in ids.items() if held}

    return {
        "keys_destroyed": of_clients(OVERWRITTEN),
        "keys_not_found": {"when the purge was resumed": of_clients(GONE), "said to be lost": of_clients(LOST)},
        "keys_elsewhere": [str(place) for place in keys.out_of_sight()],
    }


def _listed(folder: RunFolder, files: Mapping[str, str]) -> dict[str, Any]:
    return {"run": folder.ledger.run_id, "files": [{"path": path, "sha256": hash} for path, hash in files.items()]}


def _remains(run: OpenRun, request: ErasureRequest, purged: bool) -> list[str]:
    """What stays: as it is now after a purge, else as the purge is to leave it.

    A later erasure's purge can have come first: it took this one's model, and rebased the influences on its own.
    """
    base = run.history.base if purged else request.erasure
    kept = ["the initial model", "the ledger: who took part when, weights, losses, evaluations, hashes"]
    kept = [*_models_left(run, request, purged, base), *kept]
    if has_influence(run.history.keep):
        of = "the model after" if base == request.erasure else f"the model of erasure {base}"
        kept.append(f"the retained clients' influences, rebased on {of}, so that the next erasure can be made")
    if run.history.store.keys.living(IMAGES):
        kept.append(
            "keyed fingerprints of the erased images, by which they are known when they come again under another name: "
            "whoever holds the run's key of them and has an image can tell whether it was among them"
        )
    if any(request.patients for request in requests_of(run.history.ledger).values()):
        kept.append(
            "pseudonyms of each erased patient, in the ledger and here: whoever holds the run's key of them can try "
            "names until one fits"
        )
    if run.config.exact is not None:
        kept.append("the retained clients' statistics, from which the model is summed again")
    return kept


def _models_left(run: OpenRun, request: ErasureRequest, purged: bool, base: str | None) -> Iterator[str]:
    """The models of erasures that stay, in this run and in those that it began from, in words."""
    assert request.erasure is not None
    going = (
        {}
        if purged
        else {one.folder.path: {two.path for two in one.artefacts} for one in condemned(run, request, request.erasure)}
    )
    for folder in folders_of(run):
        own = folder is run.history
        for id in folder.ledger.erasures().values():
            name = f"erasures/{id}/model"
            if not folder.store.holds(name) or folder.store.find(name).path in going.get(folder.path, ()):
                continue
            if own and id == request.erasure:
                yield "the model after"
            elif own and id == base:
                yield f"the run's model now, which is that of erasure {id}"
            else:
                where = "" if own else f" of run {folder.ledger.run_id}"
                yield f"the model of erasure {id}{where}, which holds nothing of them by the record of how it was made"


def _run(run: OpenRun) -> dict[str, Any]:
    document = read_run_document(run.path)
    facts: Mapping[str, Any] = document["run"]
    return {
        "id": run.history.ledger.run_id,
        "code": {
            "fedlethe": VERSION,
            "trained_with": facts["version"],
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "seed": run.config.seed,
        "division_seed": run.config.division_seed,
        "model": run.config.model_name,
        "rounds": run.history.rounds,
        "data": {
            "source": run.config.source_name,
            "fingerprint": facts["data_fingerprint"],
            "clients": facts["clients"],
        },
        "configuration_sha256": run.history.ledger.artefacts()["run.toml"].sha256,
        "identity": IN_PROCESS if run.remote is None else ON_NODES,
    }


def plain_json(value: Any) -> Any:
    """Plain JSON values: tuples as lists, numbers that JSON lacks as text."""
    if isinstance(value, Mapping):
        return {str(name): plain_json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
