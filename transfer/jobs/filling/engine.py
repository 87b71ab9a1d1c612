"""The engine: keeps finding, reading and writing busy at once, in order, with bounded queues between them.

The source says what is to be done and does it, in threads and processes of its own (`source`); one thread
appends to the device. The queue between holds outcomes on their way in path order: whatever was appended is
always a prefix of the run, so that any end of the process leaves a device that goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from transfer.core.bandwidth import TokenBucket
from transfer.core.records import B, C
from transfer.core.sizes import format_size
from transfer.device.mirror import MirrorWriter
from transfer.device.open_pack import Piece
from transfer.device.writer import DeviceWriter
from transfer.jobs.filling.large_pieces import failure, most_stored_bytes
from transfer.jobs.filling.outcome import Outcome, Pending, ready
from transfer.jobs.filling.result import DeviceResult, FillResult
from transfer.jobs.filling.source import SourceSide
from transfer.jobs.filling.work import LargeEntry, SmallWork, Together, Work


@dataclass(frozen=True)
class Room:
    """What the devices that there are can hold.

    Attributes:
        chunk_size_bytes: of the device at hand.
        largest_bytes: what the largest of them holds when it is empty.
    """

    chunk_size_bytes: int
    largest_bytes: int

    def refuses(self, item: LargeEntry) -> bool:
        """Whether no device can take an entry."""
        need = most_stored_bytes(item.size_bytes, self.chunk_size_bytes) if item.size_bytes else 0
        return need > self.largest_bytes

    def refusal(self, item: LargeEntry) -> Outcome:
        """An entry that no device can take."""
        detail = (
            f"it may take {format_size(item.size_bytes)}, and the largest device that was named holds "
            f"{format_size(self.largest_bytes)}"
        )
        return failure(item.path, "too-large", detail, item.known_reason)


Observe = Callable[[int, bytes], None]
"""Told the content bytes that were brought so far, and the path at hand."""

AT_HAND = 2
"""Outcomes that are not in the queue: one before it, one behind it."""

_BURST_S = 0.25
_OWN_FILES_BYTES = 64 << 10
_END = None

Value = TypeVar("Value")


class Engine:
    """Carries out the work of one run on one device.

    Args:
        side: of the source; closed by whoever opened it.
        writer: of the device.
        result: what is counted and noted is put there.
        mine: what this device got is counted there.
        observe: told now and then.
        waiting: how many outcomes are in the queue at most.
        room: of the devices that there are.
        write_rate: bytes a second that may be written now, asked again and again.
    """

    def __init__(
        self,
        side: SourceSide,
        writer: DeviceWriter | MirrorWriter,
        *,
        result: FillResult,
        mine: DeviceResult,
        observe: Observe,
        waiting: int,
        room: Room,
        write_rate: Callable[[], int | None] | None = None,
    ) -> None:
        self._side = side
        self._writer = writer
        self._result = result
        self._mine = mine
        self._observe = observe
        self._write_rate = write_rate
        self._room = room
        self._on_the_way_bytes = (waiting + AT_HAND) * 2 * room.chunk_size_bytes
        self._appender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="append")
        self._queue: asyncio.Queue[Pending | None] = asyncio.Queue(maxsize=waiting)
        self._bucket: TokenBucket | None = None
        self._moved_bytes = 0

    async def run(self, work: AsyncGenerator[Work, None], start: AsyncGenerator[Pending, None]) -> None:
        """Carry out all work.

        Args:
            work: in path order.
            start: what comes before it.

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
        """Stop the writing thread."""
        await asyncio.to_thread(self._appender.shutdown, wait=True, cancel_futures=True)

    async def finish(self, *, continues: bool) -> None:
        """The run is complete here: commit the last pack."""
        await self._append(lambda: self._writer.finish(continues=continues))

    async def drained(self) -> None:
        """Wait until all that came so far is appended."""
        await self._queue.join()

    async def pause(self) -> None:
        """Commit what is there."""
        await self._append(self._writer.pause)

    async def _produce(self, work: AsyncGenerator[Work, None], start: AsyncGenerator[Pending, None]) -> None:
        try:
            await self._put_all(start)
            async with contextlib.aclosing(work):
                async for item in work:
                    if isinstance(item, Together):
                        await self._keep_together(item)
                    elif isinstance(item, LargeEntry):
                        await self._put_large(item)
                    else:
                        await self._queue.put(self._packing(item))
        except OSError as error:
            await self._queue.put(_failing(self._side.error(error)))
        except Exception as error:
            await self._queue.put(_failing(error))
        else:
            await self._queue.put(_END)

    async def _put_large(self, item: LargeEntry) -> None:
        """A large entry is begun where it surely fits: cut off in the middle it would be of no use."""
        need = most_stored_bytes(item.size_bytes, self._room.chunk_size_bytes) if item.size_bytes else 0
        if need and not await self._has_room(need):
            if self._room.refuses(item):
                await self._queue.put(ready(self._room.refusal(item)))
            else:
                await self._queue.put(self._stop_full)
            return
        await self._put_all(self._side.read(item))

    async def _keep_together(self, item: Together) -> None:
        may_fit = item.size_bytes <= self._room.largest_bytes - _OWN_FILES_BYTES
        if may_fit and not await self._has_room(item.size_bytes):
            await self._queue.put(self._stop_full)

    async def _has_room(self, need_bytes: int) -> bool:
        if self._writer.room_bytes() >= need_bytes + self._on_the_way_bytes:
            return True
        await self._queue.join()  # what is on the way takes less than it might
        return await self._append(self._writer.room_bytes) >= need_bytes

    async def _stop_full(self) -> Outcome:
        await self._append(self._writer.stop_full)
        raise AssertionError("a full device was filled further")

    async def _put_all(self, pieces: AsyncGenerator[Pending, None]) -> None:
        async with contextlib.aclosing(pieces):
            async for pending in pieces:
                await self._queue.put(pending)

    def _packing(self, batch: SmallWork) -> Pending:
        task = asyncio.ensure_future(self._side.pack(batch))
        task.add_done_callback(_retrieved)

        async def outcome() -> Outcome:
            return await self._side.settled(batch, await task)

        return outcome

    async def _consume(self) -> None:
        while (pending := await self._queue.get()) is not _END:
            outcome = await pending()
            for piece in outcome.pieces:
                await self._pace(piece)
                await self._append(partial(self._writer.append, piece))
                self._count(piece)
            self._account(outcome)
            if outcome.pieces:
                self._observe(self._moved_bytes, outcome.pieces[-1].last_path)
            self._queue.task_done()

    def _count(self, piece: Piece) -> None:
        for result in (self._result, self._mine):
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
        for problem in outcome.problems:
            self._result.note(problem)
        self._side.give_back(outcome)

    async def _pace(self, piece: Piece) -> None:
        """Keep to --bwlimit."""
        if self._write_rate is None or not piece.stored:
            return
        rate, now = self._write_rate(), time.monotonic()
        if self._bucket is None:
            self._bucket = TokenBucket(rate, burst_bytes=max(1, int((rate or 1) * _BURST_S)), now_s=now)
        self._bucket.set_rate(rate, now)
        await asyncio.sleep(self._bucket.reserve(len(piece.stored), now))

    async def _append(self, function: Callable[[], Value]) -> Value:
        return await asyncio.get_running_loop().run_in_executor(self._appender, function)


def _failing(error: Exception) -> Pending:
    async def outcome() -> Outcome:
        raise error

    return outcome


def _retrieved(task: asyncio.Future[Outcome]) -> None:
    """An outcome that nobody takes any more must not complain about its error."""
    if not task.cancelled():
        task.exception()
