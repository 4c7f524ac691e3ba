# SPDX-License-Identifier: MIT
"""mode = "erase" or "retrain": take clients out of the run's model, over the nodes of those who remain."""

from __future__ import annotations

import shlex
from typing import Any

from fedlethe import experiment, flags
from fedlethe.errors import FedletheError
from fedlethe.experiment.erasure import Erasure
from fedlethe.experiment.run import opened_folder, opened_run
from fedlethe.flower.recorded import known_identities
from fedlethe.flower.session import LOG, Session, earlier_erased, known_nodes
from fedlethe.types import Need


def erase(session: Session) -> None:
    """Erase clients from the run's model by the chosen method or recipe."""
    options = session.options
    plain, repair, mask = _method_options(options.options)
    done = _erased(session, options.method, plain, repair, mask)
    LOG.info("fedlethe: erased %s by %s: %s", ", ".join(done.forget), done.method, done.model)


def retrain(session: Session) -> None:
    """Train again from the start without the clients: exact, and the reference for everything else."""
    done = _erased(session, "retrain", {}, {}, {})
    LOG.info("fedlethe: retrained without %s: %s", ", ".join(done.forget), done.model)


def _erased(
    session: Session, method: str, options: dict[str, Any], repair: dict[str, Any], mask: dict[str, Any]
) -> Erasure:
    path = session.options.folder
    forget = tuple(name for name in session.options.erase.replace(" ", "").split(",") if name)
    if not forget:
        raise FedletheError('run config: erase names nobody; give it a client, such as erase="hospital-1"')
    after = session.options.after or None
    known = known_nodes(path)
    with opened_folder(path) as (config, _):
        chosen = config.method(config.recipe(method).method, {**config.recipe(method).options, **options})
    gone = frozenset(forget) | earlier_erased(path, after)
    takes_part = Need.FORGOTTEN_DATA in chosen.needs
    exchange = session.exchange(known_identities(path), gone - frozenset(forget) if takes_part else gone)
    remote = session.remote(exchange, known, gone)
    with opened_run(path, remote) as run:
        request = experiment.request(run, forget, method, options, mask, repair, after)
        return experiment.erase(run, request)


def _method_options(text: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Assignments of the method, the repair and the mask."""
    parts: tuple[dict[str, Any], dict[str, Any], dict[str, Any]] = ({}, {}, {})
    for name, value in flags.assignments(shlex.split(text)).items():
        table, dot, key = name.partition(".")
        if dot and table not in ("repair", "mask"):
            raise FedletheError(f"options: '{name}' is neither the method's nor of repair. or mask.")
        parts[0 if not dot else 1 if table == "repair" else 2][key or name] = value
    return parts
