# SPDX-License-Identifier: MIT
"""The commands about erasure requests, certificates, keys and the ledger; `cli` takes them in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedlethe import ConfigError
from fedlethe.cli.options import ByFlag, IdArgument, JsonFlag, KeyFlag, LostKeysFlag, RunArgument, SaidByFlag

commands = typer.Typer()
keys = typer.Typer(no_args_is_help=True, help="Keys that sign certificates.")
ledgers = typer.Typer(no_args_is_help=True, help="The ledger of a run.")


@commands.command(epilog='Example: fedlethe request RUN --client client-2 --reason "withdrew its consent"')
def request(
    run: RunArgument,
    client: Annotated[list[str], typer.Option(help="Who is to be erased; give it again for several.")],
    reason: Annotated[str, typer.Option(help="In the words of who asks; it stays on record.")],
    patient: Annotated[list[str] | None, typer.Option(help="Only this patient of the client.")] = None,
    by: ByFlag = None,
    legal_ground: Annotated[str | None, typer.Option(help="GDPR Art. 17(1) if unset.")] = None,
    deadline: Annotated[str | None, typer.Option(help="YYYY-MM-DD; 30 days from now if unset.")] = None,
    json: JsonFlag = False,
) -> None:
    """Open an erasure request: who, why, on which ground, until when. It stays on record."""
    import fedlethe
    from fedlethe.cli import flags
    from fedlethe.cli.output.requests import OfRun
    from fedlethe.cli.output.show import show

    # The law and the month of its deadline are the face's to know.
    told = flags.given({"legal_ground": legal_ground, "deadline": deadline})
    opened = fedlethe.open_run(run).request(*client, patients=patient or (), reason=reason, by=flags.user(by), **told)
    show(OfRun(run, opened), json)


@commands.command(epilog="Example: fedlethe requests RUN")
def requests(run: RunArgument, json: JsonFlag = False) -> None:
    """List the erasure requests of a run: state, deadline, and when their traces go."""
    import fedlethe
    from fedlethe.cli.output.show import show

    show(fedlethe.open_run(run).requests(), json)


@commands.command(epilog='Example: fedlethe withdraw RUN R0001 --reason "opened by mistake"')
def withdraw(
    run: RunArgument,
    id: IdArgument,
    reason: Annotated[str, typer.Option(help="It stays on record.")],
    by: ByFlag = None,
    json: JsonFlag = False,
) -> None:
    """Withdraw an erasure request of which nothing was certified yet."""
    import fedlethe
    from fedlethe.cli import flags
    from fedlethe.cli.output.requests import OfRun
    from fedlethe.cli.output.show import show

    show(OfRun(run, fedlethe.open_run(run).withdraw(id, reason, flags.user(by))), json)


@commands.command(epilog="Example: fedlethe purge RUN --key erasure.key")
def purge(
    run: RunArgument,
    key: KeyFlag = None,
    lost_keys: LostKeysFlag = None,
    by: SaidByFlag = None,
    json: JsonFlag = False,
) -> None:
    """Carry out the purges that were to wait (erase --keep-for) and whose date has come."""
    import fedlethe
    from fedlethe.cli import flags
    from fedlethe.cli.output.show import show

    lost = flags.said(lost_keys, by)
    flags.refuse_idle_name(by, "--lost-keys", lost)
    show(fedlethe.open_run(run).purge(key, lost), json)


@commands.command(epilog="Example: fedlethe verify RUN/erasures/0001/certificate.json --key erasure.key.pub --run RUN")
def verify(
    certificate: Annotated[Path, typer.Argument(metavar="CERTIFICATE", help="The file.", show_default=False)],
    key: Annotated[Path, typer.Option(help="The public half of the key that signed it.")],
    run: Annotated[Path | None, typer.Option(help="The run folder, to check what it says of it.")] = None,
    json: JsonFlag = False,
) -> None:
    """Check a certificate: signature, hashes, ledger, purge; and say what could not be checked."""
    import fedlethe
    from fedlethe.cli.output.requests import show_verified

    show_verified(fedlethe.verify(certificate, key, run), json)


@keys.command("new", epilog="Example: fedlethe key new erasure.key")
def new_key(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; FILE.pub is for everybody.")],
    json: JsonFlag = False,
) -> None:
    """Make a key that signs certificates (Ed25519); keep FILE to yourself, give FILE.pub to who checks them."""
    import fedlethe
    from fedlethe.cli.output.show import show

    show(fedlethe.new_key(path), json)


@keys.callback()
def _keys() -> None:
    """Keys that sign certificates."""


@ledgers.command("verify", epilog="Example: fedlethe ledger verify RUN")
def verify_ledger(run: RunArgument, json: JsonFlag = False) -> None:
    """Find any row of the ledger that was changed, removed or put elsewhere, and any file that does not match."""
    import fedlethe
    from fedlethe.cli.output.requests import show_verified

    # A certificate in its place would be asked for a key next, which this command does not take.
    if run.is_file():
        raise ConfigError(f"{run}: is a file; name the run folder, or use fedlethe verify for a certificate")
    show_verified(fedlethe.verify(run), json)


@ledgers.callback()
def _ledgers() -> None:
    """The ledger of a run."""
