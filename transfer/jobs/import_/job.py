"""import, the job: checks the device, reads its packs once, fills the bucket, tells what became of it all.

Two groups of requests, one after the other: those of the files, then those of hard links, folders and
symbolic links, which need the files settled. All of it is recorded in the ledger as it happens, so that a
job that ended early, however it did, goes on where it was: no request is left under way, and uploads in parts
that were begun stay at the store for the next attempt. One that came to its end leaves none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Literal

from transfer.core.merge import LaterPaths
from transfer.core.progress import Progress
from transfer.core.records import Header
from transfer.core.retry import is_transient
from transfer.device.manifest import Manifest
from transfer.device.path_table import PathTable
from transfer.errors import DeviceError, IntegrityError, LedgerError, TransferError
from transfer.jobs.import_.arbiter import Arbiter
from transfer.jobs.import_.arrival import Arrival, merged, receive, run_records
from transfer.jobs.import_.budget import Budget
from transfer.jobs.import_.files import FileSender
from transfer.jobs.import_.handover import Handover
from transfer.jobs.import_.health import EndpointHealth, StoreLostError
from transfer.jobs.import_.journal import Journal
from transfer.jobs.import_.links import LinkStates
from transfer.jobs.import_.options import IfExists, ImportOptions
from transfer.jobs.import_.others import OtherSender
from transfer.jobs.import_.outcome import Outcome
from transfer.jobs.import_.packs import PackStream
from transfer.jobs.import_.planning import FilePlanner, GroupWork
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
        self._exclusive = False
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
                self._exclusive = capabilities.if_none_match is True and not self._overwrites
                await self._send(arrival, journal)
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

    async def _send(self, arrival: Arrival, journal: Journal) -> None:
        health = EndpointHealth()
        options = self._options
        arbiter = Arbiter(self._store, health, journal, options.if_exists, options.prefix)
        manifest = arrival.manifest
        with PathTable() as table:
            links = LinkStates(table, several_runs=len(manifest.runs) > 1)
            await asyncio.to_thread(links.find_stand_ins, manifest, options.filter)
            try:
                manifest = await self._send_files(arrival, arbiter, journal, links, health)
                async with asyncio.TaskGroup() as tasks:
                    others = OtherSender(
                        store=self._store,
                        options=options,
                        exclusive=self._exclusive,
                        arbiter=arbiter,
                        outcome=self.outcome,
                        links=links,
                        health=health,
                        tasks=tasks,
                    )
                    await others.send(merged(manifest))
            except BaseExceptionGroup as group:
                raise _first_of(group) from None
            except StoreLostError as lost:
                raise lost.error from None
            finally:
                await arbiter.aclose()

    async def _send_files(
        self,
        arrival: Arrival,
        arbiter: Arbiter,
        journal: Journal,
        links: LinkStates,
        health: EndpointHealth,
    ) -> Manifest:
        """Send all files; the manifest without the segments that proved to be broken."""
        options, chunk_size_bytes = self._options, arrival.device.document.chunk_size_bytes
        budget = Budget(options.memory_bytes)
        planner = FilePlanner(
            chunk_size_bytes=chunk_size_bytes,
            options=options,
            arbiter=arbiter,
            journal=journal,
            links=links,
        )
        stream = PackStream(
            arrival.device, arrival.files, budget, options.workers, planner.plan, self.outcome.found
        )
        files = None
        try:
            async with asyncio.TaskGroup() as tasks:
                files = FileSender(
                    store=self._store,
                    chunk_size_bytes=chunk_size_bytes,
                    options=options,
                    exclusive=self._exclusive,
                    budget=budget,
                    arbiter=arbiter,
                    journal=journal,
                    outcome=self.outcome,
                    links=links,
                    health=health,
                    tasks=tasks,
                )
                return await self._follow(arrival, stream, planner, files, journal)
        finally:
            await asyncio.to_thread(stream.close)
            if files is not None:
                await files.park()

    async def _follow(
        self,
        arrival: Arrival,
        stream: PackStream[GroupWork],
        planner: FilePlanner,
        files: FileSender,
        journal: Journal,
    ) -> Manifest:
        """Read the packs in order, run by run."""
        manifest = arrival.manifest
        whole: list[Header] = []
        run = expected = 0
        for header in manifest.headers:
            if header.sequence != expected:
                await _lose(planner, files, "a segment of the manifest is lost")
            expected = header.sequence + 1
            if header.run != run:
                run = header.run
                later = [run_records(manifest, newer) for newer in manifest.runs if newer > run]
                await files.start_run()
                await planner.start_run(run, LaterPaths(later))
            try:
                checked = header.sequence in journal.checked
                async with aclosing(stream.frames(header.sequence, checked=checked)) as frames:
                    async for opened in frames:
                        await files.take(opened)
            except IntegrityError as error:
                await _lose(planner, files, f"the manifest is damaged: {error.what}")
            else:
                whole.append(header)
                if header.sequence in stream.whole:
                    await journal.pack_checked(header.sequence)
        cut_off = bool(manifest.headers) and not manifest.headers[-1].run_complete
        await files.lose_large("the copy to the device did not end", damaged=not cut_off)
        return Manifest(arrival.device, whole)


def _may_mend(error: TransferError) -> bool:
    """Whether the job may go on later: when endpoint, device or ledger are back."""
    return is_transient(error) or isinstance(error, DeviceError | LedgerError)


async def _lose(planner: FilePlanner, files: FileSender, reason: str) -> None:
    planner.lose_large()
    await files.lose_large(reason, damaged=True)


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended the job; that of the endpoint before those that it brought about."""
    lost, rest = group.split(StoreLostError)
    error: BaseException = lost or rest or group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error.error if isinstance(error, StoreLostError) else error
