# SPDX-License-Identifier: MIT
"""The command line: flags to a configuration, a station of `experiment`, a table or one JSON object."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fedlethe import __version__
from fedlethe.cli.cache_commands import caches
from fedlethe.cli.request_commands import (
    ACT,
    STOPPED,
    JsonFlag,
    KeyFlag,
    LostKeysFlag,
    RunArgument,
    commands,
    keys,
    ledgers,
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Train one medical-imaging model across hospitals, and take a hospital back out of it. "
    "Start with: **fedlethe demo**",
)

# Options that several commands share. A flag that is not given changes nothing: what it stands for keeps its value.
ConfigFlag = Annotated[Path | None, typer.Option("--config", help="A TOML file; the flags lie over it.")]
PresetFlag = Annotated[str | None, typer.Option(help="Start from 'paper' or 'demo'.")]
SetFlag = Annotated[list[str] | None, typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Any other option.")]
SeedFlag = Annotated[int | None, typer.Option(help="All randomness is derived from it.")]
DataFlag = Annotated[
    str | None,
    typer.Option(
        help="phantom, covid-radiography, isic2019, medmnist, table (nodes: on Flower).", rich_help_panel="Data"
    ),
]
RootFlag = Annotated[Path | None, typer.Option(help="The data set's folder or file.", rich_help_panel="Data")]
PathFlag = Annotated[Path | None, typer.Option(help="The CSV of --data table.", rich_help_panel="Data")]
FlagFlag = Annotated[str | None, typer.Option(help="Which MedMNIST, e.g. pneumoniamnist.", rich_help_panel="Data")]
SizeFlag = Annotated[int | None, typer.Option(help="Images are SIZE x SIZE pixels.", rich_help_panel="Data")]
ChannelsFlag = Annotated[int | None, typer.Option(help="1 gray, 3 colour.", rich_help_panel="Data")]
DownloadFlag = Annotated[
    bool | None, typer.Option("--download", help="Fetch the data set, checksum verified.", rich_help_panel="Data")
]
ClientsFlag = Annotated[int | None, typer.Option(help="How many simulated clients.", rich_help_panel="Data")]
PartitionFlag = Annotated[str | None, typer.Option(help="site, iid, dirichlet or quantity.", rich_help_panel="Data")]
AlphaFlag = Annotated[float | None, typer.Option(help="Of dirichlet: small is uneven.", rich_help_panel="Data")]
MaxExamplesFlag = Annotated[int | None, typer.Option(help="At most so many images per client.", rich_help_panel="Data")]
ScaleFlag = Annotated[float | None, typer.Option(help="Of influence: how much is subtracted; 1 is all.")]
ClipFlag = Annotated[float | None, typer.Option(help="Of influence: the norm that it is clipped to.")]
HIDING, REPAIR = "Hiding who left", "Repair"
SigmaFlag = Annotated[
    float | None, typer.Option(help="Noise of this standard deviation; says what it hides.", rich_help_panel=HIDING)
]
EpsilonFlag = Annotated[
    float | None, typer.Option(help="Noise that hides who left to (epsilon, delta).", rich_help_panel=HIDING)
]
DeltaFlag = Annotated[float | None, typer.Option(help="Goes with epsilon; 1e-5 if unset.", rich_help_panel=HIDING)]
MaxGuessFlag = Annotated[
    float | None,
    typer.Option(
        help="Noise that leaves the best attacker this chance of naming who left; of several, of picking one of them.",
        rich_help_panel=HIDING,
    ),
]
MaskFlag = Annotated[
    str | None,
    typer.Option(
        help="isotropic, subspace or shaped; subspace if unset, isotropic with --sigma.", rich_help_panel=HIDING
    ),
]
DecoysFlag = Annotated[
    int, typer.Option(help="Erase so many others along: the model does not tell who asked.", rich_help_panel=HIDING)
]
RepairRoundsFlag = Annotated[
    int | None,
    typer.Option(
        help="Rounds by the retained clients afterwards; 1 if unset, 0 where the method trains them.",
        rich_help_panel=REPAIR,
    ),
]
RepairEpochsFlag = Annotated[
    float | None, typer.Option(help="Local epochs in them; the recipe's if unset.", rich_help_panel=REPAIR)
]
RepairLearningRateFlag = Annotated[
    float | None, typer.Option(help="Step size; the run's own if unset.", rich_help_panel=REPAIR)
]
RepairClientsFlag = Annotated[
    int | None,
    typer.Option(help="Let so few repair that a mask still hides who left among the rest.", rich_help_panel=REPAIR),
]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"fedlethe {__version__}")
        raise typer.Exit


@app.callback()
def _fedlethe(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: fedlethe demo --out demo")
def demo(
    out: Annotated[Path, typer.Option(help="Where the run goes.")] = Path("demo"),
    seed: SeedFlag = None,
    json: JsonFlag = False,
) -> None:
    """Train five synthetic hospitals, erase one, draw everything: three minutes on two cores, no download."""
    from fedlethe.cli.demo import demo as run_demo
    from fedlethe.cli.output import show

    show.show(run_demo(out, 0 if seed is None else seed), json)


@app.command(
    epilog="Example: fedlethe train --data medmnist --flag pneumoniamnist --root DATA --rounds 15 --local-epochs 2 "
    "--out RUN"
)
def train(
    out: Annotated[Path, typer.Option(help="The run folder; an unfinished run in it is gone on with.")],
    config: ConfigFlag = None,
    preset: PresetFlag = None,
    data: DataFlag = None,
    root: RootFlag = None,
    path: PathFlag = None,
    flag: FlagFlag = None,
    size: SizeFlag = None,
    channels: ChannelsFlag = None,
    download: DownloadFlag = None,
    clients: ClientsFlag = None,
    partition: PartitionFlag = None,
    alpha: AlphaFlag = None,
    max_examples: MaxExamplesFlag = None,
    learner: Annotated[str | None, typer.Option(help="fedavg, or closed-form: a ridge on frozen features.")] = None,
    features: Annotated[
        str | None, typer.Option(help="scattering, backbone or torchscript.", rich_help_panel="Learner 'closed-form'")
    ] = None,
    dimension: Annotated[
        int | None, typer.Option(help="Project the features to so many.", rich_help_panel="Learner 'closed-form'")
    ] = None,
    penalty: Annotated[
        float | None, typer.Option(help="Of the ridge; chosen if unset.", rich_help_panel="Learner 'closed-form'")
    ] = None,
    model: Annotated[str | None, typer.Option(help="small-cnn, resnet18 or resnet50.")] = None,
    norm: Annotated[str | None, typer.Option(help="batch or group.")] = None,
    weights: Annotated[Path | None, typer.Option(help="ImageNet weights for a ResNet (safetensors).")] = None,
    rounds: Annotated[int | None, typer.Option(help="Rounds of federated averaging.")] = None,
    participation: Annotated[float | None, typer.Option(help="Fraction of clients in each round.")] = None,
    local_epochs: Annotated[float | None, typer.Option(help="A client's passes over its images a round.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images in one gradient step.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd, adam or adamw.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Step size.")] = None,
    momentum: Annotated[float | None, typer.Option(help="Of SGD.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="L2 penalty.")] = None,
    keep: Annotated[str | None, typer.Option(help="'needed' by the methods, or 'everything'.")] = None,
    methods: Annotated[str | None, typer.Option(help="Erasure methods to keep the history for, a,b,c.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")] = None,
    after: Annotated[
        Path | None,
        typer.Option(
            help="Begin from an erasure's model, RUN/erasures/0001; with RUN's configuration where no data are named."
        ),
    ] = None,
    take_back: Annotated[
        list[str] | None, typer.Option(help="With --after: who was erased and takes part again; else they do not.")
    ] = None,
    seed: SeedFlag = None,
    set_: SetFlag = None,
    json: JsonFlag = False,
) -> None:
    """Train a federation and record its history; run it again after an interruption and it goes on."""
    from fedlethe import public
    from fedlethe.cli import flags
    from fedlethe.cli.output import show
    from fedlethe.presets import from_layers

    new = config is not None or preset is not None or data is not None
    document = from_layers(
        config=config,
        preset=preset,
        below=None if after is None or new else public.document_of_run(after),
        settings=set_ or [],
        tables={
            "": {"seed": seed, "learner": learner},
            "data": flags.data(data, root, path, flag, size, channels, download),
            "partition": {"scheme": partition, "clients": clients, "alpha": alpha, "max_examples": max_examples},
            "features": {"name": features},
            "closed_form": {"dimension": dimension, "penalty": penalty},
            "model": {"name": model, "norm": norm, "weights": weights},
            "federation": {"rounds": rounds, "participation": participation},
            "local": {
                "epochs": local_epochs,
                "batch_size": batch_size,
                "optimizer": optimizer,
                "learning_rate": learning_rate,
                "momentum": momentum,
                "weight_decay": weight_decay,
            },
            "history": {"keep": keep, "methods": None if methods is None else methods.split(",")},
            "execution": {"device": device, "precision": precision},
        },
    )
    show.show(public.train_run(public.config_for(document, out), out, after=after, take_back=take_back or ()), json)


@app.command(epilog="Example: fedlethe erase RUN --client client-2 --method influence --repair-rounds 1")
def erase(
    run: RunArgument,
    client: Annotated[list[str] | None, typer.Option(help="Who is erased; give it again for several at once.")] = None,
    patient: Annotated[
        list[str] | None, typer.Option(help="Erase only this patient of the client, or of all (learner 'closed-form').")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="A method or recipe; see: fedlethe methods. Recommended if unset.")
    ] = None,
    scale: ScaleFlag = None,
    clip: ClipFlag = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any option of it.")] = None,
    after: Annotated[str | None, typer.Option(help="Erase from the result of this earlier erasure: 0001.")] = None,
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
    request: Annotated[
        str | None, typer.Option(help="Carry this request out, certificate and purge included.", rich_help_panel=ACT)
    ] = None,
    key: KeyFlag = None,
    references: Annotated[
        int, typer.Option(help="Audit against so many retrainings; 0 for no audit.", rich_help_panel=ACT)
    ] = 0,
    keep_for: Annotated[
        int, typer.Option(metavar="DAYS", help="Purge only after so many days.", rich_help_panel=ACT)
    ] = 0,
    result: Annotated[
        str | None, typer.Option(help="Take this erasure, made before, as the result: 0002.", rich_help_panel=ACT)
    ] = None,
    accept_findings: Annotated[
        str | None, typer.Option(metavar="WHY", help="Go on in spite of what the audits found.", rich_help_panel=ACT)
    ] = None,
    lost_keys: LostKeysFlag = None,
    json: JsonFlag = False,
) -> None:
    """Take a client out of the model: unlearn, mask, repair; the trained model stays where it is.

    With --request an erasure request is carried out: erased, audited, certified, purged. A kill is gone on from by the
    same command. Where the audits find the client, or a model of no use, it stops with exit code 3.
    """
    from fedlethe import public
    from fedlethe.cli import flags
    from fedlethe.cli.output import requests
    from fedlethe.document import assignments
    from fedlethe.presets import given

    options = given({"scale": scale, "clip": clip, **assignments(set_ or [])})
    repair = flags.repair(repair_rounds, repair_epochs, repair_learning_rate, repair_clients)
    masking = flags.mask(mask, sigma, epsilon, delta, max_guess)
    if request is not None:
        flags.refuse_named(client or [], patient or [])
        flags.refuse_decoys(decoys)
        plan = public.ErasurePlan(
            method=method or public.RECOMMENDED,
            options=options,
            mask=masking,
            repair=repair,
            after=after,
            references=references,
            keep_for=keep_for,
            result=result,
        )
        asked = None if plan.is_default and method is None else plan
        accepted = flags.said(accept_findings)
        signer = public.signing_key(key)
        with public.opened_run(run) as opened:
            carried = public.carry_out(opened, request, asked, signer, accepted=accepted, lost=flags.said(lost_keys))
        requests.show(carried, json)
        if carried.request.stopped:
            raise typer.Exit(STOPPED)
        return
    of_requests = {"result": result, "accept_findings": accept_findings, "lost_keys": lost_keys}
    flags.refuse_of_requests(**of_requests, references=references, keep_for=keep_for)
    clients, of_patients = flags.forgotten(client or [], patient or [])
    with public.opened_run(run) as opened:
        way = public.ErasurePlan(
            method=method or public.RECOMMENDED,
            options={**options, **of_patients},
            mask=masking,
            repair=repair,
            after=after,
            decoys=decoys,
        )
        requests.show(public.erase(opened, public.order_erasure(opened, clients, way)), json)


@app.command(epilog="Example: fedlethe join RUN --client client-2 --after 0001")
def join(
    run: RunArgument,
    client: Annotated[list[str], typer.Option(help="Who joins again; give it again for several at once.")],
    after: Annotated[str, typer.Option(help="The erasure from whose result: 0001.")],
    json: JsonFlag = False,
) -> None:
    """Take a client back in that was erased (learner 'closed-form'): its statistics are added again, nobody trains."""
    from fedlethe import public
    from fedlethe.cli.output import show

    with public.opened_run(run) as opened:
        request = public.order_erasure(
            opened, (), public.ErasurePlan(method="closed-form", options={"join": client}, after=after)
        )
        show.show(public.erase(opened, request), json)


@app.command(epilog="Example: fedlethe compare CONFIG.toml --root DATA --methods all --seeds 0-4 --out OUT")
def compare(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file as for train.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Where everything goes; what an earlier call left there is gone on with.")],
    methods: Annotated[str, typer.Option(help="a,b,c: methods or recipes; all for all of both.")] = "all",
    seeds: Annotated[str, typer.Option(help="Of the trainings: 0-4 or 0,2,5.")] = "0-4",
    client: Annotated[list[str] | None, typer.Option(help="Who is erased; the backdoor's client if unset.")] = None,
    references: Annotated[int, typer.Option(help="Retrainings that the figures are held against.")] = 10,
    workers: Annotated[int, typer.Option(help="Processes, of one thread each.")] = 2,
    root: RootFlag = None,
    set_: SetFlag = None,
    json: JsonFlag = False,
) -> None:
    """Erase a client with every method, audit against retrainings, make one table; run it again to go on."""
    from fedlethe import public
    from fedlethe.cli import flags
    from fedlethe.cli.output import show
    from fedlethe.presets import from_layers

    tables = {"data": {"root": root}}
    document = from_layers(config=config, preset=None, settings=set_ or [], tables=tables)
    numbers = flags.whole_numbers(seeds, "--seeds")
    named = (public.config_for(document), methods.split(","), numbers, client or ())
    result = public.compare(*named, references=references, out=out, workers=workers)
    public.write_comparison(result)
    show.show(result, json)


@app.command(epilog="Example: fedlethe methods --json")
def methods(json: JsonFlag = False) -> None:
    """List the unlearning methods: paper, what each needs, its options and their defaults."""
    from fedlethe import public
    from fedlethe.cli.output import show

    show.show(public.methods(), json)


@app.command(epilog="Example: fedlethe audits")
def audits(json: JsonFlag = False) -> None:
    """List the audits: paper, what each measures, its options and their defaults."""
    from fedlethe import public
    from fedlethe.cli.output import show

    show.show(public.audits(), json)


@app.command(epilog="Example: fedlethe sweep RUN --sigmas 0,0.01,0.03 --draws 5")
def sweep(
    run: RunArgument,
    sigmas: Annotated[str | None, typer.Option(help="Noise levels a,b,c; the paper's 0 to 0.03 if unset.")] = None,
    draws: Annotated[int, typer.Option(help="Draws of the noise at each.")] = 5,
    client: Annotated[list[str] | None, typer.Option(help="Who is erased in turn; all if unset.")] = None,
    method: Annotated[str | None, typer.Option(help="The unlearning method; influence, or closed-form.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any option of it.")] = None,
    json: JsonFlag = False,
) -> None:
    """For every client: erase it, add noise of every sigma, draw accuracy against sigma."""
    from fedlethe import public
    from fedlethe.cli import flags
    from fedlethe.cli.output import show
    from fedlethe.document import assignments

    levels = public.SIGMAS if sigmas is None else flags.numbers(sigmas, "--sigmas")
    with public.opened_run(run) as opened:
        method = method or opened.config.usual_method
        built = opened.config.method(method, assignments(set_ or []))
        show.show(public.sweep(opened, method, built, levels, draws, client or ()), json)


@app.command(epilog="Example: fedlethe frontier RUN --clips 0.25,0.5,1 --epsilons 1,3,8")
def frontier(
    run: RunArgument,
    epsilons: Annotated[str | None, typer.Option(help="a,b,c; 0.5 to 16 if unset.")] = None,
    delta: DeltaFlag = None,
    masks: Annotated[str, typer.Option(help="Of isotropic, subspace, shaped.")] = "isotropic,subspace,shaped",
    sigmas: Annotated[
        str | None, typer.Option(help="Isotropic noise, too; the paper's 0.0025 to 0.03 if unset.")
    ] = None,
    clips: Annotated[str | None, typer.Option(help="Norms that the influence is clipped to, a,b,c.")] = None,
    draws: Annotated[int, typer.Option(help="Of the noise, for each client and size.")] = 5,
    method: Annotated[str | None, typer.Option(help="The unlearning method; influence, or closed-form.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any option of it.")] = None,
    json: JsonFlag = False,
) -> None:
    """For every mask and epsilon: what hiding costs, what is left of the client, and who is named by an attacker."""
    from fedlethe import public
    from fedlethe.cli import flags
    from fedlethe.cli.output import show
    from fedlethe.document import assignments
    from fedlethe.presets import given

    options = assignments(set_ or [])
    clipped = [("", {})] if clips is None else [(f"clip {c:g}", {"clip": c}) for c in flags.numbers(clips, "--clips")]
    with public.opened_run(run) as opened:
        method = method or opened.config.usual_method
        result = public.frontier(
            opened,
            method,
            {name or method: opened.config.method(method, {**options, **clip}) for name, clip in clipped},
            public.EPSILONS if epsilons is None else flags.numbers(epsilons, "--epsilons"),
            masks.split(","),
            public.SIGMAS if sigmas is None else flags.numbers(sigmas, "--sigmas"),
            draws,
            **given({"delta": delta}),
        )
        show.show(result, json)


@app.command(epilog="Example: fedlethe identity RUN --epsilon 3 --repair-clients 2")
def identity(
    run: RunArgument,
    method: Annotated[str, typer.Option(help="A method or recipe; see: fedlethe methods.")] = "recommended",
    scale: ScaleFlag = None,
    clip: ClipFlag = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any option of it.")] = None,
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
    draws: Annotated[int, typer.Option(help="How often each client is erased.")] = 3,
    json: JsonFlag = False,
) -> None:
    """Erase every client in turn as `erase` would, and let three attackers guess who it was, at every stage."""
    from fedlethe import public
    from fedlethe.cli import flags
    from fedlethe.cli.output import show
    from fedlethe.document import assignments
    from fedlethe.presets import given

    options = given({"scale": scale, "clip": clip, **assignments(set_ or [])})
    masking = flags.mask(mask, sigma, epsilon, delta, max_guess)
    repair = flags.repair(repair_rounds, repair_epochs, repair_learning_rate, repair_clients)
    with public.opened_run(run) as opened:
        request = public.order_for_nobody(
            opened, public.ErasurePlan(method=method, options=options, mask=masking, repair=repair, decoys=decoys)
        )
        show.show(public.who_left(opened, request, draws), json)


@app.command(epilog="Example: fedlethe trace RUN --client client-2 (the run was trained with --keep everything)")
def trace(
    run: RunArgument,
    client: Annotated[str, typer.Option(help="Who is erased at each round.")],
    method: Annotated[str | None, typer.Option(help="The unlearning method; influence, or closed-form.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any option of it.")] = None,
    json: JsonFlag = False,
) -> None:
    """Erase a client at each round's global model, and draw both models by round."""
    from fedlethe import public
    from fedlethe.cli.output import show
    from fedlethe.document import assignments

    with public.opened_run(run) as opened:
        method = method or opened.config.usual_method
        built = opened.config.method(method, assignments(set_ or []))
        show.show(public.trace(opened, method, built, client), json)


