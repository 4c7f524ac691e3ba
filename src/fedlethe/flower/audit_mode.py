# SPDX-License-Identifier: MIT
"""mode = "audit": hold an erasure's model against retrainings, on the images of the nodes."""

from __future__ import annotations

from fedlethe.errors import FedletheError
from fedlethe.experiment.run import opened_run, to_json
from fedlethe.flower import auditing
from fedlethe.flower.recorded import known_identities
from fedlethe.flower.session import LOG, Session, earlier_erased, erasure_facts, known_nodes
from fedlethe.history.store import JSON
from fedlethe.seeding import derive


def audit(session: Session) -> None:
    """Hold an erasure's model against retrainings, on the images of the nodes."""
    options, path = session.options, session.options.folder
    if options.references < 1:
        raise FedletheError(f"run config: references = {options.references}: an audit takes one retraining at least")
    facts = erasure_facts(path, options.erasure)
    forget, after = frozenset(facts["forget"]), facts.get("after")
    gone = forget | earlier_erased(path, after)
    known = known_nodes(path)
    exchange = session.exchange(known_identities(path), gone)
    remote = session.remote(exchange, known, gone)
    with opened_run(path, remote) as run, run.history.locked():
        if run.config.exact is not None:
            raise FedletheError(
                "an erasure in closed form is exact; its residual is in erasure.json, and needs no audit"
            )
        place = path / "erasures" / options.erasure / "audit.json"
        if place.is_file():
            raise FedletheError(f"{place}: is there already; this erasure was audited")
        past, seeds = run.past(after), auditing.reference_seeds(run, options.references)
        retained = [client for client in past.clients if client not in gone]
        models = {"candidate": run.history.erased_model(options.erasure), "untouched": past.final()}
        for number, seed in enumerate(seeds, 1):
            LOG.info("fedlethe: retraining %d of %d", number, len(seeds))
            models[f"reference-{seed}"] = auditing.retrained(run, retained, seed)
        reached = exchange.reaching(forget) if options.ask_erased else exchange
        examiner = auditing.Examiner(
            exchange=reached,
            computing=remote.computing(run.config),
            fingerprints=known["fingerprints"],
            seed=derive(run.config.seed, "relearn"),
        )
        asked = sorted(forget) if options.ask_erased else []
        numbers = {entry.client: entry.num_examples or 0 for entry in run.history.ledger.participation()}
        task, answers = auditing.examined(examiner, models, {client: numbers[client] for client in retained}, asked)
        found = auditing.attested(task, answers, seeds, [*retained, *asked])
        content, name = to_json(found, auditing.Attested).encode(), f"erasures/{options.erasure}/audit"
        run.history.ledger.add_artefacts([run.history.store.write("erasure", name, None, [content], ending=JSON)])
    for finding in found.findings:
        LOG.info("fedlethe: %s: %s (%s)", finding.audit, finding.verdict, finding.statement)
    LOG.info("fedlethe: the audits say '%s' of erasure %s: %s", found.verdict, options.erasure, place)
