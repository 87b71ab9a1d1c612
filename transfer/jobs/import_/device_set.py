"""Which devices of its job have not arrived yet: from what the device at hand says, and the ledger remembers.

A device tells of others in three ways: its seal lists them, where it is the last one; its last run goes on on
the next one; and there are those with lower ordinals. Twins (`copy --copies`) have one ordinal, and one of
them is enough. None of it hinders an import: each device is whole by itself.
"""

from __future__ import annotations

from msgspec import UNSET

from transfer.core.ordinals import may_go_on, told_devices
from transfer.formats.documents import SealDocument
from transfer.jobs.import_.arrival import Arrival
from transfer.ledger.ledger import Ledger
from transfer.ledger.values import DeviceSet


async def take_stock(ledger: Ledger, arrival: Arrival) -> DeviceSet:
    """Remember what an accepted device tells of the others of its job; what is known of them now."""
    document, seal = arrival.device.document, arrival.files.seal
    job, told_by = document.job, document.device_id
    ordinals = set(range(1, document.ordinal + 1))
    headers = arrival.manifest.headers
    if headers and headers[-1].continues:
        ordinals.add(document.ordinal + 1)
    await ledger.devices.expect(job, sorted(ordinals), told_by=told_by)
    if seal is not None and (listed := listed_ordinals(seal)):
        await ledger.devices.expect(job, sorted(listed), told_by=told_by, is_listed=True)
    return await ledger.devices.set_of(job)


def listed_ordinals(seal: SealDocument) -> set[int]:
    """The ordinals of all devices of a job, where a seal lists them."""
    return set() if seal.devices is UNSET else {device.ordinal for device in seal.devices}


def told(job: str, devices: DeviceSet) -> str:
    """The devices of a job in a line; empty where there is nothing to tell."""
    if not devices.missing:
        if devices.is_listed and len(devices.seen) > 1:
            were = "have been at this destination, for this bucket or another"
            return f"all {len(devices.seen):,} devices of job {job} {were}"
        return ""
    known = len(devices.seen) + len(devices.missing)
    of_all = f"of the {known:,} devices" if devices.is_listed else "of the devices"
    later = not devices.is_listed and may_go_on(devices.missing, devices.seen)
    return f"{of_all} of job {job}, not here yet: {told_devices(devices.missing, later=later)}"
