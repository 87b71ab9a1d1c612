"""The sending of one import: the packs are read once, in order, and what they hold goes to the bucket.

Two groups of requests, one after the other: those of the files, then those of hard links, folders and
symbolic links, which need the files settled. Where a later run brought older versions of keys, the device is
gone over again for those that had to wait.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from transfer.core.merge import LaterPaths
from transfer.core.records import Header
from transfer.device.manifest import Manifest
from transfer.device.path_table import PathTable
from transfer.errors import AccessError, IntegrityError
from transfer.jobs.import_.arbiter import Arbiter
from transfer.jobs.import_.arrival import Arrival, merged, run_records
from transfer.jobs.import_.budget import Budget
from transfer.jobs.import_.files import FileSender
from transfer.jobs.import_.health import EndpointHealth, StoreLostError
from transfer.jobs.import_.histories import Histories
from transfer.jobs.import_.journal import Journal
from transfer.jobs.import_.links import LinkStates
from transfer.jobs.import_.listed_objects import forgotten, load
from transfer.jobs.import_.options import ImportOptions
from transfer.jobs.import_.others import OtherSender
from transfer.jobs.import_.outcome import Outcome
from transfer.jobs.import_.packs import PackStream
from transfer.jobs.import_.planning import FilePlanner
from transfer.jobs.import_.steps import GroupWork
from transfer.jobs.import_.targets import Targets
from transfer.jobs.import_.turns import Turns
from transfer.jobs.import_.version_arbiter import VersionArbiter
from transfer.jobs.import_.version_planning import VersionPlanner
from transfer.stores.contract import Store


class Course:
    """One attempt at one device.

    Args:
        store: the bucket.
        options: of the import.
        arrival: the device.
        journal: what earlier attempts did.
        outcome: told what became of each entry.
        exclusive: objects are written with the precondition that there is none.
    """

    def __init__(
        self,
        store: Store,
        options: ImportOptions,
        arrival: Arrival,
        journal: Journal,
        outcome: Outcome,
        *,
        exclusive: bool,
    ) -> None:
        self._store = store
        self._options = options
        self._arrival = arrival
        self._manifest = arrival.manifest
        self._journal = journal
        self._outcome = outcome
        self._exclusive = exclusive
        self._targets = Targets(options)
        self._health = EndpointHealth()
        self._arbiter = Arbiter(store, self._health, journal, options.if_exists, options.prefix)
        self._version_arbiter = VersionArbiter(
            store, self._health, journal, options.if_exists, options.prefix
        )

    async def send(self) -> None:
        """Send everything.

        Raises:
            TransferError: the endpoint, the device or the ledger is lost.
        """
        with PathTable() as table, PathTable() as listed:
            if self._options.object_file:
                self._targets = Targets(self._options, await load(self._arrival, self._options, listed))
            else:
                self._outcome.notes += await asyncio.to_thread(forgotten, self._arrival)
            links = LinkStates(table, several_runs=len(self._manifest.runs) > 1)
            await asyncio.to_thread(links.find_stand_ins, self._manifest, self._options.filter)
            try:
                versions = VersionPlanner(
                    Histories(self._manifest),
                    self._version_arbiter,
                    keeps_versions=await self._keeps_versions(),
                )
                whole = await self._send_files(links, versions, Turns(table))
                await self._send_others(links, whole)
                self._outcome.notes += self._targets.notes()
            except BaseExceptionGroup as group:
                raise _first_of(group) from None
            except StoreLostError as lost:
                raise lost.error from None
            finally:
                await self._arbiter.aclose()
                await self._version_arbiter.aclose()

    async def _keeps_versions(self) -> bool:
        """Whether the bucket keeps versions; of a device without objects nobody asks."""
        if not any(header.keys for header in self._manifest.headers):
            return False
        try:
            return await self._health.watch(self._store.versioning()) == "enabled"
        except AccessError as error:
            self._outcome.notes.append(f"taken as a bucket that keeps no versions: {error}")
            return False

    async def _send_others(self, links: LinkStates, manifest: Manifest) -> None:
        async with asyncio.TaskGroup() as tasks:
            others = OtherSender(
                store=self._store,
                options=self._options,
                exclusive=self._exclusive,
                arbiter=self._arbiter,
                outcome=self._outcome,
                links=links,
                targets=self._targets,
                health=self._health,
                tasks=tasks,
            )
            await others.send(merged(manifest))

    async def _send_files(self, links: LinkStates, versions: VersionPlanner, turns: Turns) -> Manifest:
        """Send all files; the manifest without the segments that proved to be broken."""
        options, device = self._options, self._arrival.device
        chunk_size_bytes = device.document.chunk_size_bytes
        budget = Budget(options.memory_bytes)
        planner = FilePlanner(
            chunk_size_bytes=chunk_size_bytes,
            options=options,
            arbiter=self._arbiter,
            journal=self._journal,
            links=links,
            versions=versions,
            targets=self._targets,
        )
        report = self._outcome.found
        stream = PackStream(device, self._arrival.files, budget, options.workers, planner.plan, report)
        files = None
        try:
            async with asyncio.TaskGroup() as tasks:
                files = FileSender(
                    store=self._store,
                    chunk_size_bytes=chunk_size_bytes,
                    options=options,
                    exclusive=self._exclusive,
                    budget=budget,
                    arbiter=self._arbiter,
                    journal=self._journal,
                    outcome=self._outcome,
                    links=links,
                    turns=turns,
                    health=self._health,
                    tasks=tasks,
                )
                whole = await self._follow(stream, planner, files, 1)
                number = 1
                while versions.is_to_go_on:
                    number += 1
                    await self._follow(stream, planner, files, number)
                return whole
        finally:
            await asyncio.to_thread(stream.close)
            if files is not None:
                await files.park()

    async def _follow(
        self, stream: PackStream[GroupWork], planner: FilePlanner, files: FileSender, number_of_pass: int
    ) -> Manifest:
        """Read the packs in order, run by run."""
        manifest = self._manifest
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
                await planner.start_run(run, LaterPaths(later), number_of_pass)
            try:
                checked = header.sequence in self._journal.checked or number_of_pass > 1
                async with aclosing(stream.frames(header.sequence, checked=checked)) as frames:
                    async for opened in frames:
                        await files.take(opened)
            except IntegrityError as error:
                await _lose(planner, files, f"the manifest is damaged: {error.what}")
            else:
                whole.append(header)
                if header.sequence in stream.whole and number_of_pass == 1:
                    await self._journal.pack_checked(header.sequence)
        cut_off = bool(manifest.headers) and not manifest.headers[-1].run_complete
        await files.lose_large("the copy to the device did not end", damaged=not cut_off)
        return Manifest(manifest.device, whole)


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
