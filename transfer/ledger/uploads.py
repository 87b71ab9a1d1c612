"""Uploads in parts that were begun and not ended: what an import goes on with and must not leave."""

from __future__ import annotations

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from transfer.ledger.database import Database
from transfer.ledger.schema import parts, upload_versions, uploads
from transfer.ledger.values import Upload
from transfer.stores.contract import Checksums, Part


class Uploads:
    """The uploads of a ledger's jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begun(self, job: int) -> list[Upload]:
        """The uploads of a job that were not ended, in order of their numbers.

        One without `upload_id` may exist at the store all the same: see `Upload`.
        """
        position = func.coalesce(upload_versions.c.position, -1)
        joined = uploads.outerjoin(upload_versions, upload_versions.c.upload == uploads.c.number)
        mine = select(uploads, position).select_from(joined).where(uploads.c.job == job)
        statement = mine.order_by(uploads.c.number)

        async def work(connection: AsyncConnection) -> list[Upload]:
            return [Upload(*row) for row in await connection.execute(statement)]

        return await self._database.run(work)

    async def parts(self, upload: int) -> list[Part]:
        """The parts of an upload that were recorded, ascending; the store may have more."""
        statement = select(parts).where(parts.c.upload == upload).order_by(parts.c.number)

        async def work(connection: AsyncConnection) -> list[Part]:
            return [_part(row) for row in await connection.execute(statement)]

        return await self._database.run(work)


async def next_number(connection: AsyncConnection) -> int:
    """The first number that no upload has."""
    return (
        int((await connection.execute(select(func.coalesce(func.max(uploads.c.number), 0)))).scalar_one()) + 1
    )


def _part(row: Row[tuple[object, ...]]) -> Part:
    sums = None
    if row.crc64nvme is not None and row.crc32c is not None:
        sums = Checksums(int(row.crc64nvme, 16), int(row.crc32c, 16))
    return Part(row.number, row.size_bytes, row.etag, sums)
