"""The worker processes of export: what becomes of a batch when one fails."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from transfer.errors import AccessError, TransferError
from transfer.jobs.export.pool import FetchPool
from transfer.jobs.export.trouble import raised, told
from transfer.jobs.export.wanted import Wanted
from transfer.jobs.export.work import BucketAddress, Fetch, FetchOptions, ObjectBatch, Task
from transfer.jobs.export.worker import BatchWork
from transfer.jobs.workers.slots import WorkerSlots

OPTIONS = FetchOptions(
    address=BucketAddress("bucket", "http://127.0.0.1:1", no_sign_request=True, region="us-east-1"),
    prefix="",
    bwlimit=None,
    connections=2,
    tags="auto",
    restoring=None,
    chunk_size_bytes=1 << 16,
    small_limit_bytes=1 << 16,
    level=1,
)


def batch() -> ObjectBatch:
    made = ObjectBatch()
    made.add(Fetch(Wanted(b"k", 1)), 1)
    return made


async def test_a_worker_that_dies_ends_the_job_with_a_clear_error():
    pool = FetchPool(OPTIONS, 1, 4)
    try:
        packing = [asyncio.create_task(pool.pack(batch())) for _ in range(2)]
        while not pool._workers or pool._workers[0].under_way < 2:
            await asyncio.sleep(0.01)
        os.kill(pool._workers[0]._process._process.pid, signal.SIGKILL)
        for task in packing:
            with pytest.raises(TransferError, match="worker process ended unexpectedly"):
                await task
    finally:
        await asyncio.to_thread(pool.close)


async def test_an_error_that_nobody_thought_of_is_answered_too():
    class Broken:
        def fetch(self, order: Fetch) -> asyncio.Future[None]:
            raise RuntimeError("planned by the test")

    work = BatchWork(Broken(), OPTIONS)  # type: ignore[arg-type]
    answer = await work.answer(Task(7, batch(), -1), WorkerSlots(-1, 0))
    assert (answer.number, answer.outcome) == (7, None)
    assert answer.error is not None
    assert "planned by the test" in raised(answer.error).what


def test_errors_keep_their_kind_between_processes():
    error = raised(told(AccessError("what", remedy="remedy", code="ExpiredToken")))
    assert (type(error), error.what, error.remedy) == (AccessError, "what", "remedy")
