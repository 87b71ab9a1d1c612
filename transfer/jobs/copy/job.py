"""copy, the job: opens the device, finds where to go on, runs the engine, says what was done and what was not."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator

from transfer.core.paths import display
from transfer.core.progress import Progress
from transfer.device.clock import timestamp
from transfer.device.device import Device, open_device
from transfer.device.lock import locked
from transfer.device.writer import DeviceWriter, RunIdentity, make_reserve
from transfer.errors import DeviceFullError, TransferError, UsageError
from transfer.jobs.copy.engine import CopyEngine, small_limit
from transfer.jobs.copy.links import LinkTable
from transfer.jobs.copy.options import Announcer, CopyOptions, CopyResult, Observer
from transfer.jobs.copy.plan import Known, Plan, PlanCounts, PlanLimits, Work
from transfer.jobs.copy.resume import ResumePoint, find_resume_point
from transfer.jobs.copy.start import Start, earlier_links
from transfer.jobs.copy.walk import Walk, WalkOptions
from transfer.jobs.copy.work import Batch, Problem

_MAX_PASSES = 3
_COUNT_AHEAD_AFTER_S = 3.0


def check_source(source: str, device: Device) -> bytes:
    """The source folder as bytes.

    Raises:
        UsageError: it is no folder, or device and source lie inside each other.
    """
    if not os.path.isdir(source):
        problem = "is not a folder" if os.path.exists(source) else "does not exist"
        raise UsageError(f"source {source} {problem}", remedy="give the folder whose content is to be copied")
    mine, theirs = os.path.realpath(source), os.path.realpath(device.root)
    if os.path.commonpath([mine, theirs]) in (mine, theirs):
        raise UsageError(f"source {source} and device {device.root} lie inside each other", remedy="copy to a device elsewhere")
    try:
        os.listdir(source)
    except OSError as error:
        raise UsageError(f"source {source} cannot be read: {error.strerror}", remedy="check its permissions") from None
    return os.fsencode(os.path.abspath(source))


async def copy(source: str, root: str, options: CopyOptions, observe: Observer, announce: Announcer) -> CopyResult:
    """Copy a folder to a device; goes on where it stopped.

    Args:
        source: the folder; its content is copied, not itself.
        root: the device.
        options: of the command.
        observe: told the progress now and then.
        announce: told once what was found on the device and where copying goes on.

    Raises:
        TransferError: with the exit code of the reason. What was done until then is in `announce`d result all the same.
    """
    device = open_device(root)
    device.refuse_if_sealed()
    folder = check_source(source, device)
    started = time.monotonic()
    if options.dry_run:
        result = CopyResult()
        await asyncio.to_thread(_measure, device, folder, options, result)
        return result
    with locked(device.layout, "copy"):
        device.refuse_if_sealed()
        result = await _Copy(device, folder, options, observe, announce).run()
    result.elapsed_s = time.monotonic() - started
    return result


class _Copy:
    """One command's copying: a pass, and another when some entries could only be settled by looking again."""

    def __init__(self, device: Device, source: bytes, options: CopyOptions, observe: Observer, announce: Announcer) -> None:
        self._device = device
        self._source = source
        self._options = options
        self._observer = observe
        self._announce = announce
        self._result = CopyResult()
        self._links = LinkTable()
        self._ahead = PlanCounts()

    async def run(self) -> CopyResult:
        try:
            for number in range(_MAX_PASSES):
                point = find_resume_point(self._device, clean=True)
                start = Start.at(point, self._source)
                if number == 0:
                    self._announce_start(point, start)
                if not await self._pass(point, start):
                    break
        finally:
            self._links.close()
        return self._result

    def _announce_start(self, point: ResumePoint, start: Start) -> None:
        result = self._result
        result.run, result.deleted = start.run, point.deleted
        result.resumed_after = start.after if start.resumes else None
        result.packs_found = len(point.manifest.headers)
        self._announce(result)

    async def _pass(self, point: ResumePoint, start: Start) -> bool:
        """Copy what is missing; whether another pass is needed."""
        try:
            make_reserve(self._device)
        except DeviceFullError:
            return await self._stop_full()
        plan, walk = self._plan(point, start, self._links, self._result.note)
        self._plan_counts = plan.counts
        writer = self._writer(point, start)
        engine = CopyEngine(self._device, self._source, self._options, self._result, self._links, writer, self._observe)
        ahead = asyncio.create_task(self._count_ahead(point, start)) if self._options.count_ahead else None
        try:
            await engine.run(plan.work(walk.entries(start.after)), start.pieces(engine))
            await engine.finish()
        except DeviceFullError:
            return await self._stop_full()
        except asyncio.CancelledError:
            await asyncio.shield(engine.pause())
            raise
        except TransferError:
            await asyncio.to_thread(writer.abandon)
            raise
        finally:
            if ahead is not None:
                ahead.cancel()
            await engine.close()
            self._result.packs += writer.sequence - point.sequence
            self._result.unchanged += plan.counts.unchanged
            self._result.entries_seen = plan.counts.entries
            self._result.folders_opened = walk.opened
        return engine.again or self._links.has_broken_links()

    def _plan(
        self, point: ResumePoint, start: Start, links: LinkTable, note: Callable[[Problem], None]
    ) -> tuple[Plan, Walk]:
        links.start_pass(earlier_links(point, start))
        limits = plan_limits(self._device, self._options)
        plan = Plan(self._source, limits, Known(start.known(point)), links, note)
        return plan, make_walk(self._source, self._options)

    def _writer(self, point: ResumePoint, start: Start) -> DeviceWriter:
        writer = DeviceWriter(
            self._device,
            RunIdentity(start.run, start.started or timestamp(), display(self._source)),
            sequence=point.sequence,
            in_member=bool(point.manifest.headers) and not point.manifest.headers[-1].ends_with_member,
            used_bytes=point.used_bytes,
        )
        writer.run_is_open = start.resumes
        return writer

    async def _stop_full(self) -> bool:
        """Say how much is left; when nothing is, the device is just full, not too small."""
        result = self._result
        measured = CopyResult()
        await asyncio.to_thread(_measure, self._device, self._source, self._options, measured)
        result.left_files, result.left_bytes = measured.left_files, measured.left_bytes
        result.full = bool(measured.left_entries)
        return False

    def _observe(self, moved_bytes: int, path: bytes) -> None:
        result, counts = self._result, self._plan_counts
        totals = self._ahead if self._ahead.files >= counts.files else counts
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

    async def _count_ahead(self, point: ResumePoint, start: Start) -> None:
        """Run the plan once more without its work: only long jobs need it, so it begins late."""
        await asyncio.sleep(_COUNT_AHEAD_AFTER_S)
        with contextlib.closing(LinkTable()) as links:
            plan, walk = self._plan(point, start, links, lambda problem: None)
            self._ahead = plan.counts
            work = plan.work(walk.entries(start.after))
            while await asyncio.to_thread(_take_some, work):
                pass


