"""A program to be killed: it records, and says on stdout what a flush has acknowledged.

    python -m tests.ledger.crashing WHERE

A line `flushed N` says that positions 0 to N - 1 are durable, `upload N` that the upload of that number is.
"""

from __future__ import annotations

import asyncio
import sys

from tests.ledger.making import clock, entry, job_of
from transfer.ledger.ledger import open_ledger


async def record_until_killed(where: str) -> None:
    async with open_ledger(where, clock(), flush_rows=64, flush_after_s=0.001) as ledger:
        await job_of(ledger)
        position = 0
        while True:
            for _ in range(173):
                await ledger.recorder.object(entry(position))
                position += 1
            await ledger.recorder.pack_checked(1, position)
            await ledger.recorder.flush()
            print(f"flushed {position}", flush=True)
            upload = await ledger.recorder.begin_upload(
                1, f"large-{position}", sequence=0, size_bytes=1, part_size_bytes=1
            )
            print(f"upload {upload.number}", flush=True)


if __name__ == "__main__":
    asyncio.run(record_until_killed(sys.argv[1]))
