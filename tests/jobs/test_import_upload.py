"""One object in parts: whatever happens when, every byte goes back to the budget and no upload stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from blake3 import blake3

from tests.jobs.faulty_store import FaultyStore
from tests.jobs.memory_import import KIB, LIMITS, objects_in, uploads_in
from transfer.core.parts import plan_parts
from transfer.core.records import Chunk, File
from transfer.device.clock import timestamp
from transfer.errors import StoreError, TransferError
from transfer.jobs.import_.budget import Budget
from transfer.jobs.import_.health import EndpointHealth
from transfer.jobs.import_.journal import Journal, Parked
from transfer.jobs.import_.planning import LargeFile, Place
from transfer.jobs.import_.upload import Upload
from transfer.ledger.ledger import open_ledger
from transfer.ledger.values import JobIdentity, SealedDevice
from transfer.ledger.values import Upload as UploadRow
from transfer.stores.checksums import checksums_of
from transfer.stores.contract import Part
from transfer.stores.memory import MemoryStore

pytestmark = pytest.mark.usefixtures("no_loose_ends")
CHUNK = 64 * KIB
PART = Part(3, 7, "etag", checksums_of([b"content"]))
CONTENT = blake3(b"content").digest(8 * CHUNK + 525)  # nine chunks, the last one short: five parts


def _sums(content: bytes) -> dict[str, str]:
    sums = checksums_of([content])
    crcs = {"crc64nvme": f"{sums.crc64nvme:016x}", "crc32c": f"{sums.crc32c:08x}"}
    return crcs | {"blake3": blake3(content).hexdigest()}


def _record(content: bytes) -> File:
    size = len(content)
    return File(path="f", mode=0, mtime_ns=0, uid=0, gid=0, size_bytes=size, chunks=9, **_sums(content))


def _chunk(index: int) -> Chunk:
    content = CONTENT[index * CHUNK : (index + 1) * CHUNK]
    return Chunk(path="f", index=index, size_bytes=len(content), **_sums(content))


@dataclass
class Table:
    """An upload, and what it is made from."""

    store: MemoryStore
    faulty: FaultyStore
    budget: Budget
    journal: Journal
    tasks: asyncio.TaskGroup
    upload: Upload

    async def add(self, *indexes: int) -> None:
        for index in indexes:
            content = CONTENT[index * CHUNK : (index + 1) * CHUNK]
            self.upload.add(_chunk(index), content, await self.budget.take(len(content)))


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with open_ledger(str(tmp_path / "ledger"), timestamp, flush_after_s=0.001) as ledger:
        await ledger.devices.see(SealedDevice("device", "job", 1, 1, "seal"))
        job = await ledger.jobs.find_or_create(JobIdentity("device", "seal", "bucket", "", ""))
        yield Journal(ledger, job.number)


def _table(
    tasks: asyncio.TaskGroup,
    journal: Journal,
    nth: int = 0,
    size: int = len(CONTENT),
    parked: Parked | None = None,
    store: MemoryStore | None = None,
) -> Table:
    store = store or MemoryStore(limits=LIMITS)
    faulty = FaultyStore(store, nth, StoreError("it is refused", status=400))
    upload = Upload(
        store=faulty,  # type: ignore[arg-type]
        health=EndpointHealth(),
        tasks=tasks,
        journal=journal,
        large=LargeFile(b"f", size, Place(b"f"), (0, 0), 0, key="key", parked=parked),
        plan=plan_parts(size, CHUNK, LIMITS),
        exclusive=True,
        on_part=lambda key, size: None,
    )
    return Table(store, faulty, Budget(1 << 20), journal, tasks, upload)


async def _check_clean(table: Table, objects: dict[str, bytes]) -> None:
    assert table.budget.held_bytes == 0
    assert await uploads_in(table.store) == []
    assert await objects_in(table.store) == objects
    if objects:
        await table.upload.ended()
    await table.journal.ledger.recorder.flush()
    assert await table.journal.ledger.uploads.begun(table.journal.job) == []
    assert table.faulty.at_abort == 0, "parts could arrive behind the abort"


async def test_all_chunks_make_the_object(journal: Journal) -> None:
    async with asyncio.TaskGroup() as tasks:
        table = _table(tasks, journal)
        await table.add(*range(9))
        await table.upload.complete(_record(CONTENT))
    await _check_clean(table, {"key": CONTENT})
    assert table.faulty.calls.count("put_part") == 5
    assert table.upload.sent_bytes == len(CONTENT)


@pytest.mark.parametrize(
    "indexes",
    [(), (0,), range(8), range(1, 9), (0, 1, 2, 3, 5, 6, 7, 8), (1, 0, *range(2, 9)), (*range(9), 8)],
)
async def test_other_chunks_make_no_object(indexes: tuple[int, ...], journal: Journal) -> None:
    async with asyncio.TaskGroup() as tasks:
        table = _table(tasks, journal)
        await table.add(*indexes)
        with pytest.raises(TransferError, match="add up"):
            await table.upload.complete(_record(CONTENT))
        assert table.upload.is_damaged
        await table.upload.abort()
    await _check_clean(table, {})


@pytest.mark.parametrize("other", [CONTENT[:-1], CONTENT + b"x", CONTENT[::-1]])
async def test_another_file_s_closing_record_makes_no_object(other: bytes, journal: Journal) -> None:
    async with asyncio.TaskGroup() as tasks:
        table = _table(tasks, journal)
        await table.add(*range(9))
        with pytest.raises(TransferError, match="add up"):
            await table.upload.complete(_record(other))
        await table.upload.abort()
    await _check_clean(table, {})


async def test_what_fits_one_part_goes_in_one_request(journal: Journal) -> None:
    async with asyncio.TaskGroup() as tasks:
        table = _table(tasks, journal, size=2 * CHUNK)
        await table.add(0, 1)
        await table.upload.complete(_record(CONTENT[: 2 * CHUNK]))
    await _check_clean(table, {"key": CONTENT[: 2 * CHUNK]})
    assert table.faulty.calls == ["put"]


@pytest.mark.parametrize("nth", range(1, 8))
async def test_a_call_fails_while_chunks_still_come(nth: int, journal: Journal) -> None:
    async with asyncio.TaskGroup() as tasks:
        table = _table(tasks, journal, nth)
        for index in range(9):
            await table.add(index)
            await asyncio.sleep(0)
        with pytest.raises(TransferError, match="it is refused"):
            await table.upload.complete(_record(CONTENT))
        await table.upload.abort()
        await table.add(8)  # also what comes too late is given back
    await _check_clean(table, {})
    assert table.faulty.fired


async def _come_to(table: Table, calls: int, turns: int) -> None:
    """So many calls were made, and the event loop went round some more."""
    while len(table.faulty.calls) < calls:
        await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)


@pytest.mark.parametrize("turns", [0, 3, 9, 22])
@pytest.mark.parametrize(
    ("count", "calls"), [(1, 0), *[(2, n) for n in range(3)], *[(9, n) for n in range(6)]]
)
async def test_given_up_at_any_moment(count: int, calls: int, turns: int, journal: Journal) -> None:
    async with asyncio.TaskGroup() as tasks:
        table = _table(tasks, journal)
        await table.add(*range(count))
        await _come_to(table, calls, turns)
        await table.upload.abort()
    await _check_clean(table, {})


@pytest.mark.parametrize("turns", [0, 3, 9, 22])
@pytest.mark.parametrize("calls", range(8))
async def test_cancelled_at_any_moment(calls: int, turns: int, journal: Journal) -> None:
    """The whole group is cancelled: the upload's id is waited for all the same, and the upload aborted."""
    table: Table | None = None

    async def job() -> None:
        nonlocal table
        async with asyncio.TaskGroup() as tasks:
            table = _table(tasks, journal)
            await table.add(*range(9))
            tasks.create_task(table.upload.complete(_record(CONTENT)))

    running = asyncio.create_task(job())
    await asyncio.sleep(0)
    assert table is not None
    await _come_to(table, calls, turns)
    running.cancel()
    await asyncio.wait([running])
    assert table.budget.held_bytes == 0
    await table.upload.abort()
    await _check_clean(table, await objects_in(table.store) and {"key": CONTENT})


