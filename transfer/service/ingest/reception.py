"""What becomes of a device that is whole: its job is found or made, and offered to the queue.

Refused are here: the same device in a second folder; a device with a seal older than one that was seen, or
another one of the same generation, which somebody may have put there to have old data imported again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from weakref import WeakValueDictionary

from transfer.device.signature import told_signer
from transfer.errors import DeviceError, IntegrityError, LedgerError
from transfer.jobs.import_.device_set import take_stock
from transfer.jobs.import_.handover import Handover
from transfer.jobs.import_.registration import REPLAYS, register, sealed_device
from transfer.ledger.devices import compare
from transfer.ledger.ledger import Ledger
from transfer.ledger.values import Job
from transfer.service.ingest.arrivals import Whole
from transfer.service.ingest.berth import Berth, shown
from transfer.service.ingest.destinations import options_for
from transfer.service.ingest.ledger_trouble import LedgerTroubleError, ledger_trouble
from transfer.service.ingest.plan import Plan
from transfer.service.ingest.queue import ImportQueue


def _ignore(note: str) -> None:
    """The import will tell it again."""


class Turns:
    """One at a time may decide about a job: a lock for each that is asked for."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, job_id: str) -> asyncio.Lock:
        """The lock of a job."""
        lock = self._locks.get(job_id)
        if lock is None:
            lock = self._locks[job_id] = asyncio.Lock()
        return lock


class Reception:
    """Receives the devices of a dock.

    Args:
        root: of the dock.
        turns: of jobs.
        on_arrival: told the name of the job that a device is of.
    """

    def __init__(
        self,
        *,
        root: str,
        plan: Plan,
        ledger: Ledger,
        queue: ImportQueue,
        turns: Turns,
        on_arrival: Callable[[str], None] = lambda job: None,
    ) -> None:
        self._root = root
        self._plan = plan
        self._ledger = ledger
        self._queue = queue
        self._holders: dict[str, Berth] = {}  # device id to the folder that was accepted
        self._turns = turns
        self._on_arrival = on_arrival
        self._one_by_one = asyncio.Lock()  # of two folders with one device, one is the first

    async def arrived(self, berth: Berth, whole: Whole) -> None:
        """Accept or refuse a device that is whole.

        Raises:
            LedgerTroubleError: the ledger failed.
        """
        async with self._one_by_one:
            document = whole.arrival.device.document
            holder = self._holders.get(document.device_id)
            twin = holder if holder is not berth else None
            had = berth.job_id if berth.state == "accepted" else None
            if twin is not None:
                reason, job = f"the same device is in {shown(twin.name)}", None
            else:
                reason, job = await self._register(whole)
            if had is not None and (job is None or job.job_id != had):
                self.left(berth)
            if job is None:
                berth.refuse(reason, document)
                berth.twin = twin.name if twin is not None else None
                return
            signed_by = told_signer(whole.arrival.files.signed_by) or None
            berth.accept(document, whole.size_bytes, job.job_id, signed_by)
            self._holders[document.device_id] = berth
            await self._offer(job, berth)

    def left(self, berth: Berth) -> None:
        """The device of an accepted folder is not to be read any more."""
        if berth.device_id is not None and self._holders.get(berth.device_id) is berth:
            del self._holders[berth.device_id]
        if berth.job_id is not None:
            self._queue.withdraw(berth.job_id)

    async def _register(self, whole: Whole) -> tuple[str, Job | None]:
        """The device's job; or why it has none."""
        arrival, document = whole.arrival, whole.arrival.device.document
        with ledger_trouble():
            known = await self._ledger.devices.get(document.device_id)
        seen = compare(known.device if known else None, await asyncio.to_thread(sealed_device, arrival))
        if reason := REPLAYS.get(seen):
            return reason, None
        handover = Handover(self._ledger, arrival.device, self._plan.options, _ignore)
        try:
            await handover.check()
        except LedgerError as error:
            raise LedgerTroubleError(error) from error
        except (IntegrityError, DeviceError) as error:
            return error.what, None
        options = options_for(
            self._plan.options, job=document.job, ordinal=document.ordinal, device_id=document.device_id
        )
        with ledger_trouble():
            job, _ = await register(self._ledger, arrival, options)
            await take_stock(self._ledger, arrival)
        self._on_arrival(document.job)
        return "", job

    async def _offer(self, job: Job, berth: Berth) -> None:
        async with self._turns.of(job.job_id):
            with ledger_trouble():
                now = await self._ledger.jobs.get(job.number)
            self._queue.offer(now or job, os.path.join(self._root, berth.name), shown(berth.name))
