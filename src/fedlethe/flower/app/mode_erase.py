# SPDX-License-Identifier: MIT
"""mode = "erase" or "retrain": take clients out of the run's model, over the nodes of those who remain."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fedlethe.document import assignments
from fedlethe.erasing.erase import erase
from fedlethe.erasing.order import ErasureOrder
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.erasing.record import Erasure
from fedlethe.errors import ConfigError
from fedlethe.flower.app.flower_remote import FlowerRemote
from fedlethe.flower.app.mode_audit import attest_over_nodes, demand_network
from fedlethe.flower.app.session import LOG, Session, earlier_erased, known_nodes
from fedlethe.flower.nodes.recorded_folder import known_identities
from fedlethe.history.request_log import ErasureRequest, find
from fedlethe.requests import carry_out
from fedlethe.requests.request_plan import current
from fedlethe.requests.signing import signing_key
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run import OpenRun
from fedlethe.runs.run_toml import opened_folder
from fedlethe.types import ClientId, Need


def erase_mode(session: Session) -> None:
    """Erase clients from the run's model by the chosen method or recipe, on their own or as a request asks for it."""
    options = session.options
    plain, repair, mask = _method_options(options.options)
    if options.request:
        _carry_out(session, plain, repair, mask)
        return
    if options.key or options.keep_for:
        raise ConfigError("run config: key and keep-for belong to a request: fedlethe request RUN --client C")
    done = _erased(session, options.method, plain, repair, mask)
    LOG.info("fedlethe: erased %s by %s: %s", ", ".join(done.forget), done.method, done.model)


def retrain_mode(session: Session) -> None:
    """Train again from the start without the clients: exact, and the reference for everything else."""
    done = _erased(session, "retrain", {}, {}, {})
    LOG.info("fedlethe: retrained without %s: %s", ", ".join(done.forget), done.model)


def _erased(
    session: Session, method: str, options: dict[str, Any], repair: dict[str, Any], mask: dict[str, Any]
) -> Erasure:
    path = session.options.folder
    forget = tuple(name for name in session.options.erase.replace(" ", "").split(",") if name)
    if not forget:
        raise ConfigError('run config: erase names nobody; give it a client, such as erase="hospital-1"')
    after = session.options.after or None
    remote = _reached(session, forget, after, method, options)
    with opened_run(path, remote) as run:
        plan = order_erasure(
            run, forget, ErasurePlan(method=method, options=options, mask=mask, repair=repair, after=after)
        )
        return erase(run, plan)


def _carry_out(session: Session, plain: dict[str, Any], repair: dict[str, Any], mask: dict[str, Any]) -> None:
    """Carry an erasure request out, certificate and purge included where there is a key to sign with."""
    options, path = session.options, session.options.folder
    if options.erase:
        raise ConfigError("run config: the request says who is erased; leave erase away")
    signer = signing_key(Path(options.key)) if options.key else None
    plan = ErasurePlan(
        method=options.method,
        options=plain,
        mask=mask,
        repair=repair,
        after=options.after or None,
        references=options.references,
        keep_for=options.keep_for,
    )
    given = None if plan.is_default else plan
    known_nodes(path)
    with opened_folder(path) as (_, history):
        asked = find(history.ledger, options.request)
        after = options.after or current(history.ledger)
    chosen = given or (plan if asked.plan is None else ErasurePlan.from_dict(asked.plan))
    remote = _reached(session, asked.clients, after, chosen.method, chosen.options)
    with opened_run(path, remote) as run:
        if chosen.references:
            demand_network(run.config)

        def audit(run: OpenRun, erasure: Erasure, _: ErasureOrder, references: int) -> None:
            attest_over_nodes(run, remote, erasure.id, references, options.ask_erased)

        if signer is not None:
            carried = carry_out.carry_out(run, options.request, given, signer, audit)
            _tell(carried.request, path)
            if carried.certificate is not None:
                LOG.info("fedlethe: request %s is completed: %s", options.request, carried.certificate)
            return
        request = carry_out.erase_unsigned(run, options.request, given, audit)
    _tell(request, path)
    if request.stopped:
        return
    LOG.info("fedlethe: sign it and purge: fedlethe erase %s --request %s --key FILE", path, options.request)


def _tell(request: ErasureRequest, run: Path) -> None:
    """What the audits said, and what must be known of the model beside it; where a request stopped, how to go on."""
    LOG.info("fedlethe: request %s: the audits say: %s", request.id, request.verdict)
    for warning in request.warnings:
        LOG.warning("fedlethe: request %s: %s", request.id, warning)
    if request.stopped:
        LOG.error(
            "fedlethe: request %s STOPPED at what the audits found; nothing was certified or purged. Go on with "
            'another method, with: fedlethe erase %s --request %s --key erasure.key --accept-findings "why"; or '
            "withdraw it",
            request.id,
            run,
            request.id,
        )


def _reached(
    session: Session, forget: Iterable[ClientId], after: str | None, method: str, options: Mapping[str, Any]
) -> FlowerRemote:
    """The nodes of those who remain; those of the forgotten, too, where the method asks them to train."""
    path, known, forgotten = session.options.folder, known_nodes(session.options.folder), frozenset(forget)
    with opened_folder(path) as (config, history):
        recipe, begun = config.recipe(method), after or history.base
        needs = config.method(recipe.method, {**recipe.options, **options}).needs
    gone = forgotten | earlier_erased(path, begun)
    exchange = session.exchange(known_identities(path), gone - forgotten if Need.FORGOTTEN_DATA in needs else gone)
    return session.remote(exchange, known, gone)


def _method_options(text: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Assignments of the method, the repair and the mask."""
    parts: tuple[dict[str, Any], dict[str, Any], dict[str, Any]] = ({}, {}, {})
    for name, value in assignments(shlex.split(text)).items():
        table, dot, key = name.partition(".")
        if dot and table not in ("repair", "mask"):
            raise ConfigError(f"options: '{name}' is neither the method's nor of repair. or mask.")
        parts[0 if not dot else 1 if table == "repair" else 2][key or name] = value
    return parts