async def _park(journal: Journal) -> tuple[MemoryStore, UploadRow]:
    """An attempt that sent the first two parts, and was cancelled."""
    tasks = asyncio.TaskGroup()
    async with tasks:
        table = _table(tasks, journal)
        await table.add(*range(4))
    await journal.ledger.recorder.flush()
    (row,) = await journal.ledger.uploads.begun(journal.job)
    return table.store, row


async def test_parts_that_are_there_are_passed_over(journal: Journal) -> None:
    store, row = await _park(journal)
    recorded = await journal.ledger.uploads.parts(row.number)
    listed = {part.number: part async for part in store.list_parts("key", row.upload_id)}
    parked = Parked(row, recorded, listed)
    assert parked.parts.keys() == {1, 2}
    async with asyncio.TaskGroup() as tasks:
        table = _table(tasks, journal, parked=parked, store=store)
        for index in range(4):
            table.upload.pass_over(_chunk(index))
        await table.add(*range(4, 9))
        await table.upload.complete(_record(CONTENT))
    await _check_clean(table, {"key": CONTENT})
    assert table.faulty.calls == ["put_part"] * 3 + ["complete_upload"]
    assert table.upload.sent_bytes == len(CONTENT)


async def test_a_part_of_other_bytes_than_the_manifest_has_is_no_part_of_this_object(
    journal: Journal,
) -> None:
    store, row = await _park(journal)
    recorded = await journal.ledger.uploads.parts(row.number)
    other = [replace(recorded[0], checksums=checksums_of([b"other"])), recorded[1]]
    async with asyncio.TaskGroup() as tasks:
        parked = Parked(row, other, {part.number: part for part in other})
        table = _table(tasks, journal, parked=parked, store=store)
        for index in range(4):
            table.upload.pass_over(_chunk(index))
        await table.add(*range(4, 9))
        with pytest.raises(TransferError, match="part 1, which an earlier attempt sent, is not of this file"):
            await table.upload.complete(_record(CONTENT))
        await table.upload.abort()
    await _check_clean(table, {})


@pytest.mark.parametrize(
    ("recorded", "listed", "counts"),
    [
        (PART, PART, True),
        (PART, replace(PART, checksums=None), True),  # as stores list them
        (PART, replace(PART, etag="other"), False),
        (PART, replace(PART, size_bytes=8), False),
        (PART, None, False),
        (replace(PART, checksums=None), PART, False),
    ],
)
def test_a_part_counts_where_ledger_and_store_have_the_same(
    recorded: Part, listed: Part | None, counts: bool
) -> None:
    row = UploadRow(1, 1, "key", "id", 0, 20, 7, "2026-01-01T00:00:00Z")
    parked = Parked(row, [recorded], {3: listed} if listed else {})
    assert parked.parts == ({3: PART} if counts else {})
    assert not parked.is_lost
