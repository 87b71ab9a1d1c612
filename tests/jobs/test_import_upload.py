"""One object in parts: whatever happens when, every byte goes back to the budget and no upload stays."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from blake3 import blake3

from tests.jobs.faulty_store import FaultyStore
from tests.jobs.memory_import import KIB, LIMITS, objects_in, uploads_in
from transfer.core.object_metadata import NO_METADATA
from transfer.core.parts import plan_parts
from transfer.core.records import Chunk, File
from transfer.errors import StoreError, TransferError
from transfer.jobs.import_.budget import Budget
from transfer.jobs.import_.entries import Target
from transfer.jobs.import_.health import EndpointHealth
from transfer.jobs.import_.upload import Upload
from transfer.stores.checksums import checksums_of
from transfer.stores.memory import MemoryStore

pytestmark = pytest.mark.usefixtures("no_loose_ends")
CHUNK = 64 * KIB
CONTENT = blake3(b"content").digest(8 * CHUNK + 525)  # nine chunks, the last one short: five parts


def _sums(content: bytes) -> dict[str, str]:
    sums = checksums_of([content])
    crcs = {"crc64nvme": f"{sums.crc64nvme:016x}", "crc32c": f"{sums.crc32c:08x}"}
    return crcs | {"blake3": blake3(content).hexdigest()}


def _record(content: bytes) -> File:
    size = len(content)
    return File(path="f", mode=0, mtime_ns=0, uid=0, gid=0, size_bytes=size, chunks=9, **_sums(content))


@dataclass
class Table:
    """An upload, and what it is made from."""

    store: MemoryStore
    faulty: FaultyStore
    budget: Budget
    tasks: asyncio.TaskGroup
    upload: Upload

    async def add(self, *indexes: int) -> None:
        for index in indexes:
            content = CONTENT[index * CHUNK : (index + 1) * CHUNK]
            chunk = Chunk(path="f", index=index, size_bytes=len(content), **_sums(content))
            self.upload.add(chunk, content, await self.budget.take(len(content)))


def _table(tasks: asyncio.TaskGroup, nth: int = 0, size: int = len(CONTENT)) -> Table:
    store = MemoryStore(limits=LIMITS)
    faulty = FaultyStore(store, nth, StoreError("it is refused", status=400))
    upload = Upload(
        store=faulty,  # type: ignore[arg-type]
        health=EndpointHealth(),
        tasks=tasks,
        target=Target("key", NO_METADATA),
        plan=plan_parts(size, CHUNK, LIMITS),
        on_part=lambda key, size: None,
    )
    return Table(store, faulty, Budget(1 << 20), tasks, upload)


async def _check_clean(table: Table, objects: dict[str, bytes]) -> None:
    assert table.budget.held_bytes == 0
    assert await uploads_in(table.store) == []
    assert await objects_in(table.store) == objects
    assert table.faulty.at_abort == 0, "parts could arrive behind the abort"


async def test_all_chunks_make_the_object() -> None:
    async with asyncio.TaskGroup() as tasks:
        table = _table(tasks)
        await table.add(*range(9))
        await table.upload.complete(_record(CONTENT))
    await _check_clean(table, {"key": CONTENT})
    assert table.faulty.calls.count("put_part") == 5
    assert table.upload.sent_bytes == len(CONTENT)


@pytest.mark.parametrize(
    "indexes",
    [(), (0,), range(8), range(1, 9), (0, 1, 2, 3, 5, 6, 7, 8), (1, 0, *range(2, 9)), (*range(9), 8)],
)
async def test_other_chunks_make_no_object(indexes: tuple[int, ...]) -> None:
    async with asyncio.TaskGroup() as tasks:
        table = _table(tasks)
        await table.add(*indexes)
        with pytest.raises(TransferError, match="add up"):
            await table.upload.complete(_record(CONTENT))
        assert table.upload.is_damaged
        await table.upload.abort()
    await _check_clean(table, {})


@pytest.mark.parametrize("other", [CONTENT[:-1], CONTENT + b"x", CONTENT[::-1]])
async def test_another_file_s_closing_record_makes_no_object(other: bytes) -> None:
    async with asyncio.TaskGroup() as tasks:
        table = _table(tasks)
        await table.add(*range(9))
        with pytest.raises(TransferError, match="add up"):
            await table.upload.complete(_record(other))
        await table.upload.abort()
    await _check_clean(table, {})


async def test_what_fits_one_part_goes_in_one_request() -> None:
    async with asyncio.TaskGroup() as tasks:
        table = _table(tasks, size=2 * CHUNK)
        await table.add(0, 1)
        await table.upload.complete(_record(CONTENT[: 2 * CHUNK]))
    await _check_clean(table, {"key": CONTENT[: 2 * CHUNK]})
    assert table.faulty.calls == ["put"]


@pytest.mark.parametrize("nth", range(1, 8))
async def test_a_call_fails_while_chunks_still_come(nth: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        table = _table(tasks, nth)
        for index in range(9):
            await table.add(index)
            await asyncio.sleep(0)
        with pytest.raises(TransferError, match="it is refused"):
            await table.upload.complete(_record(CONTENT))
        await table.upload.abort()
        await table.add(8)  # also what comes too late is given back
    await _check_clean(table, {})
    assert table.faulty.fired


@pytest.mark.parametrize("turns", [*range(6), 18, 22, 30])
@pytest.mark.parametrize("count", [1, 2, 5, 9])
async def test_given_up_at_any_moment(count: int, turns: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        table = _table(tasks)
        await table.add(*range(count))
        for _ in range(turns):
            await asyncio.sleep(0)
        await table.upload.abort()
    await _check_clean(table, {})


@pytest.mark.parametrize("turns", [*range(6), *range(16, 26), 40])
async def test_cancelled_at_any_moment(turns: int) -> None:
    """The whole group is cancelled: the upload's id is waited for all the same, and the upload aborted."""
    table: Table | None = None

    async def job() -> None:
        nonlocal table
        async with asyncio.TaskGroup() as tasks:
            table = _table(tasks)
            await table.add(*range(9))
            tasks.create_task(table.upload.complete(_record(CONTENT)))

    running = asyncio.create_task(job())
    for _ in range(turns + 1):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    assert table is not None
    assert table.budget.held_bytes == 0
    await table.upload.abort()
    await _check_clean(table, await objects_in(table.store) and {"key": CONTENT})
