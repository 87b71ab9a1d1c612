"""The devices that were seen, each with the newest generation of its seal.

An older generation, or another seal of the same one, changes nothing here: what was seen stays what it was.
So see a device only when its seal can be trusted: whoever forged a seal of a high generation would make the
true ones look old.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import asdict
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from transfer.ledger.database import Database
from transfer.ledger.schema import devices
from transfer.ledger.values import KnownDevice, SealedDevice, Sighting


class Devices:
    """The devices of a ledger."""

    def __init__(self, database: Database, now: Callable[[], str]) -> None:
        self._database = database
        self._now = now

    async def see(self, device: SealedDevice) -> Sighting:
        """Record that a device is here, and say how it compares with what was seen of it before. Durable."""

        async def work(connection: AsyncConnection) -> Sighting:
            known = await _find(connection, device.device_id)
            sighting = compare(known.device if known else None, device)
            now = self._now()
            if sighting is Sighting.NEW:
                await connection.execute(
                    insert(devices).values(**asdict(device), first_seen=now, last_seen=now)
                )
            elif sighting in (Sighting.KNOWN, Sighting.NEWER):
                same = devices.c.device_id == device.device_id
                # Nothing else may differ. To set the id would make SQLite look for it in every job.
                newest = {"generation": device.generation, "seal_blake3": device.seal_blake3}
                await connection.execute(update(devices).where(same).values(**newest, last_seen=now))
            return sighting

        return await self._database.run(work)

    async def get(self, device_id: str) -> KnownDevice | None:
        """What is known of a device; None where it was never seen."""
        return await self._database.run(lambda connection: _find(connection, device_id))


def compare(known: SealedDevice | None, seen: SealedDevice) -> Sighting:
    """How a device compares with the newest that was seen of it."""
    if known is None:
        return Sighting.NEW
    if known == seen:
        return Sighting.KNOWN
    if (known.job, known.ordinal) != (seen.job, seen.ordinal) or known.generation == seen.generation:
        return Sighting.CONFLICTING
    return Sighting.NEWER if seen.generation > known.generation else Sighting.OLDER


async def _find(connection: AsyncConnection, device_id: str) -> KnownDevice | None:
    row = (await connection.execute(select(devices).where(devices.c.device_id == device_id))).one_or_none()
    if row is None:
        return None
    device = SealedDevice(row.device_id, row.job, row.ordinal, row.generation, row.seal_blake3)
    return KnownDevice(device, row.first_seen, row.last_seen)
