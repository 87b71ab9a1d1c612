"""Walking and comparing without copying: what a copy would do, what is left of one, how far it is to the
end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable

from transfer.device.device import Device
from transfer.device.disk import device_errors
from transfer.errors import TransferError
from transfer.jobs.copy.engine import small_limit, source_error
from transfer.jobs.copy.known import Known
from transfer.jobs.copy.links import LinkTable
from transfer.jobs.copy.options import CopyOptions, CopyResult
from transfer.jobs.copy.plan import Plan, PlanCounts, PlanRules, Work
from transfer.jobs.copy.resume import find_resume_point
from transfer.jobs.copy.start import Start
from transfer.jobs.copy.walk import Walk, WalkOptions
from transfer.jobs.copy.work import Batch, Problem, PutProblem

_BEGIN_AFTER_S = 3.0


def make_plan(
    device: Device,
    source: bytes,
    options: CopyOptions,
    start: Start,
    *,
    links: LinkTable,
    note: Callable[[Problem], None],
) -> tuple[Plan, Walk]:
    """The plan of a pass from `start`, and the walk that it is for."""
    document, layout = device.document, device.layout
    rules = PlanRules(
        small_limit_bytes=small_limit(device),
        batch_size_bytes=document.batch_size_bytes,
        batch_entries=document.batch_entries,
        checksum=options.checksum,
        follow_links=options.follow_links,
    )
    with device_errors(device.root):
        forbidden = frozenset(map(_identity, (layout.root, layout.packs, layout.segments)))
    walk_options = WalkOptions(options.filter, options.follow_links, options.one_file_system, forbidden)
    links.start_pass(start.earlier_links())
    return Plan(source, rules, Known(start.known()), links, note), Walk(source, walk_options)


def measure(device: Device, source: bytes, options: CopyOptions) -> CopyResult:
    """What a copy would do now; `left_entries`, `left_files`, `left_bytes` are what it would bring.

    Raises:
        TransferError: device or source cannot be read.
    """
    result = CopyResult()
    point = find_resume_point(device, clean=False)
    start = Start.at(point, source)
    with contextlib.closing(LinkTable()) as links:
        plan, walk = make_plan(device, source, options, start, links=links, note=result.note)
        try:
            for item in plan.work(walk.entries(start.after)):
                result.left_entries += item.orders if isinstance(item, Batch) else 1
                _note_problems(item, result)
        except OSError as error:
            raise source_error(error) from error
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
    return result


class CountAhead:
    """Runs the plan once more without its work, for the totals. Only long jobs need them, so it begins
    late."""

    def __init__(self, device: Device, source: bytes, options: CopyOptions, start: Start) -> None:
        self.counts = PlanCounts()
        self._arguments = device, source, options, start
        self._stop = threading.Event()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End it, wherever it is."""
        self._stop.set()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        await asyncio.sleep(_BEGIN_AFTER_S)
        counting = asyncio.create_task(asyncio.to_thread(self._count))
        try:
            await asyncio.shield(counting)
        except asyncio.CancelledError:
            await counting
            raise

    def _count(self) -> None:
        # Nothing but an estimate: what goes wrong here is met and told by the copy itself.
        with contextlib.suppress(OSError, TransferError), contextlib.closing(LinkTable()) as links:
            plan, walk = make_plan(*self._arguments, links=links, note=lambda problem: None)
            self.counts = plan.counts
            work = plan.work(walk.entries(self._arguments[3].after))
            for _ in work:
                if self._stop.is_set():
                    return


def _note_problems(item: Work, result: CopyResult) -> None:
    if not isinstance(item, Batch):
        return
    for folder, order in item.all():
        if isinstance(order, PutProblem):
            kind = "skipped" if order.skipped else "failed"
            result.note(Problem(folder + order.name, kind, order.reason, order.detail))


def _identity(folder: str) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino
