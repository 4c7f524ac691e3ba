# SPDX-License-Identifier: MIT
"""The commands that take clients out of a model, and back in."""

from __future__ import annotations

from typing import Annotated

import typer

from fedlethe.cli.options import (
    STOPPED,
    AcceptFindingsFlag,
    AfterFlag,
    ClipFlag,
    DecoysFlag,
    DeltaFlag,
    EpsilonFlag,
    ErasedFlag,
    ErasedPatientFlag,
    JsonFlag,
    KeepForFlag,
    KeyFlag,
    LostKeysFlag,
    MaskFlag,
    MaxGuessFlag,
    MethodFlag,
    OptionFlag,
    ReferencesFlag,
    RepairClientsFlag,
    RepairEpochsFlag,
    RepairLearningRateFlag,
    RepairRoundsFlag,
    RequestFlag,
    ResultFlag,
    RunArgument,
    ScaleFlag,
    SigmaFlag,
)

commands = typer.Typer()


@commands.command(epilog="Example: fedlethe erase RUN --client client-2 --method influence --repair-rounds 1")
def erase(
    run: RunArgument,
    client: ErasedFlag = None,
    patient: ErasedPatientFlag = None,
    method: MethodFlag = None,
    scale: ScaleFlag = None,
    clip: ClipFlag = None,
    set_: OptionFlag = None,
    after: AfterFlag = None,
    sigma: SigmaFlag = None,
    epsilon: EpsilonFlag = None,
    delta: DeltaFlag = None,
    max_guess: MaxGuessFlag = None,
    mask: MaskFlag = None,
    decoys: DecoysFlag = 0,
    repair_rounds: RepairRoundsFlag = None,
    repair_epochs: RepairEpochsFlag = None,
    repair_learning_rate: RepairLearningRateFlag = None,
    repair_clients: RepairClientsFlag = None,
    request: RequestFlag = None,
    key: KeyFlag = None,
    references: ReferencesFlag = 0,
    keep_for: KeepForFlag = 0,
    result: ResultFlag = None,
    accept_findings: AcceptFindingsFlag = None,
    lost_keys: LostKeysFlag = None,
    json: JsonFlag = False,
) -> None:
    """Take a client out of the model: unlearn, mask, repair; the trained model stays where it is.

    With --request an erasure request is carried out: erased, audited, certified, purged. After a kill the same command
    resumes it. Where the audits find the client, or a model of no use, it stops with exit code 3.
    """
    import fedlethe
    from fedlethe.cli import flags
    from fedlethe.cli.output.show import show

    plan = flags.plan(locals())
    accepted, lost = flags.said(accept_findings), flags.said(lost_keys)
    if request is None:
        of_requests = {"result": result, "accept_findings": accept_findings, "lost_keys": lost_keys}
        flags.refuse_of_requests(**of_requests, references=references, keep_for=keep_for)
        flags.demand_somebody(client or [], patient or [])
        erased = fedlethe.open_run(run).erase(*(client or ()), plan=plan, patients=patient or ())
        show(erased, json)
        return
    flags.refuse_named(client or [], patient or [])
    flags.refuse_decoys(decoys)
    asked = None if plan.is_default and method is None else plan
    carried = fedlethe.open_run(run).carry_out(request, key, asked, accepted, lost)
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
