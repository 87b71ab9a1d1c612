"""A folder as the source of a job: its passes, and the side that reads it for one device."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import takewhile

from transfer.core.paths import display
from transfer.core.records import File
from transfer.device.device import Device
from transfer.device.disk import device_errors
from transfer.errors import UsageError
from transfer.jobs.copy.links import FirstName, LinkTable
from transfer.jobs.copy.options import CopyOptions
from transfer.jobs.copy.plan import Plan, PlanRules
from transfer.jobs.copy.side import FolderSide, small_limit, source_error
from transfer.jobs.copy.walk import Walk, WalkOptions
from transfer.jobs.copy.work import Batch, LargeFile, PutProblem, first_path, last_path
from transfer.jobs.filling.known import Known
from transfer.jobs.filling.outcome import Problem
from transfer.jobs.filling.result import FillResult
from transfer.jobs.filling.source import SourceSide
from transfer.jobs.filling.start import Start
from transfer.jobs.filling.work import Counts, Work
from transfer.jobs.workers.process import WorkerProcess

_END = None


def check_folder(source: str) -> str:
    """The true path of a source folder.

    Raises:
        UsageError: it is no folder, or cannot be read.
    """
    remedy = "give the folder whose content is to be copied"
    try:
        with os.scandir(source):
            pass
    except NotADirectoryError:
        raise UsageError(f"source {source} is not a folder", remedy=remedy) from None
    except FileNotFoundError:
        raise UsageError(f"source {source} does not exist", remedy=remedy) from None
    except OSError as error:
        what = f"source {source} cannot be read: {error.strerror}"
        raise UsageError(what, remedy="check its permissions") from None
    return os.path.realpath(source)


class FolderSource:
    """A folder that is copied.

    Args:
        source: as it was given.
        options: of the command.
        ready: a worker process that was started before, to save that time.
    """

    def __init__(self, source: str, options: CopyOptions, ready: WorkerProcess | None = None) -> None:
        self._given = source
        self.folder = os.fsencode(check_folder(source))
        self.name = display(self.folder)
        self.options = options
        self.links = LinkTable()
        self._ready = ready

    @property
    def has_keys(self) -> bool:
        """Paths of a folder are no keys."""
        return False

    def check(self, device: Device) -> None:
        """Refuse a device that lies in the source, or the other way round."""
        mine, theirs = os.fsdecode(self.folder), os.path.realpath(device.root)
        if os.path.commonpath([mine, theirs]) in (mine, theirs):
            raise UsageError(
                f"source {self._given} and device {device.root} lie inside each other",
                remedy="copy to a device elsewhere",
            )

    def first_path(self, work: Work) -> bytes:
        """Of a large file its path."""
        return first_path(work)

    def last_path(self, work: Work) -> bytes:
        """Of a large file its path."""
        return last_path(work)

    def begin(
        self, device: Device, start: Start, result: FillResult, *, only_counts: bool = False
    ) -> FolderPass:
        """A pass over the folder."""
        return FolderPass(self, device, start, result, only_counts=only_counts)

    def wants_another_pass(self) -> bool:
        """Whether links or folders were taken for unchanged that are not."""
        return self.links.wants_another_pass()

    def pass_again(self) -> None:
        """From now on all was read once."""
        self.options = replace(self.options, checksum=False)

    def take_ready(self) -> WorkerProcess | None:
        """The worker that was started before, for whoever asks first."""
        ready, self._ready = self._ready, None
        return ready

    def close(self) -> None:
        """Drop the table of links."""
        self.links.close()


class FolderPass:
    """One walk of the folder, compared with what a device has."""

    def __init__(
        self, source: FolderSource, device: Device, start: Start, result: FillResult, *, only_counts: bool
    ) -> None:
        self._source = source
        self._device = device
        self._start = start
        self._result = result
        self._only_counts = only_counts
        self._links = LinkTable() if only_counts else source.links
        self._planner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="plan")
        options = source.options
        self._links.start_pass(earlier_links(start))
        walk_options = WalkOptions(
            options.filter, options.follow_links, options.one_file_system, _folders_of(device)
        )
        self._walk = Walk(source.folder, walk_options)
        known = Known(start.known(), start.elsewhere())
        self._plan = Plan(source.folder, _rules(device, options, start), known, self._links, result.note)
        found = self._walk.entries(start.after)
        if start.until is not None:
            found = takewhile(lambda item: start.takes(item.path), found)
        self._items = self._plan.work(found, b"" if start.resumes else start.after)

    @property
    def counts(self) -> Counts:
        """What the plan has found so far."""
        return self._plan.counts

    @property
    def opened(self) -> int:
        """How many folders were opened."""
        return self._walk.opened

    async def work(self) -> AsyncGenerator[Work, None]:
        """What the plan finds; it runs in a thread of its own."""
        loop = asyncio.get_running_loop()
        try:
            while (item := await loop.run_in_executor(self._planner, self._next)) is not _END:
                if self._only_counts and isinstance(item, Batch):
                    _note_problems(item, self._result)
                yield item
        except OSError as error:
            raise source_error(error) from error

    def _next(self) -> Batch | LargeFile | None:
        return next(self._items, _END)

    def side(self, waiting: int) -> SourceSide:
        """A side with processes and threads of its own."""
        source = self._source
        ready = source.take_ready()
        return FolderSide(source.folder, source.options, self._device, self._links, waiting, ready)

    async def close(self) -> None:
        """Stop the walk."""
        await asyncio.to_thread(self._planner.shutdown, wait=True, cancel_futures=True)
        self._items.close()
        if self._only_counts:
            self._links.close()


def earlier_links(start: Start) -> Iterator[tuple[int, int, FirstName]]:
    """First names of inodes that a resumed run met before it was interrupted."""
    if not start.resumes:
        return
    for path, record in start.point.manifest.merged():
        if path > start.after:
            return
        if isinstance(record, File) and record.inode is not None and record.volume is not None:
            yield (
                record.volume,
                record.inode,
                FirstName(path, record.size_bytes, record.mtime_ns, is_new=True),
            )


def _rules(device: Device, options: CopyOptions, start: Start) -> PlanRules:
    document = device.document
    return PlanRules(
        small_limit_bytes=small_limit(device),
        batch_size_bytes=document.batch_size_bytes,
        batch_entries=document.batch_entries,
        checksum=options.checksum,
        follow_links=options.follow_links,
        hard_links=not start.shares,
        leaves=start.leaves or start.shares,
    )


def _folders_of(device: Device) -> frozenset[tuple[int, int]]:
    """What no walk of the source may meet."""
    layout = device.layout
    with device_errors(device.root):
        return frozenset(map(_identity, (layout.root, layout.packs, layout.segments)))


def _identity(folder: str) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _note_problems(batch: Batch, result: FillResult) -> None:
    for folder, order in batch.all():
        if isinstance(order, PutProblem):
            kind = "skipped" if order.skipped else "failed"
            result.note(Problem(folder + order.name, kind, order.reason, order.detail))
