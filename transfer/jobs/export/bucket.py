"""A bucket as the source of a job: its passes, and the side that fetches from it for one device."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING, cast

from transfer.core.names import FileAncestors
from transfer.device.device import Device
from transfer.errors import AccessError, TransferError, UsageError
from transfer.formats.frames import FRAME_SLACK_BYTES
from transfer.jobs.export.committed import committed_chunks
from transfer.jobs.export.finding import Finder
from transfer.jobs.export.known_from import is_file, known_elsewhere, known_here
from transfer.jobs.export.known_keys import KnownKeys
from transfer.jobs.export.large import LargeObjectReader
from transfer.jobs.export.opening import fetcher_of, rate_of
from transfer.jobs.export.options import ExportOptions
from transfer.jobs.export.plan import ObjectPlan, PlanRules
from transfer.jobs.export.pool import FetchPool
from transfer.jobs.export.work import FetchOptions, LargeObject, ObjectBatch
from transfer.jobs.filling.chunks import ChunkCoder, ZeroFrames
from transfer.jobs.filling.engine import AT_HAND
from transfer.jobs.filling.large_pieces import ResumedFile
from transfer.jobs.filling.outcome import Outcome, Pending
from transfer.jobs.filling.result import FillResult
from transfer.jobs.filling.source import SourceSide
from transfer.jobs.filling.start import Start
from transfer.jobs.filling.work import Counts, LargeEntry, SmallWork, Work
from transfer.jobs.workers.process import WorkerProcess
from transfer.stores.contract import Store
from transfer.stores.pacing import Pace

if TYPE_CHECKING:
    from transfer.jobs.export.inventory_files import Report

_RANGES_AT_ONCE = 8
_RANGES_S = 2.0
_RANGE_MEMORY_BYTES = 256 << 20
_MIN_BATCH_BYTES = 256 << 10
_MAX_DENIED = 1000


class BucketSource:
    """A bucket, or what is under a prefix of it.

    Args:
        store: of the bucket; closed by whoever opened it.
        options: of the command.
        report: the inventory report of the options.
        ready: a worker process that was started before, to save that time.
    """

    def __init__(
        self, store: Store, options: ExportOptions, report: Report | None, ready: WorkerProcess | None = None
    ) -> None:
        self.store = store
        self.options = options
        self.report = report
        self.name = f"s3://{options.address.bucket}/{options.selection.prefix}"
        self.pace = Pace(rate_of(options.bwlimit))
        self.is_second_look = False
        self._ready = ready

    @property
    def has_keys(self) -> bool:
        """Paths of a bucket are keys."""
        return True

    def check(self, device: Device) -> None:
        """Any device takes a bucket.

        Raises:
            UsageError: versions, whose order would be lost, are to be dealt out to several devices.
        """
        if self.options.history and self.options.stripe:
            raise UsageError(
                "--stripe and --versions all exclude each other: the versions of a key stay together",
                remedy="fill the devices one after another",
            )

    def first_path(self, work: Work) -> bytes:
        """Of a large object its path."""
        return work.path if isinstance(work, LargeEntry) else cast(ObjectBatch, work).path_of(0)

    def last_path(self, work: Work) -> bytes:
        """Of a large object its path."""
        return work.path if isinstance(work, LargeEntry) else cast(ObjectBatch, work).path_of(-1)

    def begin(
        self, device: Device, start: Start, result: FillResult, *, only_counts: bool = False
    ) -> BucketPass:
        """A pass over the bucket."""
        return BucketPass(self, device, start, result, only_counts=only_counts)

    def wants_another_pass(self) -> bool:
        """Only what a problem tells of."""
        return False

    def pass_again(self) -> None:
        """What a report says of an object was wrong by then: look at each."""
        self.is_second_look = True

    def take_ready(self) -> WorkerProcess | None:
        """The worker that was started before, for whoever asks first."""
        ready, self._ready = self._ready, None
        return ready

    def close(self) -> None:
        """Nothing is kept."""


class BucketPass:
    """One listing of the bucket, compared with what a device has."""

    opened = 0

    def __init__(
        self, source: BucketSource, device: Device, start: Start, result: FillResult, *, only_counts: bool
    ) -> None:
        self._source = source
        self._device = device
        self._start = start
        options = source.options
        inclusive = bool(start.after) and (options.history or (start.resumes and start.point.begins_again))
        self._finder = Finder(
            source.store,
            options,
            source.report,
            after=start.after,
            until=start.until,
            after_version=start.after_version,
            until_version=start.until_version,
            inclusive=inclusive,
            fresh=source.is_second_look,
            note=result.note,
        )
        known = KnownKeys(known_here(start, inclusive=inclusive), known_elsewhere(start, inclusive=inclusive))
        earlier = (lambda key: is_file(device, start, key)) if start.after else None
        self._plan = ObjectPlan(
            _rules(device, options, start),
            known,
            FileAncestors(earlier),
            result.note,
            only_counts=only_counts,
        )

    @property
    def counts(self) -> Counts:
        """What the plan has found so far."""
        return self._plan.counts

    def work(self) -> AsyncGenerator[Work, None]:
        """What the plan finds."""
        return cast(AsyncGenerator[Work, None], self._plan.work(self._finder))

    def side(self, waiting: int) -> SourceSide:
        """A side with processes and threads of its own."""
        return BucketSide(self._source, self._device, self._start, waiting)

    async def close(self) -> None:
        """Nothing is kept."""


class BucketSide:
    """Fetches from the bucket for one device: worker processes for small objects, ranges for large ones."""

    def __init__(self, source: BucketSource, device: Device, start: Start, waiting: int) -> None:
        options, document = source.options, device.document
        fetching = fetch_options(device, options)
        self._pace = source.pace
        self._had = self._denied = 0
        self._device = device
        self._start = start
        self._pool = FetchPool(fetching, options.workers, waiting + AT_HAND, source.take_ready())
        chunk_size = document.chunk_size_bytes
        at_once = max(1, min(_RANGES_AT_ONCE, _RANGE_MEMORY_BYTES // chunk_size))
        rate = rate_of(options.bwlimit)
        self._coder = ChunkCoder(
            workers=options.workers,
            chunk_size_bytes=chunk_size,
            level=fetching.level,
            room=at_once + options.workers + 2,
        )
        self._large = LargeObjectReader(
            source.store,
            fetching.prefix,
            fetcher_of(source.store, fetching),
            self._coder,
            at_once=lambda: ranges_at_once(at_once, chunk_size, rate()),
            small_limit_bytes=fetching.small_limit_bytes,
        )

    @property
    def zeros(self) -> ZeroFrames:
        """Frames of zero bytes."""
        return self._coder.zeros

    async def pack(self, batch: SmallWork) -> Outcome:
        """What came of a batch."""
        objects = cast(ObjectBatch, batch)
        await self._pace.take(objects.content_bytes)
        return await self._pool.pack(objects)

    async def settled(self, batch: SmallWork, outcome: Outcome) -> Outcome:
        """It is as it is, unless no object at all can be read.

        Raises:
            AccessError: every one so far was denied: it is the credentials, not the objects.
        """
        self._had += outcome.files
        self._denied += sum(problem.reason == "unreadable" for problem in outcome.problems)
        if self._denied >= _MAX_DENIED and not self._had:
            raise AccessError(
                f"none of the first {self._denied:,} objects can be read: {outcome.problems[-1].detail}",
                remedy="check --aws-profile, and that its policy allows s3:GetObject in the bucket",
            )
        return outcome

    def give_back(self, outcome: Outcome) -> None:
        """Its frames are on the device."""
        self._pool.give_back(outcome)

    def read(self, large: LargeEntry) -> AsyncGenerator[Pending, None]:
        """A large object."""
        return self._large.pieces(cast(LargeObject, large))

    def above(self, work: Work, behind: bytes) -> SmallWork | None:
        """Keys are in no folders."""
        return None

    async def rest(self, path: bytes, resumed: ResumedFile | None) -> AsyncGenerator[Pending, None]:
        """The rest of a large object; one that was given up comes again with what the plan finds."""
        if resumed is None:
            return
        committed: Iterator[bytes] | None = None
        if not self._device.document.is_encrypted:
            committed = committed_chunks(self._device, self._start.point.manifest, path)
        async for pending in self._large.rest(resumed, committed):
            yield pending

    def error(self, error: OSError) -> TransferError:
        """What this machine has of the source, its temporary folder, failed."""
        return TransferError(
            f"the export cannot go on: {error.strerror or error}",
            remedy="check the space in the temporary folder (TMPDIR), then give the same command again",
        )

    async def close(self) -> None:
        """Stop threads and processes."""
        await asyncio.to_thread(self._pool.close)
        await asyncio.to_thread(self._coder.close)


def ranges_at_once(most: int, chunk_size_bytes: int, rate: float | None) -> int:
    """How many ranges are under way: on a slow line few, as each is of use only when it is whole."""
    return most if rate is None else max(1, min(most, int(_RANGES_S * rate / chunk_size_bytes)))


def fetch_options(device: Device, options: ExportOptions) -> FetchOptions:
    """What whoever fetches must know."""
    document = device.document
    return FetchOptions(
        address=options.address,
        prefix=options.selection.prefix,
        bwlimit=options.bwlimit,
        connections=max(1, options.connections // options.workers),
        tags=options.tags.value,
        restoring=options.restoring,
        chunk_size_bytes=document.chunk_size_bytes,
        small_limit_bytes=_small_limit(device),
        level=options.level or document.level,
    )


def _small_limit(device: Device) -> int:
    """Objects up to this size travel in batches."""
    document = device.document
    return min(1 << 20, document.batch_size_bytes, document.chunk_size_bytes)


def _rules(device: Device, options: ExportOptions, start: Start) -> PlanRules:
    """With a limited rate batches are of about a second, so that the line is used evenly."""
    document, rate = device.document, rate_of(options.bwlimit)()
    size = document.batch_size_bytes if rate is None else max(_MIN_BATCH_BYTES, int(rate))
    return PlanRules(
        small_limit_bytes=_small_limit(device),
        batch_size_bytes=min(size, document.batch_size_bytes, document.chunk_size_bytes + FRAME_SLACK_BYTES),
        batch_entries=document.batch_entries,
        leaves=start.leaves or start.shares,
    )
