"""What became of entries: by pack, for an import that goes on; by state, page by page, for reports.

Answers tell what is durable; what the recorder still holds is not in them: flush before you ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import ColumnElement, Row, Select, and_, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from transfer.ledger.database import Database
from transfer.ledger.jobs import counters_of
from transfer.ledger.schema import NOT_DONE, objects, packs
from transfer.ledger.values import Counters, ObjectEntry, ObjectState

_PAGE_ROWS = 10_000
_STATES = tuple(ObjectState)
_CODES = {state.value: code for code, state in enumerate(_STATES, start=1)}


class SettledEntries(Mapping[int, ObjectState]):
    """Position in a segment to what became of its entry; a byte each, since a segment may have a million."""

    __slots__ = ("_codes", "_count")

    def __init__(self) -> None:
        self._codes = bytearray()  # 0: nothing is recorded
        self._count = 0

    def __getitem__(self, position: int) -> ObjectState:
        if not 0 <= position < len(self._codes) or not self._codes[position]:
            raise KeyError(position)
        return _STATES[self._codes[position] - 1]

    def __iter__(self) -> Iterator[int]:
        return (position for position, code in enumerate(self._codes) if code)

    def __len__(self) -> int:
        return self._count

    def append(self, position: int, state: str) -> None:
        """Add an entry behind the last one."""
        self._codes.extend(bytes(position - len(self._codes)))
        self._codes.append(_CODES[state])
        self._count += 1


class Objects:
    """The entries of a ledger's jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def settled(self, job: int, sequence: int) -> SettledEntries:
        """What became of the entries of one pack, as far as recorded."""
        entries, last = SettledEntries(), -1
        while True:
            rows = await self._database.run(lambda connection: _positions(connection, job, sequence, last))  # noqa: B023
            for row in rows:
                entries.append(row.position, row.state)
            if len(rows) < _PAGE_ROWS:
                return entries
            last = rows[-1].position

    async def settled_packs(self, job: int) -> dict[int, Counters]:
        """The packs that need not be read again, in order, and what became of their entries."""
        statement = select(packs).where(packs.c.job == job).order_by(packs.c.sequence)

        async def work(connection: AsyncConnection) -> dict[int, Counters]:
            return {row.sequence: counters_of(row) for row in await connection.execute(statement)}

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
        statement = page_statement(self._database.dialect, job, state, after, limit)

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


async def _positions(
    connection: AsyncConnection, job: int, sequence: int, after: int
) -> list[Row[tuple[int, str]]]:
    mine = (objects.c.job == job) & (objects.c.sequence == sequence) & (objects.c.position > after)
    statement = select(objects.c.position, objects.c.state).where(mine)
    return list(await connection.execute(statement.order_by(objects.c.position).limit(_PAGE_ROWS)))


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
