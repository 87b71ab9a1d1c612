"""import, the job: checks the device, reads its packs once, fills the bucket, tells what became of it all.

Two groups of requests, one after the other: those of the files, then those of hard links, folders and
symbolic links, which need the files settled. However the job ends, no request is left under way and no upload
in parts is left at the store, or the outcome says which.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing

from transfer.core.merge import LaterPaths
from transfer.core.progress import Progress
from transfer.core.records import Header
from transfer.device.clock import timestamp
from transfer.device.manifest import Manifest
from transfer.device.path_table import PathTable
from transfer.errors import IntegrityError, TransferError
from transfer.formats.report import ImportReport, ReportedFinding
from transfer.jobs.import_.arrival import Arrival, merged, receive, run_records
from transfer.jobs.import_.budget import Budget
from transfer.jobs.import_.files import FileSender
from transfer.jobs.import_.health import EndpointHealth, StoreLostError
from transfer.jobs.import_.links import LinkStates
from transfer.jobs.import_.options import ImportOptions
from transfer.jobs.import_.others import OtherSender
from transfer.jobs.import_.outcome import Outcome
from transfer.jobs.import_.packs import PackStream
from transfer.jobs.import_.report_files import ReportFiles
from transfer.jobs.verify.findings import Finding
from transfer.stores.contract import ChecksumKind, Store


class Import:
    """One import of one device into one bucket.

    Args:
        root: of the device.
        store: the bucket.
        options: what is asked for.
        report_directory: where the report goes; None for no report.
        observe: told how far it is.
    """

    def __init__(
        self,
        root: str,
        store: Store,
        options: ImportOptions,
        report_directory: str | None = None,
        observe: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self._root = root
        self._store = store
        self._options = options
        self._report_directory = report_directory
        self._started = timestamp()
        self.outcome = Outcome(options.bucket, observe=observe)

    async def run(self) -> Outcome:
        """Carry it out.

        Raises:
            TransferError: it could not come to its end; the report says how far it came.
        """
        clock = time.monotonic()
        arrival = await asyncio.to_thread(receive, self._root, self._options.incomplete, self.outcome.found)
        headers = arrival.manifest.headers
        self.outcome.total_files = sum(header.entries for header in headers)
        self.outcome.total_bytes = sum(header.content_bytes for header in headers)
        if self._report_directory is not None:
            self.outcome.rows = ReportFiles(self._report_directory)
        state, problem = "failed", ""
        try:
            await self._store.probe()
            await self._send(arrival)
            state = self._state()
        except asyncio.CancelledError:
            state = "interrupted"
            raise
        except TransferError as error:
            problem = str(error)
            raise
        finally:
            if self.outcome.rows is not None:
                elapsed_s = time.monotonic() - clock
                self.outcome.rows.finish(self._report(arrival, state, problem, elapsed_s))
        return self.outcome

    def _state(self) -> str:
        if self.outcome.integrity_failures:
            return "damaged"
        return "partial" if self.outcome.failed else "complete"

    async def _send(self, arrival: Arrival) -> None:
        health = EndpointHealth()
        manifest = arrival.manifest
        with PathTable() as table:
            links = LinkStates(table, several_runs=len(manifest.runs) > 1)
            await asyncio.to_thread(links.find_stand_ins, manifest, self._options.filter)
            try:
                manifest = await self._send_files(arrival, links, health)
                async with asyncio.TaskGroup() as tasks:
                    others = OtherSender(
                        store=self._store,
                        options=self._options,
                        outcome=self.outcome,
                        links=links,
                        health=health,
                        tasks=tasks,
                    )
                    await others.send(merged(manifest))
            except BaseExceptionGroup as group:
                raise _first_of(group) from None

    async def _send_files(self, arrival: Arrival, links: LinkStates, health: EndpointHealth) -> Manifest:
        """Send all files; the manifest without the segments that proved to be broken."""
        budget = Budget(self._options.memory_bytes)
        stream = PackStream(arrival.device, arrival.files, budget, self._options.workers, self.outcome.found)
        files = None
        try:
            async with asyncio.TaskGroup() as tasks:
                files = FileSender(
                    store=self._store,
                    chunk_size_bytes=arrival.device.document.chunk_size_bytes,
                    options=self._options,
                    budget=budget,
                    outcome=self.outcome,
                    links=links,
                    health=health,
                    tasks=tasks,
                )
                return await self._follow(arrival, stream, files)
        finally:
            await asyncio.to_thread(stream.close)
            if files is not None:
                await files.abort_all()

    async def _follow(self, arrival: Arrival, stream: PackStream, files: FileSender) -> Manifest:
        """Read the packs in order, run by run."""
        manifest = arrival.manifest
        whole: list[Header] = []
        run = expected = 0
        for header in manifest.headers:
            if header.sequence != expected:
                files.lose_large("a segment of the manifest is lost", damaged=True)
            expected = header.sequence + 1
            if header.run != run:
                run = header.run
                later = [run_records(manifest, newer) for newer in manifest.runs if newer > run]
                files.start_run(run, LaterPaths(later))
            try:
                async with aclosing(stream.frames(header.sequence)) as frames:
                    async for opened in frames:
                        await files.take(opened)
            except IntegrityError as error:
                files.lose_large(f"the manifest is damaged: {error.what}", damaged=True)
            else:
                whole.append(header)
        cut_off = bool(manifest.headers) and not manifest.headers[-1].run_complete
        files.lose_large("the copy to the device did not end", damaged=not cut_off)
        return Manifest(arrival.device, whole)

    def _report(self, arrival: Arrival, state: str, problem: str, elapsed_s: float) -> ImportReport:
        document, outcome, options = arrival.device.document, self.outcome, self._options
        return ImportReport(
            state=state,  # type: ignore[arg-type]
            device_id=document.device_id,
            job=document.job,
            ordinal=document.ordinal,
            seal_blake3=arrival.seal_blake3,
            bucket=options.bucket,
            prefix=options.prefix,
            endpoint=options.endpoint,
            started=self._started,
            finished=timestamp(),
            elapsed_s=round(elapsed_s, 3),
            verified_by=outcome.verified_by or ChecksumKind.NONE.value,
            objects=outcome.objects,
            bytes=outcome.bytes,
            failures=outcome.failed,
            superseded=outcome.superseded,
            folders_implied=outcome.folders_implied,
            symlinks_skipped=outcome.symlinks_skipped,
            findings=[_reported(finding) for finding in outcome.findings],
            uploads_left=outcome.uploads_left,
            error=problem,
        )


def _reported(finding: Finding) -> ReportedFinding:
    return ReportedFinding(
        code=finding.code, file=finding.file, frame=finding.frame, path=finding.path, detail=finding.detail
    )


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended the job; that of the endpoint before those that it brought about."""
    lost, rest = group.split(StoreLostError)
    error: BaseException = lost or rest or group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error.error if isinstance(error, StoreLostError) else error
