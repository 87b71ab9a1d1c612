"""The engine of copy: keeps plan, packers and writer busy at once, in order, with bounded queues between
them.

One thread walks and plans; worker processes pack batches; threads read and code chunks; one thread appends to
the device. The queue between holds outcomes on their way in path order: whatever was appended is always a
prefix of the run, so that any end of the process leaves a device that goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from transfer.core.bandwidth import TokenBucket
from transfer.core.paths import display
from transfer.core.records import B, C
from transfer.device.device import Device
from transfer.device.open_pack import Piece
from transfer.device.writer import DeviceWriter
from transfer.errors import TransferError
from transfer.jobs.copy.chunks import ChunkCoder, ZeroFrames
from transfer.jobs.copy.large import LargeFileReader
from transfer.jobs.copy.large_pieces import Pending, ResumedFile
from transfer.jobs.copy.links import LinkTable
from transfer.jobs.copy.options import CopyOptions, CopyResult
from transfer.jobs.copy.plan import Work
from transfer.jobs.copy.pool import WorkerPool
from transfer.jobs.copy.process import WorkerProcess
from transfer.jobs.copy.work import Batch, LargeFile, Outcome, PackingOptions

Observe = Callable[[int, bytes], None]
"""Told the content bytes that were brought so far, and the path at hand."""

_BURST_S = 0.25
_AT_HAND = 2
"""Outcomes that are not in the queue: one before it, one behind it."""
_END = None

Value = TypeVar("Value")


class CopyEngine:
    """Copies one run's work to a device."""

    def __init__(
        self,
        device: Device,
        source: bytes,
        options: CopyOptions,
        *,
        result: CopyResult,
        links: LinkTable,
        writer: DeviceWriter,
        observe: Observe,
        ready: WorkerProcess | None = None,
    ) -> None:
        document = device.document
        level = options.level or document.level
        self._options = options
        self._result = result
        self._links = links
        self._writer = writer
        self._observe = observe
        waiting = 2 * options.workers + 2
        packing = packing_options(device, source, options)
        self._pool = WorkerPool(packing, options.workers, waiting + _AT_HAND, ready)
        self._coder = ChunkCoder(
            workers=options.workers, chunk_size_bytes=document.chunk_size_bytes, level=level
        )
        self._large = LargeFileReader(
            source, self._coder, follow_links=options.follow_links, xattrs=options.xattrs
        )
        self._planner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="plan")
        self._appender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="append")
        self._queue: asyncio.Queue[Pending | None] = asyncio.Queue(maxsize=waiting)
        self._bucket: TokenBucket | None = None
        self._moved_bytes = 0

    async def run(self, work: Iterator[Work], start: AsyncGenerator[Pending, None]) -> None:
        """Carry out all work.

        Raises:
            DeviceFullError: the device is full; all before is committed.
            DeviceError: the device failed.
            TransferError: the source or a worker failed.
        """
        producer = asyncio.create_task(self._produce(work, start))
        try:
            await self._consume()
            await producer
        finally:
            producer.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await producer

    async def close(self) -> None:
        """Stop threads and processes."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._planner.shutdown(wait=True, cancel_futures=True)
        self._pool.close()
        self._coder.close()
        self._large.close()
        self._appender.shutdown(wait=True, cancel_futures=True)

    @property
    def zeros(self) -> ZeroFrames:
        """Frames of zero bytes."""
        return self._coder.zeros

    def read(self, file: LargeFile, resumed: ResumedFile | None = None) -> AsyncGenerator[Pending, None]:
        """A large file, or the rest of one that is on the device in part."""
        return self._large.pieces(file, resumed)

    async def finish(self) -> None:
        """The run is complete: commit the last pack."""
        await self._in(self._appender, self._writer.finish)

    async def pause(self) -> None:
        """Commit what is there."""
        await self._in(self._appender, self._writer.pause)

    async def _produce(self, work: Iterator[Work], start: AsyncGenerator[Pending, None]) -> None:
        try:
            await self._put_all(start)
            while (item := await self._in(self._planner, lambda: next(work, _END))) is not _END:
                if isinstance(item, Batch):
                    await self._queue.put(self._packing(item))
                else:
                    await self._put_all(self._large.pieces(item))
        except OSError as error:
            await self._queue.put(_failing(source_error(error)))
        except Exception as error:
            await self._queue.put(_failing(error))
        else:
            await self._queue.put(_END)

    async def _put_all(self, pieces: AsyncGenerator[Pending, None]) -> None:
        async with contextlib.aclosing(pieces):
            async for pending in pieces:
                await self._queue.put(pending)

    def _packing(self, batch: Batch) -> Pending:
        task = asyncio.ensure_future(self._pool.pack(batch))
        task.add_done_callback(_retrieved)

        async def outcome() -> Outcome:
            packed = await task
            orphaned = {target for target in packed.link_targets if self._links.is_unread(target)}
            if not orphaned:
                return packed
            self._pool.give_back(packed)
            return await self._pool.pack(batch.without_links_to(orphaned))

        return outcome

    async def _consume(self) -> None:
        while (pending := await self._queue.get()) is not _END:
            outcome = await pending()
            for piece in outcome.pieces:
                await self._pace(piece)
                await self._in(self._appender, partial(self._writer.append, piece))
                self._count(piece)
            self._pool.give_back(outcome)
            self._account(outcome)
            if outcome.pieces:
                self._observe(self._moved_bytes, outcome.pieces[-1].last_path)

    def _count(self, piece: Piece) -> None:
        result = self._result
        result.entries += piece.entries
        result.bytes += piece.file_bytes
        result.stored_bytes += len(piece.stored)
        if piece.frame_kind == C:
            self._moved_bytes += piece.content_bytes
        elif piece.frame_kind == B:
            self._moved_bytes += piece.file_bytes

    def _account(self, outcome: Outcome) -> None:
        self._result.files += outcome.files
        self._result.unchanged += outcome.unchanged
        for path in outcome.stored_anew:
            self._links.mark_stored_anew(path)
        for problem in outcome.problems:
            self._result.note(problem)
            if problem.kind in ("failed", "again"):
                self._links.mark_unread(problem.path)

    async def _pace(self, piece: Piece) -> None:
        """Keep to --bwlimit."""
        if self._options.write_rate is None or not piece.stored:
            return
        rate, now = self._options.write_rate(), time.monotonic()
        if self._bucket is None:
            self._bucket = TokenBucket(rate, burst_bytes=max(1, int((rate or 1) * _BURST_S)), now_s=now)
        self._bucket.set_rate(rate, now)
        await asyncio.sleep(self._bucket.reserve(len(piece.stored), now))

    async def _in(self, executor: ThreadPoolExecutor, function: Callable[[], Value]) -> Value:
        return await asyncio.get_running_loop().run_in_executor(executor, function)


def packing_options(device: Device, source: bytes, options: CopyOptions) -> PackingOptions:
    """What the worker processes must know."""
    document = device.document
    return PackingOptions(
        source=source,
        chunk_size_bytes=document.chunk_size_bytes,
        small_limit_bytes=small_limit(device),
        level=options.level or document.level,
        follow_links=options.follow_links,
        xattrs=options.xattrs,
    )


def small_limit(device: Device) -> int:
    """Files up to this size travel in batches."""
    document = device.document
    return min(1 << 20, document.batch_size_bytes, document.chunk_size_bytes)


def source_error(error: OSError) -> TransferError:
    """The error of the product when the source's own folder cannot be read any more."""
    where = f" at {display(os.fsencode(error.filename))}" if isinstance(error.filename, str | bytes) else ""
    return TransferError(
        f"the source cannot be read any more{where}: {error.strerror or error}",
        remedy="check that it is mounted, then give the same command again",
    )


def _failing(error: Exception) -> Pending:
    async def outcome() -> Outcome:
        raise error

    return outcome


def _retrieved(task: asyncio.Future[Outcome]) -> None:
    """An outcome that nobody takes any more must not complain about its error."""
    if not task.cancelled():
        task.exception()
