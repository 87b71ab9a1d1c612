"""What tests of the ledger record: made from few words."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import count

from transfer.ledger.ledger import Ledger, open_ledger
from transfer.ledger.values import Job, JobIdentity, ObjectEntry, ObjectState, SealedDevice

DEVICE = SealedDevice("7f0c8a54-6e0f-4d0e-9d2b-0d7a3f6f2b11", "survey", 1, 1, "5e" * 32)
IDENTITY = JobIdentity(DEVICE.device_id, DEVICE.seal_blake3, "bucket", "prefix/", "http://127.0.0.1:9000")
DIGEST = "0123456789abcdef" * 4


def clock() -> Callable[[], str]:
    """A clock that shows a second more each time it is looked at."""
    seconds = count()
    return lambda: f"2026-01-01T00:00:{next(seconds) % 60:02d}Z"


def opened(where: str, **options: float) -> AbstractAsyncContextManager[Ledger]:
    """A ledger that writes when it is told to, not when time has passed."""
    return open_ledger(where, clock(), **{"flush_after_s": 3600.0, **options})  # type: ignore[arg-type]


async def job_of(ledger: Ledger, identity: JobIdentity = IDENTITY) -> Job:
    await ledger.devices.see(DEVICE)
    return await ledger.jobs.find_or_create(identity)


def entry(
    position: int,
    state: ObjectState = ObjectState.DONE,
    *,
    job: int = 1,
    sequence: int = 0,
    size_bytes: int = 10,
    error: str = "",
) -> ObjectEntry:
    return ObjectEntry(job, sequence, position, state, f"key-{position}", size_bytes, DIGEST, "etag", error)


async def states_of(ledger: Ledger, job: int, sequence: int) -> dict[int, ObjectState]:
    """What is recorded of a pack's entries: position to state, in the order they came, page by page."""
    found: dict[int, ObjectState] = {}
    after = -1
    while page := await ledger.objects.of_pack(job, sequence, after=after):
        assert {(one.job, one.sequence) for one in page} == {(job, sequence)}
        found |= {one.position: one.state for one in page}
        after = page[-1].position
    return found
