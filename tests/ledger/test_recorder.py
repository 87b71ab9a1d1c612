"""The recorder alone, before a database that does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.ledger.making import clock, entry
from transfer.errors import TransferError
from transfer.ledger.buffer import Batch, PackChecked, Rows, UploadBegun, UploadNamed
from transfer.ledger.recorder import Recorder


class Database:
    """Keeps batches; holds each until it is let go; fails at the one that it is told to."""

    def __init__(self, *, failing_at: int = 0) -> None:
        self.batches: list[Batch] = []
        self.open = asyncio.Event()
        self.open.set()
        self.came = asyncio.Event()
        self.failing_at = failing_at

    async def write(self, batch: Batch) -> None:
        self.came.set()
        await self.open.wait()
        if len(self.batches) + 1 == self.failing_at:
            raise TransferError("the disk is full")
        self.batches.append(batch)

    @property
    def sizes(self) -> list[int]:
        return [batch.size for batch in self.batches]


@asynccontextmanager
async def recording(
    database: Database, *, flush_rows: int = 4, flush_after_s: float = 3600
) -> AsyncIterator[Recorder]:
    recorder = Recorder(
        database.write, clock(), next_upload=7, flush_rows=flush_rows, flush_after_s=flush_after_s
    )
    yield recorder
    await recorder.aclose()


async def test_rows_wait_for_each_other() -> None:
    database = Database()
    async with recording(database) as recorder:
        for position in range(3):
            await recorder.object(entry(position))
        await asyncio.sleep(0)
        assert database.batches == []
        await recorder.object(entry(3))
        await asyncio.wait_for(database.came.wait(), 10)
        await recorder.flush()
        assert database.sizes == [4]


async def test_a_row_does_not_wait_for_ever() -> None:
    database = Database()
    async with recording(database, flush_rows=1000, flush_after_s=0.01) as recorder:
        await recorder.object(entry(0))
        await asyncio.wait_for(database.came.wait(), 10)
    assert database.sizes == [1]


async def test_nothing_recorded_is_nothing_written() -> None:
    database = Database()
    async with recording(database, flush_after_s=0.0) as recorder:
        await recorder.flush()
    assert database.batches == []


async def test_flush_waits_for_the_batch_under_way() -> None:
    database = Database()
    database.open.clear()
    async with recording(database, flush_rows=1) as recorder:
        await recorder.object(entry(0))
        await database.came.wait()
        flush = asyncio.create_task(recorder.flush())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not flush.done()
        database.open.set()
        await flush
        assert database.sizes == [1]


async def test_a_slow_database_holds_up_whoever_records_and_memory_is_bounded() -> None:
    database = Database()
    database.open.clear()
    recorded = 0

    async def record_for_ever(recorder: Recorder) -> None:
        nonlocal recorded
        for position in range(1000):
            await recorder.object(entry(position))
            recorded += 1

    async with recording(database) as recorder:
        task = asyncio.create_task(record_for_ever(recorder))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not task.done()
        assert recorded <= 4 + 2 * 4 * 4
        database.open.set()
        await task
    assert sum(database.sizes) == 1000
    assert max(database.sizes) <= 16


async def test_order_is_kept_and_rows_are_gathered_between_other_steps() -> None:
    database = Database()
    async with recording(database, flush_rows=1000) as recorder:
        for position in (0, 1, 1, 0):
            await recorder.object(entry(position, size_bytes=position + 5))
        await recorder.pack_checked(1, 0)
        await recorder.object(entry(0))
        await recorder.flush()
    (batch,) = database.batches
    assert batch.size == 6
    before, checked, after = batch.steps
    assert isinstance(before, Rows)
    assert isinstance(after, Rows)
    assert isinstance(checked, PackChecked)
    assert list(before.rows) == [(1, 0, 0), (1, 0, 1)]
    assert list(after.rows) == [(1, 0, 0)]


async def test_uploads_are_written_at_once_and_many_together() -> None:
    database = Database()
    database.open.clear()
    async with recording(database, flush_rows=1000) as recorder:
        await recorder.object(entry(0))
        begun = [
            asyncio.create_task(
                recorder.begin_upload(1, f"k{n}", sequence=0, size_bytes=1, part_size_bytes=1)
            )
            for n in range(5)
        ]
        await database.came.wait()
        assert not any(task.done() for task in begun)
        database.open.set()
        uploads = await asyncio.gather(*begun)
        assert [upload.number for upload in uploads] == [7, 8, 9, 10, 11]
        await recorder.name_upload(9, "id")
    first, second = database.batches
    assert [step.upload.key for step in first.steps if isinstance(step, UploadBegun)] == [
        "k0",
        "k1",
        "k2",
        "k3",
        "k4",
    ]
    assert second.steps == [UploadNamed(9, "id")]


async def test_a_failure_reaches_all_that_wait_and_all_that_come_later() -> None:
    database = Database(failing_at=2)
    recorder = Recorder(database.write, clock(), next_upload=1, flush_rows=2, flush_after_s=3600)
    await recorder.object(entry(0))
    await recorder.flush()
    database.open.clear()
    database.came.clear()
    await recorder.object(entry(1))
    flush = asyncio.create_task(recorder.flush())
    await database.came.wait()

    async def fill() -> None:
        for position in range(1000):
            await recorder.object(entry(position))

    async def fill_then_flush() -> None:
        await recorder.object(entry(5))
        await recorder.flush()

    waiting = [flush, asyncio.create_task(fill_then_flush()), asyncio.create_task(fill())]
    for _ in range(5):
        await asyncio.sleep(0)
    database.open.set()
    ended = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 10)
    assert [str(error) for error in ended] == ["the disk is full"] * 3
    for call in (recorder.object(entry(9)), recorder.flush(), recorder.pack_checked(1, 1), recorder.aclose()):
        with pytest.raises(TransferError, match="the disk is full"):
            await call
    assert database.sizes == [1]


async def test_whoever_gives_up_waiting_loses_nothing() -> None:
    database = Database()
    database.open.clear()
    async with recording(database) as recorder:
        await recorder.object(entry(0))
        flush = asyncio.create_task(recorder.flush())
        await database.came.wait()
        flush.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flush
        database.open.set()
        await recorder.flush()
        assert database.sizes == [1]