def _take_some(work: Iterator[Work]) -> bool:
    return sum(1 for _ in itertools.islice(work, 20)) > 0


def _measure(device: Device, source: bytes, options: CopyOptions, result: CopyResult) -> None:
    """Walk and compare without copying; what would be done is counted as left."""
    point = find_resume_point(device, clean=False)
    start = Start.at(point, source)
    with contextlib.closing(LinkTable()) as links:
        links.start_pass(earlier_links(point, start))
        plan = Plan(source, plan_limits(device, options), Known(start.known(point)), links, result.note)
        walk = make_walk(source, options)
        for item in plan.work(walk.entries(start.after)):
            result.left_entries += item.orders if isinstance(item, Batch) else 1
        if point.open_file is not None and start.resumes:
            result.left_entries += 1
            plan.counts.bytes += point.open_file.begin.size_bytes - point.open_file.sums.bytes
            plan.counts.files += 1
    result.run, result.resumed_after = start.run, start.after if start.resumes else None
    result.left_files = plan.counts.files - plan.counts.unchanged
    result.left_bytes = plan.counts.bytes
    result.unchanged = plan.counts.unchanged
    result.entries_seen = plan.counts.entries
    result.folders_opened = walk.opened


def plan_limits(device: Device, options: CopyOptions) -> PlanLimits:
    """How work is cut for a device."""
    document = device.document
    return PlanLimits(small_limit(device), document.batch_size_bytes, document.batch_entries, options.checksum)


def make_walk(source: bytes, options: CopyOptions) -> Walk:
    """The walk that the options ask for."""
    return Walk(source, WalkOptions(options.filter, options.follow_links, options.one_file_system))

