"""What the ledger costs: `python -m tests.benchmarks.ledger [OBJECTS]` records a million, on both databases.

For each it prints rows a second, the processor time of this process a row, the longest time that the event
loop was held up, the peak memory of the process that recorded, and how long the questions take that a
resumed import asks. Each database has a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable

from tests.simulators.postgres import postgres
from transfer.ledger.ledger import Ledger, open_ledger
from transfer.ledger.values import JobIdentity, ObjectEntry, ObjectState, SealedDevice

_IN_A_PACK = 50_000
_DIGEST = "ab" * 32
_ETAG = "d41d8cd98f00b204e9800998ecf8427e"


def main() -> None:
    count = sys.argv[1] if len(sys.argv) > 1 else "1000000"
    with tempfile.TemporaryDirectory() as place:
        _measure(os.path.join(place, "ledger.sqlite"), count)
    with postgres(durable=True) as server:
        _measure(server.new_database(), count)


def _measure(where: str, count: str) -> None:
    """In a process of its own, so that its peak of memory is its own too."""
    subprocess.run([sys.executable, "-m", "tests.benchmarks.ledger", count, where], check=True)


async def record(where: str, count: int) -> None:
    async with open_ledger(where, lambda: "2026-01-01T00:00:00Z") as ledger:
        print(ledger.name)
        await ledger.devices.see(SealedDevice("device", "job", 1, 1, "seal"))
        job = await ledger.jobs.find_or_create(JobIdentity("device", "seal", "bucket", "", ""))
        gaps = asyncio.create_task(_longest_gap())
        start, processor = time.perf_counter(), time.process_time()
        await _fill(ledger, job.number, count)
        elapsed, processor = time.perf_counter() - start, time.process_time() - processor
        gaps.cancel()
        print(f"  {count / elapsed:,.0f} rows/s; {processor / count * 1e6:.1f} us of processor time a row")
        await _timed(
            "page of one pack", ledger.objects.of_pack(job.number, count // _IN_A_PACK // 2, after=99)
        )
        await _timed("packs of the job", ledger.objects.checked_packs(job.number))
        await _timed("furthest entry", ledger.objects.last_spot(job.number))
        await _timed("page of 1,000 done", ledger.objects.page(job.number, ObjectState.DONE, after=(9, 9)))
        await _timed("page of failed", ledger.objects.page(job.number, ObjectState.FAILED))
    print(f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")


async def _fill(ledger: Ledger, job: int, count: int) -> None:
    for number in range(count):
        sequence, position = divmod(number, _IN_A_PACK)
        key = f"prefix/folder-{number // 200:05d}/file-{number:07d}.dat"
        state = ObjectState.FAILED if number % 1000 == 999 else ObjectState.DONE
        entry = ObjectEntry(job, sequence, position, state, key, 3000 + number % 977, _DIGEST, _ETAG)
        await ledger.recorder.object(entry)
        if position == _IN_A_PACK - 1:
            await ledger.recorder.pack_checked(job, sequence)
        if number % 64 == 63:
            await asyncio.sleep(0)  # an import goes back to the event loop all the time
    await ledger.recorder.flush()


async def _longest_gap() -> None:
    longest, last = 0.0, time.perf_counter()
    try:
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
    finally:
        print(f"  event loop held up for {longest * 1e3:.0f} ms at most")


async def _timed(what: str, question: Awaitable[object]) -> None:
    start = time.perf_counter()
    await question
    print(f"  {what}: {(time.perf_counter() - start) * 1e3:.1f} ms")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        asyncio.run(record(sys.argv[2], int(sys.argv[1])))
    else:
        main()