@app.command(epilog="Example: fedlethe evaluate RUN --erasure 0001")
def evaluate(
    run: RunArgument,
    model: Annotated[Path | None, typer.Option(help="A checkpoint file of the same network.")] = None,
    round: Annotated[int | None, typer.Option(help="The global model after this round.")] = None,
    erasure: Annotated[str | None, typer.Option(help="The model of this erasure.")] = None,
    split: Annotated[str, typer.Option(help="test, validation or train.")] = "test",
    json: JsonFlag = False,
) -> None:
    """Evaluate a model on every client's images; the final global model if none is named."""
    from fedlethe import public
    from fedlethe.cli import flags
    from fedlethe.cli.output import show

    with public.opened_run(run) as opened:
        show.show(public.evaluate_model(opened, model, round, erasure, flags.split(split)), json)


@app.command(epilog="Example: fedlethe history --check RUN")
def history(
    run: RunArgument,
    check: Annotated[bool, typer.Option("--check", help="Verify every file, rebuild every round.")] = False,
    rebuild: Annotated[int | None, typer.Option(help="Rebuild this round's global model ...")] = None,
    unseal: Annotated[str | None, typer.Option(help="Or open this sealed file of a client ...")] = None,
    out: Annotated[Path | None, typer.Option(help="... into this file.")] = None,
    json: JsonFlag = False,
) -> None:
    """Show what is kept of the training and its bytes; check it; rebuild any round's model from it."""
    from fedlethe import public
    from fedlethe.cli.output import show

    show.show(public.history_overview(run, check, rebuild, out, unseal), json)


