"""A job as it is shown: what the ledger says, and what is known of its run. Pure."""

from __future__ import annotations

from msgspec.structs import asdict

from transfer.ledger.values import DeviceSet, Job, ObjectEntry
from transfer.service.ingest.destinations import address
from transfer.service.ingest.orders import possible
from transfer.service.ingest.queue import UNDER_WAY, Work
from transfer.service.ingest.totals import JobTotals
from transfer.service.views import CountersView, EntryView, JobView

MAX_MISSING = 1_000


def job_view(
    job: Job,
    *,
    device_job: str,
    ordinal: int,
    devices: DeviceSet,
    work: Work | None,
    waiting: str | None,
    is_ours: bool,
) -> JobView:
    """A job.

    Args:
        job: as the ledger has it.
        device_job: name of the job that its device was filled for.
        ordinal: of the device.
        devices: what is known of the others of its job.
        work: where its device is in the dock.
        waiting: why it does not move, if it is to.
        is_ours: this service imports to where it goes.
    """
    run = work.run if work is not None else None
    counters = (run.counters() if run is not None else None) or job.counters
    is_to_move = job.phase in UNDER_WAY and not job.paused
    identity = job.identity
    return JobView(
        job_id=job.job_id,
        device_id=identity.device_id,
        device_job=device_job,
        ordinal=ordinal,
        folder=work.folder if work is not None else None,
        destination=address(identity),
        endpoint=identity.endpoint,
        phase=job.phase,
        paused=job.paused,
        waiting=(waiting if is_ours else "this service imports to another place") if is_to_move else None,
        created=job.created,
        changed=job.changed,
        # The ledger also notes what an import that waits met last: that is told in `waiting`.
        error="" if job.phase in UNDER_WAY else job.error,
        counters=CountersView(**asdict(counters)),
        progress=run.view() if run is not None else None,
        actions=possible(job),
        devices_missing=list(devices.missing[:MAX_MISSING]),
        devices_total=len(devices.seen) + len(devices.missing) if devices.is_listed else None,
    )


def totals_of(work: Work) -> JobTotals:
    """A job for the metrics."""
    job, run = work.job, work.run
    progress = run.view() if run is not None else None
    counters = (run.counters() if run is not None else None) or job.counters
    return JobTotals(
        job_id=job.job_id,
        device_id=job.identity.device_id,
        phase=job.phase,
        paused=job.paused,
        **asdict(counters),
        bytes_verified=progress.bytes_verified if progress else 0,
        bytes_imported=progress.bytes_imported if progress else 0,
    )


def entry_view(entry: ObjectEntry) -> EntryView:
    """An entry."""
    return EntryView(entry.key, entry.size_bytes, entry.blake3, entry.etag, entry.error)
