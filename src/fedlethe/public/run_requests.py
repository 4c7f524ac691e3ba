# SPDX-License-Identifier: MIT
"""The erasure requests of a run, as the public face has them: opened, carried out, audited, certified, purged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fedlethe.outside.arguments import checked_methods
from fedlethe.public.run_in_folder import RunInFolder
from fedlethe.types import ClientId

if TYPE_CHECKING:
    from fedlethe.erasing.plan import ErasurePlan
    from fedlethe.history.request_log import ErasureRequest, Requests
    from fedlethe.requests.carry_out import Carried, Purged
    from fedlethe.requests.verify import Verified


@checked_methods
class RunRequests(RunInFolder):
    """What `Run` does with requests; for its examples see there."""

    def request(
        self,
        *clients: ClientId,
        reason: str,
        by: str,
        patients: Sequence[str] = (),
        legal_ground: str | None = None,
        deadline: str | None = None,
    ) -> ErasureRequest:
        """Open an erasure request, to be carried out, audited, certified and purged.

        Args:
            *clients: Who is to be erased.
            reason: Why, in words that stay on record.
            by: Who opens it.
            patients: Only these patients of the one client.
            legal_ground: GDPR Art. 17(1) if None.
            deadline: YYYY-MM-DD; a month from now if None.

        Returns:
            The request; `id` names it.

        Raises:
            RequestError: Somebody cannot be erased, or an open request names the client.

        Example:
            >>> run.request("west", reason="withdrew its consent", by="A. Keeper").state
            'opened'
        """
        from fedlethe.history.request_log import LEGAL_GROUND
        from fedlethe.requests.request import open_request

        with self._opened() as run:
            return open_request(run, clients, patients, reason, by, legal_ground or LEGAL_GROUND, deadline)

    def requests(self) -> Requests:
        """All requests; the data are not read.

        Returns:
            `requests`, in the order in which they were opened; `problems`, certificates that are missing or changed.

        Raises:
            FedletheError: The folder is no run, or its ledger's rows were changed.

        Example:
            >>> asked = run.request("west", reason="withdrew its consent", by="A. Keeper")
            >>> [(one.id, one.clients) for one in run.requests().requests]
            [('R0001', ('west',))]
        """
        from fedlethe.requests.request import listed

        return listed(self.path)

    def carry_out(
        self,
        id: str,
        key: Path | str | None,
        plan: ErasurePlan | None = None,
        accepted: Mapping[str, str] | None = None,
        lost: Mapping[str, str] | None = None,
    ) -> Carried:
        """Carry a request out, or resume one: erase, audit, certify, purge.

        Args:
            id: The request's, 'R0001'.
            key: The file of the key that signs the certificates (see `fedlethe.new_key`).
            plan: How; None for the recommended way, or the one that it was begun in.
            accepted: Who goes on in spite of what the audits found ('by'), and why ('why').
            lost: Who says that keys that cannot be found are lost ('by'), and why ('why').

        Returns:
            The request as it stands, the erasure, what the audits found, and the newest certificate; None for it where
            the request stopped at what they found.

        Raises:
            FedletheError: Something cannot be done; the request stays where it is, or is failed.

        Example:
            >>> key = fedlethe.new_key(run.path.parent / "officer")
            >>> asked = run.request("west", reason="withdrew its consent", by="A. Keeper")
            >>> carried = run.carry_out(asked.id, key.private, fedlethe.ErasurePlan(method="retrain"))
            >>> carried.request.purge, carried.certificate.name
            ('done', 'certificate.json')
        """
        from fedlethe.requests.carry_out import carry_out
        from fedlethe.requests.signing import signing_key

        signer = signing_key(None if key is None else Path(key))
        with self._opened() as run:
            return carry_out(run, id, plan, signer, accepted=accepted, lost=lost)

    def withdraw(self, id: str, reason: str, by: str) -> ErasureRequest:
        """Withdraw a request of which nothing was certified yet.

        Args:
            id: The request's.
            reason: Why, in words that stay on record.
            by: Who withdraws it.

        Returns:
            The request as it stands then.

        Raises:
            RequestError: There is no such request, or it is carried out or withdrawn already.

        Example:
            >>> asked = run.request("west", reason="withdrew its consent", by="A. Keeper")
            >>> run.withdraw(asked.id, reason="asked by mistake", by="A. Keeper").state
            'withdrawn'
        """
        from fedlethe.requests.request import withdraw

        return withdraw(self.path, id, reason, by)

    def purge(self, key: Path | str | None = None, lost: Mapping[str, str] | None = None) -> Purged:
        """Carry out the purges that are due: those of requests whose date has come, and those that were cut off.

        Args:
            key: The file of the key that signs the certificates; None where nothing is due.
            lost: See `carry_out`.

        Returns:
            The requests whose purge was carried out, and those that wait.

        Raises:
            FedletheError: Something is due and there is no key; or a purge cannot be carried out.

        Example:
            >>> run.purge().carried
            ()
        """
        from fedlethe.requests.carry_out import purge_due
        from fedlethe.requests.signing import signing_key

        signer = None if key is None else signing_key(Path(key))
        with self._opened() as run:
            return purge_due(run, signer, lost)

    def verify(self) -> Verified:
        """Hold the ledger against itself, the files, the keys and the certificates.

        Returns:
            What was checked, with which result; `failed` holds what is wrong, and is empty where all is well.

        Raises:
            FedletheError: The ledger's rows were changed, so that nothing in it can be relied on.

        Example:
            >>> run.verify().failed
            ()
        """
        from fedlethe.requests.verify import verify_ledger

        return verify_ledger(self.path)