@app.command(epilog="Example: fedlethe data --data isic2019 --root DATA --size 64 --out pictures")
def data(
    data: DataFlag = None,
    config: ConfigFlag = None,
    preset: PresetFlag = None,
    root: RootFlag = None,
    path: PathFlag = None,
    flag: FlagFlag = None,
    size: SizeFlag = None,
    channels: ChannelsFlag = None,
    download: DownloadFlag = None,
    clients: ClientsFlag = None,
    partition: PartitionFlag = None,
    alpha: AlphaFlag = None,
    max_examples: MaxExamplesFlag = None,
    seed: SeedFlag = None,
    set_: SetFlag = None,
    out: Annotated[Path | None, typer.Option(help="Draw the class mix and some images in this folder.")] = None,
    json: JsonFlag = False,
) -> None:
    """Read a data set as a training would, and show who holds what."""
    from fedlethe import public
    from fedlethe.cli import flags
    from fedlethe.cli.output import show
    from fedlethe.presets import from_layers

    tables: dict[str, dict[str, Any]] = {
        "": {"seed": seed},
        "data": flags.data(data, root, path, flag, size, channels, download),
        "partition": {"scheme": partition, "clients": clients, "alpha": alpha, "max_examples": max_examples},
    }
    document = from_layers(config=config, preset=preset, settings=set_ or [], tables=tables)
    show.show(public.data_overview(public.config_for(document), out), json)


@app.command(epilog="Example: fedlethe report RUN, then open RUN/report/index.html")
def report(run: RunArgument, json: JsonFlag = False) -> None:
    """Write one self-contained HTML page of the run: its plots, tables and erasures."""
    from fedlethe import public
    from fedlethe.cli.output import show

    with public.opened_run(run) as opened:
        show.show(public.report(opened), json)


app.registered_commands.extend(commands.registered_commands)
app.add_typer(keys, name="key")
app.add_typer(ledgers, name="ledger")
app.add_typer(caches, name="cache")
flower = typer.Typer(
    no_args_is_help=True, help="The same federation on many machines, by Flower (extra **[flower]**): docs/flower.md."
)
app.add_typer(flower, name="flower")


@flower.command(epilog="Example: fedlethe flower new app, then: flwr run app")
def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The app's folder, new or empty.", show_default=False)],
    json: JsonFlag = False,
) -> None:
    """Write a working Flower app: what runs at the server, what runs at each hospital, and the federation's file."""
    from fedlethe.cli.output import show
    from fedlethe.flower.app.new_app import new_app
    from fedlethe.text import shown

    made = new_app(folder)
    if json:
        show.show(made, json)
    else:
        typer.echo(shown(made.next_steps, lines=True))
