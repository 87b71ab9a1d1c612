"""import, the job: checks the device, reads its packs once, fills the bucket, tells what became of it all.

Two groups of requests, one after the other: those of the files, then those of hard links, folders and
symbolic links, which need the files settled. All of it is recorded in the ledger as it happens, so that a
job that ended early, however it did, goes on where it was: no request is left under way, and uploads in parts
that were begun stay at the store for the next attempt. One that came to its end leaves none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Literal

from transfer.core.progress import Progress
from transfer.core.retry import is_transient
from transfer.errors import DeviceError, LedgerError, TransferError
from transfer.jobs.import_.arrival import receive
from transfer.jobs.import_.course import Course
from transfer.jobs.import_.device_set import take_stock
from transfer.jobs.import_.handover import Handover
from transfer.jobs.import_.journal import Journal
from transfer.jobs.import_.options import IfExists, ImportOptions
from transfer.jobs.import_.outcome import Outcome
from transfer.jobs.import_.registration import begin, refuse_replay, register
from transfer.jobs.import_.reporting import Reporter
from transfer.ledger.ledger import Ledger
from transfer.ledger.phases import Phase
from transfer.ledger.values import Sighting
from transfer.stores.contract import Store

_PHASES = {"complete": Phase.COMPLETE, "partial": Phase.FAILED, "damaged": Phase.QUARANTINED}


class Import:
    """One import of one device into one bucket.

    Args:
        root: of the device.
        store: the bucket.
        options: what is asked for.
        ledger: where it is recorded.
        report_directory: where the report goes; None for no report.
        observe: told how far it is.
    """

    def __init__(
        self,
        root: str,
        store: Store,
        options: ImportOptions,
        ledger: Ledger,
        report_directory: str | None = None,
        observe: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self._root = root
        self._store = store
        self._options = options
        self._ledger = ledger
        self._report_directory = report_directory
        self.outcome = Outcome(options.bucket, observe=observe)

    async def run(self) -> Outcome:
        """Carry it out, or go on with it.

        Raises:
            TransferError: it could not come to its end; report and ledger say how far it came.
        """
        options = self._options
        arrival = await asyncio.to_thread(
            receive, self._root, options.incomplete, self.outcome.found, options.keys, options.signers
        )
        self.outcome.signed_by = arrival.files.signed_by
        headers = arrival.manifest.headers
        self.outcome.total_files = sum(header.entries for header in headers)
        self.outcome.total_bytes = sum(header.content_bytes for header in headers)
        handover = Handover(self._ledger, arrival.device, self._options, self.outcome.notes.append)
        await refuse_replay(self._ledger, arrival, options)
        await handover.check()
        job, sighting = await register(self._ledger, arrival, self._options)
        self._note(sighting)
        self.outcome.devices = await take_stock(self._ledger, arrival)
        self.outcome.devices_of = arrival.device.document.job
        await handover.received()
        self.outcome.journal = journal = Journal(
            self._ledger, job.number, begun=job.phase is not Phase.RECEIVED
        )
        reporter = Reporter(arrival, self._options, self.outcome, self._report_directory)
        try:
            reporter.attempts = (await begin(self._ledger, job)).attempts
            async with self._watched(reporter, job.number):
                capabilities = await self._store.probe()
                self.outcome.verified_by = capabilities.checksum.value
                await journal.load(self._store)
                exclusive = capabilities.if_none_match is True and not self._overwrites
                course = Course(
                    self._store, self._options, arrival, journal, self.outcome, exclusive=exclusive
                )
                await course.send()
                await self._drop_parked(journal)
            state = self._state()
            if state != "damaged":
                await handover.imported(is_whole=state == "complete")
            await self._conclude(job.number, _PHASES[state], self._why(state))
        except asyncio.CancelledError:
            await self._end_early(reporter, job.number, "interrupted", "it was interrupted")
            raise
        except TransferError as error:
            await self._end_early(reporter, job.number, "failed", str(error), mends=_may_mend(error))
            raise
        except BaseException as error:
            await self._end_early(reporter, job.number, "failed", f"{type(error).__name__}: {error}")
            raise
        reporter.finish(state)
        return self.outcome

    @property
    def _overwrites(self) -> bool:
        return self._options.if_exists is IfExists.OVERWRITE

    def _note(self, sighting: Sighting) -> None:
        if sighting is Sighting.OLDER:
            self.outcome.notes.append(
                "a newer seal of this device was seen before: this is an older copy of it, taken as asked for"
            )
        elif sighting is Sighting.CONFLICTING:
            self.outcome.notes.append("another seal of this device and generation was seen before")

    def _state(self) -> Literal["damaged", "partial", "complete"]:
        if self.outcome.integrity_failures:
            return "damaged"
        return "partial" if self.outcome.failed else "complete"

    def _why(self, state: str) -> str:
        outcome = self.outcome
        if state == "damaged":
            first = outcome.findings[0] if outcome.findings else outcome.failures[0].error
            return f"the device is damaged: {first}; {outcome.failed:,} entries are not in the bucket"
        if state == "partial":
            return f"{outcome.failed:,} entries are not in the bucket, the first: {outcome.failures[0].error}"
        return ""

    async def _conclude(self, job: int, phase: Phase, why: str) -> None:
        await self._ledger.jobs.set_counters(job, self.outcome.counters)
        await self._ledger.jobs.set_phase(job, phase, error=why)

    async def _end_early(
        self,
        reporter: Reporter,
        job: int,
        state: Literal["interrupted", "failed"],
        why: str,
        *,
        mends: bool = True,
    ) -> None:
        """A job that time may mend keeps its phase: whoever starts it again goes on.

        Report and ledger may be what failed, and what goes on its way says so already.
        """
        phase = Phase.IMPORTING if mends else Phase.FAILED
        with suppress(TransferError):
            await self._conclude(job, phase, why if state == "failed" else "")
        with suppress(TransferError):
            reporter.finish(state, why)

    @asynccontextmanager
    async def _watched(self, reporter: Reporter, job: int) -> AsyncIterator[None]:
        """Meanwhile, write report and counters down every now and then."""
        watching = asyncio.create_task(self._watch(reporter, job))
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    async def _watch(self, reporter: Reporter, job: int) -> None:
        noted = False
        while True:
            await asyncio.sleep(reporter.interval_s)
            try:
                await self._ledger.jobs.set_counters(job, self.outcome.counters)
                await reporter.update()
            except TransferError as error:  # the work goes on; at its end both are written again, or it fails
                if not noted:
                    self.outcome.notes.append(f"for some time this could not be written: {error}")
                noted = True

    async def _drop_parked(self, journal: Journal) -> None:
        try:
            await journal.drop_parked(self._store)
        except TransferError as error:
            self.outcome.left_upload("an upload of an earlier attempt", str(error))


def _may_mend(error: TransferError) -> bool:
    """Whether the job may go on later: when endpoint, device or ledger are back."""
    return is_transient(error) or isinstance(error, DeviceError | LedgerError)
