"""The devices that were seen, each with the newest generation of its seal and the newest entry of its custody
log; and those that a job must have besides.

An older generation, or another seal of the same one, changes nothing here: what was seen stays what it was.
So see a device only when its seal can be trusted: whoever forged a seal of a high generation would make the
true ones look old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import asdict
from sqlalchemy import Select, Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from transfer.formats.custody import Head
from transfer.ledger.database import Database
from transfer.ledger.schema import custody, devices, members
from transfer.ledger.values import DeviceSet, KnownDevice, SealedDevice, Sighting


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

    async def custody(self, device_id: str) -> Head | None:
        """The newest entry of a device's custody log that was seen; None where none was."""

        async def work(connection: AsyncConnection) -> Head | None:
            row = (await connection.execute(_of(custody, device_id))).one_or_none()
            return None if row is None else Head(row.number, row.blake3)

        return await self._database.run(work)

    async def remember_custody(self, device_id: str, head: Head) -> None:
        """Remember an entry instead of the one before. Durable.

        Args:
            device_id: of a device that was seen.
            head: of a log that goes on from what was seen of it; whether it does is for the caller to find.
        """

        async def work(connection: AsyncConnection) -> None:
            values = {"number": head.number, "blake3": head.blake3, "seen": self._now()}
            if (await connection.execute(_of(custody, device_id))).one_or_none() is None:
                await connection.execute(insert(custody).values(device_id=device_id, **values))
            else:
                same = custody.c.device_id == device_id
                await connection.execute(update(custody).where(same).values(**values))

        await self._database.run(work)

    async def expect(
        self, job: str, ordinals: Iterable[int], *, told_by: str, is_listed: bool = False
    ) -> None:
        """Remember that a job has these devices, whether they were seen or not. Durable.

        Args:
            job: its name, as devices tell it.
            ordinals: of the devices.
            told_by: id of the device that told of them.
            is_listed: they are all that there are.
        """
        fixed = {"job": job, "told_by": told_by, "is_listed": is_listed}
        rows = {ordinal: {"ordinal": ordinal, **fixed} for ordinal in ordinals}

        async def work(connection: AsyncConnection) -> None:
            told = (await connection.execute(select(members).where(members.c.job == job))).all()
            known = {row.ordinal: row.is_listed for row in told}
            worse = [ordinal for ordinal in rows if is_listed and known.get(ordinal) is False]
            if worse:
                same = (members.c.job == job) & members.c.ordinal.in_(worse)
                await connection.execute(delete(members).where(same))
            new = [row for ordinal, row in rows.items() if ordinal in worse or ordinal not in known]
            if new:
                await connection.execute(insert(members), new)

        await self._database.run(work)

    async def set_of(self, job: str) -> DeviceSet:
        """What is known of the devices of a job."""
        seen_of = select(devices.c.ordinal).where(devices.c.job == job)
        told_of = select(members.c.ordinal, members.c.is_listed).where(members.c.job == job)

        async def work(connection: AsyncConnection) -> DeviceSet:
            seen = frozenset((await connection.execute(seen_of)).scalars())
            told = (await connection.execute(told_of)).all()
            missing = frozenset(row.ordinal for row in told) - seen
            is_listed = any(row.is_listed for row in told)
            return DeviceSet(tuple(sorted(seen)), tuple(sorted(missing)), is_listed)

        return await self._database.run(work)


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
    row = (await connection.execute(_of(devices, device_id))).one_or_none()
    if row is None:
        return None
    device = SealedDevice(row.device_id, row.job, row.ordinal, row.generation, row.seal_blake3)
    return KnownDevice(device, row.first_seen, row.last_seen)


def _of(table: Table, device_id: str) -> Select[tuple[object, ...]]:
    return select(table).where(table.c.device_id == device_id)
