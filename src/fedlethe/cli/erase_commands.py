# SPDX-License-Identifier: MIT
"""The commands that take clients out of a model, and back in."""

from __future__ import annotations

from typing import Annotated, Any

import click
import typer
from click.core import ParameterSource

from fedlethe.cli.options import (
    HOW_TO_ERASE,
    STOPPED,
    AcceptFindingsFlag,
    AfterFlag,
    ErasedFlag,
    ErasedPatientFlag,
    JsonFlag,
    KeepForFlag,
    KeyFlag,
    LostKeysFlag,
    MethodFlag,
    ReferencesFlag,
    RequestFlag,
    ResultFlag,
    RunArgument,
    SaidByFlag,
    takes,
)

commands = typer.Typer()


OF_REQUESTS = {
    "request": RequestFlag,
    "key": KeyFlag,
    "references": ReferencesFlag,
    "keep_for": KeepForFlag,
    "result": ResultFlag,
    "accept_findings": AcceptFindingsFlag,
    "lost_keys": LostKeysFlag,
    "by": SaidByFlag,
}
"""What an erasure that is a request's is told."""


@commands.command(epilog="Example: fedlethe erase RUN --client client-2 --method influence --repair-rounds 1")
@takes({"method": MethodFlag, "after": AfterFlag, **HOW_TO_ERASE, **OF_REQUESTS})
def erase(
    run: RunArgument,
    client: ErasedFlag = None,
    patient: ErasedPatientFlag = None,
    json: JsonFlag = False,
    **typed: Any,
) -> None:
    """Take a client out of the model: unlearn, mask, repair; the trained model stays where it is.

    With --request an erasure request is carried out: erased, audited, certified, purged. After a kill the same command
    resumes it. Where the audits find the client, or a model of no use, it stops with exit code 3.
    """
    import fedlethe
    from fedlethe.cli import flags
    from fedlethe.cli.output.show import show

    # Made before the run is opened: a slip in an option is told at once, and not after the data were read.
    plan = flags.plan(typed, flags.OF_ERASE)
    if typed["request"] is None:
        source = click.get_current_context().get_parameter_source  # the environment names a key for every command
        named = (name for name in OF_REQUESTS if source(name) is not ParameterSource.ENVIRONMENT)
        flags.refuse_of_requests({name: typed[name] for name in named})
        show(fedlethe.open_run(run).erase(*(client or ()), plan=plan, patients=patient or ()), json)
        return
    flags.refuse_names_beside_request(client or [], patient or [])
    accepted, lost = (flags.said(typed[name], typed["by"]) for name in ("accept_findings", "lost_keys"))
    flags.refuse_idle_name(typed["by"], "--accept-findings or --lost-keys", accepted or lost)
    # Nothing said is no plan: a request that was begun in another way goes on in that one.
    asked = None if plan.is_default and typed["method"] is None else plan
    carried = fedlethe.open_run(run).carry_out(typed["request"], typed["key"], asked, accepted, lost)
    # First what was found, then the exit code: whoever decides how to go on needs the table.
    show(carried, json)
    if carried.request.stopped:
        raise typer.Exit(STOPPED)


@commands.command(epilog="Example: fedlethe join RUN --client client-2 --after 0001")
def join(
    run: RunArgument,
    client: Annotated[list[str], typer.Option(help="Who joins again; give it again for several at once.")],
    after: Annotated[str, typer.Option(help="The erasure from whose result: 0001.")],
    json: JsonFlag = False,
) -> None:
    """Take a client back in that was erased (learner 'closed-form'): its statistics are added again, nobody trains."""
    import fedlethe
    from fedlethe.cli.output.show import show

    show(fedlethe.open_run(run).erase(join=client, method="closed-form", after=after), json)
