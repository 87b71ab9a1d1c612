"""An import in the ledger: which job it is, how it begins, and how its open uploads are given up."""

from __future__ import annotations

from datetime import timedelta

from transfer.core.moments import parse_moment
from transfer.errors import IntegrityError
from transfer.jobs.import_.arrival import Arrival
from transfer.jobs.import_.options import ImportOptions
from transfer.ledger.devices import compare
from transfer.ledger.ledger import Ledger
from transfer.ledger.phases import Phase
from transfer.ledger.values import Job, JobIdentity, SealedDevice, Sighting, Upload
from transfer.stores.contract import Store

REPLAYS = {
    Sighting.OLDER: "its seal is older than one of this device that was seen before",
    Sighting.CONFLICTING: "another seal of the same generation of this device was seen before",
}
"""Why a device is not to be taken, though its seal is whole: somebody may want old data imported again."""

_CLOCKS_APART = timedelta(minutes=15)
_ENDED = (Phase.QUARANTINED, Phase.CANCELLED)


def sealed_device(arrival: Arrival) -> SealedDevice:
    """A device as the ledger knows it; one without a seal has generation 0."""
    document = arrival.device.document
    return SealedDevice(
        device_id=document.device_id,
        job=document.job,
        ordinal=document.ordinal,
        generation=arrival.files.seal.generation if arrival.files.seal is not None else 0,
        seal_blake3=arrival.seal_blake3,
    )


async def register(ledger: Ledger, arrival: Arrival, options: ImportOptions) -> tuple[Job, Sighting]:
    """See a device, and find or create the job of its import.

    Args:
        ledger: the record of the destination.
        arrival: of a device whose seal can be trusted, or that has none and is taken all the same.
        options: bucket, prefix and endpoint make the job.

    Returns:
        the job as it stands, and how the device compares with what was seen of it before.

    Raises:
        IntegrityError: a newer seal of it was seen, or another of the same generation, and that is not
            allowed. The ledger is as before.
    """
    sighting = await ledger.devices.see(sealed_device(arrival))
    _refuse_if_older(sighting, arrival, options)
    identity = JobIdentity(
        device_id=arrival.device.document.device_id,
        seal_blake3=arrival.seal_blake3,
        bucket=options.bucket,
        prefix=options.prefix,
        endpoint=options.endpoint,
    )
    return await ledger.jobs.find_or_create(identity), sighting


async def refuse_replay(ledger: Ledger, arrival: Arrival, options: ImportOptions) -> None:
    """Raise IntegrityError where `register` would, before more is asked of the device; sees nothing."""
    device = sealed_device(arrival)
    known = await ledger.devices.get(device.device_id)
    _refuse_if_older(compare(known.device if known else None, device), arrival, options)


def _refuse_if_older(sighting: Sighting, arrival: Arrival, options: ImportOptions) -> None:
    if sighting in REPLAYS and not options.allow_older:
        raise IntegrityError(
            f"device {arrival.device.root} may be an old copy: {REPLAYS[sighting]}",
            remedy="ask the sender; --allow-older takes it all the same",
        )


async def begin(ledger: Ledger, job: Job) -> Job:
    """Begin an attempt: put a job into the phase `importing`, from wherever it stands."""
    if job.phase in _ENDED:
        await ledger.jobs.set_phase(job.number, Phase.RECEIVED)
    await ledger.jobs.set_phase(job.number, Phase.IMPORTING)
    return await ledger.jobs.count_attempt(job.number)


async def abandon(ledger: Ledger, store: Store, job: int) -> int:
    """Give up the uploads of a job that were begun and not ended, at the store and in the ledger.

    Args:
        ledger: that has them.
        store: that has their parts.
        job: its number.

    Returns:
        how many there were.

    Raises:
        TransferError: the store could not be made to give one up; it stays in the ledger.
    """
    uploads = await ledger.uploads.begun(job)
    for upload in uploads:
        await give_up(ledger, store, job, upload)
    await ledger.recorder.flush()
    return len(uploads)


async def give_up(ledger: Ledger, store: Store, job: int, upload: Upload) -> None:
    """Abort one upload of a job, and end it in the ledger.

    Raises:
        TransferError: as `abandon`.
    """
    if upload.upload_id:
        await store.abort_upload(upload.key, upload.upload_id)
    else:
        await abort_unnamed(ledger, store, job, upload.key, upload.begun)
    await ledger.recorder.end_upload(upload.number)


async def abort_unnamed(ledger: Ledger, store: Store, job: int, key: str, begun: str) -> None:
    """Abort uploads of a key whose id was never recorded: the process ended before the answer came.

    Only those that the store dates after `begun`, less `_CLOCKS_APART`, and whose id the ledger does not
    know: another writer's older upload of the same key is not ours to abort.
    """
    known = {upload.upload_id for upload in await ledger.uploads.begun(job)}
    earliest = parse_moment(begun, "ledger") - _CLOCKS_APART
    orphans = [
        upload.upload_id
        async for upload in store.list_uploads(key)
        if upload.key == key
        and upload.upload_id not in known
        and upload.initiated is not None
        and upload.initiated >= earliest
    ]
    for upload_id in orphans:
        await store.abort_upload(key, upload_id)
