"""copy, the job: opens the device, finds where to go on, runs the engine, says what was done and what was
not.

However it ends, the device is in a committed state. An interruption, or a failure of source or workers,
commits first what came before it; a failure of the device leaves the last commit.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Generator
from dataclasses import replace

from transfer.core.paths import display
from transfer.core.progress import Progress
from transfer.device.clock import timestamp
from transfer.device.custody import append_entry, read_log
from transfer.device.device import Device, open_device
from transfer.device.disk import device_errors
from transfer.device.encryption import Keys, require_resume_key, unlocked
from transfer.device.lock import locked
from transfer.device.writer import DeviceWriter, RunIdentity, make_reserve, remove_reserve
from transfer.errors import DeviceError, DeviceFullError, UsageError
from transfer.jobs.copy.engine import CopyEngine
from transfer.jobs.copy.links import LinkTable
from transfer.jobs.copy.measure import CountAhead, make_plan, measure
from transfer.jobs.copy.options import Announcer, CopyOptions, CopyResult, Observer
from transfer.jobs.copy.plan import PlanCounts, Work
from transfer.jobs.copy.process import WorkerProcess
from transfer.jobs.copy.resume import find_resume_point
from transfer.jobs.copy.start import Start, close_open_member, open_writer

_MORE_PASSES = 2


def check_source(source: str, device: Device) -> bytes:
    """The source folder as bytes, by its true path.

    Raises:
        UsageError: it is no folder, cannot be read, or device and source lie inside each other.
    """
    try:
        with os.scandir(source):
            pass
    except NotADirectoryError:
        raise UsageError(
            f"source {source} is not a folder", remedy="give the folder whose content is to be copied"
        ) from None
    except FileNotFoundError:
        raise UsageError(
            f"source {source} does not exist", remedy="give the folder whose content is to be copied"
        ) from None
    except OSError as error:
        raise UsageError(
            f"source {source} cannot be read: {error.strerror}", remedy="check its permissions"
        ) from None
    mine, theirs = os.path.realpath(source), os.path.realpath(device.root)
    if os.path.commonpath([mine, theirs]) in (mine, theirs):
        raise UsageError(
            f"source {source} and device {device.root} lie inside each other",
            remedy="copy to a device elsewhere",
        )
    return os.fsencode(mine)


async def copy(
    source: str,
    root: str,
    options: CopyOptions,
    observe: Observer,
    announce: Announcer,
    ready: WorkerProcess | None = None,
) -> CopyResult:
    """Copy a folder to a device; goes on where it stopped.

    Args:
        source: the folder; its content is copied, not itself.
        root: the device.
        options: of the command.
        observe: told the progress now and then.
        announce: told once what was found on the device and where copying goes on.
        ready: a worker process that was started before, to save that time.

    Raises:
        UsageError: the source cannot be copied there.
        LockedError: another process works on the device.
        DeviceError: there is no device, or it failed; what was committed before stays.
        AccessError: it is encrypted, and this host did not prepare it.
        TransferError: source or workers failed; what came before is committed.
    """
    device = unlocked(open_device(root), Keys(state_directory=options.state_directory))
    device.refuse_if_sealed()
    require_resume_key(device)
    folder = check_source(source, device)
    started = time.monotonic()
    if options.dry_run:
        with device_errors(device.root):
            return await asyncio.to_thread(measure, device, folder, options)
    with locked(device.layout, "copy"):
        device.refuse_if_sealed()
        read_log(device.layout)  # to a broken one nothing can be added: better said now than in the end
        result = await _Copy(device, folder, options, observe, announce, ready).run()
        if result.packs:
            await asyncio.to_thread(tell_custody, device, options.who)
    result.elapsed_s = time.monotonic() - started
    return result


def tell_custody(device: Device, who: str) -> None:
    """Say in the custody log that a copy has ended which brought something.

    Raises:
        DeviceError: it cannot be written.
    """
    try:
        append_entry(device.layout, "copied", who=who)
    except DeviceFullError:  # the ballast is for what has to be written when nothing else fits
        with device_errors(device.root):
            remove_reserve(device)
        append_entry(device.layout, "copied", who=who)


class _Copy:
    """One command's copying: a pass, and another when some entries could only be settled by looking again."""

    def __init__(
        self,
        device: Device,
        source: bytes,
        options: CopyOptions,
        observe: Observer,
        announce: Announcer,
        ready: WorkerProcess | None,
    ) -> None:
        self._device = device
        self._source = source
        self._options = options
        self._observer = observe
        self._announce = announce
        self._ready = ready
        self._result = CopyResult()
        self._links = LinkTable()
        self._counts = PlanCounts()
        self._ahead: CountAhead | None = None

    async def run(self) -> CopyResult:
        """Make passes until one settles all, or the device is full."""
        try:
            start = await self._find_start()
            self._announce_start(start)
            await self._pass(start)
            unchanged = self._result.unchanged
            for _ in range(_MORE_PASSES):
                if not (self._result.again or self._links.wants_another_pass()):
                    break
                self._result.forget_problems()
                self._options = replace(self._options, checksum=False)  # all was read once
                await self._pass(await self._find_start())
                self._result.unchanged = unchanged  # it sees again what the first one brought
        except DeviceFullError:
            await self._measure_rest()
        finally:
            self._links.close()
        return self._result

    async def _find_start(self) -> Start:
        point = await asyncio.to_thread(find_resume_point, self._device, clean=True)
        self._result.deleted += point.deleted
        if point.is_inside_member and not Start.at(point, self._source).resumes:
            await asyncio.to_thread(close_open_member, self._device, point)
            point = await asyncio.to_thread(find_resume_point, self._device, clean=True)
        return Start.at(point, self._source)

    def _announce_start(self, start: Start) -> None:
        result = self._result
        result.run = start.run
        result.resumed_after = start.after if start.resumes else None
        result.packs_found = len(start.point.manifest.headers)
        self._announce(result)

    async def _pass(self, start: Start) -> None:
        """Copy what is missing."""
        make_reserve(self._device)
        result, options = self._result, self._options
        plan, walk = make_plan(
            self._device, self._source, options, start, links=self._links, note=result.note
        )
        self._counts = plan.counts
        work = plan.work(walk.entries(start.after))
        identity = RunIdentity(start.run, start.started or timestamp(), display(self._source))
        writer = open_writer(self._device, start.point, identity)
        writer.run_is_open = start.resumes
        engine = CopyEngine(
            self._device,
            self._source,
            options,
            result=result,
            links=self._links,
            writer=writer,
            observe=self._observe,
            ready=self._ready,
        )
        self._ready = None
        if options.count_ahead:
            self._ahead = CountAhead(self._device, self._source, options, start)
        try:
            await self._carry_out(engine, writer, work, start)
            for problem in await asyncio.to_thread(lambda: list(start.earlier_problems())):
                result.note(problem)
        finally:
            if self._ahead is not None:
                await self._ahead.stop()
            await engine.close()
            work.close()
            self._add_up(plan.counts, writer.sequence - start.point.sequence, walk.opened)

    def _add_up(self, counts: PlanCounts, packs: int, folders_opened: int) -> None:
        result = self._result
        result.packs += packs
        result.folders_opened += folders_opened
        result.unchanged += counts.unchanged
        result.entries_seen = max(result.entries_seen, counts.entries)

    async def _carry_out(
        self, engine: CopyEngine, writer: DeviceWriter, work: Generator[Work, None, None], start: Start
    ) -> None:
        try:
            await engine.run(work, start.pieces(engine))
            await engine.finish()
        except DeviceFullError:
            raise  # the writer committed what fits
        except DeviceError:
            await asyncio.to_thread(writer.abandon)
            raise
        except (asyncio.CancelledError, Exception):
            await asyncio.shield(engine.pause())
            raise

    async def _measure_rest(self) -> None:
        """Say how much is left."""
        rest = await asyncio.to_thread(measure, self._device, self._source, self._options)
        result = self._result
        result.left_entries, result.left_files = rest.left_entries, rest.left_files
        result.left_bytes = rest.left_bytes
        result.full = bool(rest.left_entries) or rest.resumed_after is not None

    def _observe(self, moved_bytes: int, path: bytes) -> None:
        result, counts = self._result, self._counts
        ahead = self._ahead.counts if self._ahead is not None else counts
        totals = ahead if ahead.files >= counts.files else counts
        self._observer(
            Progress(
                phase="copy",
                files_done=result.files + result.unchanged + counts.unchanged,
                bytes_done=moved_bytes,
                files_total=totals.files,
                bytes_total=totals.bytes,
                is_total_final=totals.is_complete,
                stored_bytes=result.stored_bytes,
                failures=result.failed + result.changed,
                current_path=path,
            )
        )
