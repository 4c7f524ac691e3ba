# SPDX-License-Identifier: MIT
"""mode = "audit": hold an erasure's model against retrainings, on the images of the nodes."""

from __future__ import annotations

from fedlethe.config import RunConfig
from fedlethe.erasing.auditing import Attested, demand_references, enter
from fedlethe.errors import ConfigError, RequestError
from fedlethe.flower.app import examiner
from fedlethe.flower.app.flower_remote import FlowerRemote
from fedlethe.flower.app.session import LOG, Session, earlier_erased, known_nodes
from fedlethe.flower.nodes.recorded_folder import known_identities
from fedlethe.history.paths import Kind, of_erasure
from fedlethe.history.store import JSON
from fedlethe.learners.references import reference_seeds
from fedlethe.learners.which import learner_of
from fedlethe.runs.opening import opened_run
from fedlethe.runs.past import made_in
from fedlethe.runs.run import OpenRun
from fedlethe.seeding import derive


def audit_mode(session: Session) -> None:
    """Hold an erasure's model against retrainings, on the images of the nodes."""
    options, path = session.options, session.options.folder
    if not options.references:
        raise ConfigError("run config: references = 0: an audit takes retrainings; give some")
    demand_references(options.references)
    known, gone = known_nodes(path), earlier_erased(path, options.erasure)
    remote = session.remote(session.exchange(known_identities(path), gone), known, gone)
    with opened_run(path, remote) as run, run.history.locked():
        found = of_erasure(options.erasure, Kind.AUDIT)
        place = path / f"{found}{JSON}"
        if run.history.store.holds(found):
            raise RequestError(f"{place}: is there already; this erasure was audited")
        attest_over_nodes(run, remote, options.erasure, options.references, options.ask_erased)
    LOG.info("fedlethe: the audits of erasure %s: %s", options.erasure, place)


def attest_over_nodes(run: OpenRun, remote: FlowerRemote, id: str, references: int, ask_erased: bool) -> None:
    """Audit an erasure and enter the findings; nothing is done for no references, or where they are entered already.

    Args:
        run: The run, locked.
        remote: Its nodes.
        id: The erasure's.
        references: How many retrainings to make.
        ask_erased: Ask the erased clients, too.

    Raises:
        FedletheError: A client does not answer or may not, or the run is in closed form.
    """
    if not references or run.history.store.holds(of_erasure(id, Kind.AUDIT)):
        return
    demand_network(run.config)
    found = _found(run, remote, id, references, ask_erased)
    enter(run.history, id, found)
    for finding in found.findings:
        LOG.info("fedlethe: %s: %s (%s)", finding.audit, finding.verdict, finding.statement)
    LOG.info("fedlethe: the audits say '%s' of erasure %s", found.verdict, id)


def demand_network(config: RunConfig) -> None:
    """Refuse to audit an erasure in closed form."""
    if not learner_of(config).by_steps:
        raise RequestError(
            "audits over nodes are of networks; erasure.json says how far this erasure is from a model fitted anew"
        )


def _found(run: OpenRun, remote: FlowerRemote, id: str, references: int, ask_erased: bool) -> Attested:
    made, gone = made_in(run.history, id), earlier_erased(run.path, id)
    forget = frozenset(made.forget)
    past, seeds = run.past(made.after), reference_seeds(run.config, references)
    retained = [client for client in past.clients if client not in gone]
    models = {"candidate": run.history.erased_model(id), "untouched": past.final()}
    for number, seed in enumerate(seeds, 1):
        LOG.info("fedlethe: retraining %d of %d", number, len(seeds))
        models[f"reference-{seed}"] = learner_of(run.config).retrain(run, retained, seed)
    exchange = remote.exchange
    asking = examiner.Examiner(
        exchange=exchange.reaching(forget) if ask_erased else exchange,
        computing=remote.computing(run.config),
        fingerprints=remote.known["fingerprints"],
        seed=derive(run.config.seed, "relearn"),
    )
    asked = sorted(forget) if ask_erased else []
    numbers = {entry.client: entry.num_examples or 0 for entry in run.history.ledger.participation()}
    task, answers = examiner.examined(asking, models, {client: numbers[client] for client in retained}, asked)
    return examiner.judged(task, answers, seeds, [*retained, *asked])
