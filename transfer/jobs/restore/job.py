"""The job of `transfer restore`: arrival, files run by run, links, folders; then all of it to the disk.

Only frames that hold something wanted are read, and packs without any stay unopened: what is read is checked
against its records, and those against the seal, but no digest of a whole pack is taken; `transfer verify`
does that.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from itertools import takewhile
from typing import TypeVar

from transfer.core.merge import LaterPaths, SpottedRecord
from transfer.core.progress import Progress
from transfer.core.records import Header
from transfer.device.frame_stream import FrameGroup
from transfer.device.manifest import Manifest
from transfer.device.path_table import PathTable
from transfer.errors import DeviceError, IntegrityError, LockedError, UsageError
from transfer.jobs.import_.arrival import Arrival, merged, receive, run_records
from transfer.jobs.import_.budget import Budget
from transfer.jobs.import_.links import LinkStates
from transfer.jobs.import_.packs import PackStream
from transfer.jobs.restore.files import FileWriter
from transfer.jobs.restore.folders import Folders
from transfer.jobs.restore.options import IfExists, RestoreOptions
from transfer.jobs.restore.others import OtherWriter
from transfer.jobs.restore.outcome import Outcome
from transfer.jobs.restore.planning import GroupWork, Planner
from transfer.jobs.restore.tree import Tree

Value = TypeVar("Value")


async def restore(
    root: str,
    directory: str,
    options: RestoreOptions,
    observe: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:
    """Bring what a device holds into a directory.

    Args:
        root: of the device.
        directory: where to; it exists.
        options: of the restore.
        observe: told how far it is, from any thread.

    Raises:
        TransferError: it could not come to its end; the same call goes on.
    """
    outcome = Outcome(observe)
    with opened_directory(directory, root) as descriptor:
        arrival = await asyncio.to_thread(
            receive, root, options.incomplete, outcome.found, options.keys, options.signers
        )
        outcome.signed_by = arrival.files.signed_by
        outcome.total_files = sum(header.entries for header in arrival.manifest.headers)
        outcome.total_bytes = sum(header.content_bytes for header in arrival.manifest.headers)
        job = _Job(arrival, descriptor, directory, options, outcome)
        await job.run()
        await asyncio.to_thread(_sync, descriptor, directory)
    return outcome


@contextlib.contextmanager
def opened_directory(directory: str, root: str) -> Iterator[int]:
    """A descriptor of the directory, which no other restore has meanwhile.

    Raises:
        UsageError: it is none, or lies on the device.
        LockedError: another restore works in it.
    """
    try:
        descriptor = os.open(os.fsencode(directory), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        remedy = "name a directory that exists and may be written to"
        raise UsageError(f"cannot restore into {directory}: {error.strerror}", remedy=remedy) from None
    try:
        _refuse_own_device(directory, root)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            what = f"another restore works in {directory}"
            raise LockedError(what, remedy="wait until it has ended") from None
        except OSError as error:  # a file system without locks
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.EBADF):
                raise
        yield descriptor
    finally:
        os.close(descriptor)


def _refuse_own_device(directory: str, root: str) -> None:
    target, device = os.path.realpath(os.fsencode(directory)), os.path.realpath(os.fsencode(root))
    if target == device or target.startswith(device.rstrip(b"/") + b"/"):
        what = f"{directory} lies on the device itself"
        raise UsageError(what, remedy="name a directory somewhere else")


def _sync(descriptor: int, directory: str) -> None:
    """Have the file system of the directory write out all that it holds."""
    if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
        reason = os.strerror(ctypes.get_errno())
        what = f"{directory} could not be written out to its disk: {reason}"
        raise DeviceError(what, remedy="check the disk, and restore into an empty directory")


class _Job:
    """One restore of a device that was looked at on arrival."""

    def __init__(
        self, arrival: Arrival, descriptor: int, directory: str, options: RestoreOptions, outcome: Outcome
    ) -> None:
        self._arrival = arrival
        self._descriptor = descriptor
        self._directory = directory
        self._options = options
        self._outcome = outcome
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="write")
        self._is_over = False

    async def run(self) -> None:
        """Carry it out."""
        replaces = self._options.if_exists is IfExists.OVERWRITE
        makers = {"makes": True, "replaces": replaces}
        trees = [Tree(self._descriptor), Tree(self._descriptor, **makers), Tree(self._descriptor)]
        manifest = self._arrival.manifest
        with PathTable() as table, PathTable() as held:
            links = LinkStates(table, several_runs=len(manifest.runs) > 1)
            folders = Folders(held, takes_all=self._options.filter.is_empty)
            told = (self._directory, self._options, links)
            planner = Planner(trees[0], self._options, links, folders, self._outcome)
            files = FileWriter(trees[1], *told, self._outcome)
            others = OtherWriter(trees[1], trees[2], *told, folders, self._outcome)
            try:
                await self._do(partial(links.find_stand_ins, manifest, self._options.filter))
                manifest = await self._files(planner, files)
                await self._do(lambda: others.make_links(self._merged(manifest)))
                await self._do(lambda: others.make_folders(self._merged(manifest)))
            finally:
                self._is_over = True
                await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)
                files.close()
                for tree in trees:
                    tree.close()

    async def _files(self, planner: Planner, files: FileWriter) -> Manifest:
        """Write all files; the manifest without the segments that proved to be broken."""
        device = self._arrival.device

        async def plan(group: FrameGroup) -> GroupWork:
            return await asyncio.to_thread(planner.plan, group)

        stream = PackStream(
            device,
            self._arrival.files,
            Budget(self._options.memory_bytes),
            self._options.workers,
            plan,
            self._outcome.found,
        )
        whole: list[Header] = []
        try:
            async for header in self._in_order(planner, files):
                try:
                    async with aclosing(stream.frames(header.sequence, checked=True)) as frames:
                        async for opened in frames:
                            try:
                                await self._do(partial(files.take, opened))
                            finally:
                                opened.hold.let_go()
                except IntegrityError as error:
                    await self._lose(planner, files, f"the manifest is damaged: {error.what}", is_damage=True)
                else:
                    whole.append(header)
        finally:
            await asyncio.to_thread(stream.close)
        headers = self._arrival.manifest.headers
        cut_off = bool(headers) and not headers[-1].run_complete
        await self._lose(planner, files, "the copy to the device did not end", is_damage=not cut_off)
        return Manifest(device, whole)

    async def _in_order(self, planner: Planner, files: FileWriter) -> AsyncIterator[Header]:
        """The segments, run by run; planner and writer hear of each run and of each gap."""
        manifest = self._arrival.manifest
        run = expected = 0
        for header in manifest.headers:
            if header.sequence != expected:
                await self._lose(planner, files, "a segment of the manifest is lost", is_damage=True)
            expected = header.sequence + 1
            if header.run != run:
                run = header.run
                await self._lose(planner, files, "its run ended before it did", is_damage=True)
                later = [newer for newer in manifest.runs if newer > run]
                await self._do(partial(planner.start_run, run, partial(_later, manifest, later)))
            yield header

    async def _lose(self, planner: Planner, files: FileWriter, reason: str, *, is_damage: bool) -> None:
        planner.lose_large()
        await self._do(partial(files.lose_large, reason, is_damage=is_damage))

    def _merged(self, manifest: Manifest) -> Iterator[SpottedRecord]:
        """The merged view, as far as the job goes on: a thread that is at work on it cannot be cancelled."""
        return takewhile(lambda _: not self._is_over, merged(manifest))

    async def _do(self, function: Callable[[], Value]) -> Value:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)


def _later(manifest: Manifest, runs: list[int]) -> LaterPaths:
    return LaterPaths([run_records(manifest, run) for run in runs])
