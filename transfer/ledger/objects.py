"""What became of entries: by pack, for an import that goes on; by state, page by page, for reports.

Answers tell what is durable; what the recorder still holds is not in them: flush before you ask.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Row, Select, and_, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from transfer.ledger.database import Database
from transfer.ledger.schema import NOT_DONE, made_versions, objects, packs
from transfer.ledger.values import MadeVersion, ObjectEntry, ObjectState

PAGE_ROWS = 4096


class Objects:
    """The entries of a ledger's jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_pack(
        self, job: int, sequence: int, *, after: int = -1, limit: int = PAGE_ROWS
    ) -> list[ObjectEntry]:
        """What is recorded of the entries of one pack, by position.

        Args:
            job: its number.
            sequence: of the segment.
            after: position of the last entry of the page before.
            limit: how many at most.
        """
        mine = (objects.c.job == job) & (objects.c.sequence == sequence) & (objects.c.position > after)
        return await self._entries(select(objects).where(mine).order_by(objects.c.position).limit(limit))

    async def made_versions(
        self, first_job: int, sequence: int, *, after: int = -1, limit: int = PAGE_ROWS
    ) -> list[MadeVersion]:
        """What the versions in one pack became, by position.

        Args:
            first_job: number of the first job of the device and place.
            sequence: of the segment.
            after: position of the last one of the page before.
            limit: how many at most.
        """
        rows = made_versions.c
        mine = (rows.job == first_job) & (rows.sequence == sequence) & (rows.position > after)
        statement = select(made_versions).where(mine).order_by(rows.position).limit(limit)

        async def work(connection: AsyncConnection) -> list[MadeVersion]:
            return [
                MadeVersion(
                    row.job,
                    row.sequence,
                    row.position,
                    row.key,
                    row.version_id,
                    row.blake3.hex() if row.blake3 else "",
                )
                for row in await connection.execute(statement)
            ]

        return await self._database.run(work)

    async def checked_packs(self, job: int) -> frozenset[int]:
        """The packs that were read whole and matched their digests."""
        statement = select(packs.c.sequence).where(packs.c.job == job)

        async def work(connection: AsyncConnection) -> frozenset[int]:
            return frozenset((await connection.execute(statement)).scalars())

        return await self._database.run(work)

    async def last_spot(self, job: int) -> tuple[int, int]:
        """Sequence and position of the entry that is furthest on the device; -1, -1 where there is none."""
        columns = objects.c.sequence, objects.c.position
        mine = select(*columns).where(objects.c.job == job)
        last = mine.order_by(objects.c.sequence.desc(), objects.c.position.desc()).limit(1)

        async def work(connection: AsyncConnection) -> tuple[int, int]:
            row = (await connection.execute(last)).one_or_none()
            return (-1, -1) if row is None else (row.sequence, row.position)

        return await self._database.run(work)

    async def page(
        self, job: int, state: ObjectState, *, after: tuple[int, int] = (-1, -1), limit: int = 1000
    ) -> list[ObjectEntry]:
        """Entries of one state, in order of sequence and position.

        Args:
            job: its number.
            state: of the entries.
            after: sequence and position of the last entry of the page before.
            limit: how many at most.
        """
        return await self._entries(page_statement(self._database.dialect, job, state, after, limit))

    async def _entries(self, statement: Select[tuple[object, ...]]) -> list[ObjectEntry]:
        async def work(connection: AsyncConnection) -> list[ObjectEntry]:
            return [_entry(row) for row in await connection.execute(statement)]

        return await self._database.run(work)


def page_statement(
    dialect: str, job: int, state: ObjectState, after: tuple[int, int], limit: int
) -> Select[tuple[object, ...]]:
    """The query of a page. What is not done is found in its own index, what is done in the table's order."""
    place = tuple_(objects.c.sequence, objects.c.position)
    is_wanted: ColumnElement[bool] = objects.c.state == state.value
    if state is not ObjectState.DONE:
        # SQLite has no statistics here: without the word it would rather go through all that is done.
        is_wanted = and_(func.unlikely(is_wanted) if dialect == "sqlite" else is_wanted, NOT_DONE)
    statement = select(objects).where(objects.c.job == job, is_wanted, place > after)
    return statement.order_by(objects.c.sequence, objects.c.position).limit(limit)


def _entry(row: Row[tuple[object, ...]]) -> ObjectEntry:
    return ObjectEntry(
        job=row.job,
        sequence=row.sequence,
        position=row.position,
        state=ObjectState(row.state),
        key=row.key,
        size_bytes=row.size_bytes,
        blake3=row.blake3.hex() if row.blake3 else "",
        etag=row.etag,
        error=row.error,
    )
